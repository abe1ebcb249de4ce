"""`gatepost keys`: make, list and print the keys of an issuer of Gatepost codes."""

from __future__ import annotations

import os
import sys
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

from agent import codes, vault
from agent.codes import signing
from agent.codes.trust import BadTrust

if TYPE_CHECKING:
    import argparse

TRUST_FILE = Path("issuers.toml")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `keys`."""
    parser = subparsers.add_parser("keys", help="make and list issuer keys", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    new = actions.add_parser("new", help="make a key: ISSUER.key stays with the issuer, gates get the trust file")
    new.add_argument("issuer", help="name of the issuer, for example demo-health")
    new.add_argument("--kind", choices=("ed25519", "sm2"), default="ed25519", help="default: %(default)s")
    new.add_argument("--private", type=Path, help="file of the private key (default: ISSUER.key)")
    new.add_argument("--trust", type=Path, default=TRUST_FILE, help="keys file to add to (default: %(default)s)")
    listing = actions.add_parser("list", help="whom a keys file trusts")
    listing.add_argument("--trust", type=Path, default=TRUST_FILE, help="keys file (default: %(default)s)")
    public = actions.add_parser("public", help="print the [[key]] table for a private key")
    public.add_argument("private", type=Path, help="file made by `keys new`")
    public.add_argument("--issuer", help="name of the issuer (default: name of the file)")


def run(args: argparse.Namespace) -> int:
    """0 when done; 1 with one sentence on standard error."""
    try:
        return {"new": _new, "list": _list, "public": _public}[args.action](args)
    except (BadTrust, signing.BadKey) as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
    return 1


def _new(args: argparse.Namespace) -> int:
    private: Path = args.private or Path(f"{args.issuer}.key")
    key = signing.new_private_key(args.kind)
    descriptor = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.pem())
    with args.trust.open("a", encoding="utf-8") as file:
        file.write(key_table(args.issuer, key.public))
    vault.load_trust(codes.Options(str(args.trust)))
    print(f"{private}: private key of {args.issuer}, kid {key.public.kid.hex()}. It stays with the issuer.")
    print(f"{args.trust}: the public key, for the gates.")
    return 0


def _list(args: argparse.Namespace) -> int:
    for keys in vault.load_trust(codes.Options(str(args.trust))).keys.values():
        for key in keys:
            print(f"{key.kid.hex()}  {key.issuer}  {key.public.name}  {' '.join(sorted(key.formats))}")
    return 0


def _public(args: argparse.Namespace) -> int:
    key = signing.private_key(args.private.read_bytes())
    print(key_table(args.issuer or args.private.stem, key.public), end="")
    return 0


def key_table(issuer: str, public: signing.PublicKey) -> str:
    """One [[key]] table of a keys file."""
    quoted = issuer.replace("\\", "\\\\").replace('"', '\\"')
    text = b64encode(public.spki).decode()
    return f'[[key]]\nissuer = "{quoted}"\nformats = ["gatepost"]\npublic = "{text}"  # {public.name}\n\n'

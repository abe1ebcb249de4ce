"""`gatepost keys`: keys of issuers of codes and of the centre; the root; bundles for the kiosks.

gatepost keys new demo-health                 an issuer of codes: demo-health.key, issuers.toml
gatepost keys list --keys issuers.toml        whom a kiosk with this file believes
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from base64 import b64decode, b64encode
from pathlib import Path
from typing import TYPE_CHECKING

from agent import codes, vault
from agent.codes import bundle, jwks, signing, strict_json
from agent.codes.refusal import Malformed
from agent.codes.trust import FORMATS, short_hash
from agent.model import ClockState, Now

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_HOUR_S, _DAY_S = 3600.0, 86_400.0
TRUST_FILE = Path("issuers.toml")
_ROLES = ", ".join((*bundle.TYPES, *bundle.WORDS))
_ROOT_HELP = f"{_ROLES}; how many must sign (default: 1); files made by `keys new --centre`"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `keys`."""
    parser = subparsers.add_parser("keys", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    new = actions.add_parser("new", help="make a key: NAME.key stays with its owner, kiosks get the keys file")
    new.add_argument("issuer", metavar="NAME", help="name of the issuer, for example demo-health")
    new.add_argument(
        "--centre",
        action="store_true",
        help="for bundles, orders or receipts, never for codes: NAME.pub is for the root",
    )
    new.add_argument("--kind", choices=("ed25519", "sm2"), default="ed25519", help="default: %(default)s")
    new.add_argument("--private", type=Path, help="file of the private key (default: NAME.key)")
    new.add_argument("--keys", type=Path, default=TRUST_FILE, help="keys file to add to (default: %(default)s)")
    listing = actions.add_parser("list", help="whom a keys file trusts")
    listing.add_argument("--keys", type=Path, default=TRUST_FILE, help="keys file (default: %(default)s)")
    add = actions.add_parser("add", help="pin the keys of a certificate (PEM, DER) or of a key set (JWKS)")
    add.add_argument("file", type=Path)
    add.add_argument("--issuer", help="a health card's https address, a pass's did:web, else a name for staff")
    add.add_argument("--formats", nargs="+", choices=FORMATS, required=True, help="what these keys may sign")
    add.add_argument("--keys", type=Path, default=TRUST_FILE, help="keys file to add to (default: %(default)s)")
    public = actions.add_parser("public", help="print the [[key]] table for an issuer's private key")
    public.add_argument("private", type=Path, help="file made by `keys new`")
    public.add_argument("--issuer", help="name of the issuer (default: name of the file)")
    _register_bundles(actions)


def _register_bundles(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """What the centre makes of its keys, and the kiosk takes."""
    sign = actions.add_parser("sign", help="wrap a file as a bundle for the kiosks, with one signature per key")
    sign.add_argument("file", type=Path, help="keys file, policy table, list, or the content of a root")
    sign.add_argument("--type", choices=bundle.TYPES, required=True)
    sign.add_argument("--name", default="", help="which one of its type")
    sign.add_argument("--fleet", required=True, help="the kiosks it is for")
    sign.add_argument("--version", type=int, required=True, help="must rise with every bundle")
    sign.add_argument("--days", type=float, default=30.0, help="valid for so many days (default: 30)")
    sign.add_argument("--warn-hours", type=float, default=24.0, help="older than this: a notice (default: 24)")
    sign.add_argument("--refer-hours", type=float, default=72.0, help="older than this: staff (default: 72)")
    sign.add_argument("--key", type=Path, action="append", required=True, help="private key; may be repeated")
    root = actions.add_parser("root", help="print the content of a root: whose signatures count for what")
    root.add_argument("roles", nargs="+", metavar="ROLE=[N:]FILE[,FILE…]", help=_ROOT_HELP)
    install = actions.add_parser("install", help="put the first root of a fleet on this kiosk")
    take = actions.add_parser("take", help="take a bundle by hand, by the rules for those from the centre")
    for action in (install, take):
        action.add_argument("file", type=Path, help="bundle made by `keys sign`")
        action.add_argument("--bundles", type=Path, required=True, help="folder, as in the kiosk's configuration")


def run(args: argparse.Namespace) -> int:
    """0 when done; 1 with one sentence on standard error."""
    actions = {"new": _new, "list": _list, "public": _public, "add": _add}
    actions |= {"sign": _sign, "root": _root, "install": _install, "take": _take}
    try:
        return actions[args.action](args)
    except Malformed as error:
        print(f"{args.file}: {error.reason}", file=sys.stderr)
    except (ValueError, OverflowError) as error:
        print(error, file=sys.stderr)
    return 1


def _new(args: argparse.Namespace) -> int:
    private: Path = args.private or Path(f"{args.issuer}.key")
    key = signing.new_private_key(args.kind)
    descriptor = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.pem())
    print(f"{private}: private key of {args.issuer}, kid {key.public.kid.hex()}. It stays with its owner.")
    if args.centre:
        public = private.with_suffix(".pub")
        public.write_text(b64encode(key.public.spki).decode() + "\n")
        print(f"{public}: the public key, for `gatepost keys root`.")
        return 0
    with args.keys.open("a", encoding="utf-8") as file:
        file.write(key_table(args.issuer, key.public))
    vault.load_trust(codes.Options(str(args.keys)))
    print(f"{args.keys}: the public key, for the kiosks.")
    return 0


def _list(args: argparse.Namespace) -> int:
    for keys in vault.load_trust(codes.Options(str(args.keys))).keys.values():
        for key in keys:
            print(f"{key.kid.hex()}  {key.issuer}  {key.public.name}  {' '.join(sorted(key.formats))}")
    return 0


def _add(args: argparse.Namespace) -> int:
    data = args.file.read_bytes()
    if data.lstrip().startswith(b"{"):
        found = [(key.issuer, key.kid, key.public) for key in jwks.read(strict_json.decode_object(data))]
    else:
        der = _der(data)
        found = [(signing.certificate_name(der), short_hash(der), signing.certificate_key(der))]
    with args.keys.open("a", encoding="utf-8") as file:
        for issuer, kid, public in found:
            file.write(key_table(args.issuer or issuer, public, args.formats, kid))
    vault.load_trust(codes.Options(str(args.keys)))
    print(f"{args.keys}: {len(found)} keys added")
    return 0


def _der(data: bytes) -> bytes:
    """DER of a certificate in PEM or DER form."""
    _, _, rest = data.partition(b"-----BEGIN CERTIFICATE-----")
    return b64decode(rest.partition(b"-----END")[0]) if rest else data


def _sign(args: argparse.Namespace) -> int:
    now = int(time.time())
    signed = {
        "type": args.type,
        "name": args.name,
        "fleet": args.fleet,
        "version": args.version,
        "issued": now,
        "expires": now + int(args.days * _DAY_S),
        "warn_s": int(args.warn_hours * _HOUR_S),
        "refer_s": int(args.refer_hours * _HOUR_S),
        "content": _content(args),
    }
    keys = [signing.private_key(file.read_bytes()) for file in args.key]
    signed_by_all = bundle.sign(signed, keys)
    bundle.claims_to_be(signed_by_all)  # what no gate could read is not handed out
    print(signed_by_all.decode())
    return 0


def _content(args: argparse.Namespace) -> object:
    """What is to be signed of a file, by its type."""
    if args.type == "list":
        return vault.list_content(vault.open_list(args.file))
    if args.type == "policy":
        return vault.whole_table(args.file)
    data = args.file.read_bytes()
    return strict_json.decode_object(data) if args.type == "root" else data.decode()


def _root(args: argparse.Namespace) -> int:
    """The content of a root, as `keys sign --type root` takes it."""
    keys: dict[str, str] = {}
    roles: dict[str, object] = {}
    for said in args.roles:
        match = re.fullmatch(r"(\w+)=(?:(\d+):)?(.+)", said)
        if not match or match[1] not in {*bundle.TYPES, *bundle.WORDS} or match[1] in roles:
            raise ValueError(f"{said}: should be ROLE=[N:]FILE,…, each role once; roles: {_ROLES}")
        public = [signing.public_key(b64decode(Path(file).read_bytes())) for file in match[3].split(",")]
        keys |= {key.kid.hex(): b64encode(key.spki).decode() for key in public}
        roles[match[1]] = {"threshold": int(match[2] or 1), "kids": [key.kid.hex() for key in public]}
    if "root" not in roles:
        raise ValueError("who may sign the next root? Say root=N:FILE,…")
    print(json.dumps({"keys": keys, "roles": roles}, indent=2))
    return 0


def _install(args: argparse.Namespace) -> int:
    root = vault.BundleStore(args.bundles).install(args.file.read_bytes())
    print(f"{args.bundles}: root version {root.bundle.version} of fleet {root.bundle.fleet}")
    return 0


def _take(args: argparse.Namespace) -> int:
    utc = time.time()
    taken = vault.BundleStore(args.bundles).take(args.file.read_bytes(), Now(utc, utc, ClockState.SYNCED))
    print(f"{args.bundles}: {taken.age.name} version {taken.version}")
    return 0


def _public(args: argparse.Namespace) -> int:
    key = signing.private_key(args.private.read_bytes())
    print(key_table(args.issuer or args.private.stem, key.public), end="")
    return 0


def key_table(
    issuer: str, public: signing.PublicKey, formats: Sequence[str] = ("gatepost",), kid: bytes = b""
) -> str:
    """One [[key]] table of a keys file. Strings and lists are written as in JSON, which is TOML too."""
    lines = ["[[key]]", f"issuer = {json.dumps(issuer)}", f"formats = {json.dumps(list(formats))}"]
    if kid:
        lines.append(f'kid = "{kid.hex()}"')
    lines.append(f'public = "{b64encode(public.spki).decode()}"  # {public.name}')
    return "\n".join(lines) + "\n\n"

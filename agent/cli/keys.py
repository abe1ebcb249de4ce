"""`gatepost keys`: keys of issuers of codes and of the central server; the root; bundles for the kiosks.

gatepost keys new demo-health                 an issuer of codes: demo-health.key, issuers.toml
gatepost keys list --keys issuers.toml        whom a kiosk with this file trusts
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import time
import tomllib
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent import credentials
from agent.cli import given, key_import
from agent.cli.help import chunk_kb, days, hours, spread_s, version
from agent.cli.key_files import KEYS_FILE, private_key, server_key
from agent.config import overlay
from agent.control.verification import TARGET
from agent.credentials import bundle, jwks
from agent.credentials.trust import TrustedKey, certified, key_uses, parse_keys
from agent.crypto import signing, strict_json
from agent.crypto.refusal import Malformed
from agent.model import ClockState, TimeBounds
from agent.model.reasons import Rejection
from agent.platform.files import replace_file
from agent.ruleset import hand_kept, load
from agent.ruleset.bundle_store import NAME, examine
from agent.texts import did_you_mean

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_HOUR_S, _DAY_S = 3600.0, 86_400.0
_MOST_DAYS = 36_500
TRUST_FILE = Path(KEYS_FILE)
_ROLES = ", ".join((*bundle.TYPES, *bundle.STATEMENT_TYPES))
_ROOT_HELP = f"{_ROLES}; how many must sign (default: 1); files made by `keys new --server`"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `keys`."""
    parser = subparsers.add_parser("keys", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    new = actions.add_parser("new", help="make a key: NAME.key stays with its owner, kiosks get the keys file")
    new.add_argument("issuer", metavar="NAME", help="name of the issuer, for example demo-health")
    new.add_argument(
        "--server",
        action="store_true",
        help="for bundles, commands or receipts, never for codes: NAME.pub is for the root",
    )
    new.add_argument("--kind", choices=("ed25519", "sm2"), default="ed25519", help="default: %(default)s")
    new.add_argument(
        "--formats", nargs="+", choices=("gatepost", "permit", "drill"),
        help="what it may sign: health codes, permits of a venue, codes of an exercise (default: gatepost)",
    )  # fmt: skip
    new.add_argument("--private", type=Path, help="file of the private key (default: NAME.key)")
    new.add_argument("--keys", type=Path, help=f"keys file to add to (default: {TRUST_FILE})")
    listing = actions.add_parser("list", help="whom a keys file trusts")
    listing.add_argument("--keys", type=Path, default=TRUST_FILE, help="keys file (default: %(default)s)")
    add = actions.add_parser("add", help="pin the keys of a certificate (PEM, DER) or of a key set (JWKS)")
    add.add_argument("file", type=Path)
    add.add_argument(
        "--issuer", help="of a health card its https address, of a pass its did:web, else a name that staff see"
    )
    add.add_argument(
        "--formats", nargs="+", choices=sorted(key_uses()), required=True, help="what these keys may sign"
    )
    add.add_argument("--keys", type=Path, default=TRUST_FILE, help="keys file to add to (default: %(default)s)")
    public = actions.add_parser("public", help="print the [[key]] table for an issuer's private key")
    public.add_argument("private", type=Path, help="file made by `keys new`")
    public.add_argument("--issuer", help="name of the issuer (default: name of the file)")
    key_import.register(actions, TRUST_FILE)
    _register_bundles(actions)


def _register_bundles(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """What the central server makes of its keys, and the kiosk takes."""
    sign = actions.add_parser("sign", help="wrap a file as a bundle for the kiosks, with one signature per key")
    sign.add_argument("file", type=Path, help="keys file, policy table, list, or the content of a root")
    sign.add_argument("--type", choices=bundle.TYPES, required=True)
    sign.add_argument("--name", default="", help="of a list or policy table: which one")
    sign.add_argument("--fleet", required=True, help="the kiosks it is for")
    sign.add_argument("--target", default="", metavar="WHOM", help="SITE/KIOSK, SITE/* or @GROUP (default: all)")
    sign.add_argument("--version", type=version, required=True, help="higher than that of the bundle before")
    sign.add_argument("--days", type=days, default=30.0, help="valid for so many days (default: 30)")
    sign.add_argument("--warn-hours", type=hours, default=24.0, help="older than this: a notice (default: 24)")
    sign.add_argument("--refer-hours", type=hours, default=72.0, help="older than this: staff (default: 72)")
    sign.add_argument(
        "--url", default="", help="of a list: where kiosks fetch its base, as https://HOST/status.gpl"
    )
    sign.add_argument(
        "--chunk-kb",
        type=chunk_kb,
        default=256,
        help="of a list: size of its base's pieces (4 to 1024; default: 256)",
    )
    sign.add_argument(
        "--spread-s",
        type=spread_s,
        default=0,
        help="of a list: kiosks begin to fetch its base within so many seconds",
    )
    sign.add_argument(
        "--after", type=Path, metavar="BUNDLE", help="of a list: sign only what has changed since this whole bundle"
    )
    sign.add_argument("--key", type=Path, action="append", required=True, help="private key; may be repeated")
    root = actions.add_parser("root", help="print the content of a root: whose signatures count for what")
    root.add_argument("roles", nargs="+", metavar="ROLE=[N:]FILE[,FILE…]", help=_ROOT_HELP)
    install = actions.add_parser("install", help="put the first root of a fleet on this kiosk")
    take = actions.add_parser(
        "import-bundle", help="install a bundle from a file, by the same rules as one from the central server"
    )
    for action in (install, take):
        action.add_argument("file", type=Path, help="bundle made by `keys sign`")
        action.add_argument("--bundles", type=Path, required=True, help="folder, as in the kiosk's configuration")


def run(args: argparse.Namespace) -> int:
    """0 when done; 1 with one sentence on standard error."""
    actions = {"new": _new, "list": _list, "public": _public, "add": _add}
    actions |= {"sign": _sign, "root": _root, "install": _install, "import-bundle": _import_bundle}
    actions |= {"import": key_import.run}
    try:
        return actions[args.action](args)
    except Malformed as error:
        print(f"{args.file}: {error.reason}", file=sys.stderr)
    except (ValueError, OverflowError) as error:
        print(error, file=sys.stderr)
    return 1


def _new(args: argparse.Namespace) -> int:
    private: Path = args.private or Path(f"{args.issuer}.key")
    if not args.issuer or not args.issuer.isprintable() or "/" in args.issuer:
        raise ValueError(f"{args.issuer!r} is no name of an issuer: letters, digits and -, as demo-health")
    if args.server and (args.formats or args.keys):
        raise ValueError("--server: it signs no codes, and no keys file names it: leave out --formats, --keys")
    keys_file = args.keys or TRUST_FILE
    key = signing.new_private_key(args.kind)
    descriptor = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.pem())
    if not args.server:
        try:
            _pin(keys_file, [key_table(args.issuer, key.public, args.formats or ["gatepost"])])
        except (OSError, ValueError):
            private.unlink()
            raise
    print(f"{private}: private key of {args.issuer}, kid {key.public.kid.hex()}. It stays with its owner.")
    if args.server:
        public = private.with_suffix(".pub")
        replace_file(public, (b64encode(key.public.spki) + b"\n",))
        print(f"{public}: the public key, for `gatepost keys root`.")
        return 0
    print(f"{keys_file}: the public key, for the kiosks.")
    return 0


def _list(args: argparse.Namespace) -> int:
    for keys in load.load_trust(credentials.Options(str(args.keys))).keys.values():
        for key in keys:
            print(f"{key.kid.hex()}  {key.issuer}  {key.public.name}  {' '.join(sorted(key.formats))}")
    return 0


def _add(args: argparse.Namespace) -> int:
    found = _published(args.file)
    added = _pin(
        args.keys,
        [key_table(args.issuer or key.issuer, key.public, args.formats, key.kid, key.certificate) for key in found],
    )
    there = f", {len(found) - added} were there already" if added < len(found) else ""
    left = _left_out(args.file, len(found))
    print(f"{args.keys}: {added} keys added{there}{left}")
    for key in found:
        kinds = "" if key.limits.kinds is None else f", for {', '.join(sorted(key.limits.kinds)) or 'nothing here'}"
        if key.certificate:
            print(f"{key.kid.hex()}  {args.issuer or key.issuer}  until {_day(key.limits.expires_utc)}{kinds}")
    return 0


def _left_out(file: Path, taken: int) -> str:
    """How many entries of a key set are no key that signs codes here."""
    data = given.data(file)
    if not data.lstrip().startswith(b"{"):
        return ""
    document = strict_json.decode_object(data)
    entries = document.get("verificationMethod", document.get("keys"))
    more = len(entries) - taken if isinstance(entries, list) else 0
    return f", {more} left out: not for signatures, or of a kind that signs no code" if more > 0 else ""


def _day(utc: float) -> str:
    return datetime.fromtimestamp(utc, UTC).strftime("%Y-%m-%d")


def _published(file: Path) -> list[TrustedKey]:
    """The keys that an issuer publishes: a key set, or one or more certificates in PEM or DER form."""
    data = given.data(file)
    if data.lstrip().startswith(b"{"):
        found = jwks.read(strict_json.decode_object(data))
    else:
        try:
            found = [certified(der) for der in _ders(data)]
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
    if not found:
        raise ValueError(f"{file}: no key in it that this program can use")
    return found


_PEM = re.compile(rb"-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----(.*?)-----END \1-----", re.DOTALL)


def _ders(data: bytes) -> list[bytes]:
    """DER of each certificate in PEM or DER form. Raises ValueError."""
    if b"-----BEGIN " not in data:
        return [data]
    found = [b64decode(match[2]) for match in _PEM.finditer(data)]
    if not found or len(found) != data.count(b"CERTIFICATE-----") / 2:
        raise ValueError(
            "PEM text without a whole certificate: -----BEGIN CERTIFICATE----- … -----END CERTIFICATE-----"
        )
    return found


def _pin(file: Path, tables: Sequence[str]) -> int:
    """Add tables to a keys file, those that are in it already left out; nothing is written that could not be read
    again. Returns how many were new. Raises BadTrustStore, OSError.
    """
    before = given.text(file) if file.exists() else ""
    new = [table for table in dict.fromkeys(tables) if table not in before]
    start = hand_kept.raised(before) if new else before
    text = start + ("\n" if before and not before.endswith("\n") else "") + "".join(new)
    parse_keys(text, str(file))
    mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else 0o666
    replace_file(file, [text.encode()], mode)
    return len(new)


def _sign(args: argparse.Namespace) -> int:
    _demand_sense(args)
    keys = [server_key(file) for file in args.key]
    try:
        print(_signed(args, keys, int(time.time())))
    except ValueError as error:
        named = any(str(file) in str(error) for file in (args.file, args.after) if file)
        raise ValueError(str(error) if named else f"{args.file}: {error}") from None
    return 0


def _signed(args: argparse.Namespace, keys: Sequence[signing.PrivateKey], now: int) -> str:
    """The bundle. Raises ValueError for what no kiosk could read or would take."""
    signed = {
        "type": args.type,
        "name": args.name,
        "fleet": args.fleet,
        "version": args.version,
        "issued_at": now,
        "expires_at": now + int(args.days * _DAY_S),
        "warn_age_s": int(args.warn_hours * _HOUR_S),
        "max_age_s": int(args.refer_hours * _HOUR_S),
        "content": _content(args),
    }
    if args.target:
        signed["target"] = args.target
    signed_by_all = bundle.sign(signed, keys)
    claimed = bundle.unverified_header(signed_by_all)
    if args.type == "root":
        _demand_own_root(signed_by_all)
    else:
        examine(claimed)
    return signed_by_all.decode()


def _demand_own_root(signed_by_all: bytes) -> None:
    """A root counts only when as many of its own keys have signed it as it asks for. Raises ValueError."""
    try:
        bundle.first_root(signed_by_all)
    except bundle.BadBundle as error:
        if error.fault is not Rejection.TOO_FEW_SIGNATURES:
            raise
        raise ValueError(
            f"its own role root is not satisfied: {error.fact}; give each of these keys with --key"
        ) from None


_NAMED = ("list", "policy")


def _demand_sense(args: argparse.Namespace) -> None:
    """Refuse what no kiosk could take, or what would be harmful there. Raises ValueError."""
    if args.type in _NAMED and not args.name:
        raise ValueError(f"--type {args.type} needs --name: which one it is, for example {args.file.stem}")
    if args.type not in _NAMED and args.name:
        raise ValueError(f"--type {args.type} has no name: leave out --name {args.name}")
    if args.name and not NAME.fullmatch(args.name):
        raise ValueError(f"--name {args.name}: small letters, digits, - and _, up to 64, for example status")
    if not args.fleet.strip() or not args.fleet.isprintable():
        raise ValueError("--fleet: the name of the kiosks that it is for, printed characters, for example city")
    if args.target and (args.type == "root" or not TARGET.fullmatch(args.target)):
        raise ValueError(
            f"--target {args.target}: SITE/KIOSK, SITE/* or @GROUP, for example @north; a root is for all"
        )
    if len({file.resolve() for file in args.key}) < len(args.key):
        raise ValueError("--key: one key is given twice, and counts once")
    if args.version < 1:
        raise ValueError(f"--version {args.version}: 1 or more, and more than that of the last one")
    _demand_list_options(args)
    if not 0 < args.days <= _MOST_DAYS:
        raise ValueError(f"--days {args.days:g}: more than 0 and up to {_MOST_DAYS}, for example 30")
    if not 0 < args.warn_hours <= args.refer_hours <= _MOST_DAYS * 24:
        raise ValueError(
            f"--warn-hours {args.warn_hours:g} --refer-hours {args.refer_hours:g}: hours more than 0, the "
            "first not more than the second, for example 24 and 72"
        )


def _demand_list_options(args: argparse.Namespace) -> None:
    for option, value in (("--url", args.url), ("--spread-s", args.spread_s), ("--after", args.after)):
        if value and args.type != "list":
            raise ValueError(f"{option} {value}: only a list has a base and changes; leave it out")
    if args.after and (args.url or args.spread_s):
        raise ValueError(f"--after {args.after}: that bundle says how the base is fetched; leave the rest out")


def _content(args: argparse.Namespace) -> object:
    """What is to be signed of a file, by its type."""
    if args.type == "list":
        found = load.open_list(args.file)
        if args.after:
            whole = bundle.unverified_header(given.data(args.after))
            if (whole.type, whole.name) != ("list", args.name):
                raise ValueError(f"--after {args.after}: it is no bundle of the list {args.name}")
            if whole.fleet != args.fleet:
                raise ValueError(f"--after {args.after}: it is for the fleet {whole.fleet}, not {args.fleet}")
            if args.version <= whole.version:
                raise ValueError(
                    f"--version {args.version}: --after {args.after} has version {whole.version}, this needs "
                    f"{whole.version + 1} or more"
                )
            return load.increment_content(found, whole)
        chunks = load.chunks_of(args.file, args.chunk_kb * 1024, args.url, args.spread_s)
        return load.list_content(found, chunks)
    if args.type == "policy":
        return load.whole_table(args.file)
    text = given.text(args.file)
    if not text.strip():
        raise ValueError(f"{args.file}: it is empty")
    if args.type == "config":
        _demand_overlay(text)
    if args.type == "keys" and not tomllib.loads(text):
        raise ValueError(f"{args.file}: it names no key: kiosks would believe nobody")
    return strict_json.decode_object(text.encode()) if args.type == "root" else text


def _demand_overlay(text: str) -> None:
    """Refuse settings that no kiosk takes from the central server. Raises ValueError."""
    over = tomllib.loads(text)
    for path, why in overlay.faults({"lanes": over.get("lanes")}, over):
        raise ValueError(f"{'.'.join(path)}: {why}")


def _root(args: argparse.Namespace) -> int:
    """The content of a root, as `keys sign --type root` takes it."""
    keys: dict[str, str] = {}
    roles: dict[str, object] = {}
    for said in args.roles:
        match = re.fullmatch(r"(\w+)=(?:([0-9]+):)?(.+)", said)
        if not match or match[1] not in {*bundle.TYPES, *bundle.STATEMENT_TYPES} or match[1] in roles:
            role = said.partition("=")[0]
            near = did_you_mean(role, _ROLES.split(", "))
            raise ValueError(f"{said}: should be ROLE=[N:]FILE,…, each role once; roles: {_ROLES}{near}")
        public = [_public_file(Path(file)) for file in match[3].split(",")]
        different, threshold = len({key.kid for key in public}), int(match[2] or 1)
        if not 1 <= threshold <= different:
            raise ValueError(
                f"{said}: {threshold} signatures are asked for, of {different} different keys; "
                f"1 to {different} are possible, for example {match[1]}={different}:{match[3]}"
            )
        keys |= {key.kid.hex(): b64encode(key.spki).decode() for key in public}
        roles[match[1]] = {"threshold": threshold, "keyids": sorted({key.kid.hex() for key in public})}
    if "root" not in roles:
        raise ValueError("who may sign the next root? Say root=N:FILE,…")
    print(json.dumps({"keys": keys, "roles": roles}, indent=2))
    return 0


def _public_file(file: Path) -> signing.PublicKey:
    """A key of a `.pub` file, as `keys new --server` makes it. Raises ValueError."""
    try:
        return signing.public_key(b64decode(given.data(file), validate=False))
    except ValueError as error:
        why = f"it is private: give {file.with_suffix('.pub')}" if b" PRIVATE KEY-" in given.data(file) else error
        raise ValueError(f"{file}: not a public key of `gatepost keys new --server`: {why}") from None


def _install(args: argparse.Namespace) -> int:
    root = load.bundle_store(args.bundles).install(given.data(args.file))
    print(f"{args.bundles}: root version {root.bundle.version} of fleet {root.bundle.fleet}")
    return 0


def _import_bundle(args: argparse.Namespace) -> int:
    utc = time.time()
    taken = load.bundle_store(args.bundles).accept(given.data(args.file), TimeBounds(utc, utc, ClockState.SYNCED))
    print(f"{args.bundles}: {taken.age.name} version {taken.version}")
    return 0


def _public(args: argparse.Namespace) -> int:
    key = private_key(args.private)
    print(key_table(args.issuer or args.private.stem, key.public), end="")
    return 0


def key_table(
    issuer: str,
    public: signing.PublicKey,
    formats: Sequence[str] = ("gatepost",),
    kid: bytes = b"",
    certificate: bytes = b"",
) -> str:
    """One [[key]] table of a keys file. Strings and lists are written as in JSON, which is TOML too. A certificate
    is written whole: its validity and key usage are part of what is pinned.
    """
    lines = [
        "[[key]]",
        f"issuer = {json.dumps(issuer, ensure_ascii=False)}",
        f"formats = {json.dumps(list(formats))}",
    ]
    if kid:
        lines.append(f'kid = "{kid.hex()}"')
    what, der = ("certificate", certificate) if certificate else ("public", public.spki)
    lines.append(f'{what} = "{b64encode(der).decode()}"  # {public.name}')
    return "\n".join(lines) + "\n\n"

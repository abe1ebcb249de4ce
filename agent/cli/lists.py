"""`gatepost lists`: build, check and query the lists of revoked, coloured and watched codes.

gatepost lists build codes.txt revoked.gpl --kind revoked --issuer demo-health --version 12 --of subject
gatepost lists check revoked.gpl
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent import vault
from agent.codes import dcc, digest, gatepost, health_card, lists

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

_HOUR_S = 3600.0
_COLOURS = {colour.value: number for colour, number in lists.VALUES.items()} | {"gone": lists.GONE}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `lists`."""
    parser = subparsers.add_parser("lists", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = actions.add_parser("build", help="make a list from keys, one a line: KEY [green|yellow|red]")
    build.add_argument("input", help="text file, - for standard input, or a .bin file of 16-byte keys")
    build.add_argument("output", type=Path, help="list file; replaced in one step")
    build.add_argument("--kind", choices=lists.KINDS, required=True)
    build.add_argument("--issuer", required=True, help="whose codes it speaks of")
    build.add_argument("--version", type=int, required=True, help="must rise with every list")
    build.add_argument("--warn-hours", type=float, default=24.0, help="older than this: a notice (default: 24)")
    build.add_argument("--refer-hours", type=float, default=72.0, help="older than this: staff (default: 72)")
    build.add_argument("--delta", action="store_true", help="changes on top of OUTPUT; `gone` takes a key off")
    build.add_argument(
        "--of",
        choices=("key", *_KEY_OF),
        default="key",
        help="what each line holds: a key in hex, a Gatepost subject, an opaque id, a card's 64 digits, a UCI",
    )
    check = actions.add_parser("check", help="is every byte as it was built")
    check.add_argument("file", type=Path)
    query = actions.add_parser("query", help="is this on the list")
    query.add_argument("file", type=Path)
    query.add_argument("what", help="a key in hex, or with --of what it is made from")
    query.add_argument("--of", choices=("key", *_KEY_OF), default="key")


def run(args: argparse.Namespace) -> int:
    """0 when done (query: when on the list), 1 when not, with one sentence on standard error for a fault."""
    try:
        return {"build": _build, "check": _check, "query": _query}[args.action](args)
    except (lists.BadList, ValueError) as error:
        print(error, file=sys.stderr)
    return 1


def _build(args: argparse.Namespace) -> int:
    began_s = time.monotonic()
    now = time.time()
    head = lists.Head(
        args.kind, args.issuer, args.version, now, args.warn_hours * _HOUR_S, args.refer_hours * _HOUR_S
    )
    if args.delta:
        count = vault.change_list(args.output, head, dict(_entries(args, default=1))).head.count
    elif args.input.endswith(".bin"):
        count = vault.write_list(args.output, head, Path(args.input).read_bytes()).count
    else:
        count = _build_from_text(args, head)
    print(f"{args.output}: {count:,} keys, {time.monotonic() - began_s:.1f} s")
    return 0


def _build_from_text(args: argparse.Namespace, head: lists.Head) -> int:
    keys, values = bytearray(), bytearray()
    for key, value in _entries(args, default=None if args.kind == "status" else 1):
        keys += key
        values.append(value)
    return vault.write_list(args.output, head, bytes(keys), bytes(values) if args.kind == "status" else None).count


def _entries(args: argparse.Namespace, default: int | None) -> Iterator[tuple[bytes, int]]:
    """Key and value of each line. Raises ValueError that says which line is wrong, not what it holds."""
    if args.input == "-":
        yield from _parsed(sys.stdin, args, default)
    else:
        with Path(args.input).open(encoding="utf-8") as file:
            yield from _parsed(file, args, default)


def _parsed(lines: Iterator[str], args: argparse.Namespace, default: int | None) -> Iterator[tuple[bytes, int]]:
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        value = _COLOURS.get(words[1]) if len(words) > 1 else default
        try:
            key = _key(words[0], args.of, args.issuer)
        except ValueError:
            key = b""
        if not key:
            raise ValueError(f"{args.input}: line {number} does not begin with a key of the kind that --of names")
        if value is None:
            raise ValueError(
                f"{args.input}: line {number} names no colour after the key: green, yellow, red or gone"
            )
        yield key, value


_KEY_OF: dict[str, Callable[[str, str], bytes]] = {
    "subject": gatepost.subject_key,
    "opaque": digest.of_subject,
    "health-card": lambda _issuer, text: health_card.subject_key(text),
    "uci": lambda _issuer, text: dcc.code_key(text),
}


def _key(text: str, of: str, issuer: str) -> bytes:
    """The 16-byte key that a word stands for. Raises ValueError."""
    if of != "key":
        return _KEY_OF[of](issuer, text)
    key = bytes.fromhex(text)
    if len(key) != digest.SIZE:
        raise ValueError("a key is 32 hexadecimal digits")
    return key


def _check(args: argparse.Namespace) -> int:
    found = vault.open_list(args.file)
    parts = [found.base] if found.delta is None else [found.base, found.delta]
    for part in parts:
        head = part.head
        issued = datetime.fromtimestamp(head.issued_utc, UTC)
        sound = "sound" if part.is_sound() else "DAMAGED: ask for it anew"
        what = "base" if part is found.base else "changes"
        print(
            f"{what}: {head.kind} of {head.issuer}, version {head.version}, {issued:%Y-%m-%d %H:%MZ}, "
            f"{head.count:,} keys: {sound}"
        )
    return 0 if all(part.is_sound() for part in parts) else 1


def _query(args: argparse.Namespace) -> int:
    found = vault.open_list(args.file)
    value = found.find(_key(args.what, args.of, found.head.issuer))
    if value is None:
        print("not on the list")
        return 1
    colour = lists.COLOURS.get(value) if found.head.kind == "status" else None
    print(colour.value if colour is not None else "on the list")
    return 0

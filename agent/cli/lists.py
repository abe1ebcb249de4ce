"""`gatepost lists`: build, check and query the lists of revoked, coloured and watched codes.

gatepost lists build codes.txt revoked.gpl --kind revoked --issuer demo-health --version 12 --of subject
gatepost lists build tested.txt tested.gpl --kind tested --issuer suishenma --version 1 --of opaque
gatepost lists check revoked.gpl

Of a status list each line is KEY and a colour; of a watched list KEY and hit, contact, arrival or asked, or
nothing: hit; of a tested list KEY and the hours from the swab to the list's issue. A list of cards has the issuer
`card`.
"""

from __future__ import annotations

import io
import math
import os
import sys
import time
from array import array
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.help import chunk_kb, hours, version
from agent.credentials import list_text, lists
from agent.credentials.trust import issuer_name
from agent.crypto import digest
from agent.ruleset import load

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import TextIO

_HOUR_S = 3600.0
_LONGEST_LINE = 1 << 16
"""Characters that are looked at in one piece: longer than any key."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `lists`."""
    parser = subparsers.add_parser("lists", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = actions.add_parser("build", help="make a list from keys, one a line or CSV: KEY [green|hit|20]")
    build.add_argument("input", help="text file, - for standard input, or a .bin file of 16-byte keys")
    build.add_argument("output", type=Path, help="list file; replaced in one step")
    build.add_argument("--kind", choices=lists.KINDS, required=True)
    build.add_argument("--issuer", required=True, help="issuer of the codes")
    build.add_argument("--version", type=version, required=True, help="higher than that of the list before")
    build.add_argument("--warn-hours", type=hours, default=24.0, help="older than this: a notice (default: 24)")
    build.add_argument("--refer-hours", type=hours, default=72.0, help="older than this: staff (default: 72)")
    build.add_argument("--delta", action="store_true", help="changes on top of OUTPUT; `gone` takes a key off")
    build.add_argument(
        "--of",
        choices=list_text.KEY_OF,
        default="key",
        help="what each line holds: a key in hex, a Gatepost subject, an opaque id, the number of a card or fob, "
        "a health card's 64 digits, a UCI",
    )
    check = actions.add_parser("check", help="is every byte as it was built")
    check.add_argument("file", type=Path)
    chunks = actions.add_parser("chunks", help="cut a base into the messages by which kiosks fetch it over MQTT")
    chunks.add_argument("file", type=Path)
    chunks.add_argument(
        "folder", type=Path, help="to write to: one file per message; its path is the end of the topic"
    )
    chunks.add_argument("--chunk-kb", type=chunk_kb, default=256, help="as in `keys sign` (default: 256)")
    query = actions.add_parser("query", help="is this on the list")
    query.add_argument("file", type=Path)
    query.add_argument("what", help="a key in hex, or with --of what it is made from")
    query.add_argument("--of", choices=list_text.KEY_OF, default="key")


def run(args: argparse.Namespace) -> int:
    """0 when done (query: when on the list), 1 when not, with one sentence on standard error for a fault."""
    try:
        return {"build": _build, "check": _check, "chunks": _chunks, "query": _query}[args.action](args)
    except (lists.BadList, ValueError) as error:
        print(error, file=sys.stderr)
    return 1


def _build(args: argparse.Namespace) -> int:
    began_s = time.monotonic()
    args.issuer = _issuer(args.issuer)
    if not args.version:
        raise ValueError("--version 0: 1 or more, and more than that of the last one")
    if not 0 < args.warn_hours <= args.refer_hours:
        raise ValueError(
            f"--warn-hours {args.warn_hours:g} --refer-hours {args.refer_hours:g}: hours more than 0, the "
            "first not more than the second, for example 24 and 72"
        )
    head = lists.ListHeader(
        args.kind, args.issuer, args.version, time.time(), args.warn_hours * _HOUR_S, args.refer_hours * _HOUR_S
    )
    _demand_progress(args)
    left_out = 0
    if args.input.endswith(".bin"):
        count, given = _build_from_keys(args, head)
    else:
        count, given, left_out = _build_from_text(args, head)
    repeated = f", {given - count:,} repeated" if not args.delta and given > count else ""
    what = {"key": "keys", "uci": "certificate identifiers"}.get(args.of, f"{args.of} entries")
    print(
        f"{args.output}: {count:,} keys{' changed in all' if args.delta else ''}, of {given:,} {what} of "
        f"{args.issuer}{repeated}{f', {left_out:,} lines with # left out' if left_out else ''}, "
        f"{time.monotonic() - began_s:.1f} s"
    )
    return 0


def _issuer(text: str) -> str:
    """Its name as codes have it. Raises ValueError."""
    name = issuer_name(text)
    if not name or not name.isprintable():
        raise ValueError(f"--issuer {text!r}: the name in the keys file, for example demo-health")
    return name


def _demand_progress(args: argparse.Namespace) -> None:
    """Never back: kiosks would not take it, or would take it for the newer. Raises ValueError."""
    try:
        before = load.open_list(args.output).head
    except lists.BadList:  # none yet, or one that is to be replaced because it is broken
        if args.output.is_file() and not _may_be_list(args.output):
            raise ValueError(f"{args.output}: is another file, and no list: give another name") from None
        return
    if (before.kind, before.issuer) != (args.kind, args.issuer):
        raise ValueError(f"{args.output} is a {before.kind} list of {before.issuer}: give another name")
    if args.version <= before.version:
        raise ValueError(
            f"--version {args.version}: {args.output} has version {before.version}, the next one is "
            f"{before.version + 1} or more"
        )


def _demand_some(args: argparse.Namespace, count: int) -> None:
    """What ended before its first line must not take everybody off a list. Raises ValueError."""
    if not count and args.input != os.devnull:
        raise ValueError(f"{args.input}: no key in it; a list of nobody is made of {os.devnull}")


def _may_be_list(file: Path) -> bool:
    """Whether it begins as one, also a broken one, or holds nothing."""
    with file.open("rb") as opened:
        return lists.MAGIC.startswith(opened.read(len(lists.MAGIC)))


def _build_from_keys(args: argparse.Namespace, head: lists.ListHeader) -> tuple[int, int]:
    """How many keys the list has, and how many were given."""
    if args.of != "key" or args.delta:
        raise ValueError(f"{args.input}: a .bin file holds 16-byte keys of a whole list: without --of and --delta")
    keys = Path(args.input).read_bytes()
    _demand_some(args, len(keys))
    if keys and (keys.isascii() and b"\0" not in keys):
        raise ValueError(f"{args.input}: a .bin file holds 16 bytes for each key, and this is text: name it .txt")
    return load.write_list(args.output, head, keys).count, len(keys) // digest.SIZE


def _build_from_text(args: argparse.Namespace, head: lists.ListHeader) -> tuple[int, int, int]:
    """How many keys the list has, how many were given, and how many lines were left out. Raises ValueError."""
    numbers = array("L")
    try:
        count, given = _write_from_text(args, head, numbers)
    except lists.TwoValues as error:
        written = [number for number in numbers if number]
        first, second = written[error.first], written[error.second]
        raise ValueError(
            f"{args.input}: line {second}: the key of line {first}, and another value: which one holds?"
        ) from None
    return count, given, len(numbers) - given


def _write_from_text(args: argparse.Namespace, head: lists.ListHeader, numbers: array[int]) -> tuple[int, int]:
    keys, values = bytearray(), bytearray()
    for key, value in _entries(args, numbers):
        keys += key
        values.append(value)
    _demand_some(args, len(keys))
    if args.delta:
        if args.kind == "tested":
            values = _from_the_base(values, load.open_list(args.output).base.head.issued_at, head.issued_at)
        lists.build(head, bytes(keys), bytes(values))  # one key, two values: that is refused here
        changes = {bytes(keys[at * digest.SIZE :][: digest.SIZE]): value for at, value in enumerate(values)}
        return load.change_list(args.output, head, changes).head.count, len(values)
    has_values = args.kind in ("status", "tested") or any(value != 1 for value in values)
    told = bytes(values) if has_values else None
    return load.write_list(args.output, head, bytes(keys), told).count, len(values)


def _from_the_base(hours: bytearray, base_utc: float, now_utc: float) -> bytearray:
    """Hours up to now as hours up to the issue of the base, from which kiosks count: no swab is later than that."""
    later_h = max(0.0, now_utc - base_utc) / 3600
    return bytearray(each if each == lists.GONE else max(1, math.ceil(each - later_h)) for each in hours)


def _entries(args: argparse.Namespace, numbers: array[int]) -> Iterator[tuple[bytes, int]]:
    """Key and value of each line. Raises ValueError that says which line is wrong, not what it holds."""
    try:
        if args.input == "-":
            yield from _read(io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig"), args, numbers)
        else:
            with Path(args.input).open(encoding="utf-8-sig") as file:
                yield from _read(file, args, numbers)
    except UnicodeDecodeError:
        raise ValueError(f"{args.input}: not UTF-8 text: save it as UTF-8") from None
    except ValueError as error:
        raise ValueError(f"{args.input}: {error}") from None


def _read(file: TextIO, args: argparse.Namespace, numbers: array[int]) -> Iterator[tuple[bytes, int]]:
    lines = iter(lambda: file.readline(_LONGEST_LINE), "")
    how = {"of": args.of, "kind": args.kind, "issuer": args.issuer, "changes": args.delta}
    return list_text.entries(lines, numbers=numbers.append, **how)


def _check(args: argparse.Namespace) -> int:
    found = load.open_list(args.file)
    parts = [found.base] if found.delta is None else [found.base, found.delta]
    for part in parts:
        head = part.head
        issued = datetime.fromtimestamp(head.issued_at, UTC)
        sound = "sound" if part.is_sound() else "DAMAGED: ask for it again"
        what = "base" if part is found.base else "changes"
        print(
            f"{what}: {head.kind} of {head.issuer}, version {head.version}, {issued:%Y-%m-%d %H:%MZ}, "
            f"{head.count:,} keys: {sound}"
        )
    return 0 if all(part.is_sound() for part in parts) else 1


def _chunks(args: argparse.Namespace) -> int:
    """FOLDER/ID/INDEX: each is to be retained on gatepost/v1/$all/base/ID/INDEX."""
    load.open_list(args.file)
    made = load.chunks_of(args.file, args.chunk_kb * 1024)
    folder = args.folder / made.id
    folder.mkdir(parents=True, exist_ok=True)
    with args.file.open("rb") as file:
        for index in range(len(made)):
            (folder / str(index)).write_bytes(file.read(made.chunk_bytes))
    print(f"{folder}: {len(made)} pieces; retain each on gatepost/v1/$all/base/{made.id}/INDEX")
    return 0


def _query(args: argparse.Namespace) -> int:
    found = load.open_list(args.file)
    value = found.find(list_text.key_of(args.of, found.head.issuer, args.what))
    if value is None:
        print("not on the list")
        return 1
    print(_describe_entry(found.head.kind, value))
    return 0


def _describe_entry(kind: str, value: int) -> str:
    """What a list says by a value."""
    if kind == "status" and value in lists.COLOURS:
        return lists.COLOURS[value].value
    if kind == "watched" and value in lists.WATCH_CLASSES:
        return lists.WATCH_CLASSES[value].value
    return f"swab {value} h before the list" if kind == "tested" else "on the list"

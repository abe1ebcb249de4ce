"""`gatepost keys import`: a list of keys as an issuer publishes it, what it would change, and the keys file."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import given
from agent.issuers import PublishedList, gdhcn, keys_file, pretix, uic, vdv
from agent.platform.files import replace_file
from agent.ruleset import hand_kept

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from agent.credentials.trust import TrustedKey

SOURCES = ("uic", "gdhcn", "vdv", "pretix")
_READERS = {"uic": uic.read, "gdhcn": gdhcn.read, "vdv": vdv.read}
_MOST_BYTES = 64 << 20


def register(actions: argparse._SubParsersAction[argparse.ArgumentParser], default: Path) -> None:
    """Arguments of `keys import`."""
    take = actions.add_parser(
        "import",
        help="compare a published list of keys with a keys file; with --write, take it over",
        description=__doc__,
    )
    take.add_argument("--from", dest="source", choices=SOURCES, required=True, help="who publishes it")
    take.add_argument("files", type=Path, nargs="+", metavar="FILE", help="as published; a folder means all in it")
    take.add_argument("--issuer", default="", help="of pretix: the name of the event, as lanes have it")
    take.add_argument("--keys", type=Path, default=default, help="keys file (default: %(default)s)")
    take.add_argument("--write", action="store_true", help="change the keys file, once the lines have been read")


def run(args: argparse.Namespace) -> int:
    """0 when done. Raises ValueError, OSError."""
    found = _found(args)
    before = given.text(args.keys) if args.keys.exists() else ""
    change = keys_file.change(before, found.keys, lambda key: _is_of_source(key, args.source, args.issuer))
    for line in found.left_out:
        print(f"! {line}")
    for line in change.removed:
        print(f"- {line}")
    for key in change.added:
        print(f"+ {key.line()}")
    counts = f"{len(change.added)} new, {len(change.removed)} gone, {change.kept} as before"
    print(f"{counts}, {len(found.left_out)} left out")
    if not args.write:
        print(f"{args.keys} is unchanged: read the lines, then say --write, then `gatepost keys sign`")
        return 0
    mode = stat.S_IMODE(args.keys.stat().st_mode) if args.keys.exists() else 0o666
    text = hand_kept.raised(change.text) if change.added or change.removed else change.text
    replace_file(args.keys, [text.encode()], mode)
    print(f"{args.keys}: written; `gatepost keys sign {args.keys} --type keys …` makes the bundle for the kiosks")
    return 0


def _found(args: argparse.Namespace) -> PublishedList:
    files: dict[str, bytes] = {}
    left = _MOST_BYTES
    for file in (each for path in args.files for each in _each(path)):
        files[str(file)] = data = _bytes(file, left)
        left -= len(data)
    if args.source == "pretix":
        return pretix.read(files, time.time(), args.issuer)
    return _READERS[args.source](files, time.time())


def _each(path: Path) -> Iterator[Path]:
    """The file itself, or those in a folder."""
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        yield from (each for name in sorted(names) if (each := Path(folder) / name).is_file())


def _bytes(file: Path, most: int) -> bytes:
    """Raises ValueError for more than `most`."""
    with file.open("rb") as opened:
        data = opened.read(most + 1)
    if len(data) > most:
        raise ValueError(f"{file}: more than {_MOST_BYTES >> 20} MiB in all are no list of keys: name its files")
    return data


def _is_of_source(key: TrustedKey, source: str, issuer: str) -> bool:
    """Whether a list of this source is in charge of the key."""
    owner = {"uic": "uic/", "gdhcn": "who/", "vdv": vdv.ISSUER, "pretix": issuer}[source]
    formats = {"uic": {"uic"}, "gdhcn": {"dcc", "who"}, "vdv": {"vdv-ka"}, "pretix": {"pretix"}}[source]
    is_owner = key.issuer.startswith(owner) if owner.endswith("/") else key.issuer == owner
    return is_owner and key.formats <= formats

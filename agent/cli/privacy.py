"""`gatepost privacy`: for the central server, never on a kiosk: make sealing keys, check a bundle's text, open
events.

gatepost privacy new 2026-w47             for the week: 2026-w47.pem, and its [[key]] table
gatepost privacy unseal --key 2026-w47.pem events.jsonl
"""

from __future__ import annotations

import json
import os
import sys
import time
from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import privacy
from agent.cli import given
from agent.cli.help import days
from agent.privacy import hpke

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

_DAY_S = 86_400.0


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `privacy`."""
    parser = subparsers.add_parser("privacy", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    new = actions.add_parser(
        "new", help="make a key pair: KEYID.pem stays with the central server; prints the [[key]] table"
    )
    new.add_argument("keyid", help="name of the key, for example 2026-w47")
    new.add_argument(
        "--days", type=days, default=9.0, help="valid for so many days, today (UTC) included (default: 9)"
    )
    new.add_argument("--private", type=Path, help="file of the private key (default: KEYID.pem)")
    check = actions.add_parser("check", help="is this text of a privacy bundle right, and what does it say")
    check.add_argument("file", type=Path)
    opening = actions.add_parser("unseal", help="read events, one a line; print those with a sealed part, opened")
    opening.add_argument("file", type=Path, nargs="?", help="file of payloads (default: standard input)")
    opening.add_argument("--key", type=Path, action="append", required=True, help="private key; may be repeated")


def run(args: argparse.Namespace) -> int:
    """0 when done; 1 with a sentence on standard error, or if a sealed part could not be opened."""
    try:
        return {"new": _new, "check": _check, "unseal": _unseal}[args.action](args)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1


def _new(args: argparse.Namespace) -> int:
    if not args.days:
        raise ValueError("--days 0: more than 0 and up to 36500, for example 9")
    begin_utc = time.time() // _DAY_S * _DAY_S
    private = hpke.new_private_key()
    public = b64encode(hpke.public_bytes(private)).decode()
    ends = (_moment(begin_utc), _moment(begin_utc + args.days * _DAY_S))
    table = f'[[key]]\nkeyid = {json.dumps(args.keyid)}\npublic = "{public}"\nfrom = {ends[0]}\nuntil = {ends[1]}\n'
    privacy.parse(f'mode = "trace"\n{table}')  # what no kiosk would take is not handed out
    file: Path = args.private or Path(f"{args.keyid}.pem")
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(hpke.to_pem(private))
    print(table, end="")
    print(
        f"{file}: the private key. It stays with the central server; who loses it can open nothing.",
        file=sys.stderr,
    )
    return 0


def _check(args: argparse.Namespace) -> int:
    try:
        rules = privacy.parse(given.text(args.file))
    except privacy.BadPrivacy as error:
        raise ValueError(f"{args.file}: {error}") from None
    details = "" if rules.details and rules.mode is privacy.Mode.VERIFY_ONLY else ", details withheld"
    print(f"mode {rules.mode}{details}, retention {rules.retention_s / 3600:.0f} hours")
    for key in rules.keys:
        print(f"key {key.keyid}: {_moment(key.from_utc)} to {_moment(key.until_utc)}")
    return 0


def _unseal(args: argparse.Namespace) -> int:
    keys = [_private(file) for file in args.key]
    if args.file is None:
        return _unseal_all(sys.stdin, keys)
    with args.file.open(encoding="utf-8", errors="replace") as lines:
        return _unseal_all(lines, keys)


def _private(file: Path) -> hpke.PrivateKey:
    try:
        return hpke.from_pem(given.data(file))
    except ValueError as error:
        raise ValueError(f"{file}: {error} (made by `gatepost privacy new`)") from None


def _unseal_all(lines: Iterable[str], keys: Sequence[hpke.PrivateKey]) -> int:
    unopened = events = 0
    there = _Counted(lines)
    for event in _events(there):
        events += 1
        if not event["data"].get("sealed"):
            continue
        found = _opened(event, keys)
        unopened += found is None
        if found is not None:
            print(json.dumps(found, ensure_ascii=False), flush=True)
    if unopened:
        print(f"{unopened} sealed parts were not opened: another key, or changed on the way", file=sys.stderr)
    if there.count and not events:
        print(f"none of {there.count} lines is an event: give payloads, one on each line", file=sys.stderr)
        return 1
    return 1 if unopened else 0


class _Counted:
    """Lines, and how many there were."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.count, self._lines = 0, lines

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.count += 1
            yield line


def _events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Lines that hold a JSON object; `mosquitto_sub -F '%t %p'` puts a topic before it."""
    for line in lines:
        begin = line.find("{")
        with suppress(ValueError, RecursionError):  # a kiosk that was stolen may say anything
            event = json.loads(line[begin:]) if begin >= 0 else None
            if isinstance(event, dict) and isinstance(event.get("data"), dict):
                yield event


def _opened(event: dict[str, Any], keys: Sequence[hpke.PrivateKey]) -> dict[str, Any] | None:
    for key in keys:
        try:
            return privacy.opened(event, key)
        except hpke.UnsealError:
            continue
    return None


def _moment(utc: float) -> str:
    return datetime.fromtimestamp(utc, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""`gatepost verify`: what a code is, who signed it, what this kiosk would decide, and why.

gatepost verify photo.png
gatepost verify photo.png --temperature elevated --direction entry
gatepost verify ticket.txt --lane hall
"""

from __future__ import annotations

import argparse
import errno
import json
import math
import os
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from agent import credentials, policy, texts
from agent.cli import configuration
from agent.config import lane_tickets
from agent.credentials import batch, formats
from agent.credentials.trust import TrustStore
from agent.model import (
    ClockState,
    CodeStatus,
    Direction,
    Entitlement,
    LaneTickets,
    ListAge,
    Screening,
    TimeBounds,
    Tristate,
    Verdict,
)
from agent.platform import access
from agent.policy import explain
from agent.ruleset import load
from drivers import vision
from drivers.vision import opencv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.vision.opencv import Picture

_NO_FORMAT = "not a code that this kiosk knows"
_PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
_MAX_INPUT_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class _Gate:
    """The gate that would have decided."""

    trust: TrustStore
    table: policy.Table
    site: policy.SiteFacts
    now: TimeBounds
    direction: Direction = Direction.ENTRY
    tickets: LaneTickets = field(default_factory=LaneTickets)
    used: Tristate = Tristate.UNKNOWN
    """Whether a ticket was used; without a lane nobody can tell."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `verify`."""
    parser = subparsers.add_parser("verify", description=__doc__)
    parser.add_argument("code", nargs="*", metavar="TEXT|IMAGE|-", help="code, picture, or - for standard input")
    parser.add_argument("--batch", metavar="FILE|-", help="check a test set: JSON lines in, JSON lines out")
    parser.add_argument("--json", action="store_true", help="one JSON object per code")
    parser.add_argument("--at", type=_moment, help="as at this time, ISO 8601 (default: now)")
    parser.add_argument("--keys", type=Path, help="keys file (default: the configuration's, else issuers.toml)")
    parser.add_argument("--lists", type=Path, action="append", default=[], help="list file; may be repeated")
    parser.add_argument("--table", help="policy table or profile (default: the configuration's)")
    parser.add_argument(
        "--lane",
        help="a lane of the configuration: its direction, and what tickets count there; as if not used before",
    )
    parser.add_argument(
        "--direction",
        choices=[*Direction],
        help="which way the lane goes (default: the lane's, else entry)",
    )
    parser.add_argument("--temperature", choices=[*Screening], default=Screening.NORMAL)
    configuration.add_argument(parser)


def run(args: argparse.Namespace) -> int:
    """0 when every code is valid (batch: every line was answered), 1 when not, 2 when nothing could be judged."""
    try:
        gate = _gate(args)
        if args.batch is not None:
            return _batch(args.batch, gate.trust)
        return _codes(args, gate)
    except (
        credentials.BadTrustStore,
        policy.BadTable,
        argparse.ArgumentTypeError,
    ) as error:
        print(error, file=sys.stderr)
    except OSError as error:
        if error.filename is None:
            raise  # not what was to be judged, but who reads the answer
        print(access.why(error), file=sys.stderr)
    return 2


def _codes(args: argparse.Namespace, gate: _Gate) -> int:
    if not args.code:
        raise argparse.ArgumentTypeError("say what to verify: a text, a picture, or - for standard input")
    statuses = []
    for source in args.code:
        payloads = _readable(source)
        if not payloads:
            continue
        verdict = credentials.check_all(payloads, gate.trust, gate.now)
        facts = policy.facts_of(
            Direction(args.direction or gate.direction),
            verdict,
            Screening(args.temperature),
            gate.now,
            site=gate.site,
            tickets=gate.tickets,
            used=gate.used,
        )
        found = explain.explain(gate.table, facts)
        print(json.dumps(_as_json(verdict, found), ensure_ascii=False) if args.json else _as_text(verdict, found))
        statuses.append(verdict.status)
    if not statuses:
        return 2
    return 0 if statuses == [CodeStatus.VALID] * len(args.code) else 1


def _readable(source: str) -> list[bytes]:
    """The codes of one source; none, and a sentence, when it has none or cannot be read: the others still count."""
    try:
        payloads = _payloads(source)
    except argparse.ArgumentTypeError as error:
        print(error, file=sys.stderr)
    except opencv.UnreadablePicture as error:
        print(f"{source}: {error}", file=sys.stderr)
    except OSError as error:
        if error.filename is None:
            raise  # not what was to be judged, but who reads the answer
        print(access.why(error), file=sys.stderr)
    else:
        if not payloads:
            print(f"{source}: no code found", file=sys.stderr)
        return payloads
    return []


def _batch(name: str, trust: TrustStore) -> int:
    if name == "-":
        _answer(sys.stdin.buffer, trust)
    else:
        with Path(name).open("rb") as file:
            _answer(file, trust)
    return 0


def _answer(lines: BinaryIO, trust: TrustStore) -> None:
    for line in iter(lambda: lines.readline(batch.MAX_LINE_BYTES), b""):
        if line.strip():
            print(json.dumps(batch.verify_line(line, trust, time.time())), flush=True)


def _gate(args: argparse.Namespace) -> _Gate:
    """The configured gate where there is a configuration, else one that trusts what the arguments name."""
    config = configuration.read(args.config) if args.config.exists() else None
    options = config.policy if config is not None else policy.Options()
    root = args.config.parent if config is not None else None
    bundles = config.codes.bundles if config is not None else ""
    table = load.load_table(policy.Options(args.table)) if args.table else load.load_table(options, root, bundles)
    if table.fault:
        print(table.fault, file=sys.stderr)
    gate = _Gate(
        _trust(args, config.codes if config is not None else None, root),
        table,
        policy.site_of(options),
        _now(args.at),
    )
    if args.lane is None:
        return gate
    lane = None if config is None else config.lanes.get(args.lane)
    if lane is None:
        names = "none" if config is None else ", ".join(config.lanes)
        raise argparse.ArgumentTypeError(f"--lane {args.lane}: no lane of {args.config}, which has {names}")
    return replace(gate, direction=lane.direction, tickets=lane_tickets(lane), used=Tristate.NO)


def _trust(args: argparse.Namespace, configured: credentials.Options | None, root: Path | None) -> TrustStore:
    lists = tuple(str(file.resolve()) for file in args.lists)
    if args.keys is None and configured is not None:
        return load.load_trust(replace(configured, lists=configured.lists + lists), root)
    keys = args.keys or Path("issuers.toml")
    if args.keys is None and not keys.exists() and not lists:
        return TrustStore()
    return load.load_trust(credentials.Options(str(keys), lists))


def _now(at: float | None) -> TimeBounds:
    utc = time.time() if at is None else at
    return TimeBounds(utc, utc, ClockState.SYNCED)


def _moment(text: str) -> float:
    """POSIX seconds of an ISO 8601 time; UTC when it names no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time in ISO 8601") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _payloads(source: str) -> list[bytes]:
    """The codes that a word of the command line stands for."""
    if source == "-":
        data = sys.stdin.buffer.read(_MAX_INPUT_BYTES)
    elif _is_file(source):
        with Path(source).open("rb") as file:
            data = file.read(_MAX_INPUT_BYTES)
    elif Path(source).suffix.lower() in _PICTURES and "://" not in source:  # a file's name, not the text of a code
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), source)
    else:
        return [source.encode("utf-8", "surrogateescape")]
    what = _no_picture(data)
    if what:
        raise argparse.ArgumentTypeError(f"{source}: {what}, neither a picture nor the text of a code: {_INSTEAD}")
    if Path(source).suffix.lower() in _PICTURES or _is_picture(data):
        picture = opencv.from_bytes(data)
        return vision.read_bytes(picture) or _other_symbols(source, picture)
    return [line.rstrip(b"\r") for line in data.split(b"\n") if line.strip()]


def _other_symbols(source: str, picture: Picture) -> list[bytes]:
    """What a picture without a QR code holds, for a lane that is set to read it."""
    symbols = vision.read_symbols(picture)
    for symbology in dict.fromkeys(symbols.values()):
        setting = f'symbologies = ["qr", "{symbology}"]'
        print(f"{source}: no QR code: a camera reads this one where it has {setting}", file=sys.stderr)
    if not symbols and (others := vision.others(picture)):
        shows = f"{source}: shows {' and '.join(others)}"
        raise argparse.ArgumentTypeError(f"{shows}: a gate reads QR, Aztec, PDF417 and Data Matrix codes")
    return list(symbols)


def _is_file(source: str) -> bool:
    try:
        return Path(source).is_file()
    except OSError:
        return False  # longer than any file name: a code


_INSTEAD = "save the page or screen with the code as PNG or JPEG, for example with a screenshot"
_BEGINNINGS = {
    b"%PDF-": "a PDF document",
    b"PK\x03\x04": "a ZIP archive, as Wallet passes (.pkpass) and office documents are",
    b"\x1f\x8b": "a compressed file (gzip)",
    b"\xd0\xcf\x11\xe0": "an office document",
    b"{\\rtf": "a text document (RTF)",
    b"<svg": "a drawing (SVG)",
    b"<?xml": "an XML document, as drawings (SVG) are",
    b"<!doctype": "a web page",
    b"<html": "a web page",
    b"\xff\x0a": "a JPEG XL picture",
    b"\0\0\0\x0cJXL ": "a JPEG XL picture",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 picture",
    b"\xff\x4f\xff\x51": "a JPEG 2000 picture",
    b"%!PS": "a PostScript document",
    b"7z\xbc\xaf": "a compressed file (7z)",
    b"Rar!": "a compressed file (RAR)",
    b"\x1a\x45\xdf\xa3": "a film",
}
_BRANDS = {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"}


def _no_picture(data: bytes) -> str:
    """What a file is that holds no code as it is, in words; `` for pictures that can be read and for text."""
    begin = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for magic, what in _BEGINNINGS.items():
        if begin.startswith(magic.lower()):
            return what
    if data[4:8] == b"ftyp":
        if data[8:12] in _BRANDS:
            return "a HEIC picture"
        return "an AVIF picture" if data[8:12] in (b"avif", b"avis") else "a film"
    return ""


def _is_picture(data: bytes) -> bool:
    return data.startswith((b"\x89PNG", b"\xff\xd8\xff", b"BM", b"RIFF", b"GIF8", b"II*\0", b"MM\0*", b"P5"))


def _as_json(verdict: Verdict, found: explain.Explanation) -> dict[str, object]:
    """Everything but what stands for the holder."""
    decision = found.row.decision
    return {
        "format": verdict.format,
        "kind": verdict.kind,
        "issuer": verdict.issuer,
        "status": verdict.status,
        "why": verdict.reason,
        "colour": verdict.colour,
        "issued": _iso(verdict.issued_utc),
        "expires": _iso(verdict.expires_utc),
        "tests": [
            {"kind": test.kind, "taken": _iso(test.taken_utc), "positive": test.positive} for test in verdict.tests
        ],
        "places": [] if verdict.entitlement is None else list(verdict.entitlement.places),
        "watched": verdict.watched,
        "staleness": verdict.list_age,
        "outcome": decision.outcome,
        "reasons": decision.reasons,
        "actions": decision.actions,
        "rule": decision.rule,
        "table": found.table,
    }


def _as_text(verdict: Verdict, found: explain.Explanation) -> str:
    return "\n".join(f"{title:<12}{text}".rstrip() for title, text in _lines(verdict, found))


def _lines(verdict: Verdict, found: explain.Explanation) -> Iterator[tuple[str, str]]:
    """Title and text of each line: what it is, who signed it, whether it holds, what the kiosk does and why."""
    decision = found.row.decision
    what = formats.titles().get(verdict.format, verdict.format) or _NO_FORMAT
    yield "Code", what if verdict.kind in {"health", "other"} else f"{what}, {verdict.kind}"
    yield "Issuer", verdict.issuer or "not proved"
    if verdict.colour is not None:
        yield "Colour", verdict.colour.value
    if verdict.issued_utc is not None or verdict.expires_utc is not None:
        yield "Valid", f"{_iso(verdict.issued_utc) or '…'} to {_iso(verdict.expires_utc) or 'no end'}"
    yield from _ticket_lines(verdict.entitlement)
    for test in verdict.tests:
        yield "Test", f"{test.kind} {_iso(test.taken_utc)} {'positive' if test.positive else 'negative'}"
    yield "Verdict", verdict.status.value.replace("_", " ") + (f": {verdict.reason}" if verdict.reason else "")
    if verdict.list_age is not ListAge.FRESH:
        yield "Lists", "not up to date" if verdict.list_age is ListAge.STALE else "too old to rely on, or missing"
    if verdict.watched:
        yield "Watch list", "the holder is on it"
    yield "This gate", f"{explain.outcome_in_words(decision.outcome)} (row “{decision.rule}” of {found.table})"
    for code in (*decision.reasons, *decision.actions):
        yield "", " ".join(texts.CATALOGUE["reason"][code])
    yield "", ""


def _ticket_lines(ticket: Entitlement | None) -> Iterator[tuple[str, str]]:
    """Where and when a ticket counts, in the words of a lane's settings."""
    if ticket is None:
        return
    places = ticket.places if ticket.has_all_places else (*ticket.places, "maybe others")
    yield "Counts at", ", ".join(places)
    if ticket.services:
        yield "Service", ", ".join(f"{each.name} on {each.day}" for each in ticket.services)
    if ticket.starts_utc is not None:
        yield "From", _iso(ticket.starts_utc) or "…"


def _iso(utc: float | None) -> str | None:
    if utc is None or not math.isfinite(utc):
        return None
    try:
        return datetime.fromtimestamp(utc, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return "after the year 9999"

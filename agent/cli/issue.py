"""`gatepost issue`: sign a code, and show it as text, as a QR picture or on the terminal.

gatepost issue --key demo-health.key --subject a-pseudonym --colour green --terminal
gatepost issue --key library.key --permit visitor --subject 2026-0017 --hours 09:00-12:00 --days 1 --png permit.png
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import segno

from agent.cli import given
from agent.cli.help import days, party, roster_number, seconds, uses
from agent.cli.key_files import formats_of, private_key
from agent.credentials.formats import gatepost, permit, venue_code
from agent.crypto import signing
from agent.crypto.refusal import Malformed
from agent.model import Colour, LabResult
from agent.venue.entries import ROLES
from agent.venue.permits import parse_kind, parse_weekdays

_DAY_S = 86400
_MOST_S = 3660 * _DAY_S
_CLOCKS_DIFFER_S = 120
_TEST_EXAMPLE = "for example pcr:2026-01-31T08:00+08:00, and :positive behind it if it was"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `issue`."""
    parser = subparsers.add_parser("issue", description=__doc__)
    parser.add_argument("--key", type=Path, required=True, help="private key made by `gatepost keys new`")
    parser.add_argument("--issuer", help="name under which kiosks pin the key (default: name of the key file)")
    parser.add_argument("--subject", help="pseudonym of the holder; no name, no document number")
    parser.add_argument("--colour", choices=[*Colour], help="default: green")
    life = parser.add_mutually_exclusive_group()
    life.add_argument("--days", type=days, default=1.0, help="valid for so many days (default: 1)")
    life.add_argument("--seconds", type=seconds, help="valid for so many seconds: a dynamic code")
    parser.add_argument(
        "--issued",
        type=_moment,
        help="time of issue, ISO 8601; local unless it says +08:00 (default: now)",
    )
    parser.add_argument(
        "--test",
        type=_test,
        action="append",
        default=[],
        metavar="KIND:WHEN[:positive]",
        help="a test result, for example pcr:2026-01-31T08:00+08:00; may be repeated",
    )
    parser.add_argument("--place", help="the code of a place (场所码) of this name instead, to hang up at its door")
    _add_permit(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--png", type=Path, metavar="FILE", help="write a QR picture")
    form.add_argument("--terminal", action="store_true", help="draw the QR code on the terminal")
    form.add_argument("--text", action="store_true", help="print the text (default)")


def _add_permit(parser: argparse.ArgumentParser) -> None:
    """What a permit (凭证) says."""
    group = parser.add_argument_group("permit", "of a venue (GPE1), in place of a health code")
    group.add_argument(
        "--permit",
        choices=ROLES[1:],
        metavar="ROLE",
        help=f"the role in which its holder may come: {', '.join(ROLES[1:])}",
    )
    group.add_argument("--at", default="", metavar="PLACE", help="name of the one venue or lane that it is for")
    group.add_argument("--hours", metavar="FROM-UNTIL", help="of local time, for example 09:00-17:00")
    group.add_argument("--weekdays", metavar="DAYS", help="1 is Monday, for example 12345")
    group.add_argument("--uses", type=uses, default=0, help="how often one may come in with it each day")
    group.add_argument("--party", type=party, default=1, help="how many may be inside with it at a time")
    group.add_argument("--group", default="", help="group of the roster, for example ward-3")
    group.add_argument(
        "--number", type=roster_number, default=0, help="number of a seat, or on a roster, for example 17"
    )


def run(args: argparse.Namespace) -> int:
    """0 when issued; 1 with one sentence on standard error."""
    try:
        key = private_key(args.key)
        text = _text(key, args)
        if args.png:
            given.demand_picture(args.png)
            picture(text).save(str(args.png), scale=8, border=4)
    except Malformed as error:
        print(f"no kiosk would take this: {error.reason}", file=sys.stderr)
        return 1
    except (signing.BadKey, ValueError, OverflowError) as error:
        print(error, file=sys.stderr)
        return 1
    if args.terminal:
        picture(text).terminal(compact=True)
    elif not args.png:
        print(text)
    return 0


def picture(text: str) -> segno.QRCode:
    """QR code of level M, as printed and shown on phones."""
    return segno.make_qr(text, error="m", boost_error=False)


def _text(key: signing.PrivateKey, args: argparse.Namespace) -> str:
    _demand_sense(args)
    if args.place:
        return venue_code.issue(key, args.issuer or args.key.stem, args.place, int(time.time()))
    if args.permit:
        return _permit_text(key, args)
    if not args.subject:
        raise ValueError("say whose code it is (--subject), or of which place (--place)")
    return gatepost.issue(key, _claims(args))


_OF_A_PERMIT: dict[str, object] = {
    "at": "",
    "hours": None,
    "weekdays": None,
    "uses": 0,
    "party": 1,
    "group": "",
    "number": 0,
}
_OF_A_HEALTH_CODE: dict[str, object] = {"colour": None, "test": []}


def _demand_sense(args: argparse.Namespace) -> None:
    """Refuse what would be left out of the code in silence, and what no kiosk would take. Raises ValueError."""
    foreign = (_OF_A_HEALTH_CODE if args.permit or args.place else {}) | ({} if args.permit else _OF_A_PERMIT)
    given = [f"--{name}" for name, unset in foreign.items() if getattr(args, name) != unset]
    if args.place and (args.permit or args.subject):
        given.append("--permit" if args.permit else "--subject")
    if given:
        what = "the code of a place" if args.place else "a permit" if args.permit else "a health code"
        raise ValueError(f"{', '.join(given)}: {what} does not say this; leave it out, or see --permit and --place")
    wanted = ["permit"] if args.permit else [] if args.place else ["gatepost", "drill"]
    known = formats_of(args.key)
    if args.key.with_suffix(".pub").exists():
        raise ValueError(f"{args.key}: a key of the central server, for bundles and commands, signs no code")
    if wanted and known and not known & {*wanted}:
        formats = ", ".join(sorted(known))
        raise ValueError(
            f"{args.key}: kiosks take {formats} of this key, by the keys file beside it, and no other code"
        )


def _permit_text(key: signing.PrivateKey, args: argparse.Namespace) -> str:
    """The text of a permit. Raises ValueError with a sentence."""
    if not args.subject:
        raise ValueError("a permit has a number of its own: --subject 2026-0017, no name")
    window: dict[str, object] = {}
    if args.hours:
        begins, dash, ends = args.hours.partition("-")
        if not dash:
            raise ValueError(f"--hours {args.hours}: FROM-UNTIL, for example 09:00-17:00")
        window = {"from": begins, "until": ends}
    if args.weekdays:
        window["weekdays"] = parse_weekdays(args.weekdays)
    kind = {"role": args.permit, "uses": args.uses, "party": args.party}
    kind |= ({"place": args.at} if args.at else {}) | ({"windows": [window]} if window else {})
    parse_kind(kind)
    issued = int(args.issued if args.issued is not None else time.time())
    life_s = int(args.seconds if args.seconds is not None else args.days * _DAY_S)
    if issued + life_s <= time.time():
        raise ValueError(f"it would have expired at {_text_of(issued + life_s)}: no kiosk would take it")
    if not 1 <= life_s <= _MOST_S:
        raise ValueError(f"a permit is valid for 1 second to {_MOST_S // _DAY_S} days, for example --days 1")
    content = {"kind": kind, "group": args.group, "number": args.number}
    times = {"issued_utc": issued, "expires_utc": issued + life_s}
    return permit.issue(key, args.issuer or args.key.stem, args.subject, content, **times)


def _claims(args: argparse.Namespace) -> dict[int, object]:
    now = time.time()
    issued = int(args.issued if args.issued is not None else now)
    life_s = args.seconds if args.seconds is not None else args.days * _DAY_S
    if not 1 <= life_s <= _MOST_S:
        said = f"--seconds {args.seconds:g}" if args.seconds is not None else f"--days {args.days:g}"
        raise ValueError(f"{said}: a code is valid for 1 second to {_MOST_S // _DAY_S} days, for example --days 1")
    if issued > now + _CLOCKS_DIFFER_S:
        raise ValueError(f"--issued {_text_of(issued)} is in the future: no kiosk would take the code before then")
    if len(args.test) > gatepost.MAX_TESTS:
        raise ValueError(f"{len(args.test)} tests: a code holds up to {gatepost.MAX_TESTS}")
    for test in args.test:
        if not 0 <= test.taken_utc <= issued + _CLOCKS_DIFFER_S:
            raise ValueError(
                f"--test {test.kind}:{_text_of(test.taken_utc)}: a test is taken before the code's issue, "
                f"{_text_of(issued)}, for example pcr:2026-01-31T08:00"
            )
    if issued + life_s <= now:
        raise ValueError(f"it would have expired at {_text_of(issued + life_s)}: no kiosk would take it")
    return gatepost.claims(
        args.issuer or args.key.stem,
        args.subject,
        Colour(args.colour or "green"),
        issued_utc=issued,
        expires_utc=int(issued + life_s),
        tests=args.test,
    )


def _text_of(utc: float) -> str:
    return datetime.fromtimestamp(utc, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> float:
    """POSIX seconds of an ISO 8601 time; local time when it names no zone."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time in ISO 8601, for example 2026-01-31T08:00+08:00"
        ) from None


def _test(text: str) -> LabResult:
    kind, _, rest = text.partition(":")
    when, positive = (rest.removesuffix(":positive"), rest.endswith(":positive"))
    if kind not in gatepost.TEST_KINDS:
        kinds = " or ".join(gatepost.TEST_KINDS)
        raise argparse.ArgumentTypeError(f"{text!r}: KIND:WHEN, of the kind {kinds}, {_TEST_EXAMPLE}")
    if not when:
        raise argparse.ArgumentTypeError(f"{text!r} names no time, {_TEST_EXAMPLE}")
    return LabResult(kind, _moment(when), positive)

"""UIC small structured barcode (SSB, IRS 90918-4): rail tickets in 114 bytes.

58 bytes that are signed, then r and s of 28 bytes each. In bits:

| bits | meaning | bits | of an open ticket (2) |
|---|---|---|---|
| 4, 14, 4 | version 3; number of who signed it; key | 1 | return |
| 5 | 1 reservation, 2 open ticket, 3 group, 4 pass | 9, 9 | first and last day, counted from the issue |
| 7, 7, 1, 6 | adults, children, specimen, class | 1 | stations in letters (30, 30) or numbers (4 table, 28, 28) |
| 84 | number of the ticket, 14 characters of 6 bits | 14, 222 | information code, text |
| 4, 9 | issued: last digit of the year, day of the year | | |

Of a reservation (1): type 2, stations, day of departure 9, minute 11, train 30 (5 characters). Days and times are
local. Source: UIC, `SsbCommonTicketPart`, `SsbNonReservation`, `SsbReservation`, `SsbStations`. Of passes and
groups staff look at the text; so they do at all tickets for which no list of blocked ones is at hand (`blocking`).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from agent.credentials import fcb, rail
from agent.credentials.wallclock import day_of_year
from agent.crypto import digest, uper
from agent.crypto.refusal import Malformed
from agent.model import Entitlement, TicketService, TimeBounds, Verdict

if TYPE_CHECKING:
    from agent.credentials.trust import TrustStore

FORMAT = "uic-small"
TITLE = "European rail ticket in small (UIC SSB)"
WITHOUT_PREFIX = True
SIZE = 114
_SIGNED, _HALF = 58, 28
_VERSION = 3
_RESERVATION, _OPEN = 1, 2
_TICKET_CHARACTERS, _TRAIN_CHARACTERS = 14, 5
_TABLES = {1: "uic", 2: "uic-res"}
_DECADE, _YEAR_S = 10, 365.0 * 86_400


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it: so long, and of version 3."""
    return len(payload) == SIZE and payload[0] >> 4 == _VERSION


def check(payload: bytes, trust: TrustStore, now: TimeBounds) -> Verdict:
    """Verdict on a code that `recognises`. Raises CheckFailed."""
    signed, signature = payload[:_SIGNED], payload[_SIGNED:]
    bits = uper.Bits(signed)
    bits.skip(4)
    issuer, key_id, kind = str(bits.read(14)), str(bits.read(4)), bits.read(5)
    numbers = int.from_bytes(signature[:_HALF]), int.from_bytes(signature[_HALF:])
    key = rail.signer(trust, rail.key_name(issuer, key_id), numbers, signed)
    content = _content(bits, kind, signed, key.limits.starts_utc, now)
    return rail.verdict(FORMAT, key, issuer, content, trust, now)


def _content(bits: uper.Bits, kind: int, signed: bytes, key_since_utc: float, now: TimeBounds) -> fcb.RailContent:
    bits.skip(14)
    specimen, travel_class = bits.read(1), fcb.CLASSES.get(bits.read(6), "")
    number = _text(bits, _TICKET_CHARACTERS)
    issued = _issued(bits.read(4), bits.read(9), now)
    key = digest.of_code(FORMAT, signed)
    references, no_services = (number,) if number else (), tuple[TicketService, ...]()
    if kind == _OPEN:
        bits.skip(1)
        first = issued + timedelta(days=bits.read(9))
        last = issued + timedelta(days=bits.read(9))
        places, services = _stations(bits), no_services
        starts, ends = _utc(first), _utc(last + timedelta(days=1))
    elif kind == _RESERVATION:
        bits.skip(2)
        places = _stations(bits)
        leaves, minute = issued + timedelta(days=bits.read(9)), bits.read(11)
        services = (TicketService(_text(bits, _TRAIN_CHARACTERS), leaves.isoformat()),)
        starts, ends = _utc(leaves), _utc(leaves + timedelta(days=1), minute)
    else:
        return fcb.RailContent(Entitlement(has_all_places=False, key=key), references, "a pass or a group's ticket")
    entitlement = Entitlement(
        places=places,
        has_all_places=False,
        services=services,
        starts_utc=starts,
        ends_utc=ends,
        slack_s=fcb.SLACK_S,
        travel_class=travel_class,
        key=key,
    )
    doubt = ""
    if _utc(issued) - _DECADE * _YEAR_S > key_since_utc:
        doubt = "its year is known to the last digit alone: its key needs a day from which it counts"
    if kind == _RESERVATION:
        doubt = "a reservation, maybe alone"
    if specimen:
        doubt = "a specimen"
    return fcb.RailContent(entitlement, references, doubt)


def _stations(bits: uper.Bits) -> tuple[str, ...]:
    if bits.read(1):
        bits.skip(60)
        return ()
    table = _TABLES.get(bits.read(4), "")
    stations = bits.read(28), bits.read(28)
    return tuple(f"{table}/{station}" for station in stations if station) if table else ()


def _text(bits: uper.Bits, count: int) -> str:
    """Characters of 6 bits, from the space on."""
    return "".join(chr(32 + bits.read(6)) for _ in range(count)).strip()


def _issued(year: int, day: int, now: TimeBounds) -> date:
    """Day of issue: of the years that end so, the last one in which that day has been."""
    try:
        today = (datetime.fromtimestamp(now.latest_utc, UTC) + timedelta(days=1)).date()
    except (ValueError, OverflowError, OSError):
        raise Malformed("a time that is none") from None
    latest = today.year - (today.year - year) % _DECADE
    for each in (latest, latest - _DECADE):
        found = day_of_year(each, day)
        if year < _DECADE and found is not None and found <= today:
            return found
    raise Malformed("a day of issue that is none")


def _utc(day: date, minute: int = 0) -> float:
    """POSIX seconds of a local time, in the middle of Europe's zones."""
    return fcb.local_utc(day, minute, offset=None)

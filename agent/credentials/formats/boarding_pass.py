"""IATA boarding pass (BCBP, resolution 792): an id that a list may have, and no proof: anybody can print one.

| characters | meaning | characters | meaning |
|---|---|---|---|
| 2 | `M`, number of legs | 3, 5 | carrier, flight |
| 20, 1 | name, electronic ticket | 3 | day of the year |
| 7 | booking | 1, 4 | compartment, seat |
| 3, 3 | airports from and to | 5, 1, 2 | check-in number, status, size of what follows |

Of the first leg. What follows, a signature for the airline's eyes too, is never looked at. The status list of the
issuer `boarding-pass` decides: it is keyed on flight, day, check-in number and booking (`AC834/326/25/ABC123`).
Without it staff look at the pass. It counts at the place `airport/FROM`, for its flight on its day.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from agent.credentials.wallclock import day_of_year
from agent.crypto import digest
from agent.crypto.refusal import Malformed
from agent.model import CodeProof, CodeStatus, Entitlement, TicketService, TimeBounds, Verdict

if TYPE_CHECKING:
    from agent.credentials.trust import TrustStore

FORMAT = "boarding-pass"
TITLE = "boarding pass (IATA BCBP)"
ISSUER = "boarding-pass"
_BEGIN = re.compile(rb"M[1-4][A-Z0-9 /.'-]{20}[E ]")
_LEG = re.compile(
    rb"M[1-4].{20}.(?P<booking>[A-Z0-9 ]{7})(?P<origin>[A-Z]{3})[A-Z]{3}(?P<carrier>[A-Z0-9]{2}[A-Z0-9 ])"
    rb"(?P<flight>\d{4}[A-Z ])(?P<day>\d{3}).(?:.{4})(?P<checkin>[0-9A-Z ]{5}).[0-9A-F]{2}",
    re.DOTALL,
)
_PARTS = re.compile(r"([A-Z0-9]{2,3}?)0*(\d{1,4}[A-Z]?)/0*(\d{1,3})/0*([0-9A-Z]{1,5})/([A-Z0-9]{5,7})")


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it."""
    return _BEGIN.match(payload) is not None


def check(payload: bytes, _trust: TrustStore, now: TimeBounds) -> Verdict:
    """The pass, undecided as yet. Raises Malformed."""
    leg = _LEG.match(payload)
    if leg is None:
        raise Malformed("not the fields of a boarding pass")
    booking, origin, carrier, flight, day, checkin = (value.decode().strip() for value in leg.groups())
    number = flight.lstrip("0") or "0"
    key = pass_key(f"{carrier}{number}/{day}/{checkin}/{booking}")
    flown = _day(int(day), now)
    return Verdict(
        CodeStatus.UNDECIDED,
        FORMAT,
        subject=key,
        issuer=ISSUER,
        reason="no status list has this boarding pass: it proves nothing by itself",
        kind="ticket",
        code=key,
        proof=CodeProof.NONE,
        entitlement=Entitlement(
            places=(f"airport/{origin}",),
            services=(TicketService(f"{carrier} {number}", flown.isoformat()),),
            single_use=True,
            key=key,
        ),
    )


def pass_key(text: str) -> bytes:
    """Key of a pass in status lists, by `FLIGHT/DAY/CHECKIN/BOOKING`. Raises Malformed."""
    match = _PARTS.fullmatch(text)
    if match is None:
        raise Malformed("not FLIGHT/DAY/CHECKIN/BOOKING")
    return digest.of_subject(ISSUER, *match.groups())


def _day(number: int, now: TimeBounds) -> date:
    """The nearest date that is this day of its year. Raises Malformed."""
    try:
        today = datetime.fromtimestamp(now.latest_utc, UTC).date()
    except (ValueError, OverflowError, OSError):
        raise Malformed("a time that is none") from None
    days = [day_of_year(today.year + year, number) for year in (-1, 0, 1)]
    known = [day for day in days if day is not None]
    if not known:
        raise Malformed("a day of the year that is none")
    return min(known, key=lambda each: abs((each - today).days))

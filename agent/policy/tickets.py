"""Whether a ticket counts at this lane and at this moment: yes, no, or unknown. Pure.

Unknown is what the ticket does not say, the lane was not told, or the clock cannot tell; it is never a yes.
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from agent.model import CodeStatus, ScheduledService, Tristate

if TYPE_CHECKING:
    from agent.model import Entitlement, LaneTickets, TimeBounds

_PARTS = re.compile(r"([A-Z]*)0*(\d*)(.*)", re.DOTALL)
_SERVICE = re.compile(r"(\S.{0,39}?) +([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_MAX_UTC = 1 << 37
_NOW = {
    CodeStatus.VALID: Tristate.YES,
    CodeStatus.EXPIRED: Tristate.NO,
    CodeStatus.NOT_YET_VALID: Tristate.NO,
    CodeStatus.TIME_UNKNOWN: Tristate.UNKNOWN,
}


def parse_service(text: str) -> ScheduledService:
    """A service with its time, as `ICE 77 18:05`. Raises ValueError with a sentence."""
    match = _SERVICE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'service {text!r} is a name and a time of day, for example "ICE 77 18:05"')
    return ScheduledService(match[1], 60 * int(match[2]) + int(match[3]))


def ticket_here(entitlement: Entitlement | None, lane: LaneTickets) -> Tristate:
    """Whether it counts at a place of the lane."""
    if entitlement is None or not lane.places:
        return Tristate.UNKNOWN
    if not lane.places.isdisjoint(entitlement.places):
        return Tristate.YES
    return Tristate.NO if entitlement.has_all_places else Tristate.UNKNOWN


def ticket_now(entitlement: Entitlement | None, now: TimeBounds) -> Tristate:
    """Whether it has begun and not ended."""
    return Tristate.UNKNOWN if entitlement is None else _NOW[entitlement.status(now)]


def ticket_service(entitlement: Entitlement | None, lane: LaneTickets, now: TimeBounds) -> Tristate:
    """Whether a service that it is for is boarded here now; a ticket for any service always is. One for a service
    that it does not name may be for another.
    """
    if entitlement is None:
        return Tristate.UNKNOWN
    if not entitlement.services:
        return Tristate.YES
    if not lane.services or now.latest_utc >= _MAX_UTC:
        return Tristate.UNKNOWN
    times = [
        (leaves, bool(booked.name))
        for service in lane.services
        for booked in entitlement.services
        if not booked.name or is_same_service(service.service, booked.name)
        for leaves in _departures(service, booked.day, lane, now)
    ]
    boarding = [(leaves - lane.tolerance_s, leaves + lane.tolerance_s, is_named) for leaves, is_named in times]
    if any(named and begins <= now.earliest_utc and now.latest_utc <= ends for begins, ends, named in boarding):
        return Tristate.YES
    may_be = any(begins <= now.latest_utc and now.earliest_utc <= ends for begins, ends, _ in boarding)
    return Tristate.UNKNOWN if may_be else Tristate.NO


def is_same_service(one: str, other: str) -> bool:
    """Whether two names are one service: letters count only where both have them, as in `ICE 0077` and `77`."""
    (letters, *number), (others, *numbers) = (_parts(name) for name in (one, other))
    return number == numbers and (letters == others or "" in (letters, others)) and any((*number, letters))


def _parts(name: str) -> tuple[str, ...]:
    match = _PARTS.fullmatch("".join(name.upper().split()))
    return match.groups() if match is not None else (name,)


def _departures(service: ScheduledService, day: str, lane: LaneTickets, now: TimeBounds) -> list[float]:
    """POSIX seconds of its departures on that day, else on the days around now."""
    try:
        days = (
            [datetime.fromisoformat(day).date()]
            if day
            else [
                (datetime.fromtimestamp(now.earliest_utc, lane.time_zone) + timedelta(days=count)).date()
                for count in (-1, 0, 1)
            ]
        )
        at = time(service.minute // 60, service.minute % 60)
        return [datetime.combine(each, at, lane.time_zone).timestamp() for each in days]
    except (ValueError, OverflowError):
        return []

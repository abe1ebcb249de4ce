"""Is the holder of age? By a day of birth that is known to the day, month or year. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from agent.model import TimeBounds, Tristate

_DAY = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)
_ZONE_H = 14
"""A day begins so many hours before it does in UTC, somewhere; and ends so many after."""
_MAX_UTC = 1 << 37


def of_age(born: str, years: int, now: TimeBounds) -> Tristate:
    """Whether the person who was born on that day (`YYYY`, `YYYY-MM` or `YYYY-MM-DD`) is `years` old, wherever he
    is.
    """
    match = _DAY.fullmatch(born)
    if match is None or now.latest_utc >= _MAX_UTC:
        return Tristate.UNKNOWN
    year, month, day = (int(group) if group else 0 for group in match.groups())
    try:
        first = _birthday(year + years, month or 1, day or 1)
        last = _birthday(year + years, month or 12, day or (28 if month else 31))
    except ValueError:
        return Tristate.UNKNOWN
    if month and not day:
        last += timedelta(days=3)
    if _day(now.earliest_utc, -_ZONE_H) >= last:
        return Tristate.YES
    return Tristate.NO if _day(now.latest_utc, _ZONE_H) < first else Tristate.UNKNOWN


def _birthday(year: int, month: int, day: int) -> date:
    """Who is born on a 29 February is a year older on 1 March of other years. Raises ValueError."""
    try:
        return date(year, month, day)
    except ValueError:
        if (month, day) == (2, 29):
            return date(year, 3, 1)
        raise


def _day(utc: float, hours: int) -> date:
    return (datetime.fromtimestamp(utc, UTC) + timedelta(hours=hours)).date()

"""Times as certificates write them: ISO 8601 text to the earliest and the latest POSIX second that it can mean.

A date without a time is the whole day; a time without a zone is that time anywhere between UTC+14 and UTC-12. Who
reads it takes the end that makes the code worth less: a negative test is as old as it can be, an end is as early.

Of ISO 8601 only the extended form is read: `20220131`, `2022-W05` and `2022-01-31T10` say less than they seem to.
An offset that no place on earth has is none.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from typing import NamedTuple

FIRST_ZONE, LAST_ZONE = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
"""Where on earth a day begins first, and where it ends last."""

_ZONES = (FIRST_ZONE, LAST_ZONE)
_LONGEST_DAY = len("2022-01-31")
_PARTIAL = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)
_WHOLE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII)
_LEAST_OFFSET, _MOST_OFFSET = timedelta(hours=-12), timedelta(hours=14)


class Moment(NamedTuple):
    """POSIX seconds between which a written time lies."""

    earliest_utc: float
    latest_utc: float


def moment(text: object) -> Moment | None:
    """What the text can mean; None when it cannot be read."""
    if not isinstance(text, str):
        return None
    try:
        text = text.strip()
        days = _days(text) if len(text) <= _LONGEST_DAY else None
        if days is not None:
            return Moment(*(end.replace(tzinfo=zone).timestamp() for end, zone in zip(days, _ZONES, strict=True)))
        return _at(text) if _WHOLE.fullmatch(text) else None
    except (ValueError, OverflowError):
        return None


def _at(text: str) -> Moment | None:
    """Of a day with a time; None for an offset that no place has. Raises ValueError, OverflowError."""
    found = datetime.fromisoformat(text)
    offset = found.utcoffset()
    if offset is None:
        return Moment(found.replace(tzinfo=FIRST_ZONE).timestamp(), found.replace(tzinfo=LAST_ZONE).timestamp())
    return Moment(found.timestamp(), found.timestamp()) if _LEAST_OFFSET <= offset <= _MOST_OFFSET else None


def latest_start(text: object) -> float | None:
    """POSIX seconds from which on a day or time has begun everywhere; None when it cannot be read."""
    found = moment(text)
    if found is None or not isinstance(text, str):
        return None
    days = _days(text)
    return found.latest_utc if days is None else days[0].replace(tzinfo=LAST_ZONE).timestamp()


def earliest_end(text: object) -> float | None:
    """POSIX seconds from which on a day or time is over somewhere; None when it cannot be read."""
    found = moment(text)
    if found is None or not isinstance(text, str):
        return None
    days = _days(text)
    return found.earliest_utc if days is None else days[1].replace(tzinfo=FIRST_ZONE).timestamp()


def day_of_year(year: int, number: int) -> date | None:
    """A day by its number, 1 is 1 January; None where the year does not have it."""
    try:
        found = date(year, 1, 1) + timedelta(days=number - 1)
    except (ValueError, OverflowError):
        return None
    return found if found.year == year else None


def _days(text: str) -> tuple[datetime, datetime] | None:
    """First moment of a day, month or year that is written without a time, and of the one after it; None for any
    other text. Raises ValueError, OverflowError.
    """
    partial = _PARTIAL.fullmatch(text.strip())
    if partial is None:
        return None
    year, month, day = (int(group) if group else None for group in partial.groups())
    first = datetime(year or 0, month or 1, day or 1)  # noqa: DTZ001 - the zone is what nobody knows
    if day is not None:
        return first, first + timedelta(days=1)
    if month is not None:
        return first, (first + timedelta(days=32)).replace(day=1)
    return first, first.replace(year=first.year + 1)

"""Times as certificates write them: ISO 8601 text to the earliest and the latest POSIX second that it can mean.

A date without a time is the whole day; a time without a zone is that time anywhere between UTC+14 and UTC-12. Who
reads it takes the end that makes the code worth less: a negative test is as old as it can be, an end is as early.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

FIRST_ZONE, LAST_ZONE = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
"""Where on earth a day begins first, and where it ends last."""

_ZONES = (FIRST_ZONE, LAST_ZONE)
_LONGEST_DAY = len("2022-01-31")
_PARTIAL = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)


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
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return Moment(found.timestamp(), found.timestamp())
        return Moment(found.replace(tzinfo=FIRST_ZONE).timestamp(), found.replace(tzinfo=LAST_ZONE).timestamp())
    except (ValueError, OverflowError):
        return None


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

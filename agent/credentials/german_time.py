"""Local time of Germany and its neighbours to POSIX seconds, by the rule in force since 1996. Pure.

Summer time is from 01:00 UTC of the last Sunday of March to that of October (directive 2000/84/EC). A time that
occurs twice is taken as the first, or as the last where something begins; one that is skipped as if it were winter
time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_WINTER, _SUMMER = timedelta(hours=1), timedelta(hours=2)


def utc(local: datetime, *, last: bool = False) -> float:
    """POSIX seconds of a local time without a zone; `last`: of one that occurs twice, the second time."""
    at = local.replace(tzinfo=UTC)
    summer, winter = at - _SUMMER, at - _WINTER
    is_winter = not _is_summer(winter) if last else not _is_summer(summer)
    return (winter if is_winter else summer).timestamp()


def local(seconds: float) -> datetime:
    """Local time, without a zone, of POSIX seconds."""
    at = datetime.fromtimestamp(seconds, UTC)
    return (at + (_SUMMER if _is_summer(at) else _WINTER)).replace(tzinfo=None)


def _is_summer(at: datetime) -> bool:
    return _last_sunday(at.year, 3) <= at < _last_sunday(at.year, 10)


def _last_sunday(year: int, month: int) -> datetime:
    last = datetime(year, month, 31, 1, tzinfo=UTC)
    return last - timedelta(days=(last.weekday() + 1) % 7)

"""Local time of Germany and its neighbours to POSIX seconds, by the rule in force since 1996. Pure.

Summer time is from 01:00 UTC of the last Sunday of March to that of October (directive 2000/84/EC). A time
that occurs twice, or is skipped, is taken as the earlier moment that it can mean, or as the later where something
begins.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_WINTER, _SUMMER = timedelta(hours=1), timedelta(hours=2)


def utc(local: datetime, *, last: bool = False) -> float:
    """POSIX seconds of a local time without a zone; `last`: of one that can mean two moments, the later."""
    at = local.replace(tzinfo=UTC)
    summer, winter = at - _SUMMER, at - _WINTER
    meant = [summer] * _is_summer(summer) + [winter] * (not _is_summer(winter)) or [summer, winter]
    return meant[-1 if last else 0].timestamp()


def local(seconds: float) -> datetime:
    """Local time, without a zone, of POSIX seconds."""
    at = datetime.fromtimestamp(seconds, UTC)
    return (at + (_SUMMER if _is_summer(at) else _WINTER)).replace(tzinfo=None)


def _is_summer(at: datetime) -> bool:
    return _last_sunday(at.year, 3) <= at < _last_sunday(at.year, 10)


def _last_sunday(year: int, month: int) -> datetime:
    last = datetime(year, month, 31, 1, tzinfo=UTC)
    return last - timedelta(days=(last.weekday() + 1) % 7)

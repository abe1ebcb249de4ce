"""Zones (分区分级): the level of each region now. The longest prefix of a region's code wins. Pure.

A `zones` bundle's content is TOML; one bundle serves a province:

    [[zone]]
    region = "5323"                # prefix of a division's code
    level = "low"                  # low, medium, high, controlled, locked
    from = 2026-11-20T00:00:00Z    # optional
    until = 2026-11-27T00:00:00Z   # optional
"""

from __future__ import annotations

import tomllib
from datetime import datetime
from typing import TYPE_CHECKING, Any

from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.model import TimeBounds

LEVELS = ("low", "medium", "high", "controlled", "locked")
MOST = 20_000


class BadZones(ValueError):
    """Zones that cannot be used; `str()` is one sentence."""


@dataclass(frozen=True, slots=True)
class _ZoneEntry:
    region: str
    level: str
    from_utc: float
    until_utc: float


@dataclass(frozen=True, slots=True)
class Zones:
    """All of them; none: the configured zone counts."""

    zones: tuple[_ZoneEntry, ...] = ()

    def level(self, region: Sequence[str], now: TimeBounds) -> str:
        """Level of a place, whose region is told by one or more codes, the shortest first; empty: as configured.

        Of zones with the same prefix, the strictest that may hold now. One that only may hold, as the clock is not
        sure enough, takes no place of a shorter prefix: then the strictest of both counts.
        """
        strictest: dict[int, int] = {}
        certain: set[int] = set()
        for zone in self.zones:
            if not any(code.startswith(zone.region) for code in region):
                continue
            if zone.from_utc > now.latest_utc or zone.until_utc <= now.earliest_utc:
                continue
            size = len(zone.region)
            strictest[size] = max(strictest.get(size, 0), LEVELS.index(zone.level))
            if zone.from_utc <= now.earliest_utc and now.latest_utc < zone.until_utc:
                certain.add(size)
        found = -1
        for size in sorted(strictest, reverse=True):
            found = max(found, strictest[size])
            if size in certain:
                break
        return "" if found < 0 else LEVELS[found]


def parse_zones(text: object) -> Zones:
    """The zones in a bundle. Raises BadZones."""
    try:
        content: dict[str, Any] = tomllib.loads(text) if isinstance(text, str) else {"": None}
    except (ValueError, RecursionError) as error:
        raise BadZones(f"not TOML: {error}") from None
    entries = content.get("zone", [])
    if content.keys() - {"zone"} or not isinstance(entries, list) or len(entries) > MOST:
        raise BadZones(f"only [[zone]] tables are expected, up to {MOST}")
    return Zones(tuple(_zone(number, entry) for number, entry in enumerate(entries, 1)))


def _zone(number: int, entry: Any) -> _ZoneEntry:
    match entry:
        case {"region": str(region), "level": str(level), **times} if region.isascii() and region.isalnum():
            pass
        case _:
            raise BadZones(
                f'zone {number} needs region, a code such as "5323", and level, one of {", ".join(LEVELS)}'
            )
    if level not in LEVELS:
        raise BadZones(f"zone {number}: level is one of {', '.join(LEVELS)}, not {level!r}")
    if times.keys() - {"from", "until"}:
        raise BadZones(f"zone {number} has region, level, from and until, and nothing else")
    bounds = []
    for name, default in (("from", 0.0), ("until", float(1 << 37))):
        value = times.get(name)
        if value is None:
            bounds.append(default)
        elif isinstance(value, datetime) and value.tzinfo is not None:
            bounds.append(value.timestamp())
        else:
            raise BadZones(f"zone {number}: {name} is a time with a zone, for example 2026-11-20T00:00:00Z")
    if bounds[1] <= bounds[0]:
        raise BadZones(f"zone {number} ends before it begins")
    return _ZoneEntry(region, level, *bounds)

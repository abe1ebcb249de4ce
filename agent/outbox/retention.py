"""How long a sealed part may wait for the central server: finds those that are certainly too old, the oldest first.

How old an event is can be told by the time since boot if it happened in this one; else by the upper bound that its
clock knew; else it is at least as old as any event after it. What cannot be told stays.
"""

from __future__ import annotations

import json
import math
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from agent.platform.clock import boottime_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.model import Record, TimeBounds
    from agent.outbox.store import Store

LOOK_EVERY_S = 600.0
PAGE = 128
"""Records looked at in one turn of the writer."""
_SEALED = b'"sealed":{'
_BEFORE_ALL = -(1 << 62)


class _AgeRange(NamedTuple):
    """Between `least_s` and `most_s`."""

    least_s: float
    most_s: float


class Retention:
    """One walk after the other along the store, from the oldest record to the first young one. Writer's thread."""

    def __init__(
        self,
        limit_s: Callable[[TimeBounds], float],
        now: Callable[[], TimeBounds],
        boot_id: str,
        since_boot_s: Callable[[], float] = boottime_s,
    ) -> None:
        """`limit_s`: how long, by the rules of the moment."""
        self._limit_s, self._now, self._boot_id, self._since_boot_s = limit_s, now, boot_id, since_boot_s
        self._next_s = -math.inf
        self._beyond = _BEFORE_ALL
        self._unsure: list[int] = []

    def too_old(self, store: Store) -> list[int]:
        """Keys of sealed records whose time is over, as far as one page of the walk has found any."""
        if monotonic() < self._next_s:
            return []
        page = store.after(self._beyond, PAGE)
        limit_s = self._limit_s(self._now())
        old: list[int] = []
        for record in page:
            self._beyond = record.key
            age = self._age(record)
            if age.most_s <= limit_s:
                self._rest()
                return old
            if _SEALED in record.payload:
                self._unsure.append(record.key)
            if age.least_s > limit_s:
                old += self._unsure
                self._unsure.clear()
        if len(page) < PAGE:
            self._rest()
        return old

    def _rest(self) -> None:
        """This walk is over: nobody after here is older."""
        self._next_s, self._beyond = monotonic() + LOOK_EVERY_S, _BEFORE_ALL
        self._unsure.clear()

    def _age(self, record: Record) -> _AgeRange:
        """By its clock; nothing is known of one whose clock is not as we write them."""
        try:
            clock = json.loads(record.payload)["data"]["clock"]
            own, since_s = clock["boot_id"], clock["boottime_ms"] / 1000
            earliest, latest = float(clock["earliest"]), clock["latest"]
            ends_utc = math.inf if latest is None else float(latest)
        except (ValueError, KeyError, TypeError):
            return _AgeRange(0.0, math.inf)
        here_s = self._since_boot_s()
        if own == self._boot_id != "":
            return _AgeRange(here_s - since_s, here_s - since_s)
        now = self._now()
        booted_s = here_s if own and self._boot_id else 0.0  # it happened before this boot
        return _AgeRange(max(booted_s, now.earliest_utc - ends_utc), now.latest_utc - earliest)

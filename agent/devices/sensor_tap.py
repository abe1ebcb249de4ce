"""The tap between the sensors and the loop: a technician may read a lane's sensors while the agent runs.

Sensor workers put what they read here; it goes on to the loop. While a lane is diverted, the reader gets what its
sensors read, and the loop is told that the lane's thermometer is down: people go to staff until the reader ends.
"""

from __future__ import annotations

import queue
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias

from agent.model import DeviceDown, DeviceUp, Observation, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_UNREAD = 1000
"""Readings that wait for a slow reader; later ones are dropped."""
DIVERTED = "lent out for a calibration: people go to staff"
_STREAMED = (Role.THERMOMETER, Role.ROOM, Role.RANGE)
"""What a reader gets: no codes, which name people."""

Readings: TypeAlias = "queue.Queue[Observation]"


class LaneBusy(Exception):
    """Another reader has this lane's sensors."""


class SensorTap:
    """`put` may be called from any thread, and never blocks."""

    def __init__(self, put: Callable[[Observation], None]) -> None:
        """`put`: into the loop's inbox."""
        self._put = put
        self._lock = threading.Lock()
        self._states: dict[tuple[str, Role], Observation] = {}
        """The latest DeviceUp or DeviceDown of each sensor."""
        self._readers: dict[str, Readings] = {}

    def publish(self, seen: Observation) -> None:
        """Pass an observation on to the loop, and to a client that reads this lane's sensors."""
        with self._lock:
            if isinstance(seen.item, DeviceUp | DeviceDown):
                self._states[seen.lane, seen.role] = seen
            for lane, readings in self._readers.items():
                if seen.role in _STREAMED and (seen.lane == lane or seen.role is Role.ROOM):
                    with suppress(queue.Full):
                        readings.put_nowait(seen)
            is_diverted = seen.role is Role.THERMOMETER and seen.lane in self._readers
            if not is_diverted or isinstance(seen.item, DeviceDown):
                self._put(seen)

    @property
    def diverted(self) -> frozenset[str]:
        """Lanes whose sensors somebody reads now."""
        return frozenset(self._readers)

    @contextmanager
    def divert(self, lane: str) -> Iterator[Readings]:
        """A lane's sensors for one reader, from their present state on. Raises LaneBusy."""
        readings: Readings = queue.Queue(MAX_UNREAD)
        with self._lock:
            if lane in self._readers:
                raise LaneBusy(lane)
            for role in _STREAMED:
                if (state := self._states.get((lane, role))) is not None:
                    readings.put_nowait(state)
            self._readers[lane] = readings
            self._report(lane, is_diverted=True)
        try:
            yield readings
        finally:
            with self._lock:
                del self._readers[lane]
                self._report(lane, is_diverted=False)

    def _report(self, lane: str, *, is_diverted: bool) -> None:
        """Tell the loop that a working thermometer is away, or back. With the lock held."""
        state = self._states.get((lane, Role.THERMOMETER))
        if state is None or not isinstance(state.item, DeviceUp):
            return
        up, now_s = state.item, time.monotonic()
        item = DeviceDown(now_s, up.driver, DIVERTED) if is_diverted else DeviceUp(now_s, up.driver, up.simulated)
        self._put(Observation(lane, Role.THERMOMETER, item))

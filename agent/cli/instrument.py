"""The thermometer of a lane as a technician reads it, together with the sensors of room and distance.

Borrowed from the agent when it runs, whose lane sends people to staff meanwhile; else opened here.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from agent.cli.running import NotRunning, SensorStream
from agent.devices import SensorWorker
from agent.model import DeviceDown, Role
from agent.screening import LaneScreening
from agent.screening.window import estimate
from drivers import registry
from drivers.contract import Distance, Reading

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Any, Self

    from agent.config import LaneConfig
    from agent.config.outputs import Device
    from agent.model import Observation
    from agent.screening import Options

_READ_S = 0.25
_LIMIT_S = 30.0
_JOIN_S = 1.0
_SAMPLES = 10
"""Twice what a passer-by gets: there is time."""


class Unsteady(Exception):
    """No steady temperature within the limit; `str()` says so."""


class Lost(Exception):
    """A device cannot be had, or has gone; `str()` is its sentence with the remedy."""


class Instrument:
    """A context manager. Raises RequestRefused when the running agent does not lend its devices."""

    def __init__(self, name: str, lane: LaneConfig, options: Options, directory: Path) -> None:
        """`directory`: where a running agent has its control socket."""
        self._name, self._lane, self._options, self._directory = name, lane, options, directory
        self._screens = LaneScreening(options, ranged=() if lane.range is None else (name,))

    def __enter__(self) -> Self:
        self._sensors: SensorStream | _Opened
        try:
            self._sensors = SensorStream(self._directory, self._name)
        except NotRunning:
            self._sensors = _Opened(self._name, self._lane)
        return self

    def __exit__(self, *error: object) -> None:
        self._sensors.__exit__(None, None, None)

    def surface_c(self, presence_c: float, limit_s: float = _LIMIT_S) -> float:
        """The first steady look, from now on, at something at the mark that is warmer than `presence_c`. Raises
        Unsteady after `limit_s`, Lost when a device has gone.
        """
        samples: deque[Reading] = deque(maxlen=max(_SAMPLES, self._options.samples))
        begun_s = time.monotonic()
        filled = self._lane.range is None
        while time.monotonic() < begun_s + limit_s:
            seen = self._next()
            if seen is None or seen.role is not Role.THERMOMETER:
                continue
            item = seen.item
            if not isinstance(item, Reading) or item.at_s < begun_s:
                continue  # of the person who stood there before
            filled = self._screens.is_filled(self._name, item.at_s)
            if not filled or item.surface_c < presence_c:
                samples.clear()
                continue
            samples.append(item)
            looked = estimate(samples, self._options)
            if len(samples) == samples.maxlen and looked.steady and looked.surface_c is not None:
                return looked.surface_c
        mark = f"{self._options.min_distance_mm:.0f} to {self._options.max_distance_mm:.0f} mm"
        why = "hold still, and fill the spot" if filled else f"stand at the mark, {mark} by the range sensor"
        raise Unsteady(f"no steady temperature within {limit_s:.0f} s: {why}")

    def room_c(self, limit_s: float = _LIMIT_S) -> float | None:
        """What the room's sensor says; None when the lane has none. Raises Unsteady after `limit_s`, Lost."""
        if self._lane.room is None:
            return None
        begun_s = time.monotonic()
        while (ambient_c := self._screens.ambient_c(self._name, time.monotonic())) is None:
            if time.monotonic() > begun_s + limit_s:
                raise Unsteady(f"no temperature of the room within {limit_s:.0f} s")
            self._next()
        return ambient_c

    def _next(self) -> Observation | None:
        seen = self._sensors.read(_READ_S)
        match seen and seen.item:
            case DeviceDown() as down if seen is not None and seen.lane == self._name:
                raise Lost(f"{self._name}/{seen.role}: {down.error}")
            case Distance() as distance:
                self._screens.distance(self._name, distance)
            case Reading() as reading if seen is not None and seen.role is Role.ROOM:
                self._screens.room(seen.lane, reading)
        return seen


class _Opened:
    """The lane's sensors, opened by this program, each in a thread of its own as in the agent."""

    def __init__(self, name: str, lane: LaneConfig) -> None:
        self._said: queue.SimpleQueue[Observation] = queue.SimpleQueue()
        devices = {Role.THERMOMETER: lane.thermometer, Role.ROOM: lane.room, Role.RANGE: lane.range}
        self._feeds = [
            SensorWorker(name, part, device.driver, partial(_driver, device), self._said.put)
            for part, device in devices.items()
            if device is not None
        ]
        for feed in self._feeds:
            feed.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for feed in self._feeds:
            feed.request_stop()
        for feed in self._feeds:
            feed.join(_JOIN_S)

    def read(self, limit_s: float) -> Observation | None:
        """What a sensor says; None when none does within `limit_s`."""
        try:
            return self._said.get(timeout=limit_s)
        except queue.Empty:
            return None


def _driver(device: Device) -> Any:
    return registry.load(device.kind, device.driver).Driver(device.options)

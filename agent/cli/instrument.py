"""A thermometer in a technician's hand: open it, look once, close it."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from agent.thermal.look import look
from drivers import registry
from drivers.contract import Reading, Source

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from agent.boards import Device
    from agent.thermal import Options

_READ_S = 0.5
_LIMIT_S = 30.0
_AT_ONCE_S = 0.005
_WAITED_LIMIT_S = 5.0
_SAMPLES = 10
"""Twice what a passer-by gets: there is time."""


class Unsteady(Exception):
    """No steady temperature within the limit; `str()` says so."""


class Instrument:
    """A context manager. Raises DriverError when the device cannot be had or goes."""

    def __init__(self, device: Device, options: Options) -> None:
        self._source: Source = registry.load(device.kind, device.driver).Driver(device.options)
        self._options = options

    def __enter__(self) -> Self:
        self._source.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.close()

    def surface_c(self, presence_c: float, limit_s: float = _LIMIT_S) -> float:
        """The first steady look at something warmer than `presence_c`. Raises Unsteady after `limit_s`."""
        self._drop_what_waited()
        samples: deque[Reading] = deque(maxlen=max(_SAMPLES, self._options.samples))
        end_s = time.monotonic() + limit_s
        while time.monotonic() < end_s:
            item = self._source.read(_READ_S)
            if not isinstance(item, Reading):
                continue
            if item.surface_c < presence_c:
                samples.clear()
                continue
            samples.append(item)
            seen = look(samples, self._options)
            if len(samples) == samples.maxlen and seen.steady and seen.surface_c is not None:
                return seen.surface_c
        raise Unsteady(f"no steady temperature within {limit_s:.0f} s: hold still, and fill the spot")

    def _drop_what_waited(self) -> None:
        """A board that speaks by itself has spoken while nobody listened: of whoever stood there before."""
        end_s = time.monotonic() + _WAITED_LIMIT_S
        while (begun_s := time.monotonic()) < end_s:
            self._source.read(_READ_S)
            if time.monotonic() - begun_s > _AT_ONCE_S:
                return

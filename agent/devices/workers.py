"""All device workers of the agent as one service: started and stopped together, replaced when they hang."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeAlias

from agent.devices import GateWorker, SensorWorker
from agent.devices.indicator_worker import IndicatorWorker
from agent.devices.screen_worker import ScreenWorker
from agent.model import Component
from agent.model.problems import ProblemCode, found

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.model.status import DeviceStatus

Worker: TypeAlias = SensorWorker | GateWorker | IndicatorWorker | ScreenWorker

STOP_S = 1.0


class Workers:
    """The workers of every lane."""

    def __init__(self, workers: Iterable[Worker]) -> None:
        self._workers = tuple(workers)

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers)

    def start(self) -> None:
        """Start them all; each opens its device in its own thread."""
        for worker in self._workers:
            worker.start()

    def stop(self, limit_s: float = STOP_S) -> None:
        """Tell them all to end, then wait at most a second: a driver stuck in the kernel is left behind."""
        for worker in self._workers:
            worker.request_stop()
        deadline_s = time.monotonic() + min(limit_s, STOP_S)
        for worker in self._workers:
            worker.join(max(0.0, deadline_s - time.monotonic()))

    def status(self) -> list[DeviceStatus]:
        """A snapshot of each."""
        return [worker.status() for worker in self._workers]

    def health(self) -> Iterator[Component]:
        """How each device is."""
        for one in self.status():
            down = () if one.up else found(ProblemCode.DEVICE_DOWN, one.error or "not opened yet")
            yield Component(f"{one.lane} {one.role}", one.silent_s, one.limit_s, down)

    def replace_hung(self, paused_s: float) -> None:
        """Start fresh threads for those that hang. `paused_s`: for so long the whole machine stood still."""
        for worker in self._workers:
            worker.replace_if_hung(paused_s)

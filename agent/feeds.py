"""One thread per device: open, use, and on a fault say so, back off and open again.

A source's thread reads and puts observations into the inbox; a gate's thread takes orders. A device that is down
and known to be down is healthy for the watchdog; one that is silent beyond its limit is not.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from agent.model import DeviceDown, DeviceUp, Observation
from drivers.contract import DriverError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.model import Item, Part
    from drivers.contract import Sink, Source

log = logging.getLogger(__name__)

READ_LIMIT_S = 0.25
SILENT_LIMIT_S = 15.0
"""Longest time a driver may spend in one call (a camera's open is the slowest) before the watchdog bites."""
_FIRST_RETRY_S, _LAST_RETRY_S = 0.25, 2.0
_LATE_ORDER_S = 1.0
_WAKE = float("-inf")
"""An order that is none: the thread shall end."""
_CHECK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """One device, for health."""

    lane: str
    part: Part
    driver: str
    up: bool
    why: str
    items: int
    """Items read, or orders carried out, since start."""
    faults: int
    """Times the device went down since start."""
    silent_s: float
    """Since the thread last came round."""
    simulated: bool = False


class _Device(Protocol):
    def open(self) -> None: ...
    def close(self) -> None: ...


class _Feed(threading.Thread):
    """The life of one device; subclasses say what using it means."""

    def __init__(self, lane: str, part: Part, driver: str, put: Callable[[Observation], None]) -> None:
        super().__init__(name=f"{lane}/{part}", daemon=True)  # a driver stuck in the kernel must not hold the exit
        self._lane, self._part, self._driver, self._put = lane, part, driver, put
        self._stopping = threading.Event()
        self._up = False
        self._why = "not opened yet"
        self._is_simulated = False
        self._items = self._faults = 0
        self._moved_s = time.monotonic()

    def status(self) -> FeedStatus:
        """A snapshot; from any thread."""
        return FeedStatus(
            self._lane,
            self._part,
            self._driver,
            up=self._up,
            why=self._why,
            items=self._items,
            faults=self._faults,
            silent_s=time.monotonic() - self._moved_s,
            simulated=self._up and self._is_simulated,
        )

    def ask_stop(self) -> None:
        """Tell the thread to end; `join` waits for it."""
        self._stopping.set()

    def run(self) -> None:
        """Open and use the device until told to stop; every fault leads back to opening."""
        retry_s = _FIRST_RETRY_S
        while not self._stopping.is_set():
            self._moved_s = time.monotonic()
            device: _Device | None = None
            try:
                device = self._make()
                device.open()
                self._say_up()
                retry_s = _FIRST_RETRY_S
                self._use()
            except DriverError as error:
                self._say_down(str(error))
            except Exception as error:  # a driver's bug must not take the other lanes with it
                log.exception("driver failed", extra={"device": self.name})
                self._say_down(f"{self._driver}: driver failed ({type(error).__name__}); see the log")
            finally:
                if device is not None:
                    device.close()
            self._moved_s = time.monotonic()
            self._stopping.wait(retry_s)
            retry_s = min(2 * retry_s, _LAST_RETRY_S)

    def _make(self) -> _Device:
        raise NotImplementedError

    def _use(self) -> None:
        raise NotImplementedError

    def _moved(self) -> None:
        self._moved_s = time.monotonic()

    def _say_up(self) -> None:
        self._is_simulated = self._simulated()  # here a driver's bug is caught; who asks for `status` is spared it
        self._up, self._why = True, ""
        self._observe(DeviceUp(time.monotonic(), self._driver, self._is_simulated))

    def _simulated(self) -> bool:
        return False

    def _say_down(self, why: str) -> None:
        if self._up or why != self._why:
            self._faults += self._up
            self._up, self._why = False, why
            self._observe(DeviceDown(time.monotonic(), self._driver, why))

    def _observe(self, item: Item) -> None:
        self._put(Observation(self._lane, self._part, item))


class SourceFeed(_Feed):
    """Reads a scanner, a thermometer or a ranger."""

    def __init__(
        self,
        lane: str,
        part: Part,
        driver: str,
        make: Callable[[], Source],
        put: Callable[[Observation], None],
    ) -> None:
        """`make` builds the driver; it runs in the thread, so that slow imports delay nobody else."""
        super().__init__(lane, part, driver, put)
        self._make_source = make
        self._source: Source | None = None

    def _make(self) -> Source:
        self._source = self._make_source()
        return self._source

    def _simulated(self) -> bool:
        return self._source is not None and self._source.simulated

    def _use(self) -> None:
        source = self._source
        while source is not None and not self._stopping.is_set():
            item = source.read(READ_LIMIT_S)
            self._moved()
            if item is not None:
                self._items += 1
                self._observe(item)


class GateFeed(_Feed):
    """Drives a gate: takes orders, and looks after the device while there are none."""

    def __init__(
        self,
        lane: str,
        part: Part,
        driver: str,
        make: Callable[[], Sink],
        put: Callable[[Observation], None],
        pulse_s: float,
    ) -> None:
        """`pulse_s`: how long the gate stays released."""
        super().__init__(lane, part, driver, put)
        self._make_sink = make
        self._sink: Sink | None = None
        self._pulse_s = pulse_s
        self._orders: queue.SimpleQueue[float] = queue.SimpleQueue()

    def open_gate(self) -> None:
        """Order one opening; returns at once. An order that cannot be carried out within a second lapses:
        a gate must not open for somebody who has gone.
        """
        self._orders.put(time.monotonic())

    def ask_stop(self) -> None:
        """Tell the thread to end, also out of its wait for orders."""
        super().ask_stop()
        self._orders.put(_WAKE)

    def _make(self) -> Sink:
        self._sink = self._make_sink()
        return self._sink

    def _simulated(self) -> bool:
        return self._sink is not None and self._sink.simulated

    def _use(self) -> None:
        sink = self._sink
        while sink is not None and not self._stopping.is_set():
            self._moved()
            try:
                ordered_s = self._orders.get(timeout=_CHECK_EVERY_S)
            except queue.Empty:
                sink.check()
                continue
            if ordered_s == _WAKE:
                return
            if time.monotonic() - ordered_s > _LATE_ORDER_S:
                log.warning("opening lapsed: the gate was not ready", extra={"device": self.name})
                continue
            sink.pulse(self._pulse_s)
            self._items += 1

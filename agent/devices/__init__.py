"""One thread for each device: open it, use it; on a fault report it, back off and open it again.

The thread of a sensor reads it and puts observations into the inbox; the thread of a gate carries out commands.
Python cannot end a thread that hangs inside a driver. Such a thread is abandoned: what it may still read is
ignored, and a new thread closes the device and opens it again. After `MAX_ABANDONED` such threads the device is not
opened again.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from concurrent.futures import Future
from dataclasses import field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from agent.devices.backoff import ABSENT_BACKOFF, FAULT_BACKOFF
from agent.model import DeviceDown, DeviceUp, Observation
from agent.model.lazy import dataclass
from agent.model.status import DeviceStatus
from agent.platform.periodic import aligned_wait_s
from agent.platform.rate_limit import TokenBucket
from drivers.contract import BadReply, DeviceGone, DriverError, Frozen, Reading, Sighting

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.model import Item, Role
    from drivers.contract import Sink, Source

log = logging.getLogger(__name__)

READ_LIMIT_S = 0.5
USE_LIMIT_S = 5.0
"""A driver's call on an open device ends within half a second; so much longer means that it hangs."""
OPEN_LIMIT_S = 30.0
"""Opening may take long: a camera's is the slowest, as its process starts (drivers/wire/isolated.py)."""
MAX_ABANDONED = 3
"""Threads of a device that may hang at a time: each keeps its memory, and what three did not cure, no more will."""
CODES_AT_ONCE, CODES_PER_S = 50, 100.0
"""More than people show and scan engines read: a camera that sees four codes in each of 25 pictures a second. So
many at once are half a second of that; each is judged, stored and sent, and an exit's code waits behind it."""
READINGS_AT_ONCE, READINGS_PER_S = 1000, 500.0
"""The same of a thermometer or a ranger: the fastest that is driven measures 250 times a second."""
NAP_S = 0.2
"""While nobody is there a thermometer is read so often, and the newest counts; a person stays for longer."""
FROZEN_AGAIN_S = 3.0
"""A sensor that was found hung and says the same for so long after it was opened again hangs still."""
LATE_ENTRY_S, LATE_EXIT_S = 1.0, USE_LIMIT_S + 3.0
"""An opening that cannot be carried out within this lapses: at an entry somebody else may stand there by then. Who
wants to leave stands there still; by the end of it, it is known of a gate's thread that it hangs.
"""
CHECK_EVERY_S = 1.0


class _AnyDevice(Protocol):
    @property
    def simulated(self) -> bool: ...
    def open(self) -> None: ...
    def close(self) -> None: ...


D = TypeVar("D", bound=_AnyDevice)


class WorkerThread(threading.Thread):
    """The thread of a device worker, until it is told to end or is given up."""

    def __init__(self, name: str, live: Callable[[WorkerThread], None], after: WorkerThread | None = None) -> None:
        super().__init__(name=name, daemon=True)  # a driver stuck in the kernel must not hold the exit
        self.after = after
        """The one that was given up for this."""
        self.device: _AnyDevice | None = None
        self.ending = False
        self.again = False
        """Asked to open the device again."""
        self.moved_s = time.monotonic()
        self.limit_s = OPEN_LIMIT_S
        self._live = live
        self._wake = threading.Event()

    def run(self) -> None:
        """Until told to end."""
        self._live(self)

    @property
    def goes_on(self) -> bool:
        """Whether to go on using the open device."""
        return not (self.ending or self.again)

    def heartbeat(self, limit_s: float = USE_LIMIT_S) -> None:
        """It lives; the next such word comes within `limit_s`."""
        self.limit_s, self.moved_s = limit_s, time.monotonic()

    def wait(self, seconds: float) -> None:
        """A pause, ended early by `wake`."""
        self.heartbeat(seconds + OPEN_LIMIT_S)
        self._wake.wait(seconds)
        self._wake.clear()
        self.heartbeat(OPEN_LIMIT_S)

    def wake(self) -> None:
        """End the pause. Any thread."""
        self._wake.set()

    def close_quietly(self) -> None:
        """Close the device, whatever its driver thinks of it."""
        device, self.device = self.device, None
        try:
            if device is not None:
                device.close()
        except Exception:  # the contract says never; a thread must not end by it
            log.exception("driver failed to close", extra={"device": self.name})


class DeviceWorker(Generic[D]):
    """The worker of one device; subclasses say what using it means."""

    def __init__(
        self, lane: str, part: Role, driver: str, make: Callable[[], D], put: Callable[[Observation], None]
    ) -> None:
        """`make` builds the driver; it runs in the thread, so that slow imports delay nobody else."""
        self.name = f"{lane}/{part}"
        self._lane, self._part, self._driver, self._make, self._put = lane, part, driver, make, put
        self._thread = WorkerThread(self.name, self._run)
        self._lost: list[WorkerThread] = []
        self._lock = threading.Lock()
        """Between a thread that reports and the one that abandons it."""
        self._up = False
        self._why = "not opened yet"
        self._since_s = time.monotonic()
        """When it went up or down."""
        self._is_simulated = False
        self._items = self._faults = self._restarts = 0
        self._restart_steps, self._look_steps = FAULT_BACKOFF, ABSENT_BACKOFF
        self._pause_s = 0.0

    def start(self) -> None:
        """Begin; the device is opened in the thread."""
        self._thread.start()

    def status(self) -> DeviceStatus:
        """A snapshot; from any thread."""
        now_s, thread, up = time.monotonic(), self._thread, self._up
        return DeviceStatus(
            self._lane,
            self._part,
            self._driver,
            up=up,
            error=self._why,
            items=self._items,
            faults=self._faults,
            silent_s=now_s - thread.moved_s,
            limit_s=thread.limit_s,
            down_s=None if up else now_s - self._since_s,
            restarts=self._restarts,
            abandoned=sum(lost.is_alive() for lost in self._lost),
            simulated=up and self._is_simulated,
        )

    def request_stop(self) -> None:
        """Tell the thread to end; `join` waits for it."""
        self._thread.ending = True
        self._thread.wake()

    def join(self, limit_s: float) -> None:
        """Wait for the thread, but not for one that was given up."""
        if self._thread.ident is not None:
            self._thread.join(limit_s)

    def is_alive(self) -> bool:
        """Whether the thread is there."""
        return self._thread.is_alive()

    def reopen(self) -> None:
        """Close the device and open it again, now, also out of a pause. From any thread; returns at once."""
        self._thread.again = True
        self._thread.wake()

    def replace_if_hung(self, paused_s: float = 0.0) -> None:
        """Give up a thread that hangs, and start a fresh one in its place. Called by health, once a second.

        `paused_s`: for so long the whole machine stood still, which says nothing of this thread.
        """
        thread = self._thread
        with self._lock:
            ended = not thread.is_alive()
            silent_s = time.monotonic() - thread.moved_s - paused_s
            if thread.ident is None or thread.ending or not (ended or silent_s > thread.limit_s):
                return  # not started yet, told to end, or well
            self._lost = [lost for lost in self._lost if lost.is_alive()]
            if len(self._lost) >= MAX_ABANDONED:
                self._report_down(f"{self._driver}: hangs, fresh starts do not help (unplug it, plug it in again)")
                thread.again = True  # should its call ever end
                return
            what = "its thread ended" if ended else f"hangs for {silent_s:.0f} s"
            self._mark_down(f"{self._driver}: {what}; it is restarted", is_gone=False)
            self._restarts += 1
            self._lost.append(thread)
            thread.ending = True
            self._thread = WorkerThread(self.name, self._run, after=thread)
            self._thread.start()
        log.error("a driver hangs: a fresh thread takes over", extra={"device": self.name})

    def _run(self, thread: WorkerThread) -> None:
        """Open and use the device until told to stop; every fault leads back to opening."""
        if thread.after is not None:
            # closing may wake the old thread; it may also wait for it, so nobody waits for the closing
            threading.Thread(target=thread.after.close_quietly, name=f"close {self.name}", daemon=True).start()
            thread.after = None
            thread.wait(self._pause_s)
        while not thread.ending:
            thread.heartbeat(OPEN_LIMIT_S)
            thread.again = False
            try:
                thread.device = device = self._make()
                device.open()
                self._mark_up(thread, simulated=device.simulated)  # where a driver's bug is caught
                self._use(thread, device)
            except DriverError as error:
                self._fault(thread, str(error), is_gone=isinstance(error, DeviceGone))
            except Exception as error:  # a driver's bug must not take the other lanes with it
                log.exception("driver failed", extra={"device": self.name})
                why = f"{self._driver}: driver failed ({type(error).__name__}); see the log"
                self._fault(thread, why, is_gone=False)
            finally:
                thread.close_quietly()
            if thread.goes_on:
                thread.wait(self._pause_s)

    def _use(self, thread: WorkerThread, device: D) -> None:
        raise NotImplementedError

    def _fault(self, thread: WorkerThread, why: str, *, is_gone: bool) -> None:
        with self._lock:
            if thread is self._thread:
                self._mark_down(why, is_gone=is_gone)

    def _observe(self, thread: WorkerThread, item: Item) -> None:
        with self._lock:
            if thread is self._thread:  # what a thread says that was given up is late, perhaps by minutes
                self._items += 1
                self._emit(item)

    def _mark_up(self, thread: WorkerThread, *, simulated: bool) -> None:
        with self._lock:
            if thread is self._thread:
                self._is_simulated = simulated
                self._up, self._why, self._since_s = True, "", time.monotonic()
                self._emit(DeviceUp(self._since_s, self._driver, simulated))

    # -- with the lock held

    def _mark_down(self, why: str, *, is_gone: bool) -> None:
        """Down: say so, and lay down how long to pause."""
        worked_s = time.monotonic() - self._since_s if self._up else 0.0
        if is_gone:
            self._look_steps = steps = self._look_steps.failed(worked_s)
        else:
            self._restart_steps = steps = self._restart_steps.failed(worked_s)
        self._pause_s = steps.pause_s(random.random())  # noqa: S311 - spreads restarts, guards nothing
        self._report_down(why)

    def _report_down(self, why: str) -> None:
        if self._up or why != self._why:
            now_s = time.monotonic()
            if self._up:
                self._faults += 1
                self._since_s = now_s
            self._up, self._why = False, why
            self._emit(DeviceDown(now_s, self._driver, why))

    def _emit(self, item: Item) -> None:
        self._put(Observation(self._lane, self._part, item))


class SensorWorker(DeviceWorker["Source"]):
    """Reads a scanner, a thermometer or a ranger."""

    def __init__(
        self,
        lane: str,
        part: Role,
        driver: str,
        make: Callable[[], Source],
        put: Callable[[Observation], None],
        nap: Callable[[float], bool] = lambda _: False,
    ) -> None:
        """`nap`: wait so many seconds while nobody is there; False: somebody is, or has come."""
        super().__init__(lane, part, driver, make, put)
        self._nap = nap
        self._said: tuple[float, float | None] | None = None
        """The temperatures that were read last."""
        self._frozen: tuple[float, float | None] | None = None
        """Those that the sensor repeated when it was found hung, until it says something else."""

    def _use(self, thread: WorkerThread, device: Source) -> None:
        try:
            self._read_on(thread, device)
        except Frozen:
            self._frozen = self._said
            raise

    def _is_frozen(self, item: Reading, opened_s: float) -> bool:
        """Whether a sensor that was opened again says what it has repeated. Raises Frozen when that is certain."""
        said = item.surface_c, item.sensor_c
        if said != self._frozen:
            self._said, self._frozen = said, None
            return False
        if item.at_s - opened_s > FROZEN_AGAIN_S:
            raise Frozen(self._driver, "still repeats one value", "switch its power off and on")
        return True

    def _read_on(self, thread: WorkerThread, device: Source) -> None:
        began_s = time.monotonic()
        codes = TokenBucket(CODES_AT_ONCE, CODES_PER_S, began_s)
        others = TokenBucket(READINGS_AT_ONCE, READINGS_PER_S, began_s)
        has_napped, newest = False, None
        while thread.goes_on:
            item = device.read(0.0 if has_napped else READ_LIMIT_S)
            thread.heartbeat()
            if item is None:
                if newest is not None:
                    self._observe(thread, newest)
                has_napped, newest = self._nap(NAP_S), None
                continue
            rate = codes if isinstance(item, Sighting) else others
            if not rate.allows(thread.moved_s):
                what = "codes" if rate is codes else "readings"
                raise BadReply(
                    self._driver,
                    f"floods: more than {rate.burst} {what}, and then more than {rate.per_s:.0f} a second",
                    "is its cable crossed with another's, its trigger stuck, or somebody else on its line?",
                )
            if isinstance(item, Reading) and self._is_frozen(item, began_s):
                continue
            if has_napped:
                newest = item
                continue
            self._observe(thread, item)
            has_napped = self._nap(NAP_S)


@dataclass(frozen=True, slots=True)
class _Opening:
    """One command to a gate."""

    requested_s: float
    done: Future[bool] = field(default_factory=Future)


class GateWorker(DeviceWorker["Sink"]):
    """Drives a gate: takes commands, and looks after the device while there are none."""

    def __init__(
        self,
        lane: str,
        part: Role,
        driver: str,
        make: Callable[[], Sink],
        put: Callable[[Observation], None],
        release_s: float,
        clock: Callable[[], float] = time.monotonic,
        lapse_s: float = LATE_ENTRY_S,
    ) -> None:
        """`release_s`: how long the gate stays released; `clock`: dates commands, seconds; `lapse_s`: after which
        they are carried out no more.
        """
        super().__init__(lane, part, driver, make, put)
        self._release_s, self._lapse_s = release_s, lapse_s
        self._clock = clock
        self._opened_s = clock()
        """Since when the device is there: what was commanded before is commanded again where it still counts."""
        self._commands: queue.SimpleQueue[_Opening | None] = queue.SimpleQueue()
        """None wakes the thread."""

    def open_gate(self) -> Future[bool]:
        """Command one opening; returns at once. A command that cannot be carried out within `lapse_s`, or before
        the device was lost, lapses: a gate must not open for somebody who has gone. The future is done when the
        gate's output was switched (True), or the command has lapsed or failed (False).
        """
        opening = _Opening(self._clock())
        self._commands.put(opening)
        return opening.done

    def request_stop(self) -> None:
        """Tell the thread to end, also out of its wait for commands."""
        super().request_stop()
        self._commands.put(None)

    def reopen(self) -> None:
        """Close and open again, also out of its wait for commands."""
        super().reopen()
        self._commands.put(None)

    def _mark_up(self, thread: WorkerThread, *, simulated: bool) -> None:
        self._opened_s = self._clock()
        super()._mark_up(thread, simulated=simulated)

    def _use(self, thread: WorkerThread, device: Sink) -> None:
        while thread.goes_on:
            thread.heartbeat()
            try:
                opening = self._commands.get(timeout=aligned_wait_s(CHECK_EVERY_S))
            except queue.Empty:
                device.check()
                continue
            if opening is None:
                continue
            is_switched = False
            try:
                requested_s = opening.requested_s
                if self._clock() - requested_s > self._lapse_s or requested_s < self._opened_s:
                    log.warning("opening lapsed: the gate was not ready", extra={"device": self.name})
                    continue
                device.pulse(self._release_s)
                is_switched = True
                self._items += 1
            finally:
                opening.done.set_result(is_switched)

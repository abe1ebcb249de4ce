"""A scanner in a process of its own: what hangs or crashes there, in the kernel or in a decoder, stops only there.

    agent                              child, of the fork server (drivers/wire/fork_server.py)
      options, pickled             →   builds the driver, opens it
      read: waits on a pipe        ←   the number of its process, _OPEN, then items, and None after `_BEAT_S`
                                       without any; _LOGGED whenever something is, to be said in the agent's log
      a pipe silent for 3 s: killed; 30 s if the child computes meanwhile: it is slow, and hangs nowhere

Frames never cross the pipe, only what was seen in them. `time.monotonic()` is the same clock in both.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import pickle
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drivers import registry
from drivers.contract import DeviceGone, DriverError
from drivers.wire import fork_server
from drivers.wire.fork_server import Process

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from drivers.contract import Departure, Sighting, Source

log = logging.getLogger(__name__)

OPEN_LIMIT_S = 12.0
"""Silence while the driver opens its device, counted as that of a read."""
OPEN_MOST_S = 26.0
"""However busy the machine is: the agent gives up a thread that opens for longer than 30 s."""
SILENT_S = 3.0
SLOW = 0.1
"""How much silence counts while the child has the processor, or waits for it."""
MOST_MB = 600
"""Memory of the child beyond which it is ended: one with a camera takes some 150 MB, and what it reads comes from a
far end that may send anything.
"""
_WEIGH_EVERY_S = 1.0
_BEAT_S = 0.4
"""Less than the agent waits for in one read (0.5 s): then each silence wakes it once, not twice."""
_END_LIMIT_S = 0.5
GIVE_BACK_EVERY_S = 10.0
"""How often the child gives freed memory back: pictures of its first and its hard moments leave 8 MB of holes."""
_library = ctypes.CDLL(None)
_OPEN, _FAILED, _LOGGED = "open", "failed", "logged"


class Apart:
    """The near end: a scanner whose driver runs in a child."""

    def __init__(self, device: str, kind: str, name: str, options: Any, modules: tuple[str, ...] = ()) -> None:
        """`device`: what to call it in errors; `kind`, `name`, `options`: the driver, as the registry knows it;
        `modules`: what it imports when it opens its device, shared by all that run apart.
        """
        self._device = device
        self._driver = (kind, name, options)
        self._modules = modules
        self._child: Process | None = None
        self._pipe: Connection[Any, Any] | None = None
        self._silent_s = self._spent_s = self._weighed_s = 0.0
        self.simulated = False

    @property
    def pid(self) -> int | None:
        """The child's, while there is one."""
        return self._child.pid if self._child else None

    def open(self) -> None:
        """Start the child and wait until its driver is open. Raises what the driver raised."""
        self.close()
        level = log.getEffectiveLevel()
        try:
            server, self._pipe = fork_server.start(self._modules, run_driver, *self._driver, level)
        except OSError as error:
            raise DeviceGone(self._device, f"gets no process: {error.strerror}", "see the log") from error
        self._silent_s = 0.0
        self._watch(server)  # until the child names itself: if that does not come, it is the server that hangs
        end_s = time.monotonic() + OPEN_MOST_S
        while self._silent_s < OPEN_LIMIT_S and time.monotonic() < end_s:
            said = self._receive(_BEAT_S)
            if isinstance(said, int):
                self._watch(said)
            elif isinstance(said, tuple) and said[0] == _OPEN:
                self.simulated = said[1]
                return
        self._kill()
        raise DeviceGone(self._device, "does not answer while being opened", "unplug it and plug it in again")

    def read(self, limit_s: float) -> Sighting | Departure | None:
        """The next item from the child."""
        said: Sighting | Departure | None = self._receive(limit_s)
        if self._silent_s > SILENT_S:
            self._kill()
            raise DeviceGone(self._device, "hangs", "it is opened again; if that does not help, unplug it")
        self._weigh(time.monotonic())
        return said

    def close(self) -> None:
        """End the child, by force if need be; one that is stuck in the kernel is left to it."""
        self._kill()

    def _watch(self, pid: int) -> None:
        """Watch this process: it is ended if it hangs."""
        before, self._child = self._child, None
        if before is not None:
            before.let_go()
        with contextlib.suppress(ProcessLookupError):  # it has ended: the pipe tells
            self._child = Process(pid)

    def _receive(self, limit_s: float) -> Any:
        pipe = self._pipe
        if pipe is None:
            raise DeviceGone(self._device, "is closed")
        try:
            if not pipe.poll(limit_s):
                # not by the clock: after a pause of the whole machine nobody hangs
                self._silent_s += limit_s * SLOW if self._computes() else limit_s
                return None
            said = pipe.recv()
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            self._kill()
            raise DeviceGone(self._device, "its process ended", "see the log") from error
        self._silent_s = 0.0
        if isinstance(said, tuple) and said[0] == _LOGGED:
            _, name, level, message = said
            logging.getLogger(name).log(level, "%s", message)
            return None
        if isinstance(said, tuple) and said[0] == _FAILED:
            self._kill()
            _, error_type, device, fact, remedy = said
            raise error_type(device, fact, remedy)
        return said

    def _weigh(self, now_s: float) -> None:
        """Raises DeviceGone once the child has taken too much memory."""
        if now_s - self._weighed_s < _WEIGH_EVERY_S:
            return
        self._weighed_s = now_s
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, ValueError, IndexError):  # it has ended: the pipe tells
            return
        if pages * os.sysconf("SC_PAGE_SIZE") > MOST_MB * 1_000_000:
            self._kill()
            fact = f"its process has taken more than {MOST_MB} MB of memory"
            raise DeviceGone(self._device, fact, "a smaller picture; or is it no camera?")

    def _computes(self) -> bool:
        """Whether the child has had the processor since this was asked last, or waits for it now."""
        try:
            facts = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:  # it has ended: the pipe tells
            return False
        before, self._spent_s = self._spent_s, (int(facts[11]) + int(facts[12])) / os.sysconf("SC_CLK_TCK")
        return facts[0] == "R" or self._spent_s > before

    def _kill(self) -> None:
        child, self._child = self._child, None
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
        if child is not None:
            child.end(_END_LIMIT_S)


class _Sayer(logging.Handler):
    """The pipe to the agent: what any thread logs goes there between the items."""

    def __init__(self, pipe: Connection[Any, Any]) -> None:
        super().__init__()
        self._pipe = pipe
        self._whole = threading.RLock()

    def send(self, what: object) -> None:
        """Raises OSError when the agent is gone."""
        with self._whole:
            self._pipe.send(what)

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record as it would be said here; tracebacks stay with it."""
        with contextlib.suppress(OSError):
            self.send((_LOGGED, record.name, record.levelno, self.format(record)))


def send_what_is_read(driver: Source, send: Callable[[object], None]) -> None:
    """Send what the driver reads, until either raises; now and then give freed memory back to the kernel."""
    given_s = time.monotonic()
    while True:
        send(driver.read(_BEAT_S))
        if time.monotonic() - given_s >= GIVE_BACK_EVERY_S and hasattr(_library, "malloc_trim"):
            given_s = time.monotonic()
            _library.malloc_trim(0)


def run_driver(pipe: Connection[Any, Any], kind: str, name: str, options: Any, level: int) -> None:
    """The far end: run a driver until the pipe breaks."""
    say = _Sayer(pipe)
    logging.root.addHandler(say)
    logging.root.setLevel(level)
    try:
        driver = registry.load(kind, name).Driver(options)
        driver.open()
        say.send((_OPEN, driver.simulated))
        send_what_is_read(driver, say.send)
    except DriverError as error:
        say.send((_FAILED, type(error), error.device, error.fact, error.remedy))

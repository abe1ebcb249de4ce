"""What all outputs share: on for a bounded time, off again by themselves.

OFF comes from a thread of its own, which outlives the caller and which the interpreter waits for on its way out.
"""

from __future__ import annotations

import contextlib
import threading
import time

from drivers.contract import BadOptions, DriverError


class PulsedOutput:
    """A driver fills in `acquire`, `switch`, `verify_present` and `let_go`; they are called one at a time."""

    def __init__(self, name: str, longest_s: float) -> None:
        """`name`: of the port or bus, for complaints; `longest_s`: bound of a pulse."""
        self._name = name
        self._longest_s = longest_s
        self._lock = threading.Lock()
        self._off_at_s = 0.0
        self._timer: threading.Timer | None = None

    def acquire(self) -> None:
        """Take the device. Raises DriverError."""
        raise NotImplementedError

    def switch(self, *, on: bool) -> None:
        """Switch the output. Raises DriverError."""
        raise NotImplementedError

    def verify_present(self) -> None:
        """Raise DriverError when the device is not there any more."""
        raise NotImplementedError

    def let_go(self) -> None:
        """Let go of the device. Never raises."""
        raise NotImplementedError

    def open(self) -> None:
        """Take the device and switch off."""
        with self._lock:
            try:
                self.acquire()
                self.switch(on=False)
            except DriverError:
                self.let_go()
                raise

    def pulse(self, seconds: float) -> None:
        """Switch on, and off after `seconds`; a pulse within a pulse makes it end later, never earlier. Raises
        BadOptions when `seconds` is out of bounds, and DriverError.
        """
        if not 0 < seconds <= self._longest_s:
            raise BadOptions(self._name, f"a pulse of {seconds} s is out of bounds", "see longest_s")
        with self._lock:
            self._off_at_s = max(self._off_at_s, time.monotonic() + seconds)
            self._arm()
            self.switch(on=True)

    def off(self) -> None:
        """Switch off before the time is up."""
        with self._lock:
            self._disarm()
            self.switch(on=False)

    def check(self) -> None:
        """Raise DeviceGone when the device went away."""
        with self._lock:
            self.verify_present()

    def close(self) -> None:
        """Switch off and let go."""
        with self._lock:
            self._disarm()
            with contextlib.suppress(DriverError):
                self.switch(on=False)
            self.let_go()

    def _disarm(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self._off_at_s = 0.0

    def _arm(self) -> None:
        """Start the thread that switches off. It is no daemon: the interpreter waits for it."""
        if self._timer is None:
            self._timer = threading.Timer(max(0.0, self._off_at_s - time.monotonic()), self._time_is_up)
            self._timer.name = "output-off"
            self._timer.start()

    def _time_is_up(self) -> None:
        with self._lock:
            if self._timer is not threading.current_thread():
                return
            self._timer = None
            if time.monotonic() < self._off_at_s:
                self._arm()
                return
            with contextlib.suppress(DriverError):  # `check` reports what is gone
                self.switch(on=False)

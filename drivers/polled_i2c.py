"""What all measuring I²C chips share: they are polled at their own pace, and a short fault is tolerated."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from drivers.contract import DriverError, Frozen
from drivers.plausibility import FreezeDetector

if TYPE_CHECKING:
    from collections.abc import Hashable

    from drivers.wire.i2c import Bus

T = TypeVar("T")
"""What it measures: `Reading` or `Distance`."""

RETRY_S = 0.25
"""Pace after a failed read, when the part is slower."""
PATIENCE = 4
"""Failed reads in a row before the part is given up: a fault of half a second to a second is ridden out."""


class PolledI2cDriver(Generic[T]):
    """A driver is this with `start` and `measure`."""

    def __init__(self, bus: Bus, period_s: float, frozen_s: float) -> None:
        """`period_s`: how long the part takes for a new value; it is never asked more often."""
        self._bus = bus
        self._period_s = period_s
        self._due_s = 0.0
        self._failures = 0
        self._pulse: FreezeDetector[Hashable] = FreezeDetector(frozen_s)

    def start(self) -> None:
        """See that the part answers, and set it up. Raises DriverError."""
        raise NotImplementedError

    def measure(self) -> T | None:
        """One measurement; None when the part has no new one yet. Raises DriverError."""
        raise NotImplementedError

    @property
    def simulated(self) -> bool:
        """True when no real device is behind the wire; known once open."""
        return self._bus.simulated

    def open(self) -> None:
        """Take the bus and see that the part answers."""
        self._bus.open()
        self._failures = 0
        self._pulse.reset()
        try:
            self.start()
        except DriverError:
            self._bus.close()
            raise
        self._due_s = time.monotonic() + self._period_s

    def read(self, limit_s: float) -> T | None:
        """The next measurement when it is due; None when it is not, or was bad but not for long."""
        wait_s = self._due_s - time.monotonic()
        if wait_s > 0:
            time.sleep(min(wait_s, limit_s))
        if wait_s > limit_s:
            return None
        try:
            measured = self.measure()
        except DriverError:
            self._due_s = time.monotonic() + min(self._period_s, RETRY_S)
            self._failures += 1
            if self._failures >= PATIENCE:
                raise
            if self._failures == PATIENCE // 2:
                self._start_again()
            return None
        self._due_s = time.monotonic() + self._period_s
        if measured is not None:  # a part that has nothing new yet has not recovered by that
            self._failures = 0
        return measured

    def _start_again(self) -> None:
        """Free the bus and set the part up again: a dip of its supply makes it forget what it was told."""
        self._bus.recover()
        with contextlib.suppress(DriverError):  # the next failures say what is wrong
            self.start()

    def close(self) -> None:
        """Let go of the bus."""
        self._failures = PATIENCE  # so that a read under way fails at once
        self._bus.close()

    def must_move(self, raw: Hashable, at_s: float) -> None:
        """Raise Frozen when the raw values have not moved for too long."""
        if self._pulse.is_frozen(raw, at_s):
            raise Frozen(self._bus.name, "the sensor repeats one value", "power-cycle it")

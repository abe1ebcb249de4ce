"""LCUS-type USB relay boards (LC Technology LCUS-1/-2/-4/-8, CH340): a gate or a lamp on a serial port.

Source: LC Technology "LC USB switch" communication protocol as printed with the LCUS-1 (start A0, channel, state,
checksum; 9600 8N1; ON = A0 01 01 A2, OFF = A0 01 00 A1).

Wiring: USB. COM and NO of the relay to the gate controller's "open" input.

    byte   0   1            2               3
           A0  channel 1…8  0 off, 1 on     low byte of the sum of bytes 0..2

The relay latches: it stays on until OFF arrives, so this driver sends OFF from a thread of its own, which outlives
the caller and which the interpreter waits for on its way out. What is left: if the process is killed outright while
the relay is on, it stays on until the agent starts again (opening sends OFF first) or USB power goes. Where that
matters, take a gate controller that needs only an edge, or a board that times the pulse itself. Emergency egress
must never hang on this board. Quirks: no answer to any order, so a welded or absent relay cannot be told; OFF is
sent twice. Accuracy of the pulse: the scheduler's, some milliseconds.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from drivers.contract import BadOptions, DriverError
from drivers.wire.framing import sum8
from drivers.wire.uart import Line, Uart

START = 0xA0
BAUD = 9600


@dataclass(frozen=True)
class Options:
    """Settings of a relay board."""

    port: str
    """Serial port, best by its /dev/serial/by-path name: CH340 boards have no serial number."""
    channel: Annotated[int, Ge(1), Le(8)] = 1
    """Which relay of the board, from 1."""
    longest_s: Annotated[float, Gt(0)] = 10.0
    """Longest pulse that may be ordered, seconds."""
    simulated: bool = False
    """Mark this gate as simulated. A pseudo-terminal is always marked."""


def order(channel: int, *, on: bool) -> bytes:
    """The four bytes that switch a relay."""
    head = bytes((START, channel, int(on)))
    return head + bytes((sum8(head),))


class Driver:
    """One relay, pulsed."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        self._options = options
        self._line = wire or Uart(options.port, BAUD, simulated=options.simulated)
        self._lock = threading.Lock()
        self._off_at_s = 0.0
        self._timer: threading.Timer | None = None

    @property
    def simulated(self) -> bool:
        """True when no real board is behind the port."""
        return self._line.simulated

    def open(self) -> None:
        """Take the port and switch off."""
        with self._lock:
            self._line.open()
            self._switch_off()

    def pulse(self, seconds: float) -> None:
        """Switch on, and off after `seconds`; a pulse within a pulse makes it end later, never earlier."""
        if not 0 < seconds <= self._options.longest_s:
            raise BadOptions(self._line.name, f"a pulse of {seconds} s is out of bounds", "see longest_s")
        with self._lock:
            self._off_at_s = max(self._off_at_s, time.monotonic() + seconds)
            self._arm()
            self._line.write(order(self._options.channel, on=True))

    def check(self) -> None:
        """Raise DeviceGone when the port went away. The board itself never answers."""
        with self._lock:
            self._line.drain()

    def close(self) -> None:
        """Switch off and let go of the port."""
        with self._lock:
            timer, self._timer = self._timer, None
            if timer is not None:
                timer.cancel()
            self._off_at_s = 0.0
            with contextlib.suppress(DriverError):
                self._switch_off()
            self._line.close()

    def _arm(self) -> None:
        """Start the thread that switches off. It is no daemon: the interpreter waits for it."""
        if self._timer is None:
            self._timer = threading.Timer(max(0.0, self._off_at_s - time.monotonic()), self._time_is_up)
            self._timer.name = "relay-off"
            self._timer.start()

    def _time_is_up(self) -> None:
        with self._lock:
            if self._timer is not threading.current_thread():
                return
            self._timer = None
            if time.monotonic() < self._off_at_s:
                self._arm()
                return
            with contextlib.suppress(DriverError):
                # a port that is gone has taken the relay's USB power with it; `check` reports it
                self._switch_off()

    def _switch_off(self) -> None:
        self._line.write(order(self._options.channel, on=False) * 2)

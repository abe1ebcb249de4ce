"""A serial port that several outputs of one relay board use at the same time, each through a driver of its own.

A board is one device on one wire: the first user takes the port, the last lets go of it. The user that finds it
gone closes it for all; the others notice at their next call, and the first that opens again takes it.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from drivers.contract import BadOptions, DeviceGone
from drivers.wire.uart import Uart

if TYPE_CHECKING:
    from collections.abc import Iterator


class _SharedPort:
    """What the users of one port share."""

    def __init__(self) -> None:
        self.baud = 0
        self.line: Uart | None = None
        """None: not open."""
        self.lock = threading.RLock()
        self.users: set[SharedUart] = set()
        self.answered_s: dict[int, float] = {}
        self.echoes: bool | None = None


_ports: WeakValueDictionary[str, _SharedPort] = WeakValueDictionary()
_finding = threading.Lock()


class SharedUart:
    """One user's hold on a port: a `Line` that can be held for a command and its answer."""

    def __init__(self, name: str, baud: int, *, simulated: bool = False) -> None:
        """`name`: device path, spelled the same by all its users."""
        self.name = name
        self.simulated = simulated
        self._forced = simulated
        self._baud = baud
        with _finding:
            self._port = _ports.setdefault(name, _SharedPort())

    @property
    def answered_s(self) -> dict[int, float]:
        """Address on this wire → when it answered one of the users last, monotonic seconds."""
        return self._port.answered_s

    @property
    def echoes(self) -> bool | None:
        """Whether the adapter hears what it sends itself; None until somebody has found out."""
        return self._port.echoes

    @echoes.setter
    def echoes(self, found: bool) -> None:
        self._port.echoes = found

    def open(self) -> None:
        """Take the port, or take part in it. Raises DeviceGone, or BadOptions when others use another speed."""
        port = self._port
        with port.lock:
            self.close()
            if port.baud != self._baud and port.users:
                what = f"another part of this configuration uses it at {port.baud} baud"
                raise BadOptions(self.name, what, f"write {port.baud} for both, or {self._baud}")
            if port.line is None:
                line = Uart(self.name, self._baud)
                line.open()
                port.line, port.baud, port.echoes = line, self._baud, None
            port.users.add(self)
            self.simulated = self._forced or port.line.simulated

    def read(self, limit_s: float) -> bytes:
        """What has come in, waiting up to `limit_s` for the first byte; empty on silence."""
        with self._using() as line:
            return line.read(limit_s)

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        with self._using() as line:
            line.write(data)

    def drain(self) -> None:
        """Throw away what has come in."""
        with self._using() as line:
            line.drain()

    def held(self) -> threading.RLock:
        """Keep the other users off the wire between several calls."""
        return self._port.lock

    def close(self) -> None:
        """Let go of the port, unless others use it. Never raises."""
        port = self._port
        with port.lock:
            port.users.discard(self)
            if not port.users:
                _let_go(port)

    @contextlib.contextmanager
    def _using(self) -> Iterator[Uart]:
        port = self._port
        with port.lock:
            if port.line is None or self not in port.users:
                raise DeviceGone(self.name, "the port is not open")
            try:
                yield port.line
            except DeviceGone:
                _let_go(port)
                raise


def _let_go(port: _SharedPort) -> None:
    line, port.line = port.line, None
    if line is not None:
        line.close()

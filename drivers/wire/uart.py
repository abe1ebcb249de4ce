"""A serial line: the one place where pyserial is met.

Reads are bounded and can be cut short by `close` from another thread. pyserial reports a pulled plug in three
ways (SerialException, OSError, and `termios.error`, which is not an OSError); all become `DeviceGone` with what to
do about it. The lock is `flock`: it keeps other well-behaved programs out, not every program.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import termios
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import serial

from drivers.contract import DeviceGone, DriverError
from drivers.wire import kernel_text

if TYPE_CHECKING:
    from collections.abc import Iterator

READ_BYTES = 4096
"""The size of the kernel's own line buffer: one read empties it."""
WRITE_LIMIT_S = 0.5
BY_ID = Path("/dev/serial/by-id")
_TROUBLE = (serial.SerialException, OSError, termios.error, ValueError, TypeError)
"""What pyserial raises when the plug is pulled; the last two when `close` comes between two of its steps."""


class Line(Protocol):
    """A serial line as the drivers see it."""

    name: str
    simulated: bool

    def open(self) -> None:
        """Take the line. Raises DeviceGone."""

    def read(self, limit_s: float) -> bytes:
        """What has come in, waiting up to `limit_s` for the first byte; empty on silence. Raises DeviceGone."""

    def write(self, data: bytes) -> None:
        """Send all of `data`. Raises DeviceGone."""

    def drain(self) -> None:
        """Throw away what has come in. Raises DeviceGone."""

    def retune(self, baud: int) -> None:
        """Go on at another speed, with nothing pending. Raises DeviceGone."""

    def close(self) -> None:
        """Let go. Never raises."""


class Uart:
    """A serial port, 8 data bits, no parity, one stop bit unless said otherwise."""

    def __init__(self, name: str, baud: int, *, parity: str = "N", simulated: bool = False) -> None:
        """`name`: device path, best one of /dev/serial/by-id; `parity`: `N`, `E` or `O`."""
        self.name = name
        self.simulated = simulated
        self._forced = simulated
        self._baud = baud
        self._parity = parity
        self._port: Any = None

    def open(self) -> None:
        """Take the port with an exclusive lock and empty its buffer. Raises DriverError."""
        self.close()
        try:
            self._port = serial.Serial(
                self.name,
                self._baud,
                parity=self._parity,
                timeout=0,
                exclusive=True,
            )
        except _TROUBLE as trouble:
            raise _not_opened(self.name, trouble) from trouble
        self.simulated = self._forced or is_pty(self.name)

    def read(self, limit_s: float) -> bytes:
        """What has come in, waiting up to `limit_s` for the first byte; empty on silence. Raises DeviceGone."""
        port = self._open_port()
        try:  # not through pyserial and no context manager: this is what an idle kiosk spends its time on
            ready, _, _ = select.select([port.fd, port.pipe_abort_read_r], [], [], max(0.0, limit_s))
            if port.fd not in ready:
                return b""
            if data := os.read(port.fd, READ_BYTES):
                return data
        except _TROUBLE as trouble:
            raise _pulled(self.name) from trouble
        raise _pulled(self.name)  # readable, yet empty: nobody is at the other end any more

    def write(self, data: bytes) -> None:
        """Send all of `data`. Raises DeviceGone, also when the line takes nothing for half a second."""
        port, left = self._open_port(), memoryview(data)
        while left:  # not through pyserial: on a busy machine it calls a write late that was done
            with self._gone_if_pulled():
                _, ready, _ = select.select([], [port.fd], [], WRITE_LIMIT_S)
                left = left[os.write(port.fd, left) :] if ready else left
            if not ready:
                raise DeviceGone(self.name, "the port takes nothing", "check the plug and the cable")

    def drain(self) -> None:
        """Throw away what has come in."""
        port = self._open_port()
        with self._gone_if_pulled():
            port.reset_input_buffer()

    def retune(self, baud: int) -> None:
        """Go on at `baud`, with nothing pending."""
        port = self._open_port()
        self._baud = baud
        with self._gone_if_pulled():
            port.baudrate = baud
            port.reset_input_buffer()

    def close(self) -> None:
        """Let go of the port; wakes a thread that waits in `read`."""
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(*_TROUBLE):
                port.cancel_read()
            with contextlib.suppress(*_TROUBLE):
                port.close()

    def _open_port(self) -> Any:
        port = self._port
        if port is None:
            raise DeviceGone(self.name, "the port is not open")
        return port

    @contextlib.contextmanager
    def _gone_if_pulled(self) -> Iterator[None]:
        try:
            yield
        except _TROUBLE as trouble:
            raise _pulled(self.name) from trouble


def is_pty(name: str) -> bool:
    """True when `name` leads to a pseudo-terminal, so that no real device is behind it."""
    return os.path.realpath(name).startswith("/dev/pts/")


def ports() -> list[str]:
    """Serial ports of this machine, by the names that survive a replug where there are any."""
    by_id = sorted(str(path) for path in BY_ID.glob("*"))
    known = {os.path.realpath(name) for name in by_id}
    plain = (
        str(path)
        for pattern in ("ttyUSB*", "ttyACM*", "ttyAMA*", "ttyS[0-9]*", "serial[0-9]*")
        for path in Path("/dev").glob(pattern)
        if _has_hardware(path)
    )
    return by_id + sorted(name for name in plain if os.path.realpath(name) not in known)


def _has_hardware(path: Path) -> bool:
    """False for the many /dev/ttyS that a PC's kernel keeps without a chip behind them (type 0, PORT_UNKNOWN)."""
    try:
        return kernel_text(Path("/sys/class/tty") / path.name / "type") != "0"
    except OSError:
        return not path.name.startswith("ttyS")


def holders(name: str) -> list[str]:
    """Programs that have the port open, as `name (pid)`; only those that we may look into."""
    node = os.path.realpath(name)
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.name != str(os.getpid()) and any(
                os.path.realpath(link) == node for link in (process / "fd").iterdir()
            ):
                found.append(f"{kernel_text(process / 'comm')} ({process.name})")
    return found


def _pulled(name: str) -> DeviceGone:
    return DeviceGone(name, "the port went away", "check the plug and the cable")


def _not_opened(name: str, trouble: BaseException) -> DriverError:
    """The sentence for a port that could not be opened."""
    code = getattr(trouble, "errno", None)
    if code in (errno.EACCES, errno.EPERM):
        return DeviceGone(name, "permission denied", "add the user to group dialout")
    if code in (errno.EAGAIN, errno.EBUSY):
        who = ", ".join(holders(name)) or "another program"
        return DeviceGone(name, f"in use by {who}", "stop it, or give it another port")
    if code in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        there = ", ".join(ports())
        return DeviceGone(
            name, "no such port", f"ports there are: {there}" if there else "no serial port is plugged in"
        )
    if isinstance(trouble, ValueError):
        return DeviceGone(name, f"the port does not take these settings: {trouble}")
    return DeviceGone(name, "is not a serial port or does not answer", "check the path and the cable")

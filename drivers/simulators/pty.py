"""A pseudo-terminal with a simulated device on its far end, under a name that survives a replug.

The name is a symbolic link, as udev makes one; unplugging removes it and hangs the line up, plugging in again makes
the link point at another node. The near end's speed is honoured: at the wrong one the bytes come garbled.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import sys
import termios
import threading
import time
import tty
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BYTE_PAUSE_S = 0.001
SINGLE_BYTES, PIECE_BYTES = 64, 61
"""So many bytes go one by one; the rest goes as a USB adapter sends it."""


class UartDevice(Protocol):
    """The far end of a serial line."""

    baud: int
    """The speed it is set to; 0 when speed has no meaning, as on USB-CDC."""
    period_s: float
    """How often it speaks by itself; 0: never."""

    def speak(self) -> bytes:
        """What it sends by itself, once per period."""

    def respond(self, data: bytes) -> bytes:
        """What it answers to bytes as they come in."""


@dataclass
class LineFaults:
    """What the line does to the bytes from the device. May be changed at any time."""

    split: bool = False
    """Send the first bytes one by one, and the rest of a long answer in pieces of uneven length."""
    prefix: bytes = b""
    """Junk before each burst."""
    flip: int = 0
    """XOR on the last byte of each burst: breaks a checksum."""
    mute: bool = False
    """Lose everything."""
    echo: bool = False
    """An RS-485 adapter that hears what it sends itself; also when the device says nothing."""


class Port:
    """One serial port with a device on it. A context manager: enter plugs it in, leave pulls it for good."""

    def __init__(self, link: Path, device: UartDevice) -> None:
        """`link`: the stable name under which it appears."""
        self.link = link
        self.device = device
        self.faults = LineFaults()
        self._lock = threading.Lock()
        self._ends: tuple[int, int] | None = None
        self._spare = os.openpty()
        self._thread: threading.Thread | None = None
        self._stop_r, self._stop_w = -1, -1

    def plug(self) -> None:
        """Make the port appear."""
        if self._thread is not None:
            return
        self._ends = self._spare
        for end in self._ends:
            tty.setraw(end)
        os.set_blocking(self._ends[0], False)
        self._stop_r, self._stop_w = os.pipe()
        self._thread = threading.Thread(target=self._live, name=f"sim {self.link.name}", daemon=True)
        self._thread.start()
        self.link.parent.mkdir(parents=True, exist_ok=True)
        new = self.link.with_name(f".{self.link.name}.new")
        new.unlink(missing_ok=True)
        new.symlink_to(os.ttyname(self._ends[1]))
        new.replace(self.link)

    def unplug(self) -> None:
        """Pull the plug: the name goes, the near end hangs up."""
        thread, self._thread = self._thread, None
        if thread is None or self._ends is None:
            return
        self.link.unlink(missing_ok=True)
        self._spare = os.openpty()  # before the old node is free, so that the next one has another number
        os.close(self._stop_w)
        thread.join()
        with self._lock:
            for end in (*self._ends, self._stop_r):
                os.close(end)
            self._ends = None

    def close(self) -> None:
        """Pull the plug for good."""
        self.unplug()
        for end in self._spare:
            with contextlib.suppress(OSError):
                os.close(end)
        self._spare = (-1, -1)

    def __enter__(self) -> Self:
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Let the device send bytes now, through the faults of the line."""
        with self._lock:
            if self._ends is None or not data or self.faults.mute:
                return
            master = self._ends[0]
            data = self.faults.prefix + data[:-1] + bytes((data[-1] ^ self.faults.flip,))
            if not self._speed_fits(master):
                data = bytes(byte >> 1 ^ 0x95 for byte in data[::2])
            for piece in _pieces(data) if self.faults.split else [data]:
                with contextlib.suppress(OSError):  # nobody reads: a real line loses bytes too
                    os.write(master, piece)
                if self.faults.split:
                    time.sleep(BYTE_PAUSE_S)

    @property
    def unread(self) -> int:
        """Bytes that the device has sent and nobody has read."""
        with self._lock:
            if self._ends is None:
                return 0
            return int.from_bytes(fcntl.ioctl(self._ends[1], termios.FIONREAD, bytes(4)), sys.byteorder)

    def _speed_fits(self, master: int) -> bool:
        if not self.device.baud:
            return True
        return bool(termios.tcgetattr(master)[5] == getattr(termios, f"B{self.device.baud}"))

    def _live(self) -> None:
        assert self._ends is not None  # noqa: S101 - for the type checker; plug() has set it
        master, stop = self._ends[0], self._stop_r
        due_s = time.monotonic()
        while True:
            period_s = self.device.period_s
            wait_s = max(0.0, due_s - time.monotonic()) if period_s else None
            ready, _, _ = select.select([master, stop], [], [], wait_s)
            if stop in ready:
                return
            if master in ready:
                with contextlib.suppress(OSError):
                    heard = os.read(master, 4096)
                    if self.faults.echo:
                        os.write(master, heard)
                    if self._speed_fits(master):
                        self.send(self.device.respond(heard))
            if period_s and time.monotonic() >= due_s:
                due_s = time.monotonic() + period_s
                self.send(self.device.speak())


def _pieces(data: bytes) -> Iterator[bytes]:
    yield from (data[at : at + 1] for at in range(min(len(data), SINGLE_BYTES)))
    yield from (data[at : at + PIECE_BYTES] for at in range(SINGLE_BYTES, len(data), PIECE_BYTES))

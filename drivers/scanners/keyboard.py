"""Scanners that pretend to be a keyboard ("keyboard wedge"), where a shop has no other.

Source: Linux kernel Documentation/input/event-codes.rst and uapi/linux/input.h (struct input_event, EVIOCGRAB); key
codes of uapi/linux/input-event-codes.h, which follow the US layout.

Wiring: USB. Name the device by its /dev/input/by-id/…-event-kbd link. The scanner must be set to the US layout and
to send Enter (or Tab) after a code.

The device is grabbed: what it types reaches no console and no other program. Quirks: a keyboard types characters,
so only printable ASCII comes through: a code that holds other bytes (most signed binary codes) is lost; serial mode
(USB-CDC) has neither fault, so prefer it and the driver `line`. When the kernel has lost keys (SYN_DROPPED: nobody
read for too long), the code that is being typed is none, up to its end. A person can type, too: a code is as good
as its signature, never better. The service needs the device allowed: see systemd/README.md.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import stat
import struct
import time
from collections import deque
from dataclasses import dataclass
from typing import Annotated, Protocol

from drivers.bounds import Gt
from drivers.contract import BadOptions, DeviceGone, Proof, Sighting
from drivers.wire.read_times import ReadTimes

BUS, PROOF = "USB HID", Proof.COMPUTED
EVENT = struct.Struct("llHHi")
"""struct input_event as this machine's kernel writes it: seconds, microseconds, type, code, value."""
EVIOCGRAB = 0x40044590
INPUT_MAJOR = 13
KEY, PRESSED, RELEASED = 1, 1, 0
SYNC, REPORT, DROPPED = 0, 0, 3
SHIFTS = (42, 54)
ENDS = (28, 96, 15)
"""Enter, Enter of the number block, Tab."""
LONGEST_CODE = 7089
PAUSE_S = 0.5
"""A pause that ends what was typed without an end: a scanner types a key each few milliseconds."""
_ROWS = (
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (57, " ", " "),
)
PLAIN = {first + at: char for first, row, _ in _ROWS for at, char in enumerate(row)}
SHIFTED = {first + at: char for first, _, row in _ROWS for at, char in enumerate(row)}
NUMBER_BLOCK = dict(zip((71, 72, 73, 75, 76, 77, 79, 80, 81, 82, 83), "7894561230.", strict=True))


@dataclass(frozen=True)
class Options:
    """Settings of a keyboard-wedge scanner."""

    device: str
    """Input device, best by its link: `/dev/input/by-id/usb-…-event-kbd`."""
    pause_s: Annotated[float, Gt(0)] = PAUSE_S
    """Seconds without a key that end a code which was sent without Enter or Tab."""
    simulated: bool = False
    """Mark all sightings as simulated. What is no input device of the kernel is always marked."""


class Keys:
    """Key events → codes. Pure: the caller says when a pause has passed."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._shift = False
        self._typed: list[str] = []
        self._is_torn = self._is_lost = False
        """Keys of this code were lost; and they are being lost, up to the next report."""

    @property
    def is_waiting(self) -> bool:
        """True when a code has begun and not ended."""
        return bool(self._typed) or self._is_torn

    def feed(self, data: bytes) -> list[bytes]:
        """The codes that `data`, events in the kernel's form, ends. One that grows too long is dropped."""
        self._pending += data
        codes = []
        while len(self._pending) >= EVENT.size:
            _, _, kind, key, value = EVENT.unpack_from(self._pending)
            del self._pending[: EVENT.size]
            if kind == SYNC and key in (REPORT, DROPPED):
                self._lose(is_over=key == REPORT)
            if kind != KEY or self._is_lost:
                continue
            if key in SHIFTS:
                self._shift = value != RELEASED
            elif value == PRESSED and key in ENDS:
                codes.append(self.pause())
            elif value == PRESSED:
                char = (SHIFTED if self._shift else PLAIN).get(key) or NUMBER_BLOCK.get(key, "")
                self._typed.append(char)
                if len(self._typed) > LONGEST_CODE:
                    self._typed.clear()
        return [code for code in codes if code]

    def pause(self) -> bytes:
        """The code that ends here; empty when there is none."""
        code = b"" if self._is_torn else "".join(self._typed).encode()
        self._typed.clear()
        self._is_torn = False
        return code

    def _lose(self, *, is_over: bool) -> None:
        """The kernel has lost keys, up to its next report: of a shift, too."""
        self._is_lost = not is_over
        if self._is_lost:
            self._is_torn, self._shift = True, False

    def forget(self) -> None:
        """Another device may be there: nothing is pending."""
        self._pending.clear()
        self._typed.clear()
        self._shift = self._is_torn = self._is_lost = False


class EventDevice(Protocol):
    """Where key events come from."""

    name: str
    simulated: bool

    def open(self) -> None:
        """Take the device. Raises DriverError."""

    def read(self, limit_s: float) -> bytes:
        """Whole events, waiting up to `limit_s` for the first; empty on silence. Raises DeviceGone."""

    def close(self) -> None:
        """Let go. Never raises."""


class InputDevice:
    """An input device of the kernel, grabbed."""

    def __init__(self, name: str, *, simulated: bool = False) -> None:
        """`name`: the path of its node or link."""
        self.name = name
        self.simulated = simulated
        self._fd = -1
        self._stop = (-1, -1)

    def open(self) -> None:
        """Take the device for this program alone."""
        self.close()
        try:
            fd = os.open(self.name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except PermissionError:
            raise DeviceGone(self.name, "may not be opened", "allow it to the service: systemd/README.md") from None
        except OSError as trouble:
            raise DeviceGone(self.name, f"cannot be opened: {trouble.strerror}", "check the plug") from trouble
        status = os.fstat(fd)
        if not stat.S_ISCHR(status.st_mode) or os.major(status.st_rdev) != INPUT_MAJOR:
            os.close(fd)
            raise BadOptions(self.name, "is no input device", "name one of /dev/input/by-id")
        try:
            fcntl.ioctl(fd, EVIOCGRAB, 1)
        except OSError as trouble:
            os.close(fd)
            held = trouble.errno == errno.EBUSY
            fact = "is held by another program" if held else f"is not handed over: {trouble.strerror}"
            raise DeviceGone(self.name, fact, "close the other program") from trouble
        self._fd, self._stop = fd, os.pipe()

    def read(self, limit_s: float) -> bytes:
        """Whole events, waiting up to `limit_s` for the first; empty on silence."""
        fd, (stop, _) = self._fd, self._stop
        if fd < 0:
            raise DeviceGone(self.name, "is not open")
        try:
            ready, _, _ = select.select([fd, stop], [], [], max(0.0, limit_s))
            if fd not in ready:
                return b""
            return os.read(fd, 64 * EVENT.size)
        except (OSError, ValueError) as trouble:
            raise DeviceGone(self.name, "was unplugged", "plug it in") from trouble

    def close(self) -> None:
        """Let go of the device, which gives the grab back."""
        fd, self._fd = self._fd, -1
        ends, self._stop = self._stop, (-1, -1)
        for end in (ends[1], fd, ends[0]):
            if end >= 0:
                with contextlib.suppress(OSError):
                    os.close(end)


class Driver:
    """A sighting for each code that is typed."""

    def __init__(self, options: Options, wire: EventDevice | None = None) -> None:
        self._device: EventDevice = wire or InputDevice(options.device, simulated=options.simulated)
        self._keys = Keys()
        self._pause_s = options.pause_s
        self._typed_s = self._came_s = 0.0
        """When keys were read last, and when they were pressed."""
        self._times = ReadTimes()
        self._ready: deque[Sighting] = deque()

    @property
    def simulated(self) -> bool:
        """True when no real device is behind the wire; known once open."""
        return self._device.simulated

    def open(self) -> None:
        """Take the device; what was typed before is thrown away."""
        self._device.open()
        self._times = ReadTimes()
        self._keys.forget()
        self._ready.clear()

    def read(self, limit_s: float) -> Sighting | None:
        """The next code."""
        end_s = time.monotonic() + limit_s
        while not self._ready:
            began_s = time.monotonic()
            left_s = max(0.0, end_s - began_s)
            wait_s = min(left_s, self._pause_s) if self._keys.is_waiting else left_s
            data = self._device.read(wait_s)
            now_s = time.monotonic()
            came_s = self._times.of(began_s, wait_s, now_s)
            codes = self._keys.feed(data)
            if data:
                self._typed_s, self._came_s = now_s, came_s
            elif self._keys.is_waiting and now_s - self._typed_s >= self._pause_s:
                codes = [self._keys.pause()]
            self._ready.extend(Sighting(code, self._came_s, self.simulated) for code in codes if code)
            if now_s >= end_s:
                break
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        """Let go of the device."""
        self._device.close()

"""Where baked pictures are shown: a monitor by the kernel's mode setting, a frame buffer, or a plain file.

Sources: `include/uapi/drm/drm.h`, `drm_mode.h` (dumb buffers, page flips with an event), `linux/fb.h`, `linux/kd.h`
of Linux 6.1. When the process that has opened a card ends, however it ends, the kernel takes its picture off: the
monitor is dark.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import select
import stat
import struct
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from numpy.typing import NDArray

_DRM_MAJOR, _FB_MAJOR = 226, 29
FLIP_S = 0.5
"""A flip that is not on the screen by then: the monitor or its driver hangs."""
_FB_VARIABLE, _FB_FIXED = 0x4600, 0x4602
_FB_FIXED_FORMAT = "@16sLIIIIHHHI"
_TERMINAL = 0
"""The service has the terminal of the monitor as its standard input."""
_KDSETMODE, _KD_GRAPHICS = 0x4B3A, 1
_CONNECTED, _FLIP_EVENT = 1, 1
_EVENT_BYTES = 1024


Size = tuple[int, int]
"""Width and height, pixels."""


class NoMonitor(Exception):
    """There is nothing to show pictures on; says why."""


class Surface(Protocol):
    """A screen of known size."""

    size_px: Size

    def show(self, pixels: NDArray[np.uint8]) -> None:
        """Rows of red, green and blue; returns when they are on the screen. Raises NoMonitor."""

    def close(self) -> None:
        """Make it dark."""


def open_surface(path: str, sizes_px: Collection[Size], wanted_px: Size | None = None) -> Surface:
    """The screen at a path: a card of `/dev/dri`, a frame buffer, or a file. Of the sizes for which there are
    pictures the wanted one, and where the monitor does not have it, the one that it likes best. Raises NoMonitor.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        about = os.fstat(descriptor)
        major = os.major(about.st_rdev) if stat.S_ISCHR(about.st_mode) else 0
        if major == _DRM_MAJOR:
            return Monitor(descriptor, path, sizes_px, wanted_px)
        if major == _FB_MAJOR:
            hide_console(_TERMINAL)
            return FrameBuffer(descriptor, path, sizes_px, *_geometry(descriptor))
        size_px = wanted_px if wanted_px is not None and wanted_px in sizes_px else next(iter(sizes_px))
        return FrameBuffer(descriptor, path, sizes_px, size_px, 32, 4 * size_px[0])
    except OSError as error:
        raise NoMonitor(f"{path} cannot be used as a screen: {error.strerror}") from None


def _list(sizes_px: Collection[Size]) -> str:
    return ", ".join(f"{width}x{height}" for width, height in sizes_px)


# -- frame buffer


def hide_console(terminal: int) -> None:
    """Let the kernel draw no text and no cursor over a frame buffer; systemd resets the terminal at the end.
    `terminal`: a descriptor of the virtual terminal that is shown; with another one nothing is done.
    """
    with contextlib.suppress(OSError):
        fcntl.ioctl(terminal, _KDSETMODE, _KD_GRAPHICS)


class FrameBuffer:
    """Memory that a driver shows. It keeps its picture when this process dies."""

    def __init__(
        self, descriptor: int, path: str, sizes_px: Collection[Size], has: Size, bits: int, row: int
    ) -> None:
        """`has`: its own size; `bits`: of a pixel, 32 or 16; `row`: bytes."""
        if bits not in (16, 32) or has not in sizes_px:
            os.close(descriptor)
            raise NoMonitor(
                f"{path} has {has[0]}x{has[1]} pixels of {bits} bits; there are pictures of {_list(sizes_px)}, for"
                " 16 or 32 bits: set width_px and height_px of the lane's screen, and gatepost display LANE --bake"
            )
        self.size_px = has
        self._bits, self._row, height = bits, row, has[1]
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.ftruncate(descriptor, row * height)
        try:
            self._memory = mmap.mmap(descriptor, row * height)
        finally:
            os.close(descriptor)

    def show(self, pixels: NDArray[np.uint8]) -> None:
        """Write all rows."""
        _write(self._memory, pixels, self._row, self._bits)

    def close(self) -> None:
        """Black."""
        self._memory[:] = bytes(len(self._memory))


def _geometry(descriptor: int) -> tuple[tuple[int, int], int, int]:
    """Width and height, bits a pixel, bytes a row."""
    variable = fcntl.ioctl(descriptor, _FB_VARIABLE, bytes(160))
    fixed = fcntl.ioctl(descriptor, _FB_FIXED, bytes(struct.calcsize(_FB_FIXED_FORMAT + "LIIHHH")))
    width, height, *_, bits = struct.unpack_from("7I", variable)
    return (width, height), bits, struct.unpack_from(_FB_FIXED_FORMAT, fixed)[-1]


def _write(memory: mmap.mmap, pixels: NDArray[np.uint8], row_bytes: int, bits: int = 32) -> None:
    """Rows of red, green and blue as XRGB8888 or RGB565, little-endian, without a copy of the whole."""
    height, width, _ = pixels.shape
    rows = np.frombuffer(memory, np.uint8, height * row_bytes).reshape(height, row_bytes)
    if bits == 32:  # noqa: PLR2004
        rows[:, : 4 * width].reshape(height, width, 4)[:, :, 2::-1] = pixels
        return
    packed = (pixels[:, :, 0] >> 3).astype(np.uint16) << 11
    packed |= (pixels[:, :, 1] >> 2).astype(np.uint16) << 5
    packed |= pixels[:, :, 2] >> 3
    rows[:, : 2 * width] = packed.view(np.uint8)


# -- mode setting


class _DisplayMode(ctypes.Structure):
    _fields_ = (
        ("clock", ctypes.c_uint32), ("width", ctypes.c_uint16), ("horizontal", ctypes.c_uint16 * 4),
        ("height", ctypes.c_uint16), ("vertical", ctypes.c_uint16 * 4), ("rest", ctypes.c_uint32 * 3),
        ("name", ctypes.c_char * 32),
    )  # fmt: skip


class _Resources(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("buffers_at", "controllers_at", "connectors_at", "encoders_at")),
        *((name, ctypes.c_uint32) for name in ("buffers", "controllers", "connectors", "encoders")),
        ("sizes", ctypes.c_uint32 * 4),
    )


class _Connector(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("encoders_at", "modes_at", "properties_at", "values_at")),
        *((name, ctypes.c_uint32) for name in ("modes", "properties", "encoders", "encoder")),
        *((name, ctypes.c_uint32) for name in ("id", "kind", "number", "connection")),
        *((name, ctypes.c_uint32) for name in ("width_mm", "height_mm", "subpixel", "pad")),
    )


class _DisplayEncoder(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("id", "kind", "controller", "possible", "clones"))


class _Controller(ctypes.Structure):
    _fields_ = (
        ("connectors_at", ctypes.c_uint64),
        *((name, ctypes.c_uint32) for name in ("connectors", "id", "buffer", "x", "y", "gamma", "has_mode")),
        ("mode", _DisplayMode),
    )


class _Dumb(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("height", "width", "bits", "flags", "handle", "row")),
        ("size", ctypes.c_uint64),
    )


class _Map(ctypes.Structure):
    _fields_ = (("handle", ctypes.c_uint32), ("pad", ctypes.c_uint32), ("offset", ctypes.c_uint64))


class _Buffer(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint32) for name in ("id", "width", "height", "row", "bits", "depth", "handle")
    )


class _Flip(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("controller", "buffer", "flags", "reserved")),
        ("data", ctypes.c_uint64),
    )


_NUMBERS: dict[type[ctypes.Structure], int] = {
    _Resources: 0xA0, _Controller: 0xA2, _DisplayEncoder: 0xA6, _Connector: 0xA7, _Buffer: 0xAE, _Flip: 0xB0,
    _Dumb: 0xB2, _Map: 0xB3,
}  # fmt: skip
"""Of the requests with these arguments: GETRESOURCES, SETCRTC, GETENCODER, GETCONNECTOR, ADDFB, PAGE_FLIP,
CREATE_DUMB, MAP_DUMB.
"""


class Monitor:
    """A monitor on a card: two dumb buffers, one on the screen, one to draw in."""

    def __init__(
        self, descriptor: int, path: str, sizes_px: Collection[Size], wanted_px: Size | None = None
    ) -> None:
        """Set a mode of a monitor that has one of these sizes. Raises NoMonitor, OSError."""
        self._card, self._path = descriptor, path
        self._buffers: list[tuple[int, mmap.mmap, int]] = []
        self._drawn = 0
        try:
            connector, self._controller, mode = self._find(sizes_px, wanted_px)
            self.size_px = mode.width, mode.height
            self._buffers += [self._made(*self.size_px) for _ in range(2)]
            names = (ctypes.c_uint32 * 1)(connector)
            first = self._buffers[0][0]
            self._request(_Controller(ctypes.addressof(names), 1, self._controller, first, 0, 0, 0, 1, mode))
        except BaseException:
            self.close()
            raise

    def show(self, pixels: NDArray[np.uint8]) -> None:
        """Draw, flip, and wait until it is on the screen. Raises NoMonitor."""
        self._drawn = 1 - self._drawn
        buffer, memory, row = self._buffers[self._drawn]
        _write(memory, pixels, row)
        try:
            self._request(_Flip(self._controller, buffer, _FLIP_EVENT, 0, 0))
        except OSError as error:
            raise NoMonitor(f"{self._path}: the picture cannot be shown: {error.strerror}") from None
        if not select.select([self._card], [], [], FLIP_S)[0]:
            raise NoMonitor(f"{self._path}: the picture was not on the screen within {FLIP_S} s")
        os.read(self._card, _EVENT_BYTES)

    def close(self) -> None:
        """Close the card: the kernel takes the picture off."""
        self._buffers.clear()
        os.close(self._card)

    def _find(self, sizes_px: Collection[Size], wanted_px: Size | None) -> tuple[int, int, _DisplayMode]:
        """Connector, controller and mode: a monitor lists the one that it likes best first."""
        asked = _Resources()
        self._request(asked)
        controllers, connectors = (ctypes.c_uint32 * asked.controllers)(), (ctypes.c_uint32 * asked.connectors)()
        filled = _Resources(0, ctypes.addressof(controllers), ctypes.addressof(connectors))
        filled.controllers, filled.connectors = len(controllers), len(connectors)
        self._request(filled)
        found = []
        for connector in connectors:
            encoders, modes = self._monitor(connector)
            found += [((mode.width, mode.height), connector, encoders, mode) for mode in modes]
        fits = [each for each in found if each[0] in sizes_px]
        for _, connector, encoders, mode in sorted(fits, key=lambda each: each[0] != wanted_px):
            return connector, self._controller_for(encoders, controllers), mode
        have = f"it has {_list(dict.fromkeys(each[0] for each in found))}" if found else "none is connected"
        raise NoMonitor(
            f"{self._path}: no monitor with {_list(sizes_px)} pixels ({have}): set width_px and height_px of the"
            " lane's screen to a size that it has, and gatepost display LANE --bake"
        )

    def _monitor(self, connector: int) -> tuple[list[int], list[_DisplayMode]]:
        """Its encoders and modes; no modes while nothing is connected."""
        asked = _Connector(id=connector)
        self._request(asked)
        if asked.connection != _CONNECTED:
            return [], []
        encoders, modes = (ctypes.c_uint32 * asked.encoders)(), (_DisplayMode * asked.modes)()
        filled = _Connector(ctypes.addressof(encoders), ctypes.addressof(modes), id=connector)
        filled.encoders, filled.modes = len(encoders), len(modes)
        self._request(filled)
        return list(encoders), list(modes)

    def _controller_for(self, encoders: list[int], controllers: Iterable[int]) -> int:
        """The first that can serve the connector."""
        for encoder in encoders:
            asked = _DisplayEncoder(encoder)
            self._request(asked)
            for number, controller in enumerate(controllers):
                if asked.possible & (1 << number):
                    return controller
        raise NoMonitor(f"{self._path}: no controller serves the monitor")

    def _made(self, width: int, height: int) -> tuple[int, mmap.mmap, int]:
        """A buffer: its number, memory, and bytes a row."""
        dumb = _Dumb(height, width, 32)
        self._request(dumb)
        added = _Buffer(0, width, height, dumb.row, 32, 24, dumb.handle)
        self._request(added)
        mapped = _Map(dumb.handle)
        self._request(mapped)
        return added.id, mmap.mmap(self._card, dumb.size, offset=mapped.offset), dumb.row

    def _request(self, argument: ctypes.Structure) -> None:
        """One ioctl, both ways. Raises OSError."""
        number = (3 << 30) | (ctypes.sizeof(argument) << 16) | (ord("d") << 8) | _NUMBERS[type(argument)]
        fcntl.ioctl(self._card, number, argument)

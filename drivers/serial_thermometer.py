"""What serial thermometers share: frames in, believable readings out; frames of fixed length; MLX9061x boards."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import TYPE_CHECKING, Annotated, TypeAlias

from drivers.bounds import Ge, Gt
from drivers.contract import BadReply, Frozen, Reading
from drivers.plausibility import FROZEN_S, FreezeDetector
from drivers.wire.framing import before, crc16_xmodem, sum8
from drivers.wire.modbus import crc16
from drivers.wire.stream import FrameStream
from drivers.wire.uart import Line, Uart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Fault: TypeAlias = str
"""What a device says is wrong with it, in a correct frame."""
Measured: TypeAlias = "tuple[float, float | None] | Fault"
"""Object and sensor in degrees Celsius, as one frame says; None where the device does not tell the second."""
FAULT_S = 3.0
"""How long a device may report a fault before it is given up: warming up and saturation pass."""


class SerialThermometer:
    """A driver is this with its own line, step function and bounds."""

    def __init__(
        self,
        stream: FrameStream[Measured],
        *,
        u_c: float,
        bounds_c: tuple[float, float],
        frozen_s: float,
    ) -> None:
        """`bounds_c`: what the device can report; a value outside is no reading."""
        self._stream = stream
        self._u_c = u_c
        self._bounds_c = bounds_c
        self._pulse: FreezeDetector[Measured] = FreezeDetector(frozen_s)
        self._faulty_since_s: float | None = None

    @property
    def simulated(self) -> bool:
        """True when no real device is behind the wire; known once open."""
        return self._stream.line.simulated

    def open(self) -> None:
        """Take the port and make the device talk."""
        self._stream.open()
        self._pulse.reset()
        self._faulty_since_s = None

    def read(self, limit_s: float) -> Reading | None:
        """The next frame's temperatures."""
        if (got := self._stream.next(limit_s)) is None:
            return None
        measured, at_s = got
        line = self._stream.line
        if isinstance(measured, str):
            self._endure(measured, at_s)
            return None
        self._faulty_since_s = None
        if self._pulse.is_frozen(measured, at_s):
            raise Frozen(line.name, "repeats one value", "switch its power off and on")
        surface_c, sensor_c = measured
        least_c, most_c = self._bounds_c
        if not least_c <= surface_c <= most_c:
            return None
        return Reading(surface_c, at_s, self._u_c, sensor_c=sensor_c, simulated=line.simulated)

    def _endure(self, fault: Fault, at_s: float) -> None:
        if self._faulty_since_s is None:
            self._faulty_since_s = at_s
        if at_s - self._faulty_since_s > FAULT_S:
            raise BadReply(self._stream.line.name, fault, "see the device's manual")

    def close(self) -> None:
        """Let go of the port."""
        self._stream.close()


FORMATS = {"int16 be": ">h", "int16 le": "<h", "uint16 be": ">H", "uint16 le": "<H", "int8": "b", "uint8": "B"}
CHECKSUMS: dict[str, tuple[int, Callable[[bytes | bytearray], bytes]]] = {
    "none": (0, lambda _: b""),
    "sum8": (1, lambda data: bytes((sum8(data),))),
    "xor8": (1, lambda data: bytes((reduce(xor, data, 0),))),
    "negative sum8": (1, lambda data: bytes((-sum8(data) & 0xFF,))),
    "sum16 be": (2, lambda data: (sum(data) & 0xFFFF).to_bytes(2, "big")),
    "crc16 modbus": (2, lambda data: crc16(data).to_bytes(2, "little")),
    "crc16 xmodem": (2, lambda data: crc16_xmodem(data).to_bytes(2, "big")),
}
"""Name → bytes it takes, and how it is made."""


@dataclass(frozen=True, slots=True)
class FixedFrame:
    """A frame of fixed length: header, temperatures, checksum at the end. Pure."""

    header: bytes
    length: int
    object_at: int
    """Offset of the object's temperature."""
    sensor_at: int = -1
    """Offset of the sensor's own; -1: none."""
    format: str = "int16 be"
    """Of both, a name of `FORMATS`."""
    scale_c: float = 0.01
    """Degrees Celsius of one count."""
    zero_c: float = 0.0
    """Degrees Celsius at a count of zero."""
    checksum: str = "sum8"
    """A name of `CHECKSUMS`."""
    checksum_from: int = 0
    """First byte that the checksum covers; the last is the one before it."""

    def step(self, pending: bytearray) -> tuple[int, Measured | None]:
        """Bytes pending → bytes spent and (object, sensor) in degrees Celsius; resynchronises by single bytes."""
        skip = before(pending, self.header)
        if skip or len(pending) < self.length:
            return skip, None
        width, check = CHECKSUMS[self.checksum]
        end = self.length - width
        if check(pending[self.checksum_from : end]) != pending[end : self.length]:
            return 1, None
        sensor_c = None if self.sensor_at < 0 else self._celsius(pending, self.sensor_at)
        return self.length, (self._celsius(pending, self.object_at), sensor_c)

    def _celsius(self, frame: bytearray, at: int) -> float:
        count: int
        (count,) = struct.unpack_from(FORMATS[self.format], frame, at)
        return round(count * self.scale_c + self.zero_c, 6)


MLX_U_C = 0.5
MLX_BOUNDS_C = (-70.0, 380.0)
"""What an MLX9061x can report as object temperature."""


@dataclass(frozen=True)
class BoardOptions:
    """Settings of a serial board with an MLX9061x."""

    port: str
    """Serial port, best by its /dev/serial/by-id name."""
    baud: Annotated[int, Ge(0)] = 0
    """Line speed; 0 tries those that boards of this kind are shipped with."""
    silent_s: Annotated[float, Gt(0)] = 3.0
    """Seconds without a frame after which the board counts as gone."""
    frozen_s: Annotated[float, Ge(0)] = FROZEN_S
    """Seconds of bit-identical frames after which the board counts as hung; 0 never."""
    simulated: bool = False
    """Mark all readings as simulated. A pseudo-terminal is always marked."""


class BoardThermometer(SerialThermometer):
    """An MLX9061x on a board that sends frames, on its own scale."""

    def __init__(
        self,
        options: BoardOptions,
        wire: Line | None,
        step: Callable[[bytearray], tuple[int, Measured | None]],
        bauds: Sequence[int],
        *,
        hello: bytes = b"",
        poll: bytes = b"",
        period_s: float = 0.0,
    ) -> None:
        """`bauds`: that boards are shipped with, the likeliest first; the others as for FrameStream."""
        speeds = (options.baud,) if options.baud else bauds
        line = wire or Uart(options.port, speeds[0], simulated=options.simulated)
        stream = FrameStream[Measured](
            line, step, speeds, hello=hello, poll=poll, period_s=period_s, silent_s=options.silent_s
        )
        super().__init__(stream, u_c=MLX_U_C, bounds_c=MLX_BOUNDS_C, frozen_s=options.frozen_s)

"""TF-Luna and TFmini: Benewake laser rangers with a serial output.

Source: Benewake "SJ-PM-TF-Luna A05 Product Manual", §6.2 (standard frame), §6.4 (signal strength, special values).

Wiring: 5 V, 3.3 V levels, 115200 8N1 as shipped; pin 5 high or open for UART.

    byte  0   1   2..3      4..5      6..7         8
          59  59  distance  strength  temperature  low byte of the sum of bytes 0..7
          uint16, low byte first; cm; °C = raw / 8 - 256

Accuracy: ±6 cm from 0.2 to 3 m: good enough to tell whether somebody stands at the mark, not to correct a
temperature. Quirks: a strength under 100 or of 65535, and distances from 65532 up (ambient light, saturation, weak
signal), are no distance. 100 frames a second come; one of ten is handed on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from drivers.bounds import Ge, Gt
from drivers.contract import Distance, Proof
from drivers.wire.framing import before, sum8
from drivers.wire.stream import FrameStream
from drivers.wire.uart import Line, Uart

BUS, PROOF = "serial", Proof.COMPUTED
HEADER = b"\x59\x59"
FRAME_BYTES = 9
WEAKEST, SATURATED = 100, 65535
SPECIAL_CM = 65532
Ranged: TypeAlias = "tuple[float | None]"


@dataclass(frozen=True)
class Options:
    """Settings of a TF-Luna."""

    port: str
    """Serial port, best by its /dev/serial/by-id name."""
    baud: Annotated[int, Gt(0)] = 115200
    """Line speed."""
    period_s: Annotated[float, Ge(0)] = 0.1
    """Seconds between distances handed on; 0 hands on all."""
    silent_s: Annotated[float, Gt(0)] = 3.0
    """Seconds without a frame after which the ranger counts as gone."""
    simulated: bool = False
    """Mark all distances as simulated. A pseudo-terminal is always marked."""


def step(pending: bytearray) -> tuple[int, Ranged | None]:
    """Bytes pending → bytes spent and the distance in millimetres, in a tuple; (None,) when it cannot be told."""
    skip = before(pending, HEADER)
    if skip or len(pending) < FRAME_BYTES:
        return skip, None
    if sum8(pending[:8]) != pending[8]:
        return 1, None
    distance, strength = pending[2] | pending[3] << 8, pending[4] | pending[5] << 8
    is_valid = WEAKEST <= strength < SATURATED and distance < SPECIAL_CM
    return FRAME_BYTES, (distance * 10.0 if is_valid else None,)


class Driver:
    """Distances at a pace that a checkpoint needs."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        line = wire or Uart(options.port, options.baud, simulated=options.simulated)
        self._stream = FrameStream[Ranged](line, step, (options.baud,), silent_s=options.silent_s)
        self._period_s = options.period_s
        self._last_s = float("-inf")

    @property
    def simulated(self) -> bool:
        """True when no real device is behind the wire; known once open."""
        return self._stream.line.simulated

    def open(self) -> None:
        """Take the port."""
        self._stream.open()
        self._last_s = float("-inf")

    def read(self, limit_s: float) -> Distance | None:
        """The next distance that is due."""
        while (got := self._stream.next(limit_s)) is not None:
            (distance_mm,), at_s = got
            if at_s - self._last_s >= self._period_s:
                self._last_s = at_s
                return Distance(distance_mm, at_s, self.simulated)
            limit_s = max(0.0, limit_s - 1 / 100)
        return None

    def close(self) -> None:
        """Let go of the port."""
        self._stream.close()

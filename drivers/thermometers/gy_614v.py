"""GY-614V and GY-614V3: infrared thermometer boards with registers and an "A4" frame.

Source: GY-614V3 register table and frame examples published by the seller (szlitus.com), and the reading code that
agrees with them (`gy614.hpp`, `GY614.cpp`).

Wiring: VCC 3–5 V, GND, board TX to our RX, board RX to our TX (3.3 V levels); 9600 8N1 as shipped, other speeds if
so configured. The PS pad must be open: bridged, the board is an I²C device.

    ask    A4 03 07 07 B5                 read 7 registers from 07
    byte   0   1   2   3   4    5..6    7..8    9..10   11
           A4  03  07  07  eps  object  board   "body"  low byte of the sum of bytes 0..10
           int16 BE, hundredths of a degree

Accuracy: the chip's own ±0.5 °C; not fever-grade. Quirks: the "body" value comes out of an undisclosed conversion
and is ignored; in continuous mode the same frame also comes unasked; nothing is ever reconfigured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt

from drivers.contract import Proof
from drivers.plausibility import FROZEN_S
from drivers.serial_thermometer import Measured, SerialThermometer
from drivers.wire.framing import before, signed16, sum8
from drivers.wire.stream import FrameStream
from drivers.wire.uart import Line, Uart

BUS, PROOF = "serial", Proof.COMPUTED
HEADER = b"\xa4\x03\x07\x07"
FRAME_BYTES = 12
ASK = b"\xa4\x03\x07\x07\xb5"
BAUDS = (9600, 115200)
U_C = 0.5
BOUNDS_C = (-70.0, 380.0)


@dataclass(frozen=True)
class Options:
    """Settings of a GY-614V board."""

    port: str
    """Serial port, best by its /dev/serial/by-id name."""
    baud: Annotated[int, Ge(0)] = 0
    """Line speed; 0 tries 9600, then 115200."""
    period_s: Annotated[float, Gt(0)] = 0.1
    """Seconds between questions; the chip converts ten times a second at most."""
    silent_s: Annotated[float, Gt(0)] = 3.0
    """Seconds without a frame after which the board counts as gone."""
    frozen_s: Annotated[float, Ge(0)] = FROZEN_S
    """Seconds of bit-identical frames after which the board counts as hung; 0 never."""
    simulated: bool = False
    """Mark all readings as simulated. A pseudo-terminal is always marked."""


def step(pending: bytearray) -> tuple[int, Measured | None]:
    """Bytes pending → bytes spent and (object, board) in degrees Celsius."""
    skip = before(pending, HEADER)
    if skip or len(pending) < FRAME_BYTES:
        return skip, None
    if sum8(pending[:11]) != pending[11]:
        return 1, None
    return FRAME_BYTES, (signed16(pending[5], pending[6]) / 100, signed16(pending[7], pending[8]) / 100)


class Driver(SerialThermometer):
    """Readings of the object register, on the board's own scale."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        bauds = (options.baud,) if options.baud else BAUDS
        line = wire or Uart(options.port, bauds[0], simulated=options.simulated)
        stream = FrameStream[Measured](
            line, step, bauds, poll=ASK, period_s=options.period_s, silent_s=options.silent_s
        )
        super().__init__(stream, u_c=U_C, bounds_c=BOUNDS_C, frozen_s=options.frozen_s)

"""CJMCU-90614: an infrared thermometer board with a "66 66" frame.

Source: the seller's protocol text for the CJMCU-90614 module; its one printed frame, 66 66 01 04 0A 83 0A 83 1A,
fixes what the checksum covers. Which of the two values is the object is not printed; option `swapped` turns them.

Wiring: VCC 3–5 V, GND, board TX to our RX, board RX to our TX (3.3 V levels); 115200 8N1 as shipped.

    byte   0   1   2        3   4..5     6..7     8
           66  66  01 | 02  04  object   board    low byte of the sum of bytes 4..7 only
                                uint16 BE /100
    command  66 66 01 56: send continuously

Accuracy: the chip's own ±0.5 °C; not fever-grade. Quirks: the checksum leaves the header out.
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

BUS, PROOF = "serial", Proof.DOCUMENT
HEADER = b"\x66\x66"
KINDS = (0x01, 0x02)
DATA_BYTES = 4
FRAME_BYTES = 9
CONTINUE = b"\x66\x66\x01\x56"
BAUDS = (115200, 57600, 9600)
U_C = 0.5
BOUNDS_C = (-70.0, 380.0)


@dataclass(frozen=True)
class Options:
    """Settings of a CJMCU-90614 board."""

    port: str
    """Serial port, best by its /dev/serial/by-id name."""
    baud: Annotated[int, Ge(0)] = 0
    """Line speed; 0 tries 115200, 57600, 9600."""
    swapped: bool = False
    """The second value is the object: hold a hand before it and see which one rises."""
    silent_s: Annotated[float, Gt(0)] = 3.0
    """Seconds without a frame after which the board counts as gone."""
    frozen_s: Annotated[float, Ge(0)] = FROZEN_S
    """Seconds of bit-identical frames after which the board counts as hung; 0 never."""
    simulated: bool = False
    """Mark all readings as simulated. A pseudo-terminal is always marked."""


def step(pending: bytearray) -> tuple[int, Measured | None]:
    """Bytes pending → bytes spent and the two values in degrees Celsius."""
    skip = before(pending, HEADER)
    if skip or len(pending) < DATA_BYTES:
        return skip, None
    if pending[2] not in KINDS or pending[3] != DATA_BYTES:
        return 1, None
    if len(pending) < FRAME_BYTES:
        return 0, None
    if sum8(pending[4:8]) != pending[8]:
        return 1, None
    return FRAME_BYTES, (signed16(pending[4], pending[5]) / 100, signed16(pending[6], pending[7]) / 100)


def step_swapped(pending: bytearray) -> tuple[int, Measured | None]:
    """As `step`, for a board that sends its own temperature first."""
    spent, measured = step(pending)
    if not isinstance(measured, tuple) or measured[1] is None:
        return spent, None
    return spent, (measured[1], measured[0])


class Driver(SerialThermometer):
    """Readings as the board sends them, on its own scale."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        bauds = (options.baud,) if options.baud else BAUDS
        line = wire or Uart(options.port, bauds[0], simulated=options.simulated)
        frames = step_swapped if options.swapped else step
        stream = FrameStream[Measured](line, frames, bauds, hello=CONTINUE, silent_s=options.silent_s)
        super().__init__(stream, u_c=U_C, bounds_c=BOUNDS_C, frozen_s=options.frozen_s)

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

from drivers.contract import Proof
from drivers.serial_thermometer import BoardOptions, BoardThermometer, FixedFrame, Measured
from drivers.wire.uart import Line

BUS, PROOF = "serial", Proof.DOCUMENT
KINDS = (0x01, 0x02)
CONTINUE = b"\x66\x66\x01\x56"
BAUDS = (115200, 57600, 9600)
FRAME = FixedFrame(b"\x66\x66", length=9, object_at=4, sensor_at=6, checksum_from=4)
HEAD_BYTES, DATA_BYTES = 4, 4


@dataclass(frozen=True)
class Options(BoardOptions):
    """Settings of a CJMCU-90614 board."""

    swapped: bool = False
    """The second value is the object: hold a hand before it and see which one rises."""


def step(pending: bytearray) -> tuple[int, Measured | None]:
    """Bytes pending → bytes spent and the two values in degrees Celsius."""
    begins = pending.startswith(FRAME.header) and len(pending) >= HEAD_BYTES
    if begins and (pending[2] not in KINDS or pending[3] != DATA_BYTES):
        return 1, None
    return FRAME.step(pending)


def step_swapped(pending: bytearray) -> tuple[int, Measured | None]:
    """As `step`, for a board that sends its own temperature first."""
    spent, measured = step(pending)
    if not isinstance(measured, tuple) or measured[1] is None:
        return spent, None
    return spent, (measured[1], measured[0])


class Driver(BoardThermometer):
    """Readings as the board sends them, on its own scale."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        frames = step_swapped if options.swapped else step
        super().__init__(options, wire, frames, BAUDS, hello=CONTINUE)

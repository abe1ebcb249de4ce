"""GY-MCU90615 and GY-MCU90614: infrared thermometer boards with a serial output.

Sources: "GY-MCU90615 V1" module manual (GY-MCU90615.pdf, protocol tables; as kept in
github.com/chentoday/GY-MCU90615-on-the-bit); the library github.com/Play-Zone/MCU90615 for the same frames; the
10-byte variant after the published ZKRT TEMPERATURE.c.

Wiring: VCC 3–5 V, GND, board TX to our RX, board RX to our TX (3.3 V levels), 8N1. The 90615 ships at 115200 baud,
the 90614 at 9600, so both are tried unless `baud` says which.

    byte   0   1   2   3    4..5            6..7             8
           5A  5A  45  04   object          board            low byte of the sum of bytes 0..7
                            int16 BE /100   int16 BE /100
    command  A5 45 EA: send continuously (about 14 per second)

Accuracy: the chip's own ±0.5 °C (object 0–60 °C, board 0–50 °C); not fever-grade. Quirks: some boards add a tenth
byte, the module's id, outside the checksum; the payload may itself hold 5A 5A, so after a false start one byte is
skipped, not nine; a changed baud or mode takes effect only after a power cycle, so nothing is ever reconfigured.
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
HEADER = b"\x5a\x5a\x45\x04"
FRAME_BYTES = 9
CONTINUE = b"\xa5\x45\xea"
BAUDS = (115200, 9600)
U_C = 0.5
BOUNDS_C = (-70.0, 380.0)
"""What an MLX9061x can report as object temperature."""


@dataclass(frozen=True)
class Options:
    """Settings of a GY-MCU board."""

    port: str
    """Serial port, best by its /dev/serial/by-id name."""
    baud: Annotated[int, Ge(0)] = 0
    """Line speed; 0 tries 115200, then 9600."""
    silent_s: Annotated[float, Gt(0)] = 3.0
    """Seconds without a frame after which the board counts as gone."""
    frozen_s: Annotated[float, Ge(0)] = FROZEN_S
    """Seconds of bit-identical frames after which the board counts as hung; 0 never."""
    simulated: bool = False
    """Mark all readings as simulated. A pseudo-terminal is always marked."""


def step(pending: bytearray) -> tuple[int, Measured | None]:
    """Bytes pending → bytes spent and (object, board) in degrees Celsius; resynchronises by single bytes."""
    skip = before(pending, HEADER)
    if skip or len(pending) < FRAME_BYTES:
        return skip, None
    if sum8(pending[:8]) != pending[8]:
        return 1, None
    return FRAME_BYTES, (signed16(pending[4], pending[5]) / 100, signed16(pending[6], pending[7]) / 100)


class Driver(SerialThermometer):
    """Readings as the board sends them, on its own scale."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        bauds = (options.baud,) if options.baud else BAUDS
        line = wire or Uart(options.port, bauds[0], simulated=options.simulated)
        stream = FrameStream[Measured](line, step, bauds, hello=CONTINUE, silent_s=options.silent_s)
        super().__init__(stream, u_c=U_C, bounds_c=BOUNDS_C, frozen_s=options.frozen_s)

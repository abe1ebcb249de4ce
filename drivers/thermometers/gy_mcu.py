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

from drivers.contract import Proof
from drivers.serial_thermometer import BoardOptions, BoardThermometer, FixedFrame
from drivers.wire.uart import Line

BUS, PROOF = "serial", Proof.DOCUMENT
HEADER = b"\x5a\x5a\x45\x04"
CONTINUE = b"\xa5\x45\xea"
BAUDS = (115200, 9600)
step = FixedFrame(HEADER, length=9, object_at=4, sensor_at=6).step


class Options(BoardOptions):
    """Settings of a GY-MCU board."""


class Driver(BoardThermometer):
    """Readings as the board sends them, on its own scale."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        super().__init__(options, wire, step, BAUDS, hello=CONTINUE)

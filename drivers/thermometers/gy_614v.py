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

from drivers.bounds import Gt
from drivers.contract import Proof
from drivers.serial_thermometer import BoardOptions, BoardThermometer, FixedFrame
from drivers.wire.uart import Line

BUS, PROOF = "serial", Proof.COMPUTED
HEADER = b"\xa4\x03\x07\x07"
ASK = b"\xa4\x03\x07\x07\xb5"
BAUDS = (9600, 115200)
step = FixedFrame(HEADER, length=12, object_at=5, sensor_at=7).step


@dataclass(frozen=True)
class Options(BoardOptions):
    """Settings of a GY-614V board."""

    period_s: Annotated[float, Gt(0)] = 0.1
    """Seconds between questions; the chip converts ten times a second at most."""


class Driver(BoardThermometer):
    """Readings of the object register, on the board's own scale."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        super().__init__(options, wire, step, BAUDS, poll=ASK, period_s=options.period_s)

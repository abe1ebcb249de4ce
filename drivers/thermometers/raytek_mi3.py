"""Raytek / Fluke Process MI3: industrial infrared spot thermometers, ASCII protocol.

Source: Fluke Process Instruments "MI3 ASCII protocol" and operator's manual, chapter on RS-485/USB commands.

Wiring: communication box by USB (virtual serial port) or RS-485 two-wire, 9600 8N1 as shipped. Several heads on one
box are told apart by a prefix (`017`: box 1, head 7), here option `prefix`; answers of other heads do not count.

    ask  ?U CR → !UC CR LF      the unit, C or F
         ?T CR → !T036.5 CR LF  the object in that unit

Accuracy: ±1 °C or ±1 %; not fever-grade. Quirks: no checksum, so a line counts only if it has the exact form; the
unit is asked for and Fahrenheit converted, and no temperature is believed before the unit is known; errors begin
with `*`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from drivers.bounds import Ge, Gt
from drivers.contract import Proof
from drivers.serial_thermometer import Measured, SerialThermometer
from drivers.wire.stream import FrameStream
from drivers.wire.uart import Line, Uart

BUS, PROOF = "serial, RS-485", Proof.SIMULATOR
LONGEST = 40
UNIT = re.compile(rb"(\d{3})?!U([CF])\Z")
TEMPERATURE = re.compile(rb"(\d{3})?!T([+-]?\d{1,4}\.\d{1,2})\Z")
U_C = 1.0
BOUNDS_C = (-40.0, 1800.0)


@dataclass(frozen=True)
class Options:
    """Settings of an MI3."""

    port: str
    """Serial port, best by its /dev/serial/by-id name."""
    baud: Annotated[int, Gt(0)] = 9600
    """Line speed."""
    prefix: str = ""
    """Box and head, three digits; empty for a single head."""
    period_s: Annotated[float, Gt(0)] = 0.13
    """Seconds between questions; an MI3 settles in 130 ms."""
    silent_s: Annotated[float, Gt(0)] = 3.0
    """Seconds without an answer after which the thermometer counts as gone."""
    frozen_s: Annotated[float, Ge(0)] = 0.0
    """Seconds of identical answers after which it counts as hung; 0 never: tenths of a degree may stand still."""
    simulated: bool = False
    """Mark all readings as simulated. A pseudo-terminal is always marked."""


class Lines:
    """The step function, which remembers the unit, and whose answers are ours: another head may stand elsewhere."""

    def __init__(self, prefix: bytes = b"") -> None:
        """`prefix`: empty for the first head that tells its unit."""
        self._head = prefix or None
        self._unit = b""

    def __call__(self, pending: bytearray) -> tuple[int, Measured | None]:
        """Bytes pending → bytes spent and the object in degrees Celsius."""
        end = pending.find(b"\n")
        if end < 0:
            return (len(pending) if len(pending) > LONGEST else 0), None
        line = bytes(pending[:end]).rstrip(b"\r").rpartition(b"\r")[2]  # an echoed question ends in CR alone
        if (unit := UNIT.match(line)) and self._head in (None, unit[1] or b""):
            self._head, self._unit = unit[1] or b"", unit[2]
        elif self._unit and (found := TEMPERATURE.match(line)) and self._head == (found[1] or b""):
            value = float(found[2])
            return end + 1, ((value - 32) / 1.8 if self._unit == b"F" else value, None)
        return end + 1, None


class Driver(SerialThermometer):
    """Readings on the device's own scale."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        prefix = options.prefix.encode()
        stream = FrameStream[Measured](
            wire or Uart(options.port, options.baud, simulated=options.simulated),
            Lines(prefix),
            (options.baud,),
            poll=prefix + b"?U\r" + prefix + b"?T\r",
            period_s=options.period_s,
            silent_s=options.silent_s,
        )
        super().__init__(stream, u_c=U_C, bounds_c=BOUNDS_C, frozen_s=options.frozen_s)

"""Optris CS, CSmicro and CT: industrial infrared spot thermometers, binary protocol.

Source: Optris CS/CSmicro and CT operator's manuals, chapter "Communication" (command list, binary protocol).

Wiring: CS and CSmicro through their USB or TTL adapter, 9600 8N1; CT by USB or RS-232, 115200 8N1.

    ask 01 → two bytes, uint16 BE: object = (value - 1000) / 10 °C; models "hs": (value - 10000) / 100 °C

Accuracy: ±1 °C or ±1 % (CS), ±0.5 °C at best; not fever-grade. Quirks: an answer has neither header nor checksum,
so it counts only if between two questions exactly two bytes came and they lie in the part's range; emissivity is
set in the device (0.95 as shipped).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from drivers.bounds import Ge, Gt
from drivers.contract import Proof
from drivers.serial_thermometer import Measured, SerialThermometer
from drivers.wire.stream import FrameStream
from drivers.wire.uart import Line, Uart

BUS, PROOF = "serial", Proof.DOCUMENT
ASK = b"\x01"
ANSWER_BYTES = 2
U_C = 1.0
BOUNDS_C = (-40.0, 1030.0)
"""Range of the CS series; narrower than what two bytes can say, which is the only check there is."""


@dataclass(frozen=True)
class Options:
    """Settings of an Optris thermometer."""

    port: str
    """Serial port, best by its /dev/serial/by-id name."""
    baud: Annotated[int, Gt(0)] = 9600
    """Line speed: 9600 for CS, 115200 for CT."""
    high_resolution: bool = False
    """The model name ends in "hs": hundredths of a degree."""
    period_s: Annotated[float, Gt(0)] = 0.1
    """Seconds between questions."""
    silent_s: Annotated[float, Gt(0)] = 3.0
    """Seconds without an answer after which the thermometer counts as gone."""
    frozen_s: Annotated[float, Ge(0)] = 0.0
    """Seconds of identical answers after which it counts as hung; 0 never: tenths of a degree may stand still."""
    simulated: bool = False
    """Mark all readings as simulated. A pseudo-terminal is always marked."""


def celsius(answer: bytes | bytearray, *, high_resolution: bool = False) -> float:
    """The two bytes of an answer in degrees Celsius."""
    value = int.from_bytes(answer, "big")
    return (value - 10000) / 100 if high_resolution else (value - 1000) / 10


class Driver(SerialThermometer):
    """Readings on the device's own scale."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        def step(pending: bytearray) -> tuple[int, Measured | None]:
            if len(pending) != ANSWER_BYTES:
                return len(pending), None
            return ANSWER_BYTES, (celsius(pending, high_resolution=options.high_resolution), None)

        line = wire or Uart(options.port, options.baud, simulated=options.simulated)
        stream = FrameStream[Measured](
            line,
            step,
            (options.baud,),
            poll=ASK,
            period_s=options.period_s,
            silent_s=options.silent_s,
            whole=True,
        )
        super().__init__(stream, u_c=U_C, bounds_c=BOUNDS_C, frozen_s=options.frozen_s)

"""PCF8574 / PCF8574A: eight quasi-bidirectional outputs on I²C, usual on cheap relay boards.

Source: NXP "PCF8574; PCF8574A" product data sheet, Rev 5, 2013: §7.1 (addresses), §8.1 (quasi-bidirectional I/O).

Wiring: SDA/SCL with pull-ups, 100 kHz; PCF8574 at 0x20–0x27, PCF8574A at 0x38–0x3F. A pin sinks 25 mA but sources
only 100 µA: wire the relay's input between supply and pin, so that low is on (`active_low`).

    write  one byte, a bit a pin           read  one byte, the level of the pins

After power-on all pins are high, that is off when active low. If the process is killed during a pulse the output
stays as it is until the agent starts again: the chip latches. Where that matters let the gate controller need only
an edge, or take a board that times the pulse itself. Quirks: the chip has no register to read back what was
written, only the pins; reading back therefore also finds a short circuit. Accuracy of the pulse: the scheduler's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from drivers.bounds import Ge, Gt, Le
from drivers.contract import BOARD, OUTPUT, Proof
from drivers.expander import ExpanderOutput
from drivers.wire.i2c import Bus, I2cBus

BUS, PROOF = "I²C", Proof.SIMULATOR


@dataclass(frozen=True)
class Options:
    """Settings of an output of a PCF8574."""

    bus: Annotated[str, BOARD] = "/dev/i2c-1"
    """I²C bus device."""
    address: Annotated[int, Ge(0x20), Le(0x3F), BOARD] = 0x20
    """7-bit bus address."""
    pin: Annotated[int, Ge(0), Le(7), OUTPUT] = 0
    """Which output, P0 to P7."""
    active_low: bool = True
    """Low is on."""
    longest_s: Annotated[float, Gt(0)] = 10.0
    """Longest pulse that may be requested, seconds."""
    simulated: bool = False
    """Mark this output as simulated. A node that is no real bus is always marked."""


class Driver(ExpanderOutput):
    """One output, pulsed."""

    def __init__(self, options: Options, wire: Bus | None = None) -> None:
        self._address = options.address
        bus = wire or I2cBus(options.bus, simulated=options.simulated)
        super().__init__(bus, options.pin, active_low=options.active_low, longest_s=options.longest_s)

    def read_latch(self) -> int:
        """The level of the pins."""
        return self._bus.transfer(self._address, b"", 1)[0]

    def write_latch(self, value: int) -> None:
        """Set all pins."""
        self._bus.transfer(self._address, bytes((value & 0xFF,)), 0)

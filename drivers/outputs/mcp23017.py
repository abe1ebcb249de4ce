"""MCP23017: sixteen push-pull outputs on I²C.

Source: Microchip "MCP23017/MCP23S17" data sheet DS20001952C, tables 3-1 and 3-3 (registers with IOCON.BANK = 0).

Wiring: SDA/SCL with pull-ups, up to 400 kHz; address 0x20–0x27 by A0…A2; RESET to supply. A pin gives 25 mA.

    0x00/0x01 IODIRA/B: 1 input (power-on state), 0 output     0x14/0x15 OLATA/B: output latches

After power-on all pins are inputs: an external resistor must hold the relay off. If the process is killed during a
pulse the output stays as it is until the agent starts again: the chip latches. Where that matters let the gate
controller need only an edge, or take a board that times the pulse itself. Quirks: the latch is set before the pin
becomes an output, so that the relay never twitches. Accuracy of the pulse: the scheduler's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from drivers.bounds import Ge, Gt, Le
from drivers.contract import BOARD, OUTPUT, Proof
from drivers.expander import ExpanderOutput
from drivers.wire.i2c import Bus, I2cBus

BUS, PROOF = "I²C", Proof.SIMULATOR
DIRECTION, LATCH = 0x00, 0x14
PINS_A_PORT = 8


@dataclass(frozen=True)
class Options:
    """Settings of an output of an MCP23017."""

    bus: Annotated[str, BOARD] = "/dev/i2c-1"
    """I²C bus device."""
    address: Annotated[int, Ge(0x20), Le(0x27), BOARD] = 0x20
    """7-bit bus address."""
    pin: Annotated[int, Ge(0), Le(15), OUTPUT] = 0
    """Which output: 0–7 are GPA0–GPA7, 8–15 GPB0–GPB7."""
    active_low: bool = False
    """Low is on."""
    longest_s: Annotated[float, Gt(0)] = 10.0
    """Longest pulse that may be requested, seconds."""
    simulated: bool = False
    """Mark this output as simulated. A node that is no real bus is always marked."""


class Driver(ExpanderOutput):
    """One output, pulsed."""

    def __init__(self, options: Options, wire: Bus | None = None) -> None:
        self._address = options.address
        self._port, bit = divmod(options.pin, PINS_A_PORT)
        bus = wire or I2cBus(options.bus, simulated=options.simulated)
        super().__init__(bus, bit, active_low=options.active_low, longest_s=options.longest_s)

    def prepare(self) -> None:
        """Make the pin an output; its latch already says off."""
        with self._bus.held():
            inputs = self._read(DIRECTION)
            self._write(DIRECTION, inputs & ~self._mask)

    def read_latch(self) -> int:
        """The port's output latch."""
        return self._read(LATCH)

    def write_latch(self, value: int) -> None:
        """Set the port's output latch."""
        self._write(LATCH, value)

    def _read(self, register: int) -> int:
        return self._bus.transfer(self._address, bytes((register + self._port,)), 1)[0]

    def _write(self, register: int, value: int) -> None:
        self._bus.transfer(self._address, bytes((register + self._port, value & 0xFF)), 0)

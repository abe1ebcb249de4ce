"""Infrared thermometers on Modbus RTU: Calex PyroUSB and PyroMiniBus (Omega OS-MINI), and any other by its
registers.

Sources: Calex PyroUSB and PyroMiniBus operator's guides (Modbus register tables); Modbus over Serial Line V1.02.

Wiring: RS-485 two-wire with 120 Ω at both ends, or the maker's USB lead; 9600 8N1, slave 1 as shipped.

    preset         object  sensor  status   scale
    pyrousb        0x13    0x14    0x15     0.1 °C  unfiltered; status bit 0: measurement error
    pyrominibus    0x0F    0x10    0x11     0.1 °C  unfiltered; status as above
    custom         as options say

Accuracy: ±1 °C or ±1 %; not fever-grade. Quirks: all registers are read in one question, so that they belong
together; a status bit or a Modbus error is a fault, never a number; emissivity stays as set in the device, nothing
is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from drivers.bounds import Ge, Gt, Le
from drivers.contract import BadOptions, Proof
from drivers.serial_thermometer import Measured, SerialThermometer
from drivers.wire.framing import signed16
from drivers.wire.modbus import answer, read_request
from drivers.wire.stream import FrameStream
from drivers.wire.uart import Line, Uart

BUS, PROOF = "RS-485", Proof.DOCUMENT
NONE = -1
PRESETS = {"pyrousb": (0x13, 0x14, 0x15), "pyrominibus": (0x0F, 0x10, 0x11)}
"""Object, sensor and status register."""
MOST_REGISTERS = 125
BOUNDS_C = (-70.0, 2000.0)


@dataclass(frozen=True)
class Options:
    """Settings of a Modbus thermometer."""

    port: str
    """Serial port, best by its /dev/serial/by-id name."""
    preset: Literal["pyrousb", "pyrominibus", "custom"] = "custom"
    """Whose registers; `custom` takes the options below."""
    baud: Annotated[int, Gt(0)] = 9600
    """Line speed."""
    parity: Literal["N", "E", "O"] = "N"
    """Parity of the line."""
    slave: Annotated[int, Ge(1), Le(255)] = 1
    """Address on the bus."""
    function: Literal[3, 4] = 4
    """3 reads holding registers, 4 input registers."""
    object_register: Annotated[int, Ge(0), Le(0xFFFF)] = 0
    """Where the object's temperature is (custom)."""
    sensor_register: Annotated[int, Ge(-1), Le(0xFFFF)] = NONE
    """Where the sensor's own temperature is; -1 nowhere (custom)."""
    status_register: Annotated[int, Ge(-1), Le(0xFFFF)] = NONE
    """Where the status is; -1 nowhere (custom)."""
    status_mask: Annotated[int, Ge(0), Le(0xFFFF)] = 0x1F
    """Status bits that make a reading invalid."""
    scale_c: Annotated[float, Gt(0)] = 0.1
    """Degrees Celsius of one count (custom)."""
    u_c: Annotated[float, Gt(0)] = 1.0
    """Expanded uncertainty that the datasheet states, degrees Celsius."""
    period_s: Annotated[float, Gt(0)] = 0.25
    """Seconds between questions."""
    silent_s: Annotated[float, Gt(0)] = 3.0
    """Seconds without an answer after which the thermometer counts as gone."""
    frozen_s: Annotated[float, Ge(0)] = 0.0
    """Seconds of identical answers after which it counts as hung; 0 never: tenths of a degree may stand still."""
    simulated: bool = False
    """Mark all readings as simulated. A pseudo-terminal is always marked."""


class Registers:
    """The step function: which words of an answer mean what."""

    def __init__(self, options: Options) -> None:
        custom = (options.object_register, options.sensor_register, options.status_register)
        self._object, self._sensor, self._status = PRESETS.get(options.preset, custom)
        used = [each for each in (self._object, self._sensor, self._status) if each != NONE]
        self.first, self.count = min(used), max(used) - min(used) + 1
        if self.count > MOST_REGISTERS:
            raise BadOptions(options.port, "its registers lie too far apart for one question", "leave one out")
        self._options = options

    def __call__(self, pending: bytearray) -> tuple[int, Measured | None]:
        """Bytes pending → bytes spent and (object, sensor) in degrees Celsius."""
        options = self._options
        spent, words = answer(pending, options.slave, options.function, self.count)
        if words is None:
            return spent, None
        if isinstance(words, int):
            return spent, f"answers with Modbus error {words}"
        if self._status != NONE and words[self._status - self.first] & options.status_mask:
            return spent, f"reports status 0x{words[self._status - self.first]:04x}"
        sensor_c = None if self._sensor == NONE else self._celsius(words[self._sensor - self.first])
        return spent, (self._celsius(words[self._object - self.first]), sensor_c)

    def _celsius(self, word: int) -> float:
        return round(signed16(word >> 8, word & 0xFF) * self._options.scale_c, 6)


class Driver(SerialThermometer):
    """Readings on the device's own scale."""

    def __init__(self, options: Options, wire: Line | None = None) -> None:
        registers = Registers(options)
        line = wire or Uart(options.port, options.baud, parity=options.parity, simulated=options.simulated)
        stream = FrameStream[Measured](
            line,
            registers,
            (options.baud,),
            poll=read_request(options.slave, options.function, registers.first, registers.count),
            period_s=options.period_s,
            silent_s=options.silent_s,
        )
        super().__init__(stream, u_c=options.u_c, bounds_c=BOUNDS_C, frozen_s=options.frozen_s)

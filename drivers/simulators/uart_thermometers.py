"""Serial thermometer boards, from their manuals."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivers.simulators.world import World


class GyMcu90615:
    """GY-MCU90615/90614 after GY-MCU90615.pdf: big-endian hundredths, sum over all that goes before.

    Speaks about 14 times a second in continuous mode (command A5 45 EA, the state after power-up), or once per
    query (A5 15 BA). `tail`: the tenth byte of the boards that send their module id.
    """

    def __init__(self, world: World, baud: int = 115200, tail: bytes = b"") -> None:
        self.baud = baud
        self.period_s = 1 / 14
        self.repeats = False
        """Fault: the module's loop hangs and its last frame goes out again and again."""
        self._world = world
        self._tail = tail
        self._last = b""

    def speak(self) -> bytes:
        """One frame of what is before the board now."""
        if not (self.repeats and self._last):
            self._last = self.frame(self._world.seen_c(), self._world.die_c())
        return self._last

    def respond(self, data: bytes) -> bytes:
        """Commands: continuous, or a single query."""
        if b"\xa5\x45\xea" in data:
            self.period_s = 1 / 14
        if b"\xa5\x15\xba" in data:
            self.period_s = 0.0
            return self.speak()
        return b""

    def frame(self, object_c: float, board_c: float) -> bytes:
        """The frame for two temperatures."""
        body = b"ZZE\x04" + struct.pack(">hh", round(object_c * 100), round(board_c * 100))
        return body + bytes((sum(body) % 256,)) + self._tail


class Gy614v:
    """GY-614V3 after its register table: answers A4 03 07 07 B5; in continuous mode also sends unasked."""

    def __init__(self, world: World, baud: int = 9600, period_s: float = 0.0) -> None:
        self.baud = baud
        self.period_s = period_s
        self._world = world

    def speak(self) -> bytes:
        """Registers 07 to 0D: emissivity, object, board, and the vendor's idea of a body."""
        object_c = self._world.seen_c()
        values = (round(each * 100) for each in (object_c, self._world.die_c(), object_c + 3.1))
        body = struct.pack(">5B3h", 0xA4, 3, 7, 7, 98, *values)
        return body + bytes((sum(body) % 256,))

    def respond(self, data: bytes) -> bytes:
        """The one question that it gets."""
        return self.speak() if b"\xa4\x03\x07\x07\xb5" in data else b""


class Cjmcu90614:
    """CJMCU-90614 after its seller's text: the checksum covers the four data bytes."""

    def __init__(self, world: World, baud: int = 115200) -> None:
        self.baud = baud
        self.period_s = 0.1
        self._world = world

    def speak(self) -> bytes:
        """One frame, continuous mode."""
        data = struct.pack(">HH", round(self._world.seen_c() * 100), round(self._world.die_c() * 100))
        return b"ff\x01\x04" + data + bytes((sum(data) % 256,))

    def respond(self, data: bytes) -> bytes:
        """Command 02: only when asked; 01: continuously."""
        if b"ff\x02V" in data:
            self.period_s = 0.0
        if b"ff\x01V" in data:
            self.period_s = 0.1
        return b""


class OptrisCs:
    """Optris CS after its manual: one command byte, two bytes back, nothing around them."""

    def __init__(self, world: World, baud: int = 9600) -> None:
        self.baud = baud
        self.period_s = 0.0
        self._world = world

    def speak(self) -> bytes:
        """Silent unless asked."""
        return b""

    def respond(self, data: bytes) -> bytes:
        """01 object, 02 head; tenths above -100 °C."""
        answers = {1: self._world.seen_c, 2: self._world.die_c}
        return b"".join(struct.pack(">H", round(answers[each]() * 10) + 1000) for each in data if each in answers)


class RaytekMi3:
    """MI3 after its protocol text: lines end in CR, answers in CR LF, errors begin with a star."""

    def __init__(self, world: World, unit: bytes = b"C") -> None:
        self.baud = 9600
        self.period_s = 0.0
        self._world = world
        self._unit = unit
        self._heard = b""

    def speak(self) -> bytes:
        """Silent unless asked."""
        return b""

    def respond(self, data: bytes) -> bytes:
        """?T temperature, ?U unit, ?E emissivity."""
        *lines, self._heard = (self._heard + data).split(b"\r")
        return b"".join(self._answer(line.strip()) for line in lines)

    def _answer(self, line: bytes) -> bytes:
        celsius = self._world.seen_c()
        shown = celsius if self._unit == b"C" else celsius * 9 / 5 + 32
        answers = {b"?T": b"!T%05.1f" % shown, b"?U": b"!U" + self._unit, b"?E": b"!E0.950"}
        return answers.get(line, b"*Syntax Error") + b"\r\n"


class CalexPyroUsb:
    """Calex PyroUSB after its register table: Modbus RTU, tenths of a degree, silent on a wrong CRC or slave.

    0x12 filtered, 0x13 unfiltered, 0x14 sensor, 0x15 status.
    """

    def __init__(self, world: World, slave: int = 1) -> None:
        self.baud = 9600
        self.period_s = 0.0
        self.status = 0
        self._world = world
        self._slave = slave
        self._heard = b""

    def speak(self) -> bytes:
        """Silent unless asked."""
        return b""

    def respond(self, data: bytes) -> bytes:
        """Functions 03 and 04."""
        self._heard = (self._heard + data)[-64:]
        if len(self._heard) < 8 or self._crc(self._heard[-8:-2]) != self._heard[-2:]:  # noqa: PLR2004 - a question
            return b""
        slave, function, first, count = struct.unpack(">BBHH", self._heard[-8:-2])
        self._heard = b""
        if slave != self._slave or function not in (3, 4):
            return b""
        tenths = round(self._world.seen_c() * 10)
        registers = {0x12: tenths, 0x13: tenths, 0x14: round(self._world.die_c() * 10), 0x15: self.status}
        wanted = [registers.get(register) for register in range(first, first + count)]
        if None in wanted:
            body = bytes((slave, function | 0x80, 2))
        else:
            body = bytes((slave, function, 2 * count)) + struct.pack(f">{count}h", *wanted)
        return body + self._crc(body)

    @staticmethod
    def _crc(data: bytes) -> bytes:
        """Bit by bit as in the Modbus specification, appendix B."""
        register = 0xFFFF
        for bit in (byte >> shift & 1 for byte in data for shift in range(8)):
            register = register >> 1 ^ (0xA001 if register & 1 ^ bit else 0)
        return bytes((register & 0xFF, register >> 8))

"""I²C thermometer chips, from their datasheets."""

from __future__ import annotations

import math
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers.simulators.i2c_adapter import Nack

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.simulators.world import World


@dataclass
class ChipFaults:
    """What a chip does wrong. May be changed at any time."""

    bad_pec: bool = False
    error_bit: bool = False
    nack: bool = False
    repeats: bool = False
    """The converter hangs: the last values stay."""


def crc8(data: bytes) -> int:
    """x⁸+x²+x+1, most significant bit first, from 0 (SMBus 2.0 §5.4)."""
    crc = 0
    for bit in (byte >> shift & 1 for byte in data for shift in range(7, -1, -1)):
        crc = (crc << 1 & 0xFF) ^ (0x07 if (crc >> 7) ^ bit else 0)
    return crc


class Mlx90614:
    """Melexis datasheet 3901090614 Rev 13: RAM and EEPROM words over SMBus, PEC on everything.

    Answers its own address and 0x00. Converts once per `settling_s`; reads in between give the same words. A write
    whose PEC is wrong is not acknowledged; a cell must be erased (0x0000) before it takes a value.
    """

    def __init__(self, world: World, address: int = 0x5A, settling_s: float = 0.10) -> None:
        self.addresses = (address, 0x00)
        self.faults = ChipFaults()
        self.eeprom = dict.fromkeys(range(0x20), 0) | {0x04: 0xFFFF, 0x05: 0x9FB4, 0x0E: 0xBE00 | address}
        self._world = world
        self._settling_s = settling_s
        self._converted_s = float("-inf")
        self._ram = {0x06: 0, 0x07: 0, 0x08: 0}
        self._command = 0

    def write(self, address: int, data: bytes) -> None:
        """A command, or a command with a word and its PEC."""
        if self.faults.nack or not data:
            raise Nack
        self._command = data[0]
        if len(data) == 1:
            return
        if len(data) != 4 or crc8(bytes((address << 1,)) + data[:3]) != data[3] or data[0] >> 5 != 1:  # noqa: PLR2004
            raise Nack
        cell, word = data[0] & 0x1F, data[1] | data[2] << 8
        if word and self.eeprom[cell]:
            raise Nack
        self.eeprom[cell] = word

    def read(self, address: int, count: int) -> bytes:
        """The word last asked for: LSB, MSB, PEC; then the idle bus."""
        if self.faults.nack:
            raise Nack
        word = self._word()
        low_high = bytes((word & 0xFF, word >> 8))
        pec = crc8(bytes((address << 1, self._command, address << 1 | 1)) + low_high)
        reply = low_high + bytes((pec ^ 0xFF if self.faults.bad_pec else pec,))
        return (reply + b"\xff" * count)[:count]

    def _word(self) -> int:
        if self._command >> 5 == 1:
            return self.eeprom[self._command & 0x1F]
        self._convert()
        word = self._ram.get(self._command, 0)
        return word | 0x8000 if self.faults.error_bit and self._command in (0x07, 0x08) else word

    def _convert(self) -> None:
        now_s = time.monotonic()
        if now_s - self._converted_s >= self._settling_s and not (self.faults.repeats and self._ram[0x07]):
            self._converted_s = now_s
            raw: Callable[[float], int] = lambda celsius: round((celsius + 273.15) * 50)  # noqa: E731
            self._ram = {0x06: raw(self._world.die_c()), 0x07: raw(self._world.seen_c()), 0x08: 0}


class Mlx90632:
    """MLX90632 by its formulas run backwards: a scene becomes the raw words that would read as it.

    Constants are those of Melexis' published test (a part at a die temperature of 25.000 °C); big-endian registers
    of 16-bit addresses that count up by themselves. Converts `rate_hz` times a second while in continuous mode, in
    turn at positions 1 and 2, and sets bit 0 of the status, which the host clears.
    """

    AN, AO = 20030, 23540

    def __init__(self, world: World, address: int = 0x3A, version: int = 0x0105, rate_hz: float = 16.0) -> None:
        self.addresses = (address,)
        self.faults = ChipFaults()
        self._world = world
        self._period_s = 1 / rate_hz
        self._converted_s = 0.0
        self._pointer = 0
        longs = {0x240C: 0x00587F5B, 0x240E: 0x04A10289, 0x2410: 0xFFF966F8, 0x2412: 0x1E0F} | {
            0x2424: 4859535,
            0x2426: 5686508,
            0x2428: 53855361,
            0x242A: 42874149,
            0x242C: -14556410,
        }
        self.registers = {0x240B: version, 0x242E: 9728, 0x242F: 10752, 0x2481: 16384, 0x2482: 0}
        self.registers |= {0x3001: 0x0000, 0x3FFF: 0x0004}
        for register, value in longs.items():
            self.registers[register], self.registers[register + 1] = value & 0xFFFF, value >> 16 & 0xFFFF

    def write(self, address: int, data: bytes) -> None:  # noqa: ARG002 - it has one address
        """A register address, and a word when one is to be written; EEPROM is locked."""
        if self.faults.nack or len(data) not in (2, 4):
            raise Nack
        self._pointer = int.from_bytes(data[:2])
        if len(data) == 4 and self._pointer >= 0x3000:  # noqa: PLR2004 - a word, and not in the EEPROM
            self.registers[self._pointer] = int.from_bytes(data[2:])

    def read(self, address: int, count: int) -> bytes:  # noqa: ARG002 - it has one address
        """Words from the register address on."""
        if self.faults.nack:
            raise Nack
        self._convert()
        words = [self.registers.get(self._pointer + i, 0) & 0xFFFF for i in range((count + 1) // 2)]
        return b"".join(word.to_bytes(2) for word in words)[:count]

    def _convert(self) -> None:
        now_s = time.monotonic()
        running = self.registers[0x3001] & 0x0006 == 0x0006  # noqa: PLR2004 - continuous power mode
        if not running or self.faults.repeats or now_s - self._converted_s < self._period_s:
            return
        self._converted_s = now_s
        position = 3 - (self.registers[0x3FFF] >> 2 & 0x1F)
        self.registers[0x3FFF] = position << 2 | 1
        signal = self._signal(self._world.seen_c())
        halves = [math.floor(signal + i / 4) for i in range(4)]
        words = (halves[0], halves[1], self.AN, halves[2], halves[3], self.AO)
        self.registers |= {0x4003 + i: word for i, word in enumerate(words)}
        extended = (0, 0, self.AN, 0, 0, self.AO, math.floor(signal / 2), math.ceil(signal / 2), 0)
        self.registers |= {0x4033 + i: word for i, word in enumerate(extended)}

    def _signal(self, scene_c: float) -> float:
        """Object counts for a black scene, by the datasheet's equations solved for them."""
        ambient = self.AN / 12 / (self.AO + 9728 / 1024 * self.AN / 12) * 2**19
        die_c = (ambient - 5686508 / 256) / (4859535 / 65536) + 25
        alpha = 53855361 / 2**46 * (1 - 14556410 * (scene_c - 25) / 2**36 + 42874149 * (die_c - 25) / 2**36)
        power = ((scene_c + 273.15) ** 4 - (die_c + 273.15) ** 4) * alpha
        return power * (self.AO + 10752 / 1024 * self.AN / 12) * 12 / 2**19


class OmronD6t:
    """D6T after its user's manual: tenths of a degree, low byte first, PEC over 0x15 and the data."""

    addresses = (0x0A,)

    def __init__(self, world: World, pixels: int = 16) -> None:
        self.faults = ChipFaults()
        self._world = world
        self._pixels = pixels
        self._asked = False

    def write(self, address: int, data: bytes) -> None:  # noqa: ARG002 - it has one address
        """The measurement command."""
        if self.faults.nack:
            raise Nack
        self._asked = data[:1] in (b"\x4c", b"\x4d")

    def read(self, address: int, count: int) -> bytes:  # noqa: ARG002 - it has one address
        """Own temperature, then a person in the middle of the picture, wall around."""
        if self.faults.nack or not self._asked:
            raise Nack
        tenths = [round(self._world.die_c() * 10)]
        middle = range(self._pixels // 4, max(1, self._pixels * 3 // 4))
        wall_c = self._world.ambient_c
        tenths += [round((self._world.seen_c() if i in middle else wall_c) * 10) for i in range(self._pixels)]
        data = struct.pack(f"<{len(tenths)}h", *tenths)
        pec = crc8(b"\x15" + data) ^ (0xFF if self.faults.bad_pec else 0)
        return (data + bytes((pec,)) + b"\xff" * count)[:count]


class Amg8833:
    """Grid-EYE after its specification: byte registers, thermistor sign-magnitude, pixels two's complement."""

    addresses = (0x69,)

    def __init__(self, world: World) -> None:
        self.faults = ChipFaults()
        self.registers = bytearray(256)
        self._world = world
        self._pointer = 0
        self._converted_s = 0.0

    def write(self, address: int, data: bytes) -> None:  # noqa: ARG002 - it has one address
        """A register address, and values for it and those after."""
        if self.faults.nack or not data:
            raise Nack
        self._pointer = data[0]
        for i, value in enumerate(data[1:]):
            self.registers[self._pointer + i & 0xFF] = value

    def read(self, address: int, count: int) -> bytes:  # noqa: ARG002 - it has one address
        """Registers from the address on."""
        if self.faults.nack:
            raise Nack
        self._convert()
        return bytes(self.registers[self._pointer + i & 0xFF] for i in range(count))

    def _convert(self) -> None:
        now_s = time.monotonic()
        if now_s - self._converted_s < 0.1 or self.registers[0]:  # noqa: PLR2004 - ten frames a second
            return
        self._converted_s = now_s
        own = round(abs(self._world.die_c()) / 0.0625) | (0x800 if self._world.die_c() < 0 else 0)
        self.registers[0x0E:0x10] = own.to_bytes(2, "little")
        for i in range(64):
            middle = 2 <= i % 8 < 6 and 2 <= i // 8 < 6  # noqa: PLR2004 - the middle sixteen
            quarters = round((self._world.seen_c() if middle else self._world.ambient_c) * 4)
            self.registers[0x80 + 2 * i : 0x82 + 2 * i] = (quarters & 0xFFF).to_bytes(2, "little")

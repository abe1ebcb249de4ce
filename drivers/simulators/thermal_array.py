"""The thermal array MLX90640, from its datasheet: a part whose pixels are all alike and need no compensation."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

from drivers.simulators.i2c_adapter import Nack
from drivers.simulators.i2c_thermometers import ChipFaults
from drivers.simulators.world import ZERO_K

if TYPE_CHECKING:
    from drivers.simulators.world import World

GAIN, PTAT, SUPPLY = 6383, 1711, -13056
"""Of the datasheet's example; this supply is 3.3 V."""
KELVIN_25, PER_KELVIN = 12273, 42
SENSITIVITY = 0x2F44 / 2**36
SURROUNDINGS_C = 8.0
"""The part is warmer than its room by so much."""


class Mlx90640:
    """Datasheet 3901090640: 16-bit addresses and words, high byte first; subpages like a chessboard."""

    addresses = (0x33,)

    def __init__(self, world: World) -> None:
        self.faults = ChipFaults()
        self.registers = {0x8000: 0, 0x800D: 0x1901}
        self.stuck: dict[int, int] = {}
        """Faulty pixels: number → what it gives, whatever it sees."""
        self._world = world
        self._words = self._memory()
        self._pointer = 0
        self._converted_s = 0.0
        self._subpage = 1

    def _memory(self) -> dict[int, int]:
        eeprom = dict.fromkeys(range(0x2400, 0x2440), 0) | dict.fromkeys(range(0x2440, 0x2740), 0x0400)
        eeprom |= {0x2410: 0x4000, 0x2411: 0xFFFF, 0x2420: 0x6000, 0x2421: 0x2F44}
        eeprom |= {0x2430: GAIN, 0x2431: KELVIN_25, 0x2432: PER_KELVIN * 8, 0x2433: 0x9D68, 0x2438: 0x2000}
        return eeprom | dict.fromkeys(range(0x0400, 0x0740), 0)

    def mark(self, number: int, *, broken: bool) -> None:
        """Have the memory call a pixel broken, or deviating."""
        self._words[0x2440 + number] = 0 if broken else self._words[0x2440 + number] | 1

    def write(self, address: int, data: bytes) -> None:  # noqa: ARG002 - it has one address
        """A register address, and a word for it."""
        if self.faults.nack or len(data) < 2:  # noqa: PLR2004 - the bytes of an address
            raise Nack
        self._pointer = int.from_bytes(data[:2])
        if len(data) == 4 and self._pointer in self.registers:  # noqa: PLR2004 - address and word
            self.registers[self._pointer] = int.from_bytes(data[2:])

    def read(self, address: int, count: int) -> bytes:  # noqa: ARG002 - it has one address
        """Words from the address on."""
        if self.faults.nack:
            raise Nack
        self._convert()
        memory = self._words | self.registers
        words = [memory.get(self._pointer + i, 0) for i in range((count + 1) // 2)]
        return struct.pack(f">{len(words)}H", *words)[:count]

    def _convert(self) -> None:
        """A subpage when its time has come; the next is not taken before the last was fetched."""
        now_s = time.monotonic()
        period_s = 2.0 / 2 ** (self.registers[0x800D] >> 7 & 7)
        if now_s - self._converted_s < period_s or self.registers[0x8000] & 0x8 or self.faults.repeats:
            return
        self._converted_s = now_s
        self._subpage ^= 1
        own_c = self._world.die_c()
        art = KELVIN_25 + (own_c - 25) * PER_KELVIN
        self._words |= {
            0x0700: round(PTAT * 2**18 / art - 9 * PTAT) & 0xFFFF,
            0x070A: GAIN,
            0x0720: PTAT,
            0x072A: SUPPLY & 0xFFFF,
        }
        skin, wall = self._world.seen_c(), self._world.ambient_c
        for row in range(24):
            for column in range(32):
                if (row + column) % 2 == self._subpage:
                    is_middle = 8 <= row < 16 and 12 <= column < 20  # noqa: PLR2004 - the middle sixty-four
                    counts = self._counts(skin if is_middle else wall, own_c)
                    number = 32 * row + column
                    self._words[0x0400 + number] = self.stuck.get(number, counts) & 0xFFFF
        self.registers[0x8000] = 0x0008 | self._subpage

    def _counts(self, object_c: float, own_c: float) -> int:
        """What a pixel gives for an object that the world sees as black: Stefan and Boltzmann, on skin's 0.98."""
        emitted = 0.98 * (object_c + ZERO_K) ** 4 + 0.02 * (own_c - SURROUNDINGS_C + ZERO_K) ** 4
        return round(SENSITIVITY * (emitted - (own_c + ZERO_K) ** 4))

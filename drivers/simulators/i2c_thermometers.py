"""I²C thermometer chips, from their datasheets."""

from __future__ import annotations

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

"""Rangers, from their manuals."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivers.simulators.world import World

FARTHEST_MM = 8000


class TfLuna:
    """TF-Luna after its manual: 59 59, centimetres, strength, eighths of a degree, sum; 100 a second."""

    baud = 115200
    period_s = 0.01

    def __init__(self, world: World) -> None:
        self.strength = 2000
        self._world = world

    def speak(self) -> bytes:
        """One frame."""
        centimetres = round(self._world.distance_mm / 10)
        warmth = round((self._world.die_c() + 256) * 8)
        body = b"YY" + struct.pack("<HHH", centimetres, self.strength, warmth)
        return body + bytes((sum(body) % 256,))

    def respond(self, data: bytes) -> bytes:  # noqa: ARG002 - it takes no commands here
        """Nothing to answer."""
        return b""


class Vl53l1x:
    """VL53L1X after ST's guide: byte registers of 16-bit addresses; ranges ten times a second once started."""

    addresses = (0x29,)

    def __init__(self, world: World) -> None:
        self._world = world
        self.power_cycle()

    def power_cycle(self) -> None:
        """Forget everything, as after a dip of the supply."""
        self.registers = {0x010F: 0xEA, 0x0110: 0xCC, 0x0111: 0x10}
        self._pointer = 0
        self._ranged_s = 0.0

    def write(self, address: int, data: bytes) -> None:  # noqa: ARG002 - it has one address
        """A register address, and values for it and those after."""
        self._pointer = int.from_bytes(data[:2])
        for i, value in enumerate(data[2:]):
            self.registers[self._pointer + i] = value
        if self._pointer == 0x0086 and data[2:3] == b"\x01":  # noqa: PLR2004 - interrupt clear
            self.registers[0x0031] = 1 - self._ready_level()

    def read(self, address: int, count: int) -> bytes:  # noqa: ARG002 - it has one address
        """Registers from the address on."""
        self._range()
        return bytes(self.registers.get(self._pointer + i, 0) for i in range(count))

    def _ready_level(self) -> int:
        return 0 if self.registers.get(0x0030, 0) & 0x10 else 1

    def _range(self) -> None:
        now_s = time.monotonic()
        if self.registers.get(0x0087) != 0x40 or now_s - self._ranged_s < 0.1:  # noqa: PLR2004 - started, ten a second
            return
        self._ranged_s = now_s
        distance = round(self._world.distance_mm)
        self.registers[0x0089] = 0x09 if distance < FARTHEST_MM / 2 else 0x04
        self.registers[0x0096], self.registers[0x0097] = distance >> 8 & 0xFF, distance & 0xFF
        self.registers[0x0031] = self._ready_level()


class Vl53l0x:
    """VL53L0X as ST's API uses it: byte registers, one measurement per command, 30 ms each, status 11 when
    valid.
    """

    addresses = (0x29,)

    def __init__(self, world: World) -> None:
        self._world = world
        self.power_cycle()

    def power_cycle(self) -> None:
        """Forget everything, as after a dip of the supply."""
        self.registers = {0xC0: 0xEE, 0x91: 0x3C}
        self._pointer = 0
        self._due_s = float("inf")

    def write(self, address: int, data: bytes) -> None:  # noqa: ARG002 - it has one address
        """A register address, and a value."""
        self._pointer = data[0]
        if len(data) == 1:
            return
        on_page = self.registers.get(0xFF) == 1
        self.registers[self._pointer] = data[1]
        if self._pointer == 0x00 and data[1] & 1 and not on_page:
            self._due_s = time.monotonic() + 0.03
        if self._pointer == 0x0B:  # noqa: PLR2004 - interrupt clear
            self.registers[0x13] = 0

    def read(self, address: int, count: int) -> bytes:  # noqa: ARG002 - it has one address
        """Registers from the address on."""
        if time.monotonic() >= self._due_s:
            self._due_s = float("inf")
            distance = round(self._world.distance_mm)
            is_near = distance < FARTHEST_MM / 2
            self.registers[0x14] = (11 if is_near else 4) << 3 | 1
            shown = distance if is_near else 8190
            self.registers[0x1E], self.registers[0x1F], self.registers[0x13] = shown >> 8, shown & 0xFF, 0x04
        return bytes(self.registers.get(self._pointer + i, 0) for i in range(count))

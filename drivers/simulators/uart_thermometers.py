"""Serial thermometer boards, from their manuals."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivers.simulators.world import World


class GyMcu90615:
    """GY-MCU90615/90614 after GY-MCU90615.pdf: big-endian hundredths, sum over all that goes before.

    Speaks about 14 times a second in continuous mode (order A5 45 EA, the state after power-up), or once per query
    (A5 15 BA). `tail`: the tenth byte of the boards that send their module id.
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

    def hear(self, data: bytes) -> bytes:
        """Orders: continuous, or a single query."""
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

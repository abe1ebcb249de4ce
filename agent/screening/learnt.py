"""From whom a baseline has learnt lately, in a fixed amount of memory. Pure; time is an argument.

A Bloom filter for each quarter of the time (Bloom 1970): it never forgets a key that was added, and takes at most 3
in 100 others for one, when all quarters are full. Who is taken for somebody else is not learnt from, which harms
nobody.
"""

from __future__ import annotations

from dataclasses import field

from agent.model.lazy import dataclass

MOST = 12_500
"""Keys in a quarter of the time; with more nobody is new, so that the share of mistakes stays."""
QUARTERS = 4
_BYTES = 1 << 14
_BITS = _BYTES * 8
_PLACES = 7
"""Bits of a key: with 10.5 bits for each of `MOST` keys seven make the fewest mistakes, 0.7 %."""


@dataclass(slots=True)
class _Quarter:
    """The keys that were added in a quarter of the time, from `since_s` on."""

    since_s: float
    count: int = 0
    bits: bytearray = field(default_factory=lambda: bytearray(_BYTES))

    def has(self, places: list[tuple[int, int]]) -> bool:
        return all(self.bits[at] & bit for at, bit in places)

    def add(self, places: list[tuple[int, int]]) -> None:
        self.count += 1
        for at, bit in places:
            self.bits[at] |= bit


class RecentlyLearnt:
    """Keys of the last `window_s` seconds, and of up to a quarter longer. Owned by one thread."""

    def __init__(self, window_s: float) -> None:
        self._window_s, self._quarter_s = window_s, window_s / QUARTERS
        self._quarters: list[_Quarter] = []

    def is_new(self, key: int, at_s: float) -> bool:
        """Whether the key (of 64 bits, spread evenly, such as `hash` of bytes) was not added within `window_s`
        before `at_s` (monotonic); from now on it was.
        """
        self.expire(at_s)
        places = _places(key)
        if any(quarter.has(places) for quarter in self._quarters):
            return False
        if not self._quarters or at_s - self._quarters[-1].since_s >= self._quarter_s:
            self._quarters.append(_Quarter(at_s))
        newest = self._quarters[-1]
        if newest.count >= MOST:
            return False
        newest.add(places)
        return True

    def expire(self, at_s: float) -> None:
        """Let go of the quarters of which every key was added too long ago."""
        while self._quarters and at_s - self._quarters[0].since_s >= self._window_s + self._quarter_s:
            del self._quarters[0]


def _places(key: int) -> list[tuple[int, int]]:
    """Byte and bit of each place of a key: double hashing (Kirsch and Mitzenmacher 2006)."""
    first, step = key & 0xFFFF_FFFF, key >> 32 & 0xFFFF_FFFF | 1
    bits = ((first + turn * step) % _BITS for turn in range(_PLACES))
    return [(bit >> 3, 1 << (bit & 7)) for bit in bits]

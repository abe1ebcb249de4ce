"""What a single bit does that has turned over."""

from __future__ import annotations

from collections.abc import Iterator


def flipped(data: bytes, every: int = 7) -> Iterator[bytes]:
    """`data` with one bit turned over; by default in each byte one or two, not always the same ones."""
    for bit in range(0, 8 * len(data), every):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)

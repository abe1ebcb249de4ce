"""What was freed does not stay with the process."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from agent.pulse import heap

PIECE, PIECES = 2000, 40_000


def held_kb() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library has no malloc_trim")
def test_holes_are_given_back():
    pieces = [bytes(PIECE) for _ in range(PIECES)]
    full = held_kb()
    del pieces[: PIECES - 1]  # the last one keeps the heap from shrinking by itself
    assert heap.give_back()
    assert full - held_kb() > PIECE * PIECES / 1024 * 0.8

"""What was freed does not stay with the process."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.platform import malloc

PIECE, PIECES = 2000, 40_000

LARGE = 4 << 20
AFTER_A_LARGER_ONE = f"""
import ctypes
from agent.platform import malloc
{{}}
library = ctypes.CDLL(None)
library.malloc.restype = library.sbrk.restype = ctypes.c_void_p
library.free.argtypes = [ctypes.c_void_p]
library.free(library.malloc({2 * LARGE}))
end = library.sbrk(0)
library.malloc({LARGE})
print(library.sbrk(0) - end)
"""
"""A picture that is let go of, then a smaller one: by how much the heap has grown."""


def held_kb() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library has no malloc_trim")
def test_holes_are_given_back():
    pieces = [bytes(PIECE) for _ in range(PIECES)]
    full = held_kb()
    del pieces[: PIECES - 1]  # the last one keeps the heap from shrinking by itself
    assert malloc.give_back()
    assert full - held_kb() > PIECE * PIECES / 1024 * 0.8


IN_A_PROCESS_STARTED_FROM_THERE = """
import subprocess, sys
from agent.platform import malloc
malloc.set_up()
subprocess.run([sys.executable, "-c", {!r}], check=True)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="this C library has no mallopt")
@pytest.mark.parametrize(
    ("script", "grows"),
    [
        (AFTER_A_LARGER_ONE.format(""), True),
        (AFTER_A_LARGER_ONE.format("malloc.set_up()"), False),
        (IN_A_PROCESS_STARTED_FROM_THERE.format(AFTER_A_LARGER_ONE.format("")), False),
    ],
)
def test_large_pictures_stay_out_of_the_heap(script, grows):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=clean)
    assert (int(done.stdout) > LARGE // 2) == grows  # what was free at the end of the heap is used first

"""Give freed memory back to the kernel.

Pictures of every size come and go in the threads of cameras, and leave holes between what stays. Left to itself,
the C library raises the size from which it takes memory straight from the kernel up to 32 MB, lays pictures into a
heap for each thread, and keeps the holes: 12 MB of them, and more each hour. Source: mallopt(3), malloc_trim(3).
"""

from __future__ import annotations

import ctypes
import os

EVERY_S = 60.0
_LARGE_BYTES = 1 << 20
"""Taken from the kernel and given back at once; smaller pictures are cheaper in the heap."""
_HEAPS = 2
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_library = ctypes.CDLL(None)


def set_up() -> None:
    """Few heaps, and nothing large in them: here, and in the processes that are started from here, where cameras
    are read. Before there are threads. Other C libraries have no such call.
    """
    if hasattr(_library, "mallopt"):
        _library.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        _library.mallopt(_M_ARENA_MAX, _HEAPS)
    os.environ |= {"MALLOC_MMAP_THRESHOLD_": str(_LARGE_BYTES), "MALLOC_ARENA_MAX": str(_HEAPS)}


def give_back() -> bool:
    """Give whole free pages back, of all threads; whether there were any."""
    return hasattr(_library, "malloc_trim") and bool(_library.malloc_trim(0))

"""Freed memory, given back to the kernel.

Pictures of every size come and go in a camera's thread, and leave holes between what stays: the C library keeps
them, and over hours the process grows although it holds no more. Source: malloc_trim(3), glibc 2.8 and later.
"""

from __future__ import annotations

import ctypes

EVERY_S = 60.0
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> bool:
    """Give whole free pages back, of all threads; whether there were any. Other C libraries have no such call."""
    return _trim is not None and bool(_trim(0))

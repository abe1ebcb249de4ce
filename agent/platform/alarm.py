"""A moment at which one thread is woken, set by any other: a Linux timerfd.

Who sets it wakes nobody yet, and need not hand over the interpreter: the kernel wakes the thread at the moment
itself. Python has the calls from 3.13 on; until then they are the C library's. Source: timerfd_create(2).
"""

from __future__ import annotations

import ctypes
import os
import select
import time
from contextlib import suppress
from functools import lru_cache
from typing import Any

_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK
_library = ctypes.PyDLL(None, use_errno=True)
"""Its calls keep the interpreter: none of those made here can wait."""


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Time), ("value", _Time))


@lru_cache(maxsize=8)
def _once_in(seconds: float) -> Any:
    """What the kernel is given to ring once, so many seconds from now. It only reads it: one serves all threads."""
    whole = int(seconds)
    value = _Time(whole, max(1, int((seconds - whole) * 1e9)))
    return ctypes.byref(_Setting(_Time(0, 0), value))


class Alarm:
    """One thread waits; any thread sets."""

    def __init__(self) -> None:
        """Raises OSError where the kernel has no more of them."""
        self._fd = _library.timerfd_create(time.CLOCK_MONOTONIC, _FLAGS)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._rings = select.epoll()
        self._rings.register(self._fd, select.EPOLLIN | select.EPOLLET)  # by edges: each ring is told once

    def __del__(self) -> None:
        with suppress(OSError):
            os.close(self._fd)

    def set(self, seconds: float) -> None:
        """Ring once, so many seconds from now; at once for 0. Takes the place of a moment set before."""
        _library.timerfd_settime(self._fd, 0, _once_in(seconds), None)

    def wait(self, limit_s: float) -> bool:
        """Until it rings, at most so long; whether it did. It is not set afterwards."""
        return bool(self._rings.poll(limit_s))

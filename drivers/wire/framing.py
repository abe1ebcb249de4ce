"""Bytes into frames: pure, no reading, no clock.

A step function looks at the bytes pending and says how many of them are spent and what they were. It may say
"more please" (nothing spent); it must never need to see how the bytes were split.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
Step: TypeAlias = "Callable[[bytearray], tuple[int, T | None]]"
"""Bytes pending → (bytes spent, frame or None); (0, None) asks for more."""


LONGEST_FRAME = 4096
"""Bytes, more than any frame has here: what is pending beyond them is junk, whatever the step function hopes."""


class Framer(Generic[T]):
    """Feeds a step function and counts what it threw away."""

    def __init__(self, step: Step[T]) -> None:
        self.junk = 0
        """Bytes since the last frame that belonged to none."""
        self._step = step
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[T]:
        """The frames that `data` completes, in order."""
        self._pending += data
        while self._pending:
            spent, frame = self._step(self._pending)
            if not spent:
                if len(self._pending) > LONGEST_FRAME:
                    self.forget()
                return
            del self._pending[:spent]
            if frame is None:
                self.junk += spent
            else:
                self.junk = 0
                yield frame

    def forget(self) -> None:
        """Drop what is pending as junk."""
        self.junk += len(self._pending)
        self._pending.clear()

    def clear(self) -> None:
        """Start again."""
        self._pending.clear()
        self.junk = 0


class EchoFilter(Generic[T]):
    """A step function that is never given an echo: an RS-485 adapter may hear what it sends itself, and the
    question must not pass for the device's answer. No device answers with the very bytes of its question.
    """

    def __init__(self, step: Step[T], sent: Iterable[bytes]) -> None:
        """`sent`: all that is ever sent to the device."""
        self.heard = 0
        """Bytes of echo since the start, or since it was set to zero."""
        self._step = step
        self._sent = [each for each in sent if each]

    def __call__(self, pending: bytearray) -> tuple[int, T | None]:
        """Bytes pending → bytes spent and frame, as `step`; an echo is spent and is no frame."""
        for sent in self._sent:
            if pending.startswith(sent):
                self.heard += len(sent)
                return len(sent), None
        if any(sent.startswith(pending) for sent in self._sent):
            return 0, None
        return self._step(pending)


def before(pending: bytearray, header: bytes) -> int:
    """How many leading bytes of `pending` cannot belong to a frame that starts with `header`."""
    at = pending.find(header)
    if at >= 0:
        return at
    for kept in range(min(len(header) - 1, len(pending)), 0, -1):
        if pending.endswith(header[:kept]):
            return len(pending) - kept
    return len(pending)


def sum8(data: bytes | bytearray) -> int:
    """The low byte of the sum of all bytes."""
    return sum(data) & 0xFF


def signed16(high: int, low: int) -> int:
    """Two bytes as a two's complement number."""
    value = high << 8 | low
    return value - 0x10000 if value & 0x8000 else value


def crc16_xmodem(data: bytes | bytearray) -> int:
    """CRC-16/XMODEM: polynomial 0x1021, initial value 0, most significant bit first."""
    return binascii.crc_hqx(data, 0)

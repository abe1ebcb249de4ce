"""A number that only rises, in a small file beside another file: it shows that the other is gone, or is an older
copy.

It is written after what it counts, and not made durable: it may lag, and is never ahead of what is kept.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from agent.platform.files import MOST_TEXT_BYTES, hand_over, read_bytes

if TYPE_CHECKING:
    from pathlib import Path

_DIGITS = 20
_MODE = 0o600
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class HighWater:
    """The mark of one file."""

    def __init__(self, file: Path) -> None:
        """`file`: the one that is counted."""
        self.path = file.with_name(file.name + ".known")

    def read(self) -> int | None:
        """What it says; None: there was never any. An empty one, as earlier releases made it, says 0. Raises
        ValueError when it is damaged, OSError.
        """
        try:
            text = read_bytes(self.path, MOST_TEXT_BYTES)
        except FileNotFoundError:
            return None
        if text and not (len(text) == _DIGITS + 1 and text[:-1].isdigit()):
            raise ValueError(f"{self.path} is damaged")
        return int(text or b"0")

    def write(self, count: int) -> None:
        """Say so from now on, if the disk can take it: what is counted is kept all the same."""
        with suppress(OSError):
            descriptor = os.open(self.path, _FLAGS, _MODE)
            try:
                hand_over(descriptor, self.path.parent, _MODE)
                os.pwrite(descriptor, b"%0*d\n" % (_DIGITS, count), 0)
            finally:
                os.close(descriptor)

"""What a command prints: text of devices and of the network has nothing in it that a terminal would obey.

A device's name, a broker's reason, a sentence of the running agent: each may hold escape sequences that clear the
screen, rename the window or type. So what is printed goes through one stream that shows a mark in their place; what
a command draws itself, as `camera` does, goes by `draw`.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, cast

from drivers.contract import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

_LAYOUT = "\n\t"


class Printable:
    """A text stream that writes what can be shown; all else is as the stream below does it."""

    def __init__(self, below: TextIO) -> None:
        self.below = below

    def write(self, text: str) -> int:
        """Write `text`, each control character but line ends and tabs replaced."""
        return self.below.write(printable(text, _LAYOUT))

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)


@contextlib.contextmanager
def printable_only() -> Iterator[None]:
    """Inside, what is printed has nothing in it that a terminal would obey."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", Printable(each)) for each in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def draw(text: str) -> None:
    """Write `text` as it is: what this program has made itself for the terminal."""
    below: TextIO = getattr(sys.stdout, "below", sys.stdout)
    below.write(text)

"""Safe output: control characters in texts of devices and of the network do not reach the terminal.

A device's name, a broker's reason, a sentence of the running agent: each may hold escape sequences that clear the
screen, rename the window or type. So what is printed goes through one stream that shows a mark in their place; what
a command draws itself, as `camera` does, goes by `draw`.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, Any, cast

from drivers.contract import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

_LAYOUT = "\n\t"
_SPELT = {
    "✓": "+",
    "✗": "x",
    "·": "-",
    "…": "...",
    "–": "-",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "±": "+/-",
    "×": "x",
    "°": " deg ",
    "²": "2",
    "µ": "u",
}
"""For a terminal or a file that has not all letters; any other letter becomes its number, \\uXXXX."""


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


class ClosedOutput(io.TextIOBase):
    """In place of an output that was closed before we began (`>&-`): nothing can be written there."""

    def write(self, _text: str) -> int:
        """Raise OSError."""
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def stand_in_for_closed() -> None:
    """Put something in place of each stream that is closed: input ends at once, errors go nowhere."""
    sys.stdin = sys.stdin or io.TextIOWrapper(io.BytesIO())
    sys.stdout = sys.stdout or cast("TextIO", ClosedOutput())
    sys.stderr = sys.stderr or io.StringIO()


def has_reader_left() -> bool:
    """Whether nobody reads any more what is printed: the other end of a pipe is closed."""
    outputs = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            outputs.register(stream.fileno(), 0)
    return bool(outputs.poll(0))


def complain(sentence: str) -> None:
    """Tell on standard error what ends a command, if that can be written."""
    with contextlib.suppress(OSError), printable_only():
        print(sentence, file=sys.stderr)


def let_go() -> None:
    """Drop what an output does not take: the interpreter would try it again as it ends, and complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def spell_out() -> None:
    """From now on print what the terminal's encoding lacks (`LC_ALL=C`, Latin-1) in letters that it has."""
    codecs.register_error("spelt", _spelt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and codecs.lookup(stream.encoding).name != "utf-8":
            stream.reconfigure(errors="spelt")


def _spelt(error: UnicodeError) -> tuple[str, int]:
    """A handler of encoding errors, as `codecs.register_error` wants it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    spelt = "".join(_SPELT.get(each) or each.encode("ascii", "backslashreplace").decode() for each in lacking)
    return spelt, error.end


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

"""One line per event: a sentence for a terminal, JSON for the journal. No code text, no identity."""

from __future__ import annotations

import json
import logging
import os
import select
import sys
import threading
import time
import traceback
from collections import deque
from typing import TYPE_CHECKING, Any

from agent.events.kinds import kind_of, name_of
from agent.model import Outcome
from drivers.contract import plain, printable, without_secrets

if TYPE_CHECKING:
    from agent.model import Event

log = logging.getLogger("gatepost")

_MOST_RECENT, _LONGEST_LINE = 100, 300
_PIECE_BYTES = select.PIPE_BUF
"""What is writable takes so much without a wait."""
_PATIENCE_MS = 100
MARKS = {
    Outcome.ADMIT: ("✓", "32"),
    Outcome.ADMIT_WITH_NOTICE: ("✓!", "36"),
    Outcome.REFER: ("?", "33"),
    Outcome.REFUSE: ("✗", "31"),
}
"""Shape and ANSI colour; the word always stands beside them."""


def log_event(event: Event) -> None:
    """Log one event at INFO; a device that went down, a command that was not done and the like: WARNING."""
    level = logging.WARNING if kind_of(event.body).is_warning(event.body) else logging.INFO
    log.log(level, format_event(event), extra={"facts": event_fields(event)})


def format_event(event: Event) -> str:
    """The event in words, one line."""
    return kind_of(event.body).sentence(event.body) + (" [simulated]" if event.body.simulated else "")


def event_fields(event: Event) -> dict[str, Any]:
    """The event as flat fields for the journal."""
    return {"event": name_of(event.body), **kind_of(event.body).fields(event.body)}


def configure(level: str) -> None:
    """Send the agent's log to standard error: sentences to a terminal, JSON lines to anything else."""
    handler = _Standard()
    handler.setFormatter(_Sentences() if sys.stderr.isatty() else _Json())
    logging.basicConfig(level=level.upper(), handlers=[handler, _RECENT], force=True)


def install_excepthooks() -> None:
    """Tell also of what nobody caught, in a thread or anywhere, as the log does: Python's own words could hold a
    piece of a code.
    """
    sys.excepthook = lambda _kind, error, _trace: _log_exception("the agent", error)
    sys.unraisablehook = lambda fallen: _log_exception("letting go of something", fallen.exc_value)
    threading.excepthook = lambda fallen: _log_exception(
        f"the thread {getattr(fallen.thread, 'name', '')}", fallen.exc_value
    )


def _log_exception(where: str, error: BaseException | None) -> None:
    if error is not None and not isinstance(error, SystemExit):
        log.critical("an internal error, in %s", where, exc_info=error)


def recent() -> list[str]:
    """The latest lines of the log, the oldest first, for the central server, which cannot read the journal."""
    return list(_RECENT.lines)


class _Recent(logging.Handler):
    """Keeps the latest lines in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=_MOST_RECENT)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line; without a traceback, which may be long."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        self.lines.append(f"{at} {record.levelname.lower()} {plain(record.getMessage())[:_LONGEST_LINE]}")


_RECENT = _Recent()


class _Standard(logging.Handler):
    """Writes to standard error, and leaves a line out rather than wait for a reader that stands still: a journal
    whose disk hangs must not hold up the loop. Says how many were left out.
    """

    def __init__(self, descriptor: int = 2) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._writable = select.poll()
        self._writable.register(descriptor, select.POLLOUT)
        self._left_out = 0
        self._is_cut = False
        """The line before was not written to its end."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, unless nobody takes it."""
        try:
            line = self.format(record) + "\n"
        except Exception:  # noqa: BLE001 - as every handler does
            self.handleError(record)
            return
        if self._left_out:
            words = f"{self._left_out} lines of the log were left out: nobody took them"
            told = logging.LogRecord(__name__, logging.WARNING, "", 0, words, None, None)
            if not self._write(self.format(told) + "\n"):
                self._left_out += 1
                return
            self._left_out = 0
        if not self._write(line):
            self._left_out = 1

    def _write(self, line: str) -> bool:
        """Whether all of it was taken. A reader that is late is waited for, but not twice."""
        data = b"\n" * self._is_cut + line.encode("utf-8", "backslashreplace")
        rest, limit_ms = data, 0 if self._left_out else _PATIENCE_MS
        try:
            while rest and self._writable.poll(limit_ms):
                rest = rest[os.write(self._descriptor, rest[:_PIECE_BYTES]) :]
        except OSError:
            pass  # nobody is there any more
        self._is_cut = len(rest) not in (0, len(data)) or (self._is_cut and len(rest) == len(data))
        return not rest


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "message": printable(without_secrets(record.getMessage()), keep="\n"),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["traceback"] = _trace(record.exc_info[1])
        return printable(json.dumps(line, ensure_ascii=False))


class _Sentences(logging.Formatter):
    """Time, mark and sentence."""

    def format(self, record: logging.LogRecord) -> str:
        decision: Any = getattr(record, "facts", {}).get("decision")
        mark, colour = MARKS.get(decision, ("!" if record.levelno >= logging.WARNING else "·", "0"))
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        line = f"{at} \x1b[{colour}m{mark:<2}\x1b[0m {plain(record.getMessage())}"
        return f"{line}\n{_trace(record.exc_info[1])}" if record.exc_info else line


def _trace(error: BaseException | None) -> str:
    """Where it happened and of what kind, innermost cause first. Not what it says, which could be a piece of a
    code: only the system's own words are none.
    """
    if error is None:
        return ""
    before = _trace(error.__cause__ or (None if error.__suppress_context__ else error.__context__))
    words = f": {error.strerror}" if isinstance(error, OSError) else ""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{before}\n{frames}{type(error).__name__}{words}".lstrip("\n")

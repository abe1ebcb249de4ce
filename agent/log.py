"""One line per event: a sentence for a terminal, JSON for the journal. No code text, no identity."""

from __future__ import annotations

import json
import logging
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
    handler = logging.StreamHandler()
    handler.setFormatter(_Sentences() if sys.stderr.isatty() else _Json())
    logging.basicConfig(level=level.upper(), handlers=[handler, _RECENT], force=True)


def install_excepthooks() -> None:
    """Tell also of what nobody caught, in a thread or anywhere, as the log does: Python's own words could hold a
    piece of a code.
    """
    sys.excepthook = lambda _kind, error, _trace: _format_exception("the agent", error)
    sys.unraisablehook = lambda fallen: _format_exception("letting go of something", fallen.exc_value)
    threading.excepthook = lambda fallen: _format_exception(
        f"the thread {getattr(fallen.thread, 'name', '')}", fallen.exc_value
    )


def _format_exception(where: str, error: BaseException | None) -> None:
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

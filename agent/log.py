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

from agent.model import (
    AgentChange,
    AttestationRecord,
    CommandResult,
    CommandStatus,
    DeviceChange,
    Loss,
    Outcome,
    Passage,
    Report,
)
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
    match event.body:
        case DeviceChange(up=False):
            level = logging.WARNING
        case AgentChange(
            type="config_rejected" | "config_rolled_back" | "release_rejected" | "release_rolled_back" | "safe_mode"
        ):
            level = logging.WARNING
        case CommandResult(status=outcome) if outcome is not CommandStatus.SUCCEEDED:
            level = logging.WARNING
        case _:
            level = logging.INFO
    log.log(level, format_event(event), extra={"facts": event_fields(event)})


def format_event(event: Event) -> str:  # noqa: PLR0911 - one for each kind
    """The event in words, one line."""
    match event.body:
        case Passage() as passage:
            outcome = passage.decision.outcome.upper()
            case = f" – case {passage.venue.case}" if passage.venue is not None and passage.venue.case else ""
            return f"{passage.lane}: {outcome} – {_why(passage)}{case}{_simulated(passage.simulated)}"
        case DeviceChange() as change:
            state = "up" if change.up else f"DOWN: {change.error}"
            return f"{change.lane}: {change.role} {change.driver} {state}{_simulated(change.simulated)}"
        case AgentChange() as change:
            word = "knows the time" if change.type == "clock_synchronised" else change.type
            config = f" {change.config_version}" if change.config_version else ""
            why = f": {change.detail}" if change.detail else ""
            return f"agent {change.version} {word}{config}{why}{_simulated(change.simulated)}"
        case CommandResult() as reply:
            what = f"command {reply.command}" if reply.command_id else f"bundle {_bundle(reply)}"
            why = f": {reply.reason}" if reply.reason else ""
            again = " (said again)" if reply.duplicate else ""
            return f"{what}: {reply.status}{why}{again}{_simulated(reply.simulated)}"
        case AttestationRecord() as stated:
            about = " ".join(filter(None, (stated.lane, stated.case and f"case {stated.case}", stated.group)))
            value = stated.value or stated.form
            return f"{about or 'venue'}: staff state {stated.type} {value}{_simulated(stated.simulated)}"
        case Report() as report:
            return f"{_report(report)}{_simulated(report.simulated)}"
        case Loss() as loss:
            return f"{loss.count} events lost: {loss.reason}"


def event_fields(event: Event) -> dict[str, Any]:  # noqa: PLR0911 - one for each kind
    """The event as flat fields for the journal."""
    match event.body:
        case Passage() as passage:
            return {
                "event": "passage",
                "lane": passage.lane,
                "direction": passage.direction,
                "decision": passage.decision.outcome,
                "gate_opened": passage.gate_opened,
                **(_details(passage) if passage.redacted is None else {}),
                "duration_ms": round(1000 * (passage.decided_s - passage.began_s)),
                "simulated": passage.simulated,
            }
        case DeviceChange() as change:
            return {
                "event": "device",
                "lane": change.lane,
                "role": change.role,
                "driver": change.driver,
                "up": change.up,
                "simulated": change.simulated,
            }
        case AgentChange() as change:
            return {"event": "agent", "type": change.type, "version": change.version}
        case CommandResult() as reply:
            return {
                "event": "command_result",
                "command": reply.command,
                "status": reply.status,
                "reason": reply.reason,
            }
        case AttestationRecord() as stated:
            return {"event": "attestation", "type": stated.type, "lane": stated.lane, "case": stated.case}
        case Report() as report:
            return {"event": "report", "type": report.type, "name": report.name, "day": report.day}
        case Loss() as loss:
            return {"event": "loss", "count": loss.count, "reason": loss.reason}


def _report(report: Report) -> str:
    day = report.day or "a day without a date"
    if report.type == "round":
        expected = "" if report.expected is None else f" of {report.expected}"
        unmeasured = f", {report.unmeasured} here without a measurement" if report.unmeasured else ""
        absent = "" if report.absent is None else f", {report.absent} absent ({report.absent_ill} ill)"
        return f"report: round {report.name} of {day}: {report.checked}{expected} checked{unmeasured}{absent}"
    unanswered = report.cases.get("unanswered")
    return (
        f"report: day {day}: {report.came} came, {report.left} left, {report.inside} inside, "
        f"{report.cases.get('opened')} cases, {unanswered} unanswered"
    )


def _details(passage: Passage) -> dict[str, Any]:
    code, temperature = passage.verdict, passage.temperature
    return {
        "reasons": passage.decision.reasons,
        "rule": passage.decision.rule,
        "credential": None if code is None else code.status,
        "colour": None if code is None else code.colour,
        "screening": temperature.outcome,
        "surface_c": temperature.surface_c,
        "uncertainty_c": temperature.uncertainty_c,
        "threshold_c": temperature.threshold_c,
        "basis": temperature.basis,
    }


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


def _bundle(reply: CommandResult) -> str:
    told = reply.result or {}
    return " ".join(str(told[key]) for key in ("type", "name", "version") if told.get(key))


def _why(passage: Passage) -> str:
    if passage.redacted is not None:
        return "details withheld"
    code = passage.verdict
    what = "no code" if code is None else f"{code.colour or ''} code {code.status}".strip()
    return f"{what}, {_temperature(passage)} – {', '.join(passage.decision.reasons)}"


def _temperature(passage: Passage) -> str:
    temperature = passage.temperature
    celsius = temperature.estimate_c if temperature.surface_c is None else temperature.surface_c
    if celsius is None:
        return str(temperature.outcome)
    return f"{celsius:.1f} ± {temperature.uncertainty_c:.1f} °C {temperature.outcome}"


def _simulated(simulated: bool) -> str:
    return " [simulated]" if simulated else ""

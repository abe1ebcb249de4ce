"""The commands that the central server may send: one file each, found by itself.

A file has the name of its command. `SPEC` names the arguments; `run` carries the command out, with the functions of
`CommandTarget`.
"""

from __future__ import annotations

import importlib
import pkgutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from agent.model import (
    Attestation,
    AttestationResult,
    CommandStatus,
    LaneCommand,
    LaneCommandRequest,
    LaneCommandResult,
    Observation,
    Role,
)
from agent.model.lazy import dataclass
from agent.model.reasons import CommandReason

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from agent.model import RemeasureResult

    Arguments = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """What may be commanded."""

    needs: frozenset[str] = frozenset()
    may: frozenset[str] = frozenset()
    """Arguments that can be left out."""
    harmless: bool = False
    """May be addressed to many, and done although it cannot be remembered."""
    dated: bool = False
    """It tells what was so when it was issued: it gets that time as the argument `ISSUED_AT`."""


@dataclass(frozen=True, slots=True)
class CommandOutput:
    """A command was carried out."""

    result: Mapping[str, object] | None = None
    simulated: bool = False
    then: Callable[[], None] | None = None
    """What is to happen after the answer was told: the end of the agent, for example."""


class CommandFailed(Exception):
    """A command, or a bundle, was understood and could not be put into effect."""

    def __init__(
        self, reason: CommandReason, *, outcome: CommandStatus = CommandStatus.FAILED, simulated: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason, self.outcome, self.simulated = reason, outcome, simulated


ISSUED_AT = "issued_at"
_MOST_DIGITS = 10


class CommandTarget(Protocol):
    """What a command may do. Each raises CommandFailed when it cannot be done."""

    @property
    def lanes(self) -> Collection[str]:
        """Names of the lanes."""

    def request(self, observation: Observation) -> LaneCommandResult | RemeasureResult | AttestationResult:
        """The loop's answer."""

    def age_s(self, issued_utc: float) -> float:
        """How long ago that was, at most."""

    def restart_agent(self, reason: str) -> None:
        """Restart the agent; returns at once."""

    def restart_devices(self, lane: str, role: str | None) -> list[str]:
        """Open devices of a lane again; which."""

    def leave_safe_mode(self) -> bool:
        """Whether it was in safe mode."""

    def report(self) -> dict[str, Any]:
        """How the kiosk is, as JSON has it."""

    def recent_log(self) -> list[str]:
        """The latest lines of the log."""

    def reload_rules(self) -> bool:
        """Whether anything was new."""

    def flush_events(self) -> int:
        """Write what waits to disk; how many events wait to be delivered."""

    def request_wipe(self, *, discard: bool) -> None:
        """Have root wipe this kiosk, once its events are delivered or, if they may be discarded, soon."""

    def venue_day(self) -> dict[str, Any] | None:
        """What the venue's day is like so far; None: this kiosk serves no venue, or the time is not known."""

    def certificate_request(self) -> str:
        """A request for a client certificate, PEM."""

    def install_certificate(self, certificate: str) -> str:
        """Try a client certificate (PEM), and keep it when the broker accepts it; when it ends."""


def request_lane_command(kiosk: CommandTarget, lane: str, command: LaneCommand, role: Role) -> CommandOutput:
    """Have the loop carry out a lane command. Raises CommandFailed."""
    if lane not in kiosk.lanes:
        raise CommandFailed(CommandReason.BAD_ARGUMENTS, outcome=CommandStatus.REJECTED)
    answer = kiosk.request(Observation(lane, role, LaneCommandRequest(time.monotonic(), command)))
    simulated = isinstance(answer, LaneCommandResult) and answer.simulated
    if isinstance(answer, LaneCommandResult) and answer.reason:
        raise CommandFailed(answer.reason, simulated=simulated)
    return CommandOutput({"lane": lane}, simulated=simulated)


def whole_number(text: str) -> int:
    """A number among the arguments. Raises CommandFailed."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        raise CommandFailed(CommandReason.BAD_ARGUMENTS, outcome=CommandStatus.REJECTED)
    return int(text)


def state_venue(
    kiosk: CommandTarget, what: str, value: str = "", *, number: int = 0, case: str = "", age_s: float = 0.0
) -> CommandOutput:
    """Have the venue's ledger take a statement of the central server, of so long ago. Raises CommandFailed."""
    stated = Attestation(time.monotonic() - age_s, what, value, number, case, by="central")
    answer = kiosk.request(Observation("", Role.CLINICAL, stated))
    if isinstance(answer, AttestationResult) and answer.reason is not None:
        same = {str(reason): reason for reason in CommandReason}
        reason = same.get(str(answer.reason), CommandReason.BAD_ARGUMENTS)
        raise CommandFailed(reason, outcome=CommandStatus.REJECTED)
    return CommandOutput()


def _find() -> dict[str, Any]:
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}


_FILES = _find()
COMMANDS: Mapping[str, CommandSpec] = {name: file.SPEC for name, file in _FILES.items()}


def run(command: str, kiosk: CommandTarget, arguments: Arguments) -> CommandOutput:
    """Carry a command out. Raises CommandFailed."""
    done: CommandOutput = _FILES[command].run(kiosk, arguments)
    return done


@dataclass(frozen=True, slots=True)
class Options:
    """Which commands this kiosk carries out, and where it remembers them."""

    allow: tuple[str, ...] = tuple(COMMANDS)
    """Commands that this kiosk carries out; they must be signed by keys of role `command` in the installed root."""
    journal_file: Path = Path("/var/lib/gatepost/command-journal.json")
    """The commands of the last days, so that none is carried out twice, also after a power cut."""

    def __post_init__(self) -> None:
        """Refuse commands that there are not."""
        if unknown := set(self.allow) - COMMANDS.keys():
            raise ValueError(
                f"allow: there is no command {', '.join(sorted(unknown))}; there are {', '.join(COMMANDS)}"
            )

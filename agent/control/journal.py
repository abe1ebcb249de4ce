"""The journal of commands: each is on disk before it is carried out, so that none is carried out twice.

One file, replaced whole: commands are rare. What is forgotten raises a limit below which no command counts any
more.
"""

from __future__ import annotations

import json
import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent.control.verification import AHEAD_S, LONGEST_LIFE_S, ProcessedCommand, ReplayGuard
from agent.model import ClockState, CommandResult, CommandStatus
from agent.model.lazy import dataclass
from agent.model.reasons import CommandReason
from agent.platform.kept_json import KeptJson, LostFile
from agent.platform.wipe import overwrite

if TYPE_CHECKING:
    from pathlib import Path

    from agent.control.verification import Command
    from agent.model import TimeBounds

log = logging.getLogger(__name__)

MOST = 256
MOST_RESULT = 2048
"""Bytes of a result that are kept; a longer one is said once."""


class CommandJournal:
    """The recent commands. Owned by one thread."""

    def __init__(self, path: Path) -> None:
        """`path` is read with `load`; its folder is made when it is written."""
        self._path = path
        self._seen: dict[str, ProcessedCommand] = {}
        self._expired_utc = 0.0
        self._issued_utc = 0.0
        self._unsure_utc = math.inf
        """The limit of this run by a clock that is not synchronised."""
        self._file = KeptJson(path)
        self.lost = ""
        """Why older commands are refused; empty when none was lost."""

    def load(self) -> None:
        """Read the file. One that cannot be read, is gone or is an older one has lost commands: then all that were
        issued until now are refused.
        """
        try:
            plain = self._file.read()
            if plain is None:
                return
            kept = _Kept(**plain)
            self._expired_utc, self._issued_utc = float(kept.expired), float(kept.issued)
            if not (math.isfinite(self._expired_utc) and self._issued_utc >= 0):
                raise ValueError("limits that cannot be")  # noqa: TRY301 - one way for all that is wrong with it
            self._seen = {id_: _known(id_, entry) for id_, entry in kept.commands.items()}
        except Exception as error:  # noqa: BLE001 - whatever a card has made of it
            why = str(error) if isinstance(error, LostFile) else f"{self._path} cannot be read"
            self.lost = f"{why}: commands that were issued before are refused"
            log.warning("commands: %s (%s)", self.lost, type(error).__name__)
            self._seen, self._expired_utc, self._issued_utc = {}, 0.0, math.inf

    def replay_guard(self, now: TimeBounds) -> ReplayGuard:
        """What is remembered. A limit in the far future is of a clock that was ahead as the file was lost. It comes
        down to a day from now, once: what was issued before the loss is older than that, also by a clock that
        somebody has set back by hours, as far as its floor lets him. A clock that is not synchronised may be days
        behind: what it says counts in this run, and only until the clock is.
        """
        is_known = math.isfinite(self._issued_utc)
        issued_utc = min(self._issued_utc, now.latest_utc + (LONGEST_LIFE_S if is_known else AHEAD_S))
        if now.state is not ClockState.SYNCED:
            self._unsure_utc = issued_utc = min(self._unsure_utc, issued_utc)
        elif issued_utc < self._issued_utc:
            self._issued_utc = issued_utc
            if is_known:
                self._save_limit()
        return ReplayGuard(self._seen, self._expired_utc, issued_utc)

    def _save_limit(self) -> None:
        """Else each start would take a day more."""
        try:
            self._save()
        except OSError as error:
            log.warning("commands: their limit cannot be kept: %s", error)

    def interrupted(self) -> list[CommandResult]:
        """Close the commands that were begun and never answered; what is to be said of them."""
        replies = [
            CommandResult(known.command, CommandStatus.UNKNOWN, CommandReason.INTERRUPTED, id_)
            for id_, known in self._seen.items()
            if known.reply is None
        ]
        for reply in replies:
            self._answer(reply)
        return replies

    def begin(self, command: Command, now: TimeBounds) -> None:
        """Remember `command`, durably. Raises OSError; it is remembered in memory all the same."""
        self._forget(now)
        self._seen[command.id] = ProcessedCommand(command.command, command.digest, command.expires_utc)
        self._save()

    def end(self, reply: CommandResult) -> None:
        """Remember what was answered. Raises OSError, as `begin`."""
        self._answer(reply)
        self._save()

    def _answer(self, reply: CommandResult) -> None:
        if reply.result is not None and len(json.dumps(reply.result)) > MOST_RESULT:
            reply = replace(reply, result=None)
        self._seen[reply.command_id] = replace(self._seen[reply.command_id], reply=reply)

    def _forget(self, now: TimeBounds) -> None:
        """Let go of what has expired for certain, and of what expires first when there are too many."""
        by_end = sorted(self._seen, key=lambda id_: self._seen[id_].expires_utc)
        for place, id_ in enumerate(by_end):
            expires_utc = self._seen[id_].expires_utc
            if expires_utc >= now.earliest_utc and len(by_end) - place < MOST:
                return
            self._expired_utc = max(self._expired_utc, expires_utc)
            del self._seen[id_]

    def forget_all(self, utc_s: float) -> None:
        """Start over: a copy of the command that ended this kiosk must not end the next one of its name. All are
        refused that were issued until `utc_s`, and, since that may be of a wrong clock, all that expire no later
        than those that were known. Raises OSError.
        """
        self._expired_utc = max(self._expired_utc, *(known.expires_utc for known in self._seen.values()), 0.0)
        self._issued_utc = max(self._issued_utc, utc_s)
        self._unsure_utc = math.inf
        self._seen = {}
        if self._path.exists():
            overwrite(self._path)
        self._save()

    def _save(self) -> None:
        kept = {
            "expired": self._expired_utc,
            "issued": self._issued_utc,
            "commands": {id_: _entry(known) for id_, known in self._seen.items()},
        }
        self._file.write(kept)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The file's members."""

    expired: float
    issued: float
    commands: dict[str, Any]


def _entry(known: ProcessedCommand) -> dict[str, Any]:
    reply = known.reply
    said = None if reply is None else [reply.status, reply.reason, reply.result, reply.simulated]
    return {"command": known.command, "digest": known.digest, "expires": known.expires_utc, "said": said}


def _known(id_: str, entry: dict[str, Any]) -> ProcessedCommand:
    known = ProcessedCommand(str(entry["command"]), str(entry["digest"]), float(entry["expires"]))
    if entry["said"] is None:
        return known
    outcome, reason, result, simulated = entry["said"]
    reply = CommandResult(
        known.command, CommandStatus(outcome), reason and CommandReason(reason), id_, result, simulated=simulated
    )
    return replace(known, reply=reply)

"""Verification of a command. Pure: earlier commands and the time are arguments.

A command is JSON in a DSSE envelope (`agent.crypto.dsse`) that keys of the role `command` have signed:

| member | meaning |
|---|---|
| id | the central server's own, 1 to 64 of letters, digits and `._:-`; used once |
| fleet | as in the root |
| target | `<site>/<kiosk>`; for harmless commands also `<site>/*`, `@<group>` and `*/*` |
| issued_at, expires_at | POSIX seconds, at most a day apart |
| command, arguments | one of COMMANDS, and its arguments: texts by name |

What is not signed as the root asks is a stranger's: it gets no answer. All else does, if its id can be read.
"""

from __future__ import annotations

import re
from dataclasses import field, replace
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from agent.commands import COMMANDS
from agent.credentials import bundle
from agent.credentials.bundle import BadBundle
from agent.crypto import strict_json
from agent.model import CommandResult, CommandStatus
from agent.model.bounds import COMMAND_ID, NAME
from agent.model.lazy import dataclass
from agent.model.reasons import CommandReason, Rejection

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.credentials.bundle import Root
    from agent.events import Topics
    from agent.model import TimeBounds

MAX_BYTES = 32_768
LONGEST_LIFE_S = 86_400
AHEAD_S = 60.0
"""How far the central server's clock may be ahead of this kiosk's."""
TARGET = re.compile(rf"{NAME}/(?:{NAME}|\*)|\*/\*|@{NAME}")
"""What a target looks like: `SITE/KIOSK`, `SITE/*`, `@GROUP`, `*/*`, of names that a kiosk can have."""
_ID = re.compile(COMMAND_ID)


class Ignored(StrEnum):
    """Why a message gets no answer; `Rejection` has more. For the log and `gatepost status` only."""

    NO_ROOT = "no_root"
    RATE_LIMITED = "rate_limited"
    """Too many answers lately that cost the sender nothing."""
    INTERNAL_ERROR = "internal_error"


class Unauthenticated(Exception):
    """What a stranger may have sent: it is counted, and nobody is told."""

    def __init__(self, fault: Rejection | Ignored) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Command:
    """A command that counts: signed, for this kiosk, in time, new, and understood."""

    id: str
    command: str
    arguments: Mapping[str, str]
    issued_utc: float
    expires_utc: float
    digest: str
    """SHA-256 of the signed members, hexadecimal."""

    def refused(self, reason: CommandReason) -> CommandResult:
        """The answer to it when it is not carried out."""
        return CommandResult(self.command, CommandStatus.REJECTED, reason, self.id)


@dataclass(frozen=True, slots=True)
class ProcessedCommand:
    """What is remembered of a command."""

    command: str
    digest: str
    expires_utc: float
    reply: CommandResult | None = None
    """None while it is carried out."""


@dataclass(frozen=True, slots=True)
class ReplayGuard:
    """What is remembered of all commands. One that fits neither `seen` nor the limits is new for certain."""

    seen: Mapping[str, ProcessedCommand] = field(default_factory=dict)
    """By id."""
    expired_utc: float = 0.0
    """All that expired until then are forgotten."""
    issued_utc: float = 0.0
    """All that were issued until then are forgotten."""


def verify_command(
    data: bytes, root: Root, here: Topics, past: ReplayGuard, obeyed: Collection[str], now: TimeBounds
) -> Command | CommandResult:
    """The command to carry out, or the answer to one that is refused or repeated. Raises Unauthenticated."""
    if len(data) > MAX_BYTES:
        raise Unauthenticated(Rejection.TOO_LARGE)
    try:
        members = bundle.verify_statement(data, root, "command", now)
    except BadBundle as error:
        raise Unauthenticated(error.fault) from None
    if isinstance(read := _command(members), CommandResult):
        return read
    command, target, fleet = read
    if fleet != root.bundle.fleet:
        return command.refused(CommandReason.WRONG_FLEET)
    if target not in here.targets:
        return command.refused(CommandReason.WRONG_TARGET)
    known = past.seen.get(command.id)
    if known is not None and known.digest == command.digest and known.reply is not None:
        return replace(known.reply, duplicate=True)
    reason = CommandReason.DUPLICATE_ID if known is not None else _why_not(command, target, past, obeyed, now)
    return command if reason is None else command.refused(reason)


def is_broadcast(target: str) -> bool:
    """Whether a target is more than one kiosk."""
    return target.endswith("/*") or "/" not in target


def check_validity(command: Command, now: TimeBounds) -> CommandReason | None:
    """Why the command does not count at this time; None when it does for certain."""
    if not 0 < command.expires_utc - command.issued_utc <= LONGEST_LIFE_S:
        return CommandReason.LIFETIME_TOO_LONG
    if command.expires_utc < now.earliest_utc:
        return CommandReason.EXPIRED
    if command.expires_utc < now.latest_utc:
        return CommandReason.TIME_UNKNOWN
    return CommandReason.ISSUED_IN_FUTURE if command.issued_utc > now.latest_utc + AHEAD_S else None


def _why_not(
    command: Command, target: str, past: ReplayGuard, obeyed: Collection[str], now: TimeBounds
) -> CommandReason | None:
    if (reason := check_validity(command, now)) is not None:
        return reason
    if command.expires_utc <= past.expired_utc or command.issued_utc <= past.issued_utc:
        return CommandReason.REPLAY_UNKNOWN
    spec = COMMANDS.get(command.command)
    if spec is None or command.command not in obeyed:
        return CommandReason.UNKNOWN_COMMAND if spec is None else CommandReason.COMMAND_DISABLED
    if is_broadcast(target) and not spec.harmless:
        return CommandReason.BROADCAST_NOT_ALLOWED
    if not spec.needs <= command.arguments.keys() <= spec.needs | spec.may:
        return CommandReason.BAD_ARGUMENTS
    return None


def _command(members: dict[str, Any]) -> tuple[Command, str, str] | CommandResult:
    """The command, its target and its fleet; or the answer to one that is malformed. Raises Unauthenticated when it
    has no id by which it could be answered.
    """
    match members:
        case {
            "id": str(id_),
            "fleet": str(fleet),
            "target": str(target),
            "issued_at": int(issued),
            "expires_at": int(expires),
            "command": str(command),
            "arguments": dict(arguments),
            **rest,
        } if (
            not rest
            and _ID.fullmatch(id_)
            and _ID.fullmatch(command)
            and all(isinstance(value, str) for value in arguments.values())
        ):
            digest = sha256(strict_json.canonical(members)).hexdigest()
            return Command(id_, command, arguments, issued, expires, digest), target, fleet
    own, name = members.get("id"), members.get("command")
    if not isinstance(own, str) or not _ID.fullmatch(own):
        raise Unauthenticated(Rejection.MALFORMED)
    shown = name if isinstance(name, str) and _ID.fullmatch(name) else ""
    return CommandResult(shown, CommandStatus.REJECTED, CommandReason.MALFORMED, own)

"""Whether an order counts. Pure: what was done before and what time it is are arguments.

An order is JSON in a signed envelope (`agent.credentials.bundle`, role `order`, context `gatepost-order-1`):

| member | meaning |
|---|---|
| id | the centre's own, 1 to 64 of letters, digits and `._:-`; used once |
| fleet | as in the root |
| to | `<site>/<kiosk>`; for harmless commands also `<site>/*` and `*/*` |
| issued, expires | POSIX seconds, at most a day apart |
| command, arguments | one of COMMANDS, and its arguments: texts by name |

What is not signed as the root asks, or not for this kiosk, is a stranger's: it gets no answer. All else does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from agent.credentials import bundle
from agent.credentials.bundle import BadBundle, Rejection
from agent.crypto import strict_json
from agent.model import CommandResult, CommandStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.credentials.bundle import Root
    from agent.events import Topics
    from agent.model import TimeBounds

MAX_BYTES = 32_768
LONGEST_LIFE_S = 86_400
AHEAD_S = 60.0
"""How far the centre's clock may be ahead of this kiosk's."""
_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class CommandReason(StrEnum):
    """Why an order was not carried out."""

    DUPLICATE_ID = "id_used"
    """Another order had this id."""
    LIFETIME_TOO_LONG = "too_long_a_life"
    """It would be valid for more than a day, or for no time at all."""
    EXPIRED = "expired"
    TIME_UNKNOWN = "time_unknown"
    """The kiosk does not know the time well enough to tell that it has not expired."""
    ISSUED_IN_FUTURE = "from_the_future"
    """It was issued more than a minute after now: a clock is wrong."""
    REPLAY_UNKNOWN = "forgotten"
    """The kiosk has lost its memory of older orders: it cannot tell whether this one was done. Send a new one."""
    UNKNOWN_COMMAND = "unknown_command"
    COMMAND_DISABLED = "not_obeyed"
    """This kiosk's `[orders] obey` leaves the command out."""
    BROADCAST_NOT_ALLOWED = "needs_one_kiosk"
    """Only harmless commands may be addressed to many."""
    BAD_ARGUMENTS = "bad_arguments"
    """One is missing, is not known, or names nothing that there is."""
    NOT_PERSISTED = "cannot_remember"
    """The disk fails: it could be done twice, so it is not done at all."""
    INTERRUPTED = "interrupted"
    """The agent was stopped, or lost power, in the midst of it."""
    INTERNAL_ERROR = "defect"
    """A fault of the agent; its log says more."""


class Unauthenticated(Exception):
    """What a stranger may have sent: it is counted, and nobody is told."""

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """What may be ordered."""

    needs: frozenset[str] = frozenset()
    may: frozenset[str] = frozenset()
    """Arguments that can be left out."""
    harmless: bool = False
    """May be addressed to many, and done although it cannot be remembered."""


COMMANDS: Mapping[str, CommandSpec] = {
    "open": CommandSpec(needs=frozenset({"lane"})),
    "retest": CommandSpec(needs=frozenset({"lane"})),
    "restart": CommandSpec(may=frozenset({"lane", "part"})),
    "rotate": CommandSpec(may=frozenset({"certificate"})),
    "diagnose": CommandSpec(harmless=True),
    "reload": CommandSpec(harmless=True),
    "flush": CommandSpec(harmless=True),
    "recover": CommandSpec(),
}


@dataclass(frozen=True, slots=True)
class Command:
    """An order that counts: signed, for this kiosk, in time, new, and understood."""

    id: str
    command: str
    arguments: Mapping[str, str]
    issued_utc: float
    expires_utc: float
    digest: str
    """SHA-256 of the signed members, hexadecimal."""

    def refused(self, reason: CommandReason) -> CommandResult:
        """The reply to it when it is not carried out."""
        return CommandResult(self.command, CommandStatus.REJECTED, reason, self.id)


@dataclass(frozen=True, slots=True)
class ProcessedCommand:
    """What is remembered of an order."""

    command: str
    digest: str
    expires_utc: float
    reply: CommandResult | None = None
    """None while it is carried out."""


@dataclass(frozen=True, slots=True)
class ReplayGuard:
    """What is remembered of all orders. An order that fits neither `seen` nor the limits is new for certain."""

    seen: Mapping[str, ProcessedCommand] = field(default_factory=dict)
    """By id."""
    expired_utc: float = 0.0
    """All that expired until then are forgotten."""
    issued_utc: float = 0.0
    """All that were issued until then are forgotten."""


def verify_command(
    data: bytes, root: Root, here: Topics, past: ReplayGuard, obeyed: Collection[str], now: TimeBounds
) -> Command | CommandResult:
    """The order to carry out, or what to say instead. Raises Junk."""
    if len(data) > MAX_BYTES:
        raise Unauthenticated(Rejection.TOO_LARGE)
    try:
        members = bundle.verify_statement(data, root, "order", now)
    except BadBundle as error:
        raise Unauthenticated(error.fault) from None
    order, to, fleet = _order(members)
    if fleet != root.bundle.fleet:
        raise Unauthenticated(Rejection.WRONG_FLEET)
    if to not in (f"{here.site}/{here.kiosk}", f"{here.site}/*", "*/*"):
        raise Unauthenticated("not_for_us")
    known = past.seen.get(order.id)
    if known is not None and known.digest == order.digest and known.reply is not None:
        return replace(known.reply, duplicate=True)
    reason = CommandReason.DUPLICATE_ID if known is not None else _why_not(order, to, past, obeyed, now)
    return order if reason is None else order.refused(reason)


def check_validity(order: Command, now: TimeBounds) -> CommandReason | None:
    """Why the order does not count at this time; None when it does for certain."""
    if not 0 < order.expires_utc - order.issued_utc <= LONGEST_LIFE_S:
        return CommandReason.LIFETIME_TOO_LONG
    if order.expires_utc < now.earliest_utc:
        return CommandReason.EXPIRED
    if order.expires_utc < now.latest_utc:
        return CommandReason.TIME_UNKNOWN
    return CommandReason.ISSUED_IN_FUTURE if order.issued_utc > now.latest_utc + AHEAD_S else None


def _why_not(
    order: Command, to: str, past: ReplayGuard, obeyed: Collection[str], now: TimeBounds
) -> CommandReason | None:
    if (reason := check_validity(order, now)) is not None:
        return reason
    if order.expires_utc <= past.expired_utc or order.issued_utc <= past.issued_utc:
        return CommandReason.REPLAY_UNKNOWN
    command = COMMANDS.get(order.command)
    if command is None or order.command not in obeyed:
        return CommandReason.UNKNOWN_COMMAND if command is None else CommandReason.COMMAND_DISABLED
    if to.endswith("/*") and not command.harmless:
        return CommandReason.BROADCAST_NOT_ALLOWED
    if not command.needs <= order.arguments.keys() <= command.needs | command.may:
        return CommandReason.BAD_ARGUMENTS
    return None


def _order(members: dict[str, Any]) -> tuple[Command, str, str]:
    """The order, to whom it is, and of which fleet. Raises Junk: one that cannot be read cannot be answered."""
    match members:
        case {
            "id": str(id_),
            "fleet": str(fleet),
            "to": str(to),
            "issued": int(issued),
            "expires": int(expires),
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
            return Command(id_, command, arguments, issued, expires, digest), to, fleet
    raise Unauthenticated(Rejection.MALFORMED)

"""Events `command_result`: what became of a command or a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

from agent.events.kinds import HIGH, NORMAL, EventKind
from agent.model import CommandResult, CommandStatus
from agent.model.reasons import CommandReason, Rejection

if TYPE_CHECKING:
    from agent.events.contract import ClockJson


class CommandResultJson(TypedDict):
    """What became of a command or a bundle. See commands.md."""

    command_id: Annotated[str | None, "`id` of the command; null for a bundle"]
    command: Annotated[str, "its name, or `bundle`"]
    status: Annotated[CommandStatus, "`unknown`: stopped in the midst of it, it may have been done"]
    reason: Annotated[
        CommandReason | Rejection | Literal[""], "why it was not done, see commands.md; empty when it was"
    ]
    result: Annotated[dict[str, Any] | None, "what the command gives back; for a bundle its type, name and version"]
    duplicate: Annotated[bool, "the same command came again: nothing was done, and this was said before"]
    simulated: bool
    clock: ClockJson


def _data(reply: CommandResult, clock: ClockJson) -> CommandResultJson:
    return {
        "command_id": reply.command_id or None,
        "command": reply.command,
        "status": reply.status,
        "reason": reply.reason,
        "result": None if reply.result is None else dict(reply.result),
        "duplicate": reply.duplicate,
        "simulated": reply.simulated,
        "clock": clock,
    }


def _bundle(reply: CommandResult) -> str:
    told = reply.result or {}
    return " ".join(str(told[key]) for key in ("type", "name", "version") if told.get(key))


def _sentence(reply: CommandResult) -> str:
    what = f"command {reply.command}" if reply.command_id else f"bundle {_bundle(reply)}"
    why = f": {reply.reason}" if reply.reason else ""
    again = " (said again)" if reply.duplicate else ""
    return f"{what}: {reply.status}{why}{again}"


def _fields(reply: CommandResult) -> dict[str, Any]:
    return {"command": reply.command, "status": reply.status, "reason": reply.reason}


KIND = EventKind(
    bodies=(CommandResult,),
    shape=CommandResultJson,
    data=_data,
    rank=lambda reply: HIGH if reply.command_id else NORMAL,
    sentence=_sentence,
    fields=_fields,
    is_warning=lambda reply: reply.status is not CommandStatus.SUCCEEDED,
)

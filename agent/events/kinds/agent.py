"""Events `agent`: it started or stopped, learned the time, runs on something else, or events were lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypedDict

from agent.events.kinds import HIGHEST, LOW, EventKind
from agent.model import AgentChange, AgentEventType, Loss, LossReason
from agent.model.bounds import Ge

if TYPE_CHECKING:
    from agent.events.contract import ClockJson


class LossJson(TypedDict):
    """Events that this kiosk decided on but had to give up."""

    reason: LossReason
    count: Annotated[int, Ge(0)]
    epoch: Annotated[str | None, "of the range; null when no sequence had been given"]
    first: int | None
    last: int | None


class AgentJson(TypedDict):
    """The agent started or stopped, learned the time, what it runs on has changed, or events were lost."""

    type: Annotated[
        Literal[AgentEventType, "loss"],
        "`clock_synchronised`: the clock has become known: with this event's `clock` all events of its boot "
        "can be dated; `config_…`: the central server's configuration `config_version` passed its trial, did not "
        "hold, or was taken back; "
        "`safe_mode`: everybody at an entry is left to staff until the kiosk is told to recover; more may be added",
    ]
    software_version: Annotated[str, "of the agent; empty for a loss"]
    config_version: NotRequired[Annotated[int, Ge(1), "version of the configuration bundle"]]
    detail: NotRequired[Annotated[str, "one sentence with the remedy"]]
    loss: NotRequired[LossJson]
    simulated: bool
    clock: ClockJson


def _data(body: AgentChange | Loss, clock: ClockJson) -> AgentJson:
    return _loss(body, clock) if isinstance(body, Loss) else _change(body, clock)


def _change(change: AgentChange, clock: ClockJson) -> AgentJson:
    said: AgentJson = {
        "type": change.type,
        "software_version": change.version,
        "simulated": change.simulated,
        "clock": clock,
    }
    if change.config_version:
        said["config_version"] = change.config_version
    if change.detail:
        said["detail"] = change.detail
    return said


def _loss(loss: Loss, clock: ClockJson) -> AgentJson:
    return {
        "type": "loss",
        "software_version": "",
        "loss": {
            "reason": loss.reason,
            "count": loss.count,
            "epoch": loss.epoch or None,
            "first": loss.first or None,
            "last": loss.last or None,
        },
        "simulated": loss.simulated,
        "clock": clock,
    }


_WARNINGS = ("config_rejected", "config_rolled_back", "release_rejected", "release_rolled_back", "safe_mode")


def _sentence(body: AgentChange | Loss) -> str:
    if isinstance(body, Loss):
        return f"{body.count} events lost: {body.reason}"
    word = "knows the time" if body.type == "clock_synchronised" else body.type
    config = f" {body.config_version}" if body.config_version else ""
    why = f": {body.detail}" if body.detail else ""
    return f"agent {body.version} {word}{config}{why}"


def _fields(body: AgentChange | Loss) -> dict[str, Any]:
    if isinstance(body, Loss):
        return {"event": "loss", "count": body.count, "reason": body.reason}
    return {"type": body.type, "version": body.version}


KIND = EventKind(
    bodies=(AgentChange, Loss),
    shape=AgentJson,
    data=_data,
    rank=lambda body: HIGHEST if isinstance(body, Loss) else LOW,
    sentence=_sentence,
    fields=_fields,
    is_warning=lambda body: isinstance(body, AgentChange) and body.type in _WARNINGS,
)

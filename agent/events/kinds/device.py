"""Events `device`: a device came or went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from agent.events.kinds import LOW, EventKind
from agent.model import DeviceChange, Role

if TYPE_CHECKING:
    from agent.events.contract import ClockJson


class DeviceJson(TypedDict):
    """A device came or went."""

    lane: str
    role: Role
    driver: str
    up: bool
    error: Annotated[str, "what is wrong and the remedy, one sentence; empty when up"]
    simulated: bool
    clock: ClockJson


def _data(change: DeviceChange, clock: ClockJson) -> DeviceJson:
    return {
        "lane": change.lane,
        "role": change.role,
        "driver": change.driver,
        "up": change.up,
        "error": change.error,
        "simulated": change.simulated,
        "clock": clock,
    }


def _sentence(change: DeviceChange) -> str:
    state = "up" if change.up else f"DOWN: {change.error}"
    return f"{change.lane}: {change.role} {change.driver} {state}"


def _fields(change: DeviceChange) -> dict[str, Any]:
    return {
        "lane": change.lane,
        "role": change.role,
        "driver": change.driver,
        "up": change.up,
        "simulated": change.simulated,
    }


KIND = EventKind(
    bodies=(DeviceChange,),
    shape=DeviceJson,
    data=_data,
    rank=lambda _change: LOW,
    sentence=_sentence,
    fields=_fields,
    is_warning=lambda change: not change.up,
)

"""How the kiosk is, as its retained state tells the centre."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.model import Mark

if TYPE_CHECKING:
    from agent.events import Topics
    from agent.events.contract import StateJson
    from agent.model import ClockState, Role


@dataclass(frozen=True, slots=True)
class Counts:
    """See CountsJson."""

    decided: int = 0
    stored: int = 0
    delivered: int = 0
    lost: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class DeviceState:
    """See DeviceStateJson."""

    lane: str
    part: Role
    driver: str
    up: bool
    why: str = ""
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """How the kiosk is, for its retained state."""

    version: str
    simulated: bool = False
    devices: tuple[DeviceState, ...] = ()
    faults: tuple[str, ...] = ()
    clock: ClockState | None = None
    counts: Counts = field(default=Counts())
    safe: bool = False
    config: int = 0

    def differs(self, other: State | None) -> bool:
        """Whether it is worth telling at once: more than the counts has changed."""
        return other is None or replace(self, counts=other.counts) != other


_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def state_payload(topics: Topics, state: State, mark: Mark | None = None) -> bytes:
    """The retained state of a kiosk that is online."""
    message: StateJson = {
        "type": "gatepost.state.v1",
        "kiosk": topics.kiosk,
        "state": "online",
        "version": state.version,
        "simulated": state.simulated,
        "devices": [
            {
                "lane": device.lane,
                "part": device.part,
                "driver": device.driver,
                "up": device.up,
                "why": device.why,
                "simulated": device.simulated,
            }
            for device in state.devices
        ],
        "faults": list(state.faults),
        "counts": {
            "decided": state.counts.decided,
            "stored": state.counts.stored,
            "delivered": state.counts.delivered,
            "lost": state.counts.lost,
            "waiting": state.counts.waiting,
        },
    }
    message["mode"] = "safe" if state.safe else "normal"
    message["config"] = state.config
    if state.clock is not None:
        message["clock"] = state.clock
    _add(message, mark)
    return _to_json(message).encode()


def offline_payload(topics: Topics, version: str, mark: Mark | None = None) -> bytes:
    """The retained state of a kiosk that is not there: last will and goodbye."""
    message: StateJson = {
        "type": "gatepost.state.v1",
        "kiosk": topics.kiosk,
        "state": "offline",
        "version": version,
    }
    _add(message, mark)
    return _to_json(message).encode()


def _add(message: StateJson, mark: Mark | None) -> None:
    if mark is not None and mark.epoch:
        message["store"] = {"epoch": mark.epoch, "last": mark.last}


def read_mark(payload: bytes) -> Mark | None:
    """What a state says of the store; None when it says nothing that can be read."""
    try:
        match json.loads(payload):
            case {"store": {"epoch": str(epoch), "last": int(last)}}:
                return Mark(epoch, last)
    except (ValueError, RecursionError):
        pass
    return None

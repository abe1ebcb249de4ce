"""The retained state of the kiosk, for the central server."""

from __future__ import annotations

import json
import re
from dataclasses import field, replace
from typing import TYPE_CHECKING

from agent.model import Mark
from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.events import Topics
    from agent.events.contract import StateJson
    from agent.model import ClockState, InForce, ReleaseStatus, Role
    from agent.model.problems import Problem


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
    role: Role
    driver: str
    up: bool
    error: str = ""
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class LaneCounts:
    """See LaneStateJson."""

    lane: str
    passages: Mapping[str, int] = field(default_factory=dict)
    temperatures: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReleaseState:
    """See ReleaseJson."""

    version: str
    status: ReleaseStatus
    detail: str = ""


@dataclass(frozen=True, slots=True)
class VenueState:
    """See VenueStateJson."""

    inside: int
    cases: int = 0
    overdue: int = 0
    oldest_case_s: int | None = None
    region: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """How the kiosk is, for its retained state."""

    software_version: str
    groups: tuple[str, ...] = ()
    simulated: bool = False
    devices: tuple[DeviceState, ...] = ()
    problems: tuple[Problem, ...] = ()
    clock_state: ClockState | None = None
    counts: Counts = field(default=Counts())
    safe: bool = False
    config_version: int = 0
    in_force: tuple[InForce, ...] = ()
    venue: VenueState | None = None
    """None: the kiosk serves no venue."""
    lanes: tuple[LaneCounts, ...] = ()
    release: ReleaseState | None = None
    """None: the central server has signed none."""

    def differs(self, other: State | None) -> bool:
        """Whether it is worth telling at once: more than what is counted has changed."""
        return other is None or replace(self, counts=other.counts, venue=other.venue, lanes=other.lanes) != other


ALL_STATES = "gatepost/v1/+/+/state"
_TOPIC = re.compile(r"gatepost/v1/([^/+#$]+)/([^/+#$]+)/state")


def kiosk_of(topic: str) -> tuple[str, str] | None:
    """Site and kiosk of a state's topic; None for any other."""
    named = _TOPIC.fullmatch(topic)
    return None if named is None else (named[1], named[2])


_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def state_payload(topics: Topics, state: State, mark: Mark | None = None) -> bytes:
    """The retained state of a kiosk that is online."""
    message: StateJson = {
        "type": "gatepost.state.v1",
        "kiosk": topics.kiosk,
        "state": "online",
        "software_version": state.software_version,
        "simulated": state.simulated,
        "devices": [
            {
                "lane": device.lane,
                "role": device.role,
                "driver": device.driver,
                "up": device.up,
                "error": device.error,
                "simulated": device.simulated,
            }
            for device in state.devices
        ],
        "problems": [
            {"code": each.code, "part": each.part, "severity": each.severity, "text": each.text}
            for each in state.problems
        ],
        "counts": {
            "decided": state.counts.decided,
            "stored": state.counts.stored,
            "delivered": state.counts.delivered,
            "lost": state.counts.lost,
            "waiting": state.counts.waiting,
        },
    }
    if state.lanes:
        message["lanes"] = [
            {"lane": each.lane, "passages": dict(each.passages), "temperatures": dict(each.temperatures)}
            for each in state.lanes
        ]
    if state.groups:
        message["groups"] = list(state.groups)
    message["mode"] = "safe" if state.safe else "normal"
    message["config_version"] = state.config_version
    message["in_force"] = [
        {"type": each.type, "name": each.name, "version": each.version, "source": each.source}
        for each in state.in_force
    ]
    if (release := state.release) is not None:
        message["release"] = {"version": release.version, "status": release.status, "detail": release.detail}
    if (venue := state.venue) is not None:
        message["venue"] = {
            "inside": venue.inside,
            "cases": venue.cases,
            "overdue": venue.overdue,
            "oldest_case_s": venue.oldest_case_s,
            "region": venue.region,
        }
    if state.clock_state is not None:
        message["clock_state"] = state.clock_state
    _add(message, mark)
    return _to_json(message).encode()


def offline_payload(topics: Topics, version: str, mark: Mark | None = None) -> bytes:
    """The retained state of a kiosk that is not there: last will and goodbye."""
    message: StateJson = {
        "type": "gatepost.state.v1",
        "kiosk": topics.kiosk,
        "state": "offline",
        "software_version": version,
    }
    _add(message, mark)
    return _to_json(message).encode()


def _add(message: StateJson, mark: Mark | None) -> None:
    if mark is not None and mark.epoch:
        message["store"] = {"epoch": mark.epoch, "last": mark.last, "proof": mark.proof, "run": mark.run}


def read_mark(payload: bytes) -> Mark | None:
    """What a state says of the store; None when it says nothing that can be read."""
    try:
        match json.loads(payload):
            case {"store": {"epoch": str(epoch), "last": int(last), **rest}}:
                return Mark(epoch, last, str(rest.get("proof", "")), run=str(rest.get("run", "")))
    except (ValueError, RecursionError):
        pass
    return None

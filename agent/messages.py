"""What the centre is told: events and state as topics and JSON, and the schemas of both.

An event is a CloudEvents 1.0 event in structured JSON. Its `id` is `<kiosk>:<epoch>:<sequence>`, so a subscriber
can drop repeats, put them in order and see gaps; `previous` is the SHA-256 of the payload before it, so it can
see changes. Nothing here names a person: no code text, no subject of a code.

The types below are the contract: the schemas that `docs/` publishes are generated from them.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NotRequired, TypeAlias, TypedDict, assert_never

from annotated_types import Ge, Len

from agent.model import (
    AgentChange,
    ClockState,
    CodeStatus,
    Colour,
    DeviceChange,
    Direction,
    Event,
    EventKind,
    Loss,
    Now,
    Outcome,
    Part,
    Passage,
    Place,
    Record,
    Screening,
    Temperature,
    Verdict,
)

VERSION = 1
"""Of the contract. Fields may be added within a version; nothing is taken away or changes its meaning."""

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
FIRST = "0" * 64
"""`previous` of the first event of an epoch."""


class ClockJson(TypedDict):
    """What the kiosk knew of the time when the event happened."""

    state: Annotated[
        ClockState,
        "`synced` and `holdover`: the true time lies between `lo` and `hi`; "
        "`floor` and `suspect`: it is not before `lo`",
    ]
    lo: Annotated[float, "POSIX seconds, UTC"]
    hi: Annotated[float | None, "POSIX seconds, UTC; null when there is no upper bound"]
    monotonic_ms: Annotated[int, "milliseconds on the clock of this boot, which never jumps"]
    boot_id: Annotated[str, "names the boot: `monotonic_ms` compares only within it"]


class CodeJson(TypedDict):
    """The code that was shown, without anything that names its holder."""

    format: Annotated[str, "`gatepost`, or the name of another format; empty when not recognised"]
    status: Annotated[CodeStatus, "what checking the code gave; more may be added"]
    issuer: Annotated[str | None, "null unless its signature holds"]
    colour: Annotated[Colour | None, "null unless the signature holds"]


class TemperatureJson(TypedDict):
    """The screened temperature, as measured. Screening is not a diagnosis."""

    outcome: Screening
    surface_c: Annotated[float | None, "the skin, as measured, degrees Celsius"]
    estimate_c: Annotated[float | None, "on the scale of the site's calibration; null without one"]
    u_c: Annotated[float | None, "expanded uncertainty (k = 2) of what was compared, degrees Celsius"]
    limit_c: Annotated[float | None, "the limit it was compared with, on `scale`"]
    scale: Annotated[
        str,
        "what was compared: `calibrated`: the estimate; `crowd`: the skin, with a limit that follows the people "
        "who passed before; `skin`: the skin, with the fixed limit",
    ]
    ambient_c: Annotated[float | None, "the room, from a sensor of its own"]
    samples: Annotated[int, Ge(0)]
    why: Annotated[str, "reason code of an outcome that is not plain; else empty"]
    attempt: Annotated[int, Ge(1), "which reading of this person it is; each is an event of its own"]
    then: Annotated[str, "the retest protocol's next step: `second_reading`, `rest`, `second_instrument`; or empty"]


class PassageJson(TypedDict):
    """One person at one lane, decided."""

    lane: str
    direction: Direction
    decision: Annotated[Outcome, "`refer`: a person of the staff decides"]
    reasons: Annotated[list[str], "reason codes, the weightiest first"]
    rule: Annotated[str, "the row of the policy that decided"]
    opened: Annotated[bool, "whether the gate was told to open"]
    code: Annotated[CodeJson | None, "null when none was shown"]
    temperature: TemperatureJson
    took_ms: Annotated[int, "from the first sign of the person to the decision"]
    simulated: Annotated[bool, "true if any device that took part is simulated"]
    clock: ClockJson


class DeviceJson(TypedDict):
    """A device came or went."""

    lane: str
    part: Part
    driver: str
    up: bool
    why: Annotated[str, "what is wrong and the remedy; empty when up"]
    simulated: bool
    clock: ClockJson


class LossJson(TypedDict):
    """Events that this kiosk decided on but had to give up."""

    reason: Literal["full", "memory", "damaged", "unencodable"]
    count: Annotated[int, Ge(0)]
    epoch: Annotated[str | None, "of the range; null when no sequence had been given"]
    first: int | None
    last: int | None


class AgentJson(TypedDict):
    """The agent started or stopped, or events were lost."""

    what: Literal["started", "stopped", "loss"]
    version: str
    loss: NotRequired[LossJson]
    simulated: bool
    clock: ClockJson


class EnvelopeJson(TypedDict):
    """CloudEvents 1.0 attributes, with `data` left to the kind of event."""

    specversion: Literal["1.0"]
    id: Annotated[str, "`<kiosk>:<epoch>:<sequence>`; the same id always has the same content"]
    source: Annotated[str, "`/gatepost/v1/<site>/<kiosk>`"]
    type: str
    dataschema: str
    time: NotRequired[Annotated[str, "RFC 3339, UTC; only when the clock was known: see `data.clock`"]]
    epoch: Annotated[str, "names one life of the kiosk's store"]
    sequence: Annotated[str, "12 digits, 1 and up within the epoch, without a gap; a gap is a loss"]
    previous: Annotated[
        str, Len(64, 64), "SHA-256 of the payload with the sequence before, in hex; zeros for the first"
    ]


class PassageEvent(EnvelopeJson):
    """Topic `…/event/passage`."""

    data: PassageJson


class DeviceEvent(EnvelopeJson):
    """Topic `…/event/device`."""

    data: DeviceJson


class AgentEvent(EnvelopeJson):
    """Topic `…/event/agent`."""

    data: AgentJson


class DeviceStateJson(TypedDict):
    """How one device is now."""

    lane: str
    part: Part
    driver: str
    up: bool
    why: str
    simulated: bool


class CountsJson(TypedDict):
    """Events since the agent started, and those that wait."""

    decided: int
    stored: int
    delivered: int
    lost: int
    waiting: Annotated[int, "in the store or on their way, not yet acknowledged"]


class StateJson(TypedDict):
    """Topic `…/state`, retained: how the kiosk is. `offline` is also the last will."""

    type: Literal["gatepost.state.v1"]
    kiosk: str
    state: Literal["online", "offline"]
    version: str
    simulated: NotRequired[bool]
    devices: NotRequired[list[DeviceStateJson]]
    faults: NotRequired[Annotated[list[str], "one sentence each; empty when all is well"]]
    counts: NotRequired[CountsJson]
    clock: NotRequired[ClockState]


EVENT_TYPES: dict[EventKind, type[PassageEvent | DeviceEvent | AgentEvent]] = {
    EventKind.PASSAGE: PassageEvent,
    EventKind.DEVICE: DeviceEvent,
    EventKind.AGENT: AgentEvent,
}

DataJson: TypeAlias = PassageJson | DeviceJson | AgentJson


LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Topics:
    """Where a kiosk speaks. Both names become one level of a topic and part of every id."""

    site: str
    kiosk: str

    def __post_init__(self) -> None:
        """Refuse names that would change the shape of a topic or an id."""
        for what, name in (("site", self.site), ("kiosk", self.kiosk)):
            if not name or len(name) > LONGEST_NAME or not name.isprintable() or set(name) & set("/+#:$ "):
                raise ValueError(
                    f"{what} {name!r} must be 1 to {LONGEST_NAME} printable characters, none of / + # : $ or space"
                )

    @property
    def root(self) -> str:
        """What all topics of this kiosk begin with."""
        return f"gatepost/v{VERSION}/{self.site}/{self.kiosk}"

    @property
    def state(self) -> str:
        """The retained state and the last will."""
        return f"{self.root}/state"

    def event(self, kind: str) -> str:
        """Events of one kind, QoS 1, not retained."""
        return f"{self.root}/event/{kind}"


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
    part: Part
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

    def differs(self, other: State | None) -> bool:
        """Whether it is worth telling at once: more than the counts has changed."""
        return other is None or replace(self, counts=other.counts) != other


_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class Encoder:
    """Event and place → record."""

    def __init__(self, topics: Topics) -> None:
        self._kiosk = topics.kiosk
        self._source = f"/{topics.root}"

    def __call__(self, event: Event, place: Place) -> Record:
        """The record of `event` at `place`. Raises ValueError for a number that JSON cannot carry."""
        kind = event.kind.value
        envelope: dict[str, Any] = {
            "specversion": "1.0",
            "id": f"{self._kiosk}:{place.epoch}:{place.sequence}",
            "source": self._source,
            "type": f"gatepost.{kind}.v{VERSION}",
            "dataschema": f"urn:gatepost:{kind}:v{VERSION}",
            "epoch": place.epoch,
            "sequence": f"{place.sequence:012d}",
            "previous": place.previous,
        }
        if (time := _time(event.now)) is not None:
            envelope["time"] = time
        envelope["data"] = _data(event)
        return Record(place.sequence, kind, _rank(event), _to_json(envelope).encode())


def state_payload(topics: Topics, state: State) -> bytes:
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
    if state.clock is not None:
        message["clock"] = state.clock
    return _to_json(message).encode()


def offline_payload(topics: Topics, version: str) -> bytes:
    """The retained state of a kiosk that is not there: last will and goodbye."""
    message: StateJson = {
        "type": "gatepost.state.v1",
        "kiosk": topics.kiosk,
        "state": "offline",
        "version": version,
    }
    return _to_json(message).encode()


def _time(now: Now) -> str | None:
    """The middle of the interval, to the millisecond; None when the clock is not to be trusted."""
    if now.state not in (ClockState.SYNCED, ClockState.HOLDOVER) or not math.isfinite(now.hi_utc):
        return None
    middle = datetime.fromtimestamp((now.lo_utc + now.hi_utc) / 2, UTC)
    return middle.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _clock(event: Event) -> ClockJson:
    now = event.now
    return {
        "state": now.state,
        "lo": round(now.lo_utc, 3),
        "hi": round(now.hi_utc, 3) if math.isfinite(now.hi_utc) else None,
        "monotonic_ms": round(event.at_s * 1000),
        "boot_id": event.boot_id,
    }


def _data(event: Event) -> DataJson:
    match event.body:
        case Passage() as passage:
            return _passage(passage, _clock(event))
        case DeviceChange() as change:
            return {
                "lane": change.lane,
                "part": change.part,
                "driver": change.driver,
                "up": change.up,
                "why": change.why,
                "simulated": change.simulated,
                "clock": _clock(event),
            }
        case AgentChange() as change:
            what: Literal["started", "stopped"] = "started" if change.what == "started" else "stopped"
            return {
                "what": what,
                "version": change.version,
                "simulated": change.simulated,
                "clock": _clock(event),
            }
        case Loss() as loss:
            return _loss(loss, _clock(event))
        case other:
            assert_never(other)


def _passage(passage: Passage, clock: ClockJson) -> PassageJson:
    decision = passage.decision
    return {
        "lane": passage.lane,
        "direction": passage.direction,
        "decision": decision.outcome,
        "reasons": list(decision.reasons),
        "rule": decision.rule,
        "opened": passage.opened,
        "code": None if passage.verdict is None else _code(passage.verdict),
        "temperature": _temperature(passage.temperature),
        "took_ms": round((passage.decided_s - passage.began_s) * 1000),
        "simulated": passage.simulated,
        "clock": clock,
    }


SIGNED = frozenset(
    (
        CodeStatus.VALID,
        CodeStatus.EXPIRED,
        CodeStatus.NOT_YET_VALID,
        CodeStatus.TIME_UNKNOWN,
        CodeStatus.REVOKED,
    )
)
"""Only now is what a code says its issuer's word; before, it is a stranger's text and stays here."""


def _code(verdict: Verdict) -> CodeJson:
    signed = verdict.status in SIGNED
    return {
        "format": verdict.format,
        "status": verdict.status,
        "issuer": verdict.issuer if signed else None,
        "colour": verdict.colour if signed and verdict.colour is not None else None,
    }


def _temperature(temperature: Temperature) -> TemperatureJson:
    return {
        "outcome": temperature.outcome,
        "surface_c": _thousandths(temperature.surface_c),
        "estimate_c": _thousandths(temperature.estimate_c),
        "u_c": _thousandths(temperature.u_c),
        "limit_c": _thousandths(temperature.limit_c),
        "scale": temperature.scale,
        "ambient_c": _thousandths(temperature.ambient_c),
        "samples": temperature.samples,
        "why": temperature.why,
        "attempt": temperature.attempt,
        "then": temperature.then,
    }


def _thousandths(celsius: float | None) -> float | None:
    return None if celsius is None else round(celsius, 3)


def _loss(loss: Loss, clock: ClockJson) -> AgentJson:
    reason: Literal["full", "memory", "damaged", "unencodable"]
    match loss.reason:
        case "full" | "memory" | "damaged" as reason:
            pass
        case _:
            reason = "unencodable"
    return {
        "what": "loss",
        "version": "",
        "loss": {
            "reason": reason,
            "count": loss.count,
            "epoch": loss.epoch or None,
            "first": loss.first or None,
            "last": loss.last or None,
        },
        "simulated": False,
        "clock": clock,
    }


def _rank(event: Event) -> int:
    """Worth when there is no room: 0 devices and the agent, 1 passages, 2 what must be found again, 3 losses."""
    match event.body:
        case Passage() as passage:
            alarm = passage.decision.outcome is Outcome.REFUSE or passage.temperature.outcome is Screening.ELEVATED
            return 2 if alarm else 1
        case Loss():
            return 3
        case _:
            return 0

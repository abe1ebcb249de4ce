"""The contract with the centre, as types: what the schemas in `docs/` are generated from.

Within a version, fields may be added and lists of words may grow; nothing is taken away or changes its meaning.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypeAlias

from annotated_types import Ge, Len
from typing_extensions import TypedDict  # pydantic cannot read Python 3.11's own

from agent.model import (
    AgentEventType,
    ClockState,
    CodeStatus,
    Colour,
    CommandStatus,
    Direction,
    Outcome,
    Role,
    Screening,
)

VERSION = 1


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


Withheld: TypeAlias = Literal["withheld"]
"""Stands where health data was taken off the event: see `sealed`."""


Suite: TypeAlias = Literal["hpke-x25519-hkdf_sha256-chacha20_poly1305"]


class CodeJson(TypedDict):
    """The code that was shown, without anything that names its holder."""

    format: Annotated[str, "`gatepost`, or the name of another format; empty when not recognised"]
    status: Annotated[CodeStatus | Withheld, "what checking the code gave; more may be added"]
    issuer: Annotated[str | None, "null unless its signature holds"]
    colour: Annotated[Colour | None, "null unless the signature holds"]


class TemperatureJson(TypedDict):
    """The screened temperature, as measured. Screening is not a diagnosis."""

    outcome: Screening | Withheld
    surface_c: Annotated[float | None, "the skin, as measured, degrees Celsius"]
    estimate_c: Annotated[float | None, "on the scale of the site's calibration; null without one"]
    u_c: Annotated[float | None, "expanded uncertainty (k = 2) of what was compared, degrees Celsius"]
    limit_c: Annotated[float | None, "the limit it was compared with, on `scale`"]
    scale: Annotated[
        str,
        "what was compared: `calibrated`: the estimate; `crowd`: the skin, with a limit that follows the people "
        "who passed before; `skin`: the skin, with the fixed limit; `second_instrument`: staff's own thermometer",
    ]
    ambient_c: Annotated[float | None, "the room, from a sensor of its own"]
    samples: Annotated[int, Ge(0)]
    why: Annotated[str, "reason code of an outcome that is not plain; else empty"]
    attempt: Annotated[int, Ge(1), "which reading of this person it is; each is an event of its own"]
    then: Annotated[str, "the retest protocol's next step: `second_reading`, `rest`, `second_instrument`; or empty"]


class SealedJson(TypedDict):
    """Who it was and the health data taken off the event; only the centre's private key opens it."""

    kid: Annotated[str, "names the centre's key"]
    suite: Annotated[Suite, "RFC 9180, base mode; `info` is the clear header, see privacy.md"]
    enc: Annotated[str, "base64 of the encapsulated key"]
    ct: Annotated[str, "base64 of the sealed content, padded, and its tag"]


class HealthJson(TypedDict):
    """What a passage says of somebody's health."""

    reasons: Annotated[list[str], "reason codes, the weightiest first"]
    rule: Annotated[str, "the row of the policy that decided"]
    code: Annotated[CodeJson | None, "null when none was shown"]
    temperature: TemperatureJson


class ContentJson(HealthJson):
    """What is sealed: the codes as they were read, and what was withheld from the event."""

    codes: Annotated[list[str], "base64 of the bytes of each code, in the order of showing"]
    left_out: Annotated[int, Ge(0), "codes that were too long to keep"]


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
    sealed: NotRequired[
        Annotated[
            SealedJson | None,
            "there only when code, temperature and reasons are withheld; null: they were not kept at all",
        ]
    ]
    clock: ClockJson


class DeviceJson(TypedDict):
    """A device came or went."""

    lane: str
    part: Role
    driver: str
    up: bool
    why: Annotated[str, "what is wrong and the remedy; empty when up"]
    simulated: bool
    clock: ClockJson


class LossJson(TypedDict):
    """Events that this kiosk decided on but had to give up."""

    reason: Literal["full", "memory", "damaged", "unencodable", "retention", "restored"]
    count: Annotated[int, Ge(0)]
    epoch: Annotated[str | None, "of the range; null when no sequence had been given"]
    first: int | None
    last: int | None


class AgentJson(TypedDict):
    """The agent started or stopped, learned the time, what it runs on has changed, or events were lost."""

    what: Annotated[
        Literal[AgentEventType, "loss"],
        "`anchor`: the clock has become known: with this event's `clock` all events of its boot can be dated; "
        "`config_…`: the centre's configuration `config` passed its trial, did not hold, or was taken back; "
        "`safe_mode`: everybody at an entry is left to staff until the kiosk is told to recover; more may be added",
    ]
    version: Annotated[str, "of the agent; empty for a loss"]
    config: NotRequired[Annotated[int, Ge(1), "version of the configuration bundle"]]
    why: NotRequired[Annotated[str, "one sentence with the remedy"]]
    loss: NotRequired[LossJson]
    simulated: bool
    clock: ClockJson


class ReplyJson(TypedDict):
    """What became of an order or a bundle. See orders.md."""

    order: Annotated[str | None, "the order's id; null for a bundle"]
    command: Annotated[str, "the order's, or `bundle`"]
    outcome: Annotated[CommandStatus, "`unknown`: stopped in the midst of it, it may have been done"]
    reason: Annotated[str, "why it was not done; empty when it was"]
    result: Annotated[dict[str, Any] | None, "what the command gives back; for a bundle its type, name and version"]
    again: Annotated[bool, "the same order came again: nothing was done, and this was said before"]
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


class ReplyEvent(EnvelopeJson):
    """Topic `…/event/reply`."""

    data: ReplyJson


class DeviceStateJson(TypedDict):
    """How one device is now."""

    lane: str
    part: Role
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
    waiting: Annotated[int, "in the store or on their way: not yet acknowledged, or with receipts not confirmed"]


class StoreJson(TypedDict):
    """The store of events: by it a kiosk that finds its own retained state knows that its card was put back."""

    epoch: str
    last: Annotated[int, Ge(0), "sequence of the newest event in it"]


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
    mode: NotRequired[Annotated[Literal["normal", "safe"], "`safe`: everybody at an entry is left to staff"]]
    store: NotRequired[StoreJson]
    config: NotRequired[Annotated[int, Ge(0), "version of the configuration bundle in force; 0 for none"]]


class SignatureJson(TypedDict):
    """One key's signature."""

    kid: Annotated[str, "the key's id, hexadecimal, as the root names it"]
    sig: Annotated[str, "base64url without padding, over the context, a zero byte and the signed bytes"]


class SignedJson(TypedDict):
    """What the centre sends: signed bytes, and signatures on them and on the context, which says what they are."""

    signed: Annotated[str, "base64url without padding, of JSON: an order, a receipt or a bundle"]
    signatures: Annotated[list[SignatureJson], Len(0, 32)]


class OrderJson(TypedDict):
    """What is signed as an order, context `gatepost-order-1`."""

    id: Annotated[str, Len(1, 64), "the centre's; the same id again is answered again, and done once"]
    fleet: Annotated[str, "as in the root"]
    to: Annotated[str, "`<site>/<kiosk>`; for commands that are harmless also `<site>/*` and `*/*`"]
    issued: Annotated[int, "POSIX seconds"]
    expires: Annotated[int, "POSIX seconds; at most a day after `issued`"]
    command: Annotated[str, "see orders.md"]
    arguments: Annotated[dict[str, str], "of the command"]


class RangeJson(TypedDict):
    """Events that the centre has, beyond a gap."""

    first: Annotated[int, Ge(1)]
    last: Annotated[int, Ge(1)]
    head: Annotated[str, "SHA-256 of the payload of `last`, hexadecimal"]


class ReceiptJson(TypedDict):
    """What is signed as a receipt, context `gatepost-receipt-1`: it lets events go that wait for it."""

    source: Annotated[str, "the kiosk's, as in its events"]
    epoch: Annotated[str, "as in its events"]
    through: Annotated[int, Ge(0), "no event up to this sequence is wanted any more; 0 for none"]
    head: Annotated[str, "SHA-256 of the payload of `through` as it came, hexadecimal; 64 zeros for none"]
    also: NotRequired[Annotated[list[RangeJson], Len(0, 256), "what is there beyond a gap"]]


class RoleJson(TypedDict):
    """Who may sign one type, and how many of them must."""

    threshold: Annotated[int, Ge(1)]
    kids: Annotated[list[str], "ids among the root's keys"]


class RootJson(TypedDict):
    """Content of a bundle of type `root`."""

    keys: Annotated[dict[str, str], "id → base64 of the key, DER SubjectPublicKeyInfo (Ed25519, SM2)"]
    roles: Annotated[dict[str, RoleJson], "of `root` and of each type; `order` and `receipt` too"]


class ListHeadJson(TypedDict):
    """What the file of a list's base says of itself: the JSON at its beginning, unchanged."""

    kind: Literal["revoked", "status", "watched"]
    issuer: Annotated[str, "whose codes it speaks of"]
    version: int
    issued_utc: float
    warn_s: float
    refer_s: float
    count: int
    bits: int
    values: bool
    sha256: Annotated[str, "of all after the head: the base itself may come by any way"]


class ListJson(TypedDict):
    """Content of a bundle of type `list`."""

    base: ListHeadJson
    changes: Annotated[str, "base64 of all changes since the base: 16 bytes of key, 1 of value; 0 takes it off"]


class BundleJson(TypedDict):
    """What is signed as a bundle, context `gatepost-bundle-1`; other members are passed over."""

    type: Literal["root", "keys", "policy", "list", "privacy", "config"]
    name: Annotated[str, "of the table or the list; empty for the other types"]
    fleet: Annotated[str, "as in the root"]
    version: Annotated[int, Ge(1), "a root's follows that of the one before; others rise by up to 100,000"]
    issued: Annotated[int, Ge(0), "POSIX seconds"]
    expires: Annotated[int, "POSIX seconds; not taken after"]
    warn_s: Annotated[int, "so old, staff are told"]
    refer_s: Annotated[int, "so old, nobody is admitted by it"]
    content: Annotated[RootJson | ListJson | str, "by the type; keys, policy, privacy and config: the TOML"]


DataJson: TypeAlias = PassageJson | DeviceJson | AgentJson | ReplyJson

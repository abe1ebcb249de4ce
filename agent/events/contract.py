"""The contract with the central server, as types: what the schemas in `docs/` are generated from.

The data of each kind of event is in `kinds/`. Within a version, fields may be added and lists of words may grow;
nothing is taken away or changes its meaning. For schemas and type checkers: the agent does not load this file.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypeAlias, TypedDict

from agent.model import (
    ClockState,
    ReleaseStatus,
    Role,
)
from agent.model.bounds import Ge, Le, Len
from agent.model.problems import ProblemCode, Severity


class ClockJson(TypedDict):
    """What the kiosk knew of the time when the event happened."""

    state: Annotated[
        ClockState,
        "`synced` and `holdover`: the true time lies between `earliest` and `latest`; "
        "`floor` and `suspect`: it is not before `earliest`",
    ]
    earliest: Annotated[float, "POSIX seconds, UTC"]
    latest: Annotated[float | None, "POSIX seconds, UTC; null when there is no upper bound"]
    boottime_ms: Annotated[int, "milliseconds since this boot, sleep included (CLOCK_BOOTTIME); never jumps"]
    boot_id: Annotated[str, "names the boot: `boottime_ms` compares only within it"]


PayloadType: TypeAlias = Literal[
    "application/vnd.gatepost.bundle.v1+json",
    "application/vnd.gatepost.command.v1+json",
    "application/vnd.gatepost.receipt.v1+json",
]
"""Of a DSSE envelope."""

Suite: TypeAlias = Literal["hpke-x25519-hkdf_sha256-chacha20_poly1305"]


class SealedJson(TypedDict):
    """Who it was and the health data taken off the event; only the central server's private key opens it."""

    keyid: Annotated[str, "names the central server's key"]
    suite: Annotated[Suite, "RFC 9180, base mode; `info` is the clear header, see privacy.md"]
    enc: Annotated[str, "base64 of the encapsulated key"]
    ct: Annotated[str, "base64 of the sealed content, padded, and its tag"]


class EnvelopeJson(TypedDict):
    """CloudEvents 1.0 attributes, with `data` left to the kind of event."""

    specversion: Literal["1.0"]
    id: Annotated[str, "`<kiosk>:<epoch>:<sequence>`; the same id always has the same content"]
    source: Annotated[str, "`/gatepost/v1/<site>/<kiosk>`"]
    type: str
    dataschema: str
    time: NotRequired[Annotated[str, "RFC 3339, UTC; only when the clock was known: see `data.clock`"]]
    epoch: Annotated[str, "random, new whenever the kiosk's store of events is created: sequences begin again at 1"]
    sequence: Annotated[str, "12 digits, 1 and up within the epoch, without a gap; a gap is a loss"]
    previoussha256: Annotated[
        str, Len(64, 64), "SHA-256 of the payload with the sequence before, in hex; zeros for the first"
    ]


class DeviceStateJson(TypedDict):
    """How one device is now."""

    lane: str
    role: Role
    driver: str
    up: bool
    error: str
    simulated: bool


class InForceJson(TypedDict):
    """The version in force of one thing that the central server may send."""

    type: Literal[
        "root", "keys", "policy", "list", "privacy", "config", "venue", "roster", "zones", "staff", "release"
    ]
    name: Annotated[str, "of the list or the table; empty for the other types"]
    version: Annotated[int, Ge(0), "of the bundle; of what is not from a bundle its own, 0 when it has none"]
    source: Annotated[
        Literal["bundle", "file", "built_in"],
        "`bundle`: from the central server; `file`: a file of this kiosk; `built_in`: part of the agent",
    ]


class ReleaseJson(TypedDict):
    """The software release that the central server has signed last, and what has become of it on this kiosk."""

    version: Annotated[str, "of the software"]
    status: ReleaseStatus
    detail: Annotated[str, "why it does not come, was rejected or rolled back; else empty"]


class ProblemJson(TypedDict):
    """Something that is wrong with the kiosk now. See the table of codes in events.md."""

    code: Annotated[ProblemCode, "for machines: keeps its meaning; more may be added"]
    part: Annotated[str, "what it is about: `mqtt`, `in scanner`, `list status`"]
    severity: Annotated[
        Severity,
        "`critical`: nobody is admitted without staff, or the agent does not work; `error`: something does not "
        "work; `warning`: everything works, but will not for ever. It follows from the code",
    ]
    text: Annotated[str, "for people: one sentence with what to do; may be worded otherwise in any release"]


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
    proof: NotRequired[Annotated[str, "for the kiosk itself: nobody else can have written this"]]
    run: NotRequired[Annotated[str, "random, new at each start of the agent: two at once are two machines"]]


class LaneStateJson(TypedDict):
    """People at one lane since the agent started; nothing of anybody."""

    lane: str
    passages: Annotated[dict[str, int], "decision: how many"]
    temperatures: Annotated[dict[str, int], "outcome of the measurement: how many, of those whose events tell it"]


class VenueStateJson(TypedDict):
    """How the venue is now."""

    inside: Annotated[int, "people, as counted"]
    cases: Annotated[int, "open"]
    overdue: Annotated[int, "open for longer than the venue allows"]
    oldest_case_s: Annotated[int | None, "age of the oldest open case, seconds"]
    region: Annotated[str, "code of the smallest division that the kiosk knows itself in; empty for none"]


class StateJson(TypedDict):
    """Topic `…/state`, retained: how the kiosk is. `offline` is also the last will."""

    type: Literal["gatepost.state.v1"]
    kiosk: str
    state: Literal["online", "offline"]
    software_version: str
    groups: NotRequired[Annotated[list[str], "that it belongs to, as its configuration names them"]]
    simulated: NotRequired[bool]
    devices: NotRequired[list[DeviceStateJson]]
    lanes: NotRequired[list[LaneStateJson]]
    problems: NotRequired[Annotated[list[ProblemJson], "the gravest first; empty when all is well"]]
    counts: NotRequired[CountsJson]
    clock_state: NotRequired[ClockState]
    mode: NotRequired[Annotated[Literal["normal", "safe"], "`safe`: everybody at an entry is left to staff"]]
    store: NotRequired[StoreJson]
    config_version: NotRequired[Annotated[int, Ge(0), "version of the configuration bundle in force; 0 for none"]]
    venue: NotRequired[VenueStateJson]
    in_force: NotRequired[
        Annotated[
            list[InForceJson],
            "one of each type and name; no `root` when none is installed, no `list` that is missing",
        ]
    ]
    release: NotRequired[ReleaseJson]


class SignatureJson(TypedDict):
    """One key's signature."""

    keyid: Annotated[str, "of the key, hexadecimal, as the root names it"]
    sig: Annotated[str, "base64 of the signature over `DSSEv1 <length> <payloadType> <length> <payload>`"]


class DsseJson(TypedDict):
    """What the central server sends: a DSSE envelope (Dead Simple Signing Envelope 1.0.2)."""

    payloadType: Annotated[PayloadType, "what the payload is; the signatures cover it"]
    payload: Annotated[str, "base64 of JSON: a command, a receipt or a bundle"]
    signatures: Annotated[list[SignatureJson], Len(0, 32)]


class CommandJson(TypedDict):
    """What is signed as a command."""

    id: Annotated[str, Len(1, 64), "the central server's own; the same id again is answered again, and done once"]
    fleet: Annotated[str, "as in the root"]
    target: Annotated[str, "`<site>/<kiosk>`; for commands that are harmless also `<site>/*`, `@<group>`, `*/*`"]
    issued_at: Annotated[int, "POSIX seconds"]
    expires_at: Annotated[int, "POSIX seconds; at most a day after `issued_at`"]
    command: Annotated[str, "see commands.md"]
    arguments: Annotated[dict[str, str], "of the command"]


class RangeJson(TypedDict):
    """Events that the central server has, beyond a gap."""

    first: Annotated[int, Ge(1)]
    last: Annotated[int, Ge(1)]
    sha256: Annotated[str, "of the payload of `last`, hexadecimal"]


class ReceiptJson(TypedDict):
    """What is signed as a receipt: it lets events go that wait for it."""

    source: Annotated[str, "the kiosk's, as in its events"]
    epoch: Annotated[str, "as in its events"]
    up_to: Annotated[int, Ge(0), "no event up to this sequence is wanted any more; 0 for none"]
    sha256: Annotated[str, "of the payload of `up_to` as it came, hexadecimal; 64 zeros for none"]
    ranges: NotRequired[Annotated[list[RangeJson], Len(0, 256), "what is there beyond a gap"]]


class RoleJson(TypedDict):
    """Who may sign one type, and how many of them must."""

    threshold: Annotated[int, Ge(1)]
    keyids: Annotated[list[str], "ids among the root's keys"]


class RootJson(TypedDict):
    """Content of a bundle of type `root`."""

    keys: Annotated[dict[str, str], "id → base64 of the key, DER SubjectPublicKeyInfo (Ed25519, SM2)"]
    roles: Annotated[dict[str, RoleJson], "of `root` and of each type; `command` and `receipt` too"]


class ListHeadJson(TypedDict):
    """What the file of a list's base says of itself: the JSON at its beginning, unchanged."""

    kind: Literal["revoked", "status", "watched"]
    issuer: Annotated[str, "whose codes it speaks of"]
    version: int
    issued_at: float
    warn_age_s: float
    max_age_s: float
    count: int
    bits: int
    values: bool
    sha256: Annotated[str, "of all after the head: the base itself may come by any way"]


class ChunksJson(TypedDict):
    """How the file of a list's base can be fetched: in pieces of `bytes` bytes, the last one shorter."""

    bytes: Annotated[int, Ge(4096), Le(1 << 20)]
    sha256: Annotated[str, "base64 of the SHA-256 of each piece, one after the other"]
    url: NotRequired[Annotated[str, "http or https: the whole file, best with byte ranges"]]
    spread_s: NotRequired[
        Annotated[int, Ge(0), Le(604_800), "kiosks begin to fetch within so long of the base's issue, seconds"]
    ]


class AfterJson(TypedDict):
    """The bundle that an increment's changes come after."""

    version: Annotated[int, Ge(1)]
    sha256: Annotated[str, "of its signed payload, hexadecimal"]


class ListJson(TypedDict):
    """Content of a bundle of type `list`."""

    base: ListHeadJson
    changes: Annotated[
        str,
        "base64 of all changes since the base, or since `after`: 16 bytes of key, 1 of value; 0 takes it off",
    ]
    chunks: NotRequired[ChunksJson]
    after: NotRequired[Annotated[AfterJson, "of an increment; then there are no `chunks`"]]


class RosterJson(TypedDict, total=False):
    """Content of a bundle of type `roster`; all three members are needed."""

    kinds: Annotated[Any, "list of objects: role, place, windows, uses, party, tests of the permits of one kind"]
    groups: Annotated[Any, "list of names"]
    permits: Annotated[
        str, "base64 of zlib of 13 bytes each, sorted: key (8), kind (1), group (2, from 1; 0: none), number (2)"
    ]


class BundleJson(TypedDict):
    """What is signed as a bundle; other members are passed over."""

    type: Literal[
        "root", "keys", "policy", "list", "privacy", "config", "venue", "roster", "zones", "release", "staff"
    ]
    name: Annotated[str, "of the table or the list; empty for the other types"]
    fleet: Annotated[str, "as in the root"]
    target: NotRequired[Annotated[str, "`<site>/<kiosk>`, `<site>/*` or `@<group>`; else all; not of a root"]]
    version: Annotated[int, Ge(1), "a root's follows that of the one before; others rise by up to 100,000"]
    issued_at: Annotated[int, Ge(0), "POSIX seconds"]
    expires_at: Annotated[int, "POSIX seconds; not taken after"]
    warn_age_s: Annotated[int, "so old, staff are told"]
    max_age_s: Annotated[int, "so old, nobody is admitted by it"]
    content: Annotated[
        RootJson | ListJson | RosterJson | str,
        "by the type; keys, policy, privacy, config, venue and zones: the TOML; release: JSON text",
    ]

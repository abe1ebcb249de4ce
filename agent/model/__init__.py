"""Value types that all components share: frozen, typed, units in the names. Why something is wrong: `problems`,
why something was not done: `reasons`.

Pure: no time, threads, sockets or files here. Monotonic seconds (`_s`) order things within one run of the agent;
wall-clock times are POSIX seconds, UTC (`_utc`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import Field, field
from datetime import UTC, tzinfo
from enum import StrEnum
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeAlias

from agent.model.lazy import dataclass
from agent.model.problems import Finding, in_words
from agent.model.reasons import CommandReason, LocalRefusal, Rejection, StatementRefusal
from drivers.contract import Departure, Distance, Fix, Pressed, Reading, Sighting


class Direction(StrEnum):
    """Which way people pass a lane. Egress is never blocked."""

    ENTRY = "entry"
    EXIT = "exit"
    CHECK = "check"
    """A counter, a ward, a dormitory: people are checked where they are, and there is no gate."""


class LaneType(StrEnum):
    """Who uses the lane."""

    PEDESTRIAN = "pedestrian"
    VEHICLE = "vehicle"


class Colour(StrEnum):
    """Health colour of the holder, from the issuer."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


class ClockState(StrEnum):
    """How the agent knows the time."""

    SYNCED = "synced"
    HOLDOVER = "holdover"
    FLOOR = "floor"
    SUSPECT = "suspect"


@dataclass(frozen=True, slots=True)
class TimeBounds:
    """The true time lies between the two; `latest_utc` is infinite when only a floor is known."""

    earliest_utc: float
    latest_utc: float
    state: ClockState


class CodeStatus(StrEnum):
    """What checking a code gave. Only VALID can lead to a green light."""

    VALID = "valid"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    TIME_UNKNOWN = "time_unknown"
    """The clock cannot tell whether it has expired."""
    UNKNOWN_ISSUER = "unknown_issuer"
    BAD_SIGNATURE = "bad_signature"
    REVOKED = "revoked"
    MALFORMED = "malformed"
    """Ours by its prefix, but broken."""
    UNRECOGNISED = "unrecognised"
    """No format that this agent knows."""
    INTERNAL_ERROR = "internal_error"
    """The agent failed while it checked the code: that says nothing about the code."""
    INCOMPLETE = "incomplete"
    """One of several parts: the others are still to be shown."""
    UNDECIDED = "undecided"
    """Of a known issuer, but nothing at this gate says whether it is good: an opaque code on no list."""


class ListAge(StrEnum):
    """Age of the lists and keys that a verdict rests on, against what their issuer allows."""

    FRESH = "fresh"
    STALE = "stale"
    EXPIRED = "expired"


class Tristate(StrEnum):
    """An answer that may be missing. UNKNOWN is never taken for YES."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class CodeProof(StrEnum):
    """What the content of a code rests on."""

    SIGNED = "signed"
    """A signature of a pinned issuer."""
    LISTED = "listed"
    """An id that an issuer's signed list has."""
    NONE = "none"
    """Nothing: anybody can print it."""


class TicketService(NamedTuple):
    """A train or flight that a ticket is for."""

    name: str
    """As `ICE 77`; empty: any."""
    day: str
    """Local date, `YYYY-MM-DD`; empty: any."""


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What a ticket gives a right to. Holds nothing that names a person."""

    places: tuple[str, ...] = ()
    """Where it counts, in the words of its format (docs/tickets.md), the widest first."""
    has_all_places: bool = True
    """False: it may count at other places too, such as stations on the way."""
    services: tuple[TicketService, ...] = ()
    """The trains or flights that it is for, one after the other; empty: any."""
    starts_utc: float | None = None
    ends_utc: float | None = None
    slack_s: float = 0.0
    """Start and end may lie that much earlier or later: the ticket does not name its time zone."""
    travel_class: str = ""
    single_use: bool = False
    key: bytes = field(default=b"", repr=False)
    """16 bytes that stand for the ticket, from the signed payload: the list of used tickets is keyed on them."""

    def status(self, now: TimeBounds) -> CodeStatus:
        """EXPIRED, NOT_YET_VALID, TIME_UNKNOWN or VALID, by its own start and end alone."""
        starts = -math.inf if self.starts_utc is None else self.starts_utc
        ends = math.inf if self.ends_utc is None else self.ends_utc
        if ends + self.slack_s <= now.earliest_utc:
            return CodeStatus.EXPIRED
        if starts - self.slack_s > now.latest_utc:
            return CodeStatus.NOT_YET_VALID
        is_within = starts + self.slack_s <= now.earliest_utc and now.latest_utc < ends - self.slack_s
        return CodeStatus.VALID if is_within else CodeStatus.TIME_UNKNOWN


SAME_SWAB_S = 3600.0
"""Two results that are dated less far apart may be of one swab: laboratories round, and date the receipt too."""


class WatchClass(StrEnum):
    """Which watch list has somebody, the weightiest last."""

    CLEAR = "clear"
    ASKED = "asked"
    """The central server asks staff to speak with the holder."""
    ARRIVAL = "arrival"
    """Has come from elsewhere and is to be looked after."""
    CONTACT = "contact"
    HIT = "hit"


class PermitState(StrEnum):
    """What a permit is worth now."""

    UNASKED = "unasked"
    VALID = "valid"
    EARLY = "early"
    LATE = "late"
    USED = "used"
    ELSEWHERE = "elsewhere"
    MISSING = "missing"


class PersonRole(StrEnum):
    """As what somebody comes to a venue."""

    RESIDENT = "resident"
    STAFF = "staff"
    PUPIL = "pupil"
    VISITOR = "visitor"
    PATIENT = "patient"
    ESCORT = "escort"
    DRIVER = "driver"
    PASSENGER = "passenger"
    DELIVERY = "delivery"
    GUARD = "guard"
    INSPECTOR = "inspector"
    UNKNOWN = "unknown"
    """On no roster, at a venue that has one and wants everybody else recorded."""


class RoomState(StrEnum):
    """Whether there is room."""

    FREE = "free"
    BUSY = "busy"
    FULL = "full"
    UNKNOWN = "unknown"


class MaskState(StrEnum):
    """Whether a mask is worn, as far as anybody asks."""

    UNASKED = "unasked"
    WORN = "worn"
    MISSING = "missing"


class RecordState(StrEnum):
    """Whether staff have recorded the person."""

    NONE = "none"
    DONE = "done"
    PAPER = "paper"
    """On paper: there was no way to keep it safely here."""


class TravelState(StrEnum):
    """What a travel record says."""

    UNASKED = "unasked"
    CLEAR = "clear"
    RISK = "risk"
    OLD = "old"


@dataclass(frozen=True, slots=True)
class VenueFacts:
    """What the venue adds to the facts of a passage; the defaults are those of a kiosk without a venue."""

    role: PersonRole = PersonRole.VISITOR
    permit: PermitState = PermitState.UNASKED
    room: RoomState = RoomState.FREE
    mask: MaskState = MaskState.UNASKED
    record: RecordState = RecordState.NONE
    travel: TravelState = TravelState.UNASKED
    vouched: bool = False
    """Staff saw a document of somebody without a code, and recorded the person."""
    zone: str = ""
    """Level of the region now, by the zones in force; empty: as configured."""
    tests: int = 0
    """How many tests the person's permit asks for, where that is more than the venue does."""


NO_VENUE = VenueFacts()


@dataclass(frozen=True, slots=True)
class Window:
    """When a permit holds: between two moments, on some weekdays, within some hours of local time."""

    from_utc: float = 0.0
    until_utc: float = float(1 << 37)
    from_min: int = 0
    until_min: int = 1440
    weekdays: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    """1 is Monday."""


@dataclass(frozen=True, slots=True)
class PermitKind:
    """What many permits have in common."""

    role: str = "visitor"
    place: str = ""
    """Name of the venue, or of one lane, that it is for; empty: any."""
    windows: tuple[Window, ...] = ()
    """None: at any time."""
    uses: int = 0
    """How often one may come in with it each day; 0: as often as he likes."""
    party: int = 1
    """How many may be inside with one such permit at a time, for example two visitors of a resident."""
    tests: int = 0
    """How many tests of the series it asks for at least; 0: as many as the venue."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Why somebody may be here (凭证)."""

    key: bytes
    kind: PermitKind
    group: str = ""
    number: int = 0
    """By which the venue knows its holder: of a roster, a seat; 0: none."""


@dataclass(frozen=True, slots=True)
class LabResult:
    """A result for COVID-19 that a code carries, final and of a known kind if it is negative."""

    kind: str
    """`pcr` or `antigen`; `` for a positive one whose kind is not known."""
    taken_utc: float
    """The earliest that it can mean: what is written without a zone is as old as it can be."""
    positive: bool = False
    """Not known to be negative: a result that cannot be read counts as positive."""
    latest_utc: float | None = None
    """The latest that it can mean, where that differs."""
    reported_utc: float | None = None
    """Time of the report, where the code has one: some rules count from then."""

    @property
    def latest(self) -> float:
        """POSIX seconds after which it was not taken."""
        return self.taken_utc if self.latest_utc is None else self.latest_utc


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a code says and whether it may be believed. Holds nothing that names a person."""

    status: CodeStatus
    format: str
    """`gatepost`, or the name of another format; `` when unrecognised."""
    subject: bytes = b""
    """16 bytes that stand for the holder, taken from the signed payload: for pairing, in memory only."""
    issuer: str = ""
    colour: Colour | None = None
    issued_utc: float | None = None
    expires_utc: float | None = None
    tests: tuple[LabResult, ...] = ()
    reason: str = ""
    """More about a status other than VALID, for the guard; never code text."""
    kind: str = "health"
    """`health`, `vaccination`, `recovery`, `test`, `yellow_fever`, `ticket`, `identity` or `other`."""
    code: bytes = b""
    """16 bytes that stand for this very code, taken from the signed payload: for repeats, in memory only."""
    aliases: tuple[bytes, ...] = ()
    """Other keys under which a list of revoked codes may have this one."""
    watched: bool = False
    """The holder is on a watch list."""
    watch: WatchClass = WatchClass.CLEAR
    """On which, where `watched`."""
    permit: Permit | None = field(default=None, repr=False)
    """That was shown with the code, or is the code."""
    travel: TravelState = TravelState.UNASKED
    """Of a travel record that was shown beside the code."""
    adds: str = ""
    """`card` or `travel`: it says nothing of its holder's health, and joins the codes that he shows beside it."""
    card: bytes = field(default=b"", repr=False)
    """16 bytes that stand for a card that was shown, in memory only: the roster may know it."""
    drill: bool = False
    """A code of an exercise: it opens no entry and counts nowhere."""
    list_age: ListAge = ListAge.FRESH
    proof: CodeProof = CodeProof.SIGNED
    entitlement: Entitlement | None = None
    """Of a ticket."""
    of_age: Tristate = Tristate.UNKNOWN
    """Whether the holder has reached the age that the kiosk asks for."""
    person: bytes = field(default=b"", repr=False)
    """16 bytes that stand for names and date of birth, the same in every format; empty where the code has none."""

    @property
    def is_shared(self) -> bool:
        """Whether its permit lets in several."""
        return self.permit is not None and self.permit.kind.party > 1

    @property
    def is_of_several(self) -> bool:
        """Whether its permit lets in several, and nothing tells which of them this is."""
        is_named = bool(self.person) or self.permit is None or not self.subject.startswith(self.permit.key)
        return self.is_shared and not is_named

    @property
    def names_nobody(self) -> bool:
        """Whether it is a card that looks like all others of its kind."""
        return bool(self.adds) and not (self.code or self.subject or self.person)


class Screening(StrEnum):
    """Outcome of the temperature screening. A fault or a cold skin is never NORMAL."""

    NORMAL = "normal"
    ELEVATED = "elevated"
    RETEST = "retest"
    """Measured, but not well enough: samples spread, or too near the limit."""
    INDETERMINATE = "indeterminate"
    """No usable measurement: nobody in the spot, skin too cold, too few samples."""
    DEVICE_FAULT = "device_fault"
    UNASKED = "unasked"
    """This lane has no thermometer: nobody is measured here."""


Basis: TypeAlias = Literal["calibrated", "population", "fixed", "clinical"]
"""What was compared with the threshold."""
NextStep: TypeAlias = Literal["", "second_reading", "rest", "clinical_reading"]
"""What the retest protocol asks for."""


@dataclass(frozen=True, slots=True)
class Temperature:
    """A screened temperature, as measured, with its uncertainty."""

    outcome: Screening
    surface_c: float | None = None
    uncertainty_c: float | None = None
    """Expanded uncertainty (k = 2) of what was compared with the limit."""
    samples: int = 0
    threshold_c: float | None = None
    basis: Basis = "fixed"
    """What was compared with the threshold. `calibrated`: the estimate after the site's calibration; `population`:
    the skin, with a threshold that follows the people who passed before; `fixed`: the skin, with the fixed one;
    `clinical`: a reading of staff's own thermometer."""
    estimate_c: float | None = None
    """On the scale of the calibration's reference; None without a calibration."""
    ambient_c: float | None = None
    """The room, from a sensor of its own."""
    reason: str = ""
    """Reason code of an outcome that is not plain."""
    attempt: int = 1
    """Which reading of this person it is."""
    next_step: NextStep = ""
    """What the retest protocol asks for now: `second_reading`, `rest`, `clinical_reading`."""
    judged_by: object = None
    """The lane and the calibration that it was judged by, for whom this counts later; never published."""


class Outcome(StrEnum):
    """What happens to the person. Only ADMIT and NOTICE open an entry gate."""

    ADMIT = "admit"
    ADMIT_WITH_NOTICE = "admit_with_notice"
    REFER = "refer"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Decision:
    """Outcome and why, in reason codes that `docs/` and the screen explain."""

    outcome: Outcome
    reasons: tuple[str, ...]
    rule: str = ""
    """Name of the policy row that decided."""
    actions: tuple[str, ...] = ()
    """What staff or the passer-by should do, in codes that are explained as the reasons are."""


class Role(StrEnum):
    """What a device is to its lane. `range`: how far somebody stands; `clinical`: staff's own thermometer."""

    SCANNER = "scanner"
    CARD = "card"
    """A second scanner, mostly for cards."""
    THERMOMETER = "thermometer"
    GATE = "gate"
    ROOM = "room"
    """A thermometer that measures the room: its air, or a wall in the shade."""
    RANGE = "range"
    LAMP = "lamp"
    BUZZER = "buzzer"
    SCREEN = "screen"
    CLINICAL = "clinical"
    BUTTON = "button"
    """The person who presses it at an exit wants to leave."""
    LOCATION = "location"
    """Tells where the vehicle is that the kiosk stands in."""


SCANNERS = frozenset({Role.SCANNER, Role.CARD})


@dataclass(frozen=True, slots=True)
class ScheduledService:
    """A train, a flight or a performance that leaves or begins at the same time each day."""

    service: str
    """As `ICE 77`; capitals, spaces and zeros before a number make no difference."""
    minute: int
    """Of the local day."""


@dataclass(frozen=True, slots=True)
class LaneTickets:
    """What a lane knows of the tickets that count at it."""

    places: frozenset[str] = frozenset()
    """In the words of the tickets' formats."""
    services: tuple[ScheduledService, ...] = ()
    tolerance_s: float = 0.0
    """How long before and after its time a service is boarded."""
    time_zone: tzinfo = UTC
    once: bool = True
    """A ticket for one entry lets nobody in here after its first use."""


@dataclass(frozen=True, slots=True)
class LaneSpec:
    """The settings of a lane that the checkpoint needs."""

    direction: Direction
    lane_type: LaneType = LaneType.PEDESTRIAN
    ranged: bool = False
    """It has a range sensor: a reading counts only while somebody stands at the mark."""
    tickets: LaneTickets = LaneTickets()
    parts: frozenset[Role] = frozenset({Role.SCANNER, Role.THERMOMETER, Role.GATE})
    """Of scanner, card reader, thermometer and gate, those that the lane has."""
    counts: str = ""
    """How an opening changes the number inside: `in`, `out`, `none`; empty: by the direction."""
    release_s: float = 3.0
    """How long the gate is released for one person, seconds."""

    @property
    def has_scanner(self) -> bool:
        """Whether codes or cards can be shown here."""
        return not self.parts.isdisjoint(SCANNERS)

    @property
    def counts_as(self) -> str:
        """`in`, `out` or `none`."""
        by_direction = {Direction.ENTRY: "in", Direction.EXIT: "out", Direction.CHECK: "none"}
        return self.counts or by_direction[self.direction]


@dataclass(frozen=True, slots=True)
class DecisionInput:
    """What a decision is about."""

    lane: LaneSpec
    verdict: Verdict | None
    """None: no code was shown."""
    temperature: Temperature
    scanner_works: bool
    shown_again: bool
    """The holder was let in by this kiosk a moment ago."""
    now: TimeBounds
    used: Tristate = Tristate.UNKNOWN
    """Whether the ticket has let somebody in already."""
    facts: VenueFacts = NO_VENUE
    """What the venue adds."""


@dataclass(frozen=True, slots=True)
class DeviceUp:
    """A device was opened and answers."""

    at_s: float
    driver: str
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class DeviceDown:
    """A device is gone or answers wrongly; `error` says what to do."""

    at_s: float
    driver: str
    error: str


class LaneCommand(StrEnum):
    """Lane commands that the central server may send."""

    OPEN = "open"
    """Release the gate once."""
    RETEST = "retest"
    """Forget who was measured last, so that the person can be measured again."""


@dataclass(frozen=True, slots=True)
class LaneCommandRequest:
    """The central server asks something of a lane; a LaneCommandResult follows."""

    at_s: float
    command: LaneCommand
    number: int = 0
    """Under which the person waits who is meant; 0: who shows a code, or was turned away last."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What staff's own thermometer has shown of the person who waits under this number."""

    reading: Reading
    number: int

    @property
    def at_s(self) -> float:
        """When it was said."""
        return self.reading.at_s


@dataclass(frozen=True, slots=True)
class Override:
    """Staff let in whom the table has referred to them, under the number that the person waits under."""

    at_s: float
    number: int
    seen: tuple[str, ...] | None = None
    """Reasons that staff saw when they chose to: it is done only while these are all. None: whatever they are."""


@dataclass(frozen=True, slots=True)
class LaneClosure:
    """Staff or the venue's rules close a lane, or reopen it. An exit stays an exit."""

    at_s: float
    closed: bool
    by: str = ""
    """`staff`: by hand; else by the venue's rules. It is open when nobody keeps it closed."""


@dataclass(frozen=True, slots=True)
class OpenOnce:
    """Staff open the gate once, which decides nothing about anybody. At an entry not while somebody waits there."""

    at_s: float


@dataclass(frozen=True, slots=True)
class SentAway:
    """The person who waits under this number has left, or was sent away: nothing is to be decided any more."""

    at_s: float
    number: int


@dataclass(frozen=True, slots=True)
class WhoWaits:
    """Staff asks who may be measured with their own thermometer."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Attestation:
    """What staff, a sensor or the vehicle states (登记). It adds a fact or a ledger entry, and decides nothing."""

    at_s: float
    type: str
    """Of a person: `mask`, `document`, `record`, `travel`; else `feedback`, `absence`, `duty`, `count`, …"""
    value: str = ""
    number: int = 0
    """Of the person who waits under it; 0: the person who was decided last. For `count`: how many are inside."""
    case: str = ""
    group: str = ""
    form: str = ""
    answers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Clear choices of a form."""
    private: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Answers that are sealed at once: never written or shown."""
    by: str = ""
    """Badge of the person who states it; empty: none."""


OLDEST_COUNT_S = 600.0
"""So long it is known who has come since staff counted."""

Item: TypeAlias = (
    Sighting
    | Departure
    | Reading
    | Distance
    | Fix
    | DeviceUp
    | DeviceDown
    | LaneCommandRequest
    | LaneClosure
    | Recorded
    | Override
    | OpenOnce
    | SentAway
    | WhoWaits
    | Pressed
    | Attestation
)


@dataclass(frozen=True, slots=True)
class Observation:
    """One line of the day's list: what was seen, where."""

    lane: str
    role: Role
    item: Item


@dataclass(frozen=True, slots=True)
class Sealed:
    """What only the central server can open: HPKE (RFC 9180), base mode."""

    keyid: str
    """Names the central server's key."""
    enc: bytes
    """32 bytes, the encapsulated key."""
    ct: bytes
    """The padded content and 16 bytes of tag."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """Whether code status, colour, temperature and reasons were removed from a passage."""

    format: str | None
    """Of the code that was shown; None when none was."""
    sealed: Sealed | None = None
    """What was removed, and the codes, sealed; None: nothing is kept."""


@dataclass(frozen=True, slots=True)
class VehiclePosition:
    """Where a vehicle was."""

    lat: float
    lon: float
    u_m: float
    """Radius that held the true place with 95 %, metres."""
    age_s: float
    """How long before the event."""


@dataclass(frozen=True, slots=True)
class VenueMark:
    """What the venue adds to a passage."""

    case: str = ""
    """Five letters, where staff must follow it."""
    role: str = ""
    permit: str = ""
    drill: bool = False
    trip: str = ""
    seat: int = 0
    place: VehiclePosition | None = None
    """Of the vehicle; None: not known, or no trip."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One person at one lane, decided."""

    lane: str
    direction: Direction
    verdict: Verdict | None
    """None: no code was shown."""
    temperature: Temperature
    decision: Decision
    gate_opened: bool
    """Whether the gate was commanded to open."""
    began_s: float
    decided_s: float
    simulated: bool
    """True if any device that took part is simulated."""
    payloads: tuple[bytes, ...] = field(default=(), repr=False)
    """The codes as they were read, from the checkpoint to `agent.privacy` and no further."""
    redacted: Redacted | None = None
    """Set: verdict, temperature and reasons are not here."""
    venue: VenueMark | None = None
    """None: the kiosk serves no venue."""
    facts: VenueFacts = NO_VENUE
    """By which it was decided."""
    number: int = 0
    """Under which staff may decide again about the person who was not let in; 0: nobody waits."""
    is_repeat: bool = False
    """An exit has opened again for somebody whose leaving counts already."""


@dataclass(frozen=True, slots=True)
class DeviceChange:
    """A device came or went."""

    lane: str
    role: Role
    driver: str
    up: bool
    error: str = ""
    simulated: bool = False


AgentEventType: TypeAlias = Literal[
    "started",
    "stopped",
    "clock_synchronised",
    "config_applied",
    "config_rejected",
    "config_rolled_back",
    "release_applied",
    "release_rejected",
    "release_rolled_back",
    "safe_mode",
    "ticket_used_twice",
]


@dataclass(frozen=True, slots=True)
class AgentChange:
    """The agent started or stopped, learned what time it is, or what it runs on has changed."""

    type: AgentEventType
    """`clock_synchronised`: the event's clock dates all events of this boot; `ticket_used_twice`: kiosks that
    could not hear each other have both let somebody in on one ticket."""
    version: str
    simulated: bool = False
    """True if any configured device is simulated."""
    config_version: int = 0
    """Version of the configuration from the central server that this is about; 0 for none."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Waits:
    """A person who waits, as staff see it."""

    number: int
    ago_s: float
    """Since the last decision."""
    outcome: Screening
    """Of the last temperature."""
    with_code: bool
    since_s: float
    """When it was decided."""
    decision: Decision
    temperature: Temperature
    rest_s: float
    """To rest still before the next reading, seconds."""


@dataclass(frozen=True, slots=True)
class RemeasureResult:
    """What became of what staff did at a lane: a reading of their own thermometer, an override, an opening."""

    lane: str
    passage: Passage | None = None
    """None: it decided nothing."""
    reason: LocalRefusal | Literal[""] = ""
    """Why not."""
    waiting: tuple[Waits, ...] = ()
    """Who waits on this lane, the latest first: when the request was refused, or asked for this."""
    inputs: tuple[DecisionInput, ...] = ()
    """What each of them was decided by: to tell what would change it."""


@dataclass(frozen=True, slots=True)
class LaneCommandResult:
    """What became of a lane command."""

    reason: CommandReason | Literal[""] = ""
    """Why not; empty when it was done."""
    simulated: bool = False


class CommandStatus(StrEnum):
    """What became of what the central server sent."""

    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    """Nothing was done, on purpose."""
    FAILED = "failed"
    """It was tried, and could not be done."""
    UNKNOWN = "unknown"
    """The agent was stopped in the midst of it: it may have been done."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The answer to a command or to a bundle."""

    command: str
    """Its name, or `bundle`."""
    status: CommandStatus
    reason: CommandReason | Rejection | Literal[""] = ""
    """Why it was not done; empty when it was."""
    command_id: str = ""
    """`id` of the command; empty for a bundle."""
    result: Mapping[str, object] | None = None
    """What the command gives back, as JSON has it."""
    duplicate: bool = False
    """The same command came again: nothing was done, and this answer was sent before."""
    simulated: bool = False


LossReason: TypeAlias = Literal[
    "storage_full", "memory_full", "storage_corrupt", "storage_restored", "retention_expired", "unencodable"
]


@dataclass(frozen=True, slots=True)
class AttestationRecord:
    """An attestation as it is stored and sent."""

    type: str
    lane: str = ""
    case: str = ""
    value: str = ""
    group: str = ""
    form: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    by: str = ""
    drill: bool = False
    private: Mapping[str, str] = field(default_factory=dict, repr=False)
    """From the guard to `agent.privacy` and no further."""
    sealed: Sealed | None = None
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class AttestationResult:
    """What became of an attestation."""

    reason: StatementRefusal | None = None
    """Why it was not accepted; None when it was."""
    passage: Passage | None = None
    """The new decision, if there was somebody to decide about."""
    text: str = ""
    """One sentence for the person who stated it."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a venue reports of a round or a day that has certainly ended (日报告, 零报告)."""

    type: str
    """`round` or `day`."""
    name: str
    complete: bool
    """The kiosk had power throughout, and its ledger was kept since before it began."""
    exact: bool
    """No entries were lost."""
    dated: bool
    day: str = ""
    """Local day, YYYY-MM-DD; empty when it is not known."""
    from_utc: float | None = None
    until_utc: float | None = None
    came: int = 0
    left: int = 0
    most: int | None = None
    inside: int | None = None
    drift: int = 0
    decisions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    expected: int | None = None
    checked: int | None = None
    unmeasured: int | None = None
    """Who was here, and was referred or refused before a measurement: neither checked nor absent."""
    absent: int | None = None
    absent_ill: int | None = None
    groups: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    rounds: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)
    clusters: tuple[Mapping[str, object], ...] = ()
    cases: Mapping[str, int | None] = field(default_factory=dict)
    duties: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    trips: int = 0
    """Of a vehicle, that began on this day."""
    powered_s: int = 0
    online_s: int | None = None
    up_s: Mapping[str, int] = field(default_factory=dict)
    absent_numbers: tuple[int, ...] = field(default=(), repr=False)
    """Roster numbers: sealed where the privacy rules allow it, else dropped."""
    sealed: Sealed | None = None
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Loss:
    """Events that the outbox had to give up; a record of it takes their place."""

    reason: LossReason
    """`storage_full`: no room on disk; `memory_full`: no room in memory while the disk failed; `storage_corrupt`:
    the file was damaged; `retention_expired`: sealed parts waited longer than they may be kept; `unencodable`: an
    internal error of the agent; `storage_restored`: the file is an older copy of itself."""
    count: int
    first: int = 0
    """Lowest sequence lost; 0 when none had been given yet."""
    last: int = 0
    epoch: str = ""
    """The store that the range belongs to."""
    simulated: bool = False


class EventBody(Protocol):
    """What an event is about: a frozen data class that a file of `agent/events/kinds/` names."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def simulated(self) -> bool:
        """Whether any device that took part is simulated."""


@dataclass(frozen=True, slots=True)
class Event:
    """What is kept and sent. Id and sequence are given by the outbox."""

    body: EventBody
    at_s: float
    """Seconds since boot, sleep included (CLOCK_BOOTTIME)."""
    now: TimeBounds
    boot_id: str = field(default="")
    entries: bytes = field(default=b"", repr=False)
    """Ledger entries that are stored in the same commit."""
    replaces_entries: bool = False
    """They take the place of all before: the ledger was compacted."""


class ReleaseStatus(StrEnum):
    """What has become of the release that the central server has signed, on one kiosk."""

    NOT_IN_WAVE = "not_in_wave"
    WAITING = "waiting"
    """To be fetched, or for a moment without people."""
    ON_TRIAL = "on_trial"
    IN_USE = "in_use"
    REJECTED = "rejected"
    """Never used."""
    ROLLED_BACK = "rolled_back"
    """It was used, and rolled back: automatically, or by a person at the kiosk."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The version in force of one thing that the central server may send."""

    type: Literal[
        "root", "keys", "policy", "list", "privacy", "config", "venue", "roster", "zones", "staff", "release"
    ]
    name: str = ""
    """Of the list or the table; empty for the other types."""
    version: int = 0
    """Of the bundle; of what is not from a bundle its own, 0 when it has none."""
    source: Literal["bundle", "file", "built_in"] = "bundle"
    """From the central server, from a file of this kiosk, or part of the agent."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the store of events has come: a later one of the same epoch was once true, so the store is a copy."""

    epoch: str
    last: int
    """Sequence of the newest event."""
    proof: str = ""
    """By the store itself, which nobody else can make."""
    is_signed: bool = False
    """By the central server."""
    run: str = ""
    """Of the agent that says so: random, new at each start."""


@dataclass(frozen=True, slots=True)
class ChainPosition:
    """Where an event stands in its kiosk's chain."""

    epoch: str
    """Random, new whenever a store of events is created: sequences begin again at 1."""
    sequence: int
    """1, 2, 3 … within the epoch, without a gap, never used twice."""
    previous_sha256: str
    """SHA-256 (hex) of the payload before; 64 zeros for the first."""


@dataclass(frozen=True, slots=True)
class Record:
    """An event as it is kept and sent: never changed after it was made."""

    key: int
    """The outbox's own order; above 0 it is the sequence."""
    kind: str
    rank: int
    """Worth when there is no room: 0 is dropped first."""
    payload: bytes


@dataclass(frozen=True, slots=True)
class Component:
    """One part of the agent at this moment, for health."""

    name: str
    silent_s: float = 0.0
    """Since it last showed progress."""
    limit_s: float = 1.0
    """Silence beyond this means that it hangs."""
    findings: tuple[Finding, ...] = ()
    """What is wrong with it and what to do; none: it is up."""
    vital: bool = False
    """Without it nobody is judged or nothing is kept: when it hangs the whole agent must be restarted."""

    @property
    def up(self) -> bool:
        """Nothing is wrong with it."""
        return not self.findings

    @property
    def error(self) -> str:
        """All findings in words."""
        return in_words(self.findings)

    @property
    def hangs(self) -> bool:
        """Silent beyond its limit."""
        return self.silent_s > self.limit_s

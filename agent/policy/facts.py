"""The facts on which a decision may depend, each with a handful of values, so that a table can be proved.

Everything measured is put into a class here (a test is `pcr_48h`, not 31.5 hours old): the table then speaks the
words of a notice at the door, and all combinations of facts can be checked before the table is used.
"""

from __future__ import annotations

import math
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NamedTuple

from agent.model import (
    NO_VENUE,
    SAME_SWAB_S,
    CodeProof,
    CodeStatus,
    Direction,
    LaneTickets,
    LaneType,
    ListAge,
    MaskState,
    PermitState,
    PersonRole,
    RecordState,
    RoomState,
    Screening,
    TravelState,
    Tristate,
    VenueFacts,
    WatchClass,
)
from agent.model.bounds import Ge
from agent.model.lazy import dataclass
from agent.policy.tickets import ticket_here, ticket_now, ticket_service

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.model import LabResult, TimeBounds, Verdict

_HOUR_S = 3600.0
_DAY_S = 86400.0


class Zone(StrEnum):
    """Risk of the area that the venue lies in."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CONTROLLED = "controlled"
    """管控区: who comes in is recorded."""
    LOCKED = "locked"
    """封控区: nobody comes in without staff, and who leaves is followed."""


class VenueKind(StrEnum):
    """Kind of place."""

    RESIDENTIAL = "residential"
    OFFICE = "office"
    CONSTRUCTION_SITE = "construction_site"
    RETAIL = "retail"
    PUBLIC_PLACE = "public_place"
    PORT_OF_ENTRY = "port_of_entry"
    TRANSPORT = "transport"
    MEDICAL = "medical"
    SCHOOL = "school"
    CARE_HOME = "care_home"


class CodeFact(StrEnum):
    """What the code gave: a colour if it is valid, a certificate if it is valid and has no colour, else why not."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    CERTIFICATE = "certificate"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    TIME_UNKNOWN = "time_unknown"
    UNKNOWN_ISSUER = "unknown_issuer"
    BAD_SIGNATURE = "bad_signature"
    REVOKED = "revoked"
    MALFORMED = "malformed"
    UNRECOGNISED = "unrecognised"
    INCOMPLETE = "incomplete"
    UNDECIDED = "undecided"
    NONE = "none"
    SCANNER_FAULT = "scanner_fault"
    VOUCHED = "vouched"
    """None was shown, or a card that no list has, but staff saw a document and recorded the person."""
    UNASKED = "unasked"
    """This lane has no scanner: nobody shows a code here."""


class CredentialKind(StrEnum):
    """What sort of code it is."""

    HEALTH = "health"
    VACCINATION = "vaccination"
    RECOVERY = "recovery"
    TEST = "test"
    YELLOW_FEVER = "yellow_fever"
    TICKET = "ticket"
    IDENTITY = "identity"
    OTHER = "other"


class TestFact(StrEnum):
    """The best that the tests in the code say; `positive` if the newest is."""

    __test__ = False

    NONE = "none"
    PCR_24H = "pcr_24h"
    PCR_48H = "pcr_48h"
    PCR_72H = "pcr_72h"
    ANTIGEN_24H = "antigen_24h"
    OLDER = "older"
    POSITIVE = "positive"


class Series(StrEnum):
    """Whether the required number of tests within the required days is there."""

    MET = "met"
    INSUFFICIENT = "insufficient"


class ListAgeFact(StrEnum):
    """Age of the lists and keys that the verdict rests on."""

    FRESH = "fresh"
    STALE = "stale"
    EXPIRED = "expired"


class Passback(StrEnum):
    """Whether this code was shown on this lane a moment ago."""

    NONE = "none"
    RECENT = "recent"


class Facts(NamedTuple):
    """All that a policy row may ask for."""

    direction: Direction
    code: CodeFact
    temperature: Screening
    zone: Zone = Zone.LOW
    venue: VenueKind = VenueKind.PUBLIC_PLACE
    kind: CredentialKind = CredentialKind.HEALTH
    test: TestFact = TestFact.NONE
    test_series: Series = Series.MET
    watch: WatchClass = WatchClass.CLEAR
    list_age: ListAgeFact = ListAgeFact.FRESH
    passback: Passback = Passback.NONE
    lane_type: LaneType = LaneType.PEDESTRIAN
    proof: CodeProof = CodeProof.SIGNED
    ticket_here: Tristate = Tristate.UNKNOWN
    ticket_now: Tristate = Tristate.UNKNOWN
    ticket_service: Tristate = Tristate.UNKNOWN
    of_age: Tristate = Tristate.UNKNOWN
    already_used: Tristate = Tristate.UNKNOWN
    role: PersonRole = PersonRole.VISITOR
    permit: PermitState = PermitState.UNASKED
    room: RoomState = RoomState.FREE
    mask: MaskState = MaskState.UNASKED
    record: RecordState = RecordState.NONE
    travel: TravelState = TravelState.UNASKED


DIMENSIONS: dict[str, type[StrEnum]] = {
    "direction": Direction,
    "code": CodeFact,
    "temperature": Screening,
    "zone": Zone,
    "venue": VenueKind,
    "kind": CredentialKind,
    "test": TestFact,
    "test_series": Series,
    "watch": WatchClass,
    "list_age": ListAgeFact,
    "passback": Passback,
    "lane_type": LaneType,
    "proof": CodeProof,
    "ticket_here": Tristate,
    "ticket_now": Tristate,
    "ticket_service": Tristate,
    "of_age": Tristate,
    "already_used": Tristate,
    "role": PersonRole,
    "permit": PermitState,
    "room": RoomState,
    "mask": MaskState,
    "record": RecordState,
    "travel": TravelState,
}
TICKET_FACTS = frozenset({"proof", "ticket_here", "ticket_now", "ticket_service", "of_age", "already_used"})
"""A table that asks for one of these covers tickets and identities."""
TICKET_KINDS = frozenset({CredentialKind.TICKET, CredentialKind.IDENTITY})
REFINES: dict[str, dict[str, str]] = {
    "direction": {"check": "entry"},
    "code": {"vouched": "none", "unasked": "none"},
    "temperature": {"unasked": "indeterminate"},
    "zone": {"controlled": "high", "locked": "high"},
    "watch": {"asked": "hit", "arrival": "hit", "contact": "hit"},
}
"""Fact → value → the coarser value for which it stands in a table that does not name it: so tables from before
there was such a value are whole, and treat it as they always did.
"""


COMBINATIONS = math.prod(len(values) for values in DIMENSIONS.values())
"""How many different facts there can be."""


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What is the same for every passage at this kiosk."""

    zone: Zone = Zone.LOW
    venue: VenueKind = VenueKind.PUBLIC_PLACE
    series_tests: Annotated[int, Ge(0)] = 0
    series_days: Annotated[float, Ge(0)] = 3.0
    series_spacing_s: Annotated[float, Ge(0)] = SAME_SWAB_S
    """Least time between two tests that both count."""
    from_report: bool = False
    """The age of a test is counted from its report, where the code tells it."""


def code_fact(verdict: Verdict | None) -> CodeFact:
    """The code's fact; `none` when none was shown."""
    if verdict is None:
        return CodeFact.NONE
    if verdict.status is CodeStatus.VALID:
        return CodeFact(verdict.colour.value) if verdict.colour is not None else CodeFact.CERTIFICATE
    if verdict.status is CodeStatus.INTERNAL_ERROR:
        return CodeFact.SCANNER_FAULT  # nothing is known of the code, and the fault is the kiosk's
    return CodeFact(verdict.status.value)


def facts_of(
    direction: Direction,
    verdict: Verdict | None,
    screening: Screening,
    now: TimeBounds,
    *,
    site: SiteFacts,
    scanner_works: bool = True,
    has_scanner: bool = True,
    passback: Passback = Passback.NONE,
    lane_type: LaneType = LaneType.PEDESTRIAN,
    tickets: LaneTickets = LaneTickets(),  # noqa: B008 - frozen
    used: Tristate = Tristate.UNKNOWN,
    venue: VenueFacts = NO_VENUE,
    venue_age: ListAge = ListAge.FRESH,
) -> Facts:
    """Facts of one passage. Ages are counted to the latest moment that now can be: never too fresh. A negative test
    that is dated ahead is none; a positive one counts whatever its date.

    `venue_age`: of what was sent of the venue. Who is let in without a code is let in by that alone; the verdict on
    a code has its own age, which counts it too.
    """
    code = code_fact(verdict)
    if code is CodeFact.NONE and not scanner_works:
        code = CodeFact.SCANNER_FAULT
    if verdict is None and not has_scanner:
        code = CodeFact.UNASKED
    if venue.vouched and (verdict is None or verdict.status is CodeStatus.UNDECIDED):
        code = CodeFact.VOUCHED
    list_age = venue_age if code in (CodeFact.UNASKED, CodeFact.VOUCHED) else ListAge.FRESH
    if verdict is not None:
        list_age = verdict.list_age
    shown = () if verdict is None else verdict.tests
    entitlement = None if verdict is None else verdict.entitlement
    tests = [test for test in shown if test.positive or test.taken_utc <= now.latest_utc]
    return Facts(
        direction,
        code,
        screening,
        Zone(venue.zone) if venue.zone else site.zone,
        site.venue,
        CredentialKind.HEALTH if verdict is None else CredentialKind(verdict.kind),
        best_test(tests, now, _counted_from(tests, now, site)),
        _series(tests, now, site, max(site.series_tests, venue.tests)),
        watch_fact(verdict),
        ListAgeFact(list_age.value),
        passback,
        lane_type,
        CodeProof.SIGNED if verdict is None else verdict.proof,
        ticket_here(entitlement, tickets),
        ticket_now(entitlement, now),
        ticket_service(entitlement, tickets, now),
        Tristate.UNKNOWN if verdict is None else verdict.of_age,
        used,
        venue.role,
        venue.permit,
        venue.room,
        venue.mask,
        venue.record,
        venue.travel,
    )


def watch_fact(verdict: Verdict | None) -> WatchClass:
    """On which watch list the holder is; a list without classes means the strictest."""
    if verdict is None or not verdict.watched:
        return WatchClass.CLEAR
    return WatchClass.HIT if verdict.watch is WatchClass.CLEAR else verdict.watch


def _counted_from(tests: Iterable[LabResult], now: TimeBounds, site: SiteFacts) -> list[LabResult]:
    """Negative tests dated by their report, where the site counts so and the code tells it."""
    return [
        replace(test, taken_utc=test.reported_utc, latest_utc=None)
        if site.from_report
        and not test.positive
        and test.reported_utc is not None
        and test.taken_utc <= test.reported_utc <= now.latest_utc
        else test
        for test in tests
    ]


def best_test(tests: Iterable[LabResult], now: TimeBounds, dated: Iterable[LabResult] | None = None) -> TestFact:
    """The best that the tests say, by age; `positive` unless a negative one was taken after the last positive one
    for certain.

    `dated`: the same, with the times that their age is counted from where that is not when they were taken. A
    result that was told late is no newer than what was found meanwhile.
    """
    found = tuple(tests)
    if not found:
        return TestFact.NONE
    negative = sorted((test for test in found if not test.positive), key=lambda test: test.taken_utc)
    newest_utc = negative[-1].taken_utc if negative else -math.inf
    if any(test.latest >= newest_utc for test in found if test.positive):
        return TestFact.POSITIVE
    if dated is not None:
        negative = sorted((test for test in dated if not test.positive), key=lambda test: test.taken_utc)
    ages = {test.kind: (now.latest_utc - test.taken_utc) / _HOUR_S for test in negative}
    for limit_h, fact in ((24, TestFact.PCR_24H), (48, TestFact.PCR_48H), (72, TestFact.PCR_72H)):
        if ages.get("pcr", limit_h + 1) <= limit_h:
            return fact
    return TestFact.ANTIGEN_24H if ages.get("antigen", 25) <= 24 else TestFact.OLDER  # noqa: PLR2004 - hours, as the name


def _series(tests: Iterable[LabResult], now: TimeBounds, site: SiteFacts, wanted: int) -> Series:
    """Whether `wanted` negative results lie within the last `series_days`. Two count as two only if they were
    certainly taken `site.series_spacing_s` apart: two codes may tell of one swab, one to the second and one to
    the day.
    """
    since = now.latest_utc - site.series_days * _DAY_S
    counted, after_utc = 0, -math.inf
    for test in sorted((test for test in tests if not test.positive), key=lambda test: test.latest):
        if test.taken_utc >= max(since, after_utc):
            counted, after_utc = counted + 1, test.latest + site.series_spacing_s
    return Series.MET if counted >= wanted else Series.INSUFFICIENT

"""The contract's part about a venue: attestations and reports. As `contract`, for schemas and type checkers."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from annotated_types import Ge
from typing_extensions import TypedDict  # pydantic cannot read Python 3.11's own

from agent.events.contract import ClockJson, EnvelopeJson, SealedJson


class AttestationJson(TypedDict):
    """What staff, a sensor or the vehicle stated. It added a fact or a count, and decided nothing."""

    type: Annotated[
        str,
        "`mask`, `document`, `record`, `travel`, `feedback`, `absence`, `symptom`, `duty`, `count`, `form`, "
        "`badge`, `trip`; a deed of staff: `override`, `retest`, `remeasure`, `left`, `open`, `all_out`, `close`, "
        "`reopen`, `step`, `handover`, `login`, `login_closed`, `pair`, `paired`, `unpair`; more may be added",
    ]
    lane: Annotated[str, "empty where it concerns the venue"]
    case: Annotated[str, "five letters; empty when it concerns no case"]
    value: str
    group: Annotated[str, "of the roster; empty for none"]
    form: Annotated[str, "name of the form that was filled in; empty for none"]
    answers: Annotated[
        dict[str, str],
        "choices of the form that are marked as clear; of a deed: `number` of the person, `second` person, …",
    ]
    by: Annotated[str | None, "badge of the person who stated or did it; null when nobody had signed on"]
    drill: Annotated[bool, "it belongs to an exercise"]
    sealed: NotRequired[Annotated[SealedJson | None, "private answers; only the central server opens them"]]
    simulated: bool
    clock: ClockJson


class AttendanceJson(TypedDict):
    """Who of those expected was measured."""

    expected: Annotated[int | None, "by the roster; null without one"]
    checked: Annotated[int | None, "each person once"]
    unmeasured: Annotated[int | None, "were here, and were referred or refused before they were measured"]
    absent: int | None
    absent_ill: Annotated[int | None, "of the absent, those stated to be ill"]


class ClusterJson(TypedDict):
    """Several people of one group with one symptom on one day."""

    group: str
    symptom: str
    count: Annotated[int, Ge(2)]


class CasesJson(TypedDict):
    """Alerts that staff had to follow."""

    opened: int
    answered: int
    unanswered: Annotated[int, "open when the day ended"]
    answer_s: Annotated[int | None, "the longest time to an answer; null when none was answered"]
    drills: int
    drill_answer_s: NotRequired[int]


class DutyJson(TypedDict):
    """A duty of the day, for example disinfection."""

    asked: int
    done: int
    missed: int


class ReportJson(AttendanceJson):
    """The account of a round or a day that has certainly ended. Zero is reported too."""

    type: Literal["round", "day"]
    name: Annotated[str, "of the round, or of the venue"]
    day: Annotated[str | None, "local day, YYYY-MM-DD; null when the time was not known"]
    from_time: Annotated[str | None, "RFC 3339, UTC"]
    until_time: Annotated[str | None, "RFC 3339, UTC"]
    complete: Annotated[bool, "the kiosk had power throughout"]
    exact: Annotated[bool, "no ledger entries were lost"]
    dated: Annotated[bool, "false: some of it may belong to the day before or after"]
    came: Annotated[int, Ge(0)]
    left: Annotated[int, Ge(0)]
    most: Annotated[int | None, "most people inside at one time"]
    inside: Annotated[int | None, "at the end"]
    drift: Annotated[int, "corrections of the number inside: by counts of staff, and at closing time"]
    decisions: Annotated[dict[str, dict[str, int]], "role → decision → how many"]
    groups: Annotated[dict[str, AttendanceJson], "of a round: by group of the roster"]
    rounds: Annotated[dict[str, AttendanceJson], "of a day: by round"]
    clusters: list[ClusterJson]
    cases: CasesJson | None
    duties: dict[str, DutyJson]
    trips: NotRequired[Annotated[int, Ge(0), "of a vehicle, that began on this day; left out where there was none"]]
    powered_s: Annotated[int, "seconds with power: 0 tells a day without power from a day without people"]
    online_s: int | None
    up_s: Annotated[dict[str, int], "lane/part → seconds in which it worked"]
    sealed: NotRequired[Annotated[SealedJson | None, "roster numbers of the absent, where the privacy rules allow"]]
    simulated: bool
    clock: ClockJson


class AttestationEvent(EnvelopeJson):
    """Topic `…/event/attestation`."""

    data: AttestationJson


class ReportEvent(EnvelopeJson):
    """Topic `…/event/report`."""

    data: ReportJson

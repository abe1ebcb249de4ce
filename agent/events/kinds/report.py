"""Events `report`: the account of a round or a day of the venue."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypedDict

from agent.events.kinds import HIGH, EventKind, sealed_json
from agent.model import Report
from agent.model.bounds import Ge

if TYPE_CHECKING:
    from agent.events.contract import ClockJson, SealedJson


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


def _data(report: Report, clock: ClockJson) -> ReportJson:
    cases: Any = dict(report.cases) if report.cases else None
    message: dict[str, Any] = {
        "type": report.type,
        "name": report.name,
        "day": report.day or None,
        "from_time": _time(report.from_utc),
        "until_time": _time(report.until_utc),
        "complete": report.complete,
        "exact": report.exact,
        "dated": report.dated,
        "came": report.came,
        "left": report.left,
        "most": report.most,
        "inside": report.inside,
        "drift": report.drift,
        "expected": report.expected,
        "checked": report.checked,
        "unmeasured": report.unmeasured,
        "absent": report.absent,
        "absent_ill": report.absent_ill,
        "decisions": {role: dict(counts) for role, counts in report.decisions.items()},
        "groups": {group: dict(counts) for group, counts in report.groups.items()},
        "rounds": {name: dict(counts) for name, counts in report.rounds.items()},
        "clusters": [dict(cluster) for cluster in report.clusters],
        "cases": cases,
        "duties": {name: dict(counts) for name, counts in report.duties.items()},
        "powered_s": report.powered_s,
        "online_s": report.online_s,
        "up_s": dict(report.up_s),
        "simulated": report.simulated,
        "clock": clock,
    }
    if report.trips:
        message["trips"] = report.trips
    if report.sealed is not None:
        message["sealed"] = sealed_json(report.sealed)
    return message  # type: ignore[return-value]


def _time(utc: float | None) -> str | None:
    if utc is None:
        return None
    return datetime.fromtimestamp(utc, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _sentence(report: Report) -> str:
    day = report.day or "a day without a date"
    if report.type == "round":
        expected = "" if report.expected is None else f" of {report.expected}"
        unmeasured = f", {report.unmeasured} here without a measurement" if report.unmeasured else ""
        absent = "" if report.absent is None else f", {report.absent} absent ({report.absent_ill} ill)"
        return f"report: round {report.name} of {day}: {report.checked}{expected} checked{unmeasured}{absent}"
    unanswered = report.cases.get("unanswered")
    return (
        f"report: day {day}: {report.came} came, {report.left} left, {report.inside} inside, "
        f"{report.cases.get('opened')} cases, {unanswered} unanswered"
    )


KIND = EventKind(
    bodies=(Report,),
    shape=ReportJson,
    data=_data,
    rank=lambda _report: HIGH,
    sentence=_sentence,
    fields=lambda report: {"type": report.type, "name": report.name, "day": report.day},
)

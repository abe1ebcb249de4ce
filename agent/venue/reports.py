"""Reports of rounds and days: which are due, and what they say; zero too. Pure.

`due` names the rounds and days that have certainly ended and were not reported yet; `day_report` and `round_report`
say what the ledger knows of one. A day on which the kiosk had no power is reported too: `powered_s` is 0 then.
"""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from agent.model import ClockState, Report
from agent.model.lazy import dataclass
from agent.venue.entries import ABSENCES, DECISIONS, ROLES, SYMPTOMS, tag16
from agent.venue.ledger import DAY_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.model import TimeBounds
    from agent.venue.ledger import DayTally, Ledger
    from agent.venue.permits import Roster
    from agent.venue.rules import Round, VenueRules

MOST_MISSED = 31
"""Days that are reported after a long time without power; older ones are not."""
UNDATED_AFTER_S = 86_400.0
"""Without the time of day for so long, what there is is reported without a date."""
_SLACK_S = 120.0
"""Power is known by entries: a shorter gap is none."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ILL = ABSENCES.index("ill")


@dataclass(frozen=True, slots=True)
class Due:
    """A round or a day that has certainly ended."""

    day: int
    from_utc: float
    until_utc: float
    round: Round | None = None
    """None: the day itself."""

    @property
    def tag(self) -> int:
        """What stands for it in the ledger."""
        return 0 if self.round is None else self.round.tag


def knows(now: TimeBounds) -> bool:
    """Whether the time of day is known."""
    return now.state in (ClockState.SYNCED, ClockState.HOLDOVER) and now.latest_utc != float("inf")


def due(ledger: Ledger, rules: VenueRules, now: TimeBounds) -> list[Due]:
    """What is to be reported now, the earliest end first; a day after its rounds."""
    if ledger.since_utc is None or not ledger.knows_time or not knows(now):
        return []
    today = ledger.day_of(now.earliest_utc)
    first = max(ledger.day_of(ledger.since_utc), today - MOST_MISSED)
    after_last = ledger.reported.get(0, first - 1) + 1
    found = [
        Due(day, ledger.day_began_utc(day), ledger.day_began_utc(day + 1))
        for day in range(max(first, after_last), today)
    ]
    for each in rules.rounds:
        begin = max(first, ledger.reported.get(each.tag, after_last - 1) + 1)
        for day in range(begin, today + 1):
            start_utc = ledger.day_began_utc(day)
            made = Due(day, start_utc + each.from_min * 60, start_utc + each.until_min * 60, each)
            if each.takes_place(day) and ledger.since_utc < made.until_utc <= now.earliest_utc:
                found.append(made)
    return sorted(found, key=lambda each: (each.until_utc, each.tag == 0, each.tag))


def open_round(ledger: Ledger, rules: VenueRules, now: TimeBounds) -> Round | None:
    """The round that certainly goes on now."""
    if not knows(now):
        return None
    day = ledger.day_of(now.earliest_utc)
    start_utc = ledger.day_began_utc(day)
    for each in rules.rounds:
        begins, ends = start_utc + each.from_min * 60, start_utc + each.until_min * 60
        if each.takes_place(day) and begins <= now.earliest_utc and now.latest_utc < ends:
            return each
    return None


@dataclass(frozen=True, slots=True)
class Place:
    """What reports need to know beside the ledger."""

    rules: VenueRules
    roster: Roster | None = None
    parts: Mapping[tuple[int, int], str] | None = None
    """(Lane, part) → how the report calls it."""


def report_of(ledger: Ledger, made: Due, place: Place, now_utc: float) -> Report:
    """What the ledger says of what is due. The same ledger, the same report."""
    if made.round is not None:
        return round_report(ledger, made, place, now_utc)
    return day_report(ledger.until(made.day), made, place, now_utc, later=ledger)


def round_report(ledger: Ledger, made: Due, place: Place, now_utc: float) -> Report:
    """Who of those expected was measured; absence by group."""
    each = made.round
    if each is None:
        raise ValueError("the day is no round")
    tally = ledger.tally(made.day)
    attended = _attendance(tally, each, place.roster)
    powered_s = ledger.powered_s(made.from_utc, made.until_utc, now_utc)
    frame = _frame(ledger, made, tally, powered_s)
    if tally.checked.get(each.tag) and ledger.started_within(made.from_utc, made.until_utc):
        frame["exact"] = False  # without numbers it is not known who was measured before, and is counted again
    return Report(
        type="round",
        name=each.name,
        **frame,
        **attended,
        came=tally.came,
        left=tally.left,
        inside=ledger.inside if made.until_utc <= now_utc < made.until_utc + 2 * _SLACK_S else None,
        clusters=_clusters(tally, place),
        powered_s=round(powered_s),
    )


def day_report(ledger: Ledger, made: Due, place: Place, now_utc: float, later: Ledger | None = None) -> Report:
    """What one day was; `ledger`: as it was when it ended, `later`: as it is now."""
    later = later or ledger
    tally = later.tally(made.day)
    span = made.from_utc, made.until_utc
    powered_s = later.powered_s(*span, now_utc)
    down = later.down_s(*span, now_utc)
    parts = place.parts or {}
    attended = {
        each.name: _attendance(tally, each, place.roster)
        for each in place.rules.rounds
        if each.takes_place(made.day)
    }
    return Report(
        type="day",
        name=place.rules.name,
        **_frame(later, made, tally, powered_s),
        came=tally.came,
        left=tally.left,
        most=tally.most,
        inside=ledger.inside,
        drift=tally.drift,
        decisions=_decisions(tally),
        rounds={
            name: {key: found[key] for key in ("expected", "checked", "unmeasured", "absent", "absent_ill")}
            for name, found in attended.items()
        },
        clusters=_clusters(tally, place),
        cases=_cases(later, tally, made.day),
        duties=_duties(tally, place.rules, made.from_utc),
        trips=tally.trips,
        powered_s=round(powered_s),
        online_s=round(max(0.0, powered_s - later.offline_s(*span, now_utc))),
        up_s={name: round(max(0.0, powered_s - down.get(key, 0.0))) for key, name in sorted(parts.items())},
    )


def undated_report(ledger: Ledger, place: Place, came: int, left: int, seconds: float) -> Report:
    """What happened in a day's time without the time of day."""
    return Report(
        type="day",
        name=place.rules.name,
        complete=False,
        exact=ledger.exact,
        dated=False,
        came=came,
        left=left,
        inside=ledger.inside,
        powered_s=round(seconds),
        cases={"opened": 0, "answered": 0, "unanswered": len(ledger.cases), "answer_s": None, "drills": 0},
    )


def iso_day(day: int) -> str:
    """A local day as people write it."""
    return (_EPOCH + timedelta(days=day)).date().isoformat()


def _frame(ledger: Ledger, made: Due, tally: DayTally, powered_s: float) -> dict[str, Any]:
    since = ledger.since_utc if ledger.since_utc is not None else made.until_utc
    since = max(since, ledger.round_since_utc.get(made.tag, since))
    whole = powered_s >= made.until_utc - made.from_utc - _SLACK_S and since <= made.from_utc
    return {
        "day": iso_day(made.day),
        "from_utc": made.from_utc,
        "until_utc": made.until_utc,
        "complete": whole,
        "exact": ledger.exact and tally.exact,
        "dated": tally.dated,
    }


def _decisions(tally: DayTally) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (role, decision), count in sorted(tally.decided.items()):
        found.setdefault(ROLES[role] or "unasked", {})[DECISIONS[decision]] = count
    return found


def _attendance(tally: DayTally, each: Round, roster: Roster | None) -> dict[str, Any]:
    """Expected, measured, here without a measurement, absent, in all and by group; the numbers of the absent, where
    numbers are kept.
    """
    named, unnamed = tally.numbers.get(each.tag, {}), tally.checked.get(each.tag, Counter())
    here = {**tally.unmeasured_numbers.get(each.tag, {}), **named}
    checked = Counter(named.values()) + Counter(unnamed)
    unmeasured = Counter(group for number, group in here.items() if number not in named)
    unmeasured += tally.unmeasured.get(each.tag, Counter())
    numbered = roster.numbers(each.roles) if roster is not None and (here or tally.absent) else {}
    ill = Counter(
        group
        for number, (group, reason) in tally.absent.items()
        if reason == _ILL and number not in here and (roster is None or number in numbered)
    )
    for (group, reason), count in tally.absences.items():
        if reason == _ILL:
            ill[group] += count
    expected = roster.expected(each.roles) if roster is not None else {}
    groups = {}
    for name in sorted(expected):
        mark, wanted = tag16(name), expected[name]
        present = min(checked[mark], wanted)
        waiting = min(unmeasured[mark], wanted - present)
        absent = wanted - present - waiting
        groups[name or "-"] = {
            "expected": wanted,
            "checked": present,
            "unmeasured": waiting,
            "absent": absent,
            "absent_ill": min(ill[mark], absent),
        }
    return {
        "expected": sum(found["expected"] for found in groups.values()) if roster is not None else None,
        "checked": sum(found["checked"] for found in groups.values()) if roster is not None else checked.total(),
        "unmeasured": sum(found["unmeasured"] for found in groups.values())
        if roster is not None
        else unmeasured.total(),
        "absent": sum(found["absent"] for found in groups.values()) if roster is not None else None,
        "absent_ill": sum(found["absent_ill"] for found in groups.values()) if roster is not None else ill.total(),
        "groups": groups,
        "absent_numbers": tuple(sorted(number for number in numbered if number not in here)),
    }


def _clusters(tally: DayTally, place: Place) -> tuple[dict[str, Any], ...]:
    """Several of one group with one symptom on one day."""
    names = {} if place.roster is None else {tag16(group): group for group in place.roster.groups}
    return tuple(
        {"group": names.get(group, ""), "symptom": SYMPTOMS[symptom], "count": count}
        for (group, symptom), count in sorted(tally.symptoms.items())
        if count >= place.rules.cluster and symptom < len(SYMPTOMS)
    )


def _cases(ledger: Ledger, tally: DayTally, day: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "opened": tally.opened,
        "answered": tally.answered,
        "unanswered": ledger.unanswered(day),
        "answer_s": round(tally.longest_answer_s) if tally.answered else None,
        "drills": tally.drills,
    }
    if tally.drill_answer_s is not None:
        found["drill_answer_s"] = round(tally.drill_answer_s)
    return found


def _duties(tally: DayTally, rules: VenueRules, began_utc: float) -> dict[str, dict[str, int]]:
    found = {}
    for each in rules.duties:
        asked = int(DAY_S / 3600 // each.every_h) or 1
        done = _times_done((utc - began_utc for utc in tally.duties.get(each.tag, ())), asked)
        found[each.name] = {"asked": asked, "done": done, "missed": asked - done}
    return found


def _times_done(seconds: Iterable[float], asked: int) -> int:
    """In how many of `asked` equal parts of a day something was done. What was done by the border of two parts
    counts for either, and once if it was done again before half a part was over.
    """
    part_s = DAY_S / asked
    done: set[int] = set()
    last_s = -math.inf
    for at_s in sorted(seconds):
        border = int(at_s / part_s + 0.5)
        part = next((each for each in (border - 1, border) if 0 <= each < asked and each not in done), None)
        if part is not None and at_s - last_s >= part_s / 2:
            done.add(part)
            last_s = at_s
    return len(done)

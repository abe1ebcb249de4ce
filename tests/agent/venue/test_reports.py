"""Each round and each day is reported exactly once, whatever is cut off; zero is a report, too."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kiosk_bench import DAY_S, HOUR_S, MONDAY_UTC, OFFSET_S, PUPILS, SCHOOL, Kiosk, roster_of

from agent.model import Outcome, Report, Screening
from agent.venue.entries import What, unpack
from agent.venue.reports import MOST_MISSED, iso_day
from agent.venue.rules import parse_venue

MONDAY = int((MONDAY_UTC + OFFSET_S) // DAY_S)


def keys(kiosk: Kiosk) -> Counter[tuple[str, str, str]]:
    return Counter((report.type, report.name, report.day) for report in kiosk.reports)


def of(kiosk: Kiosk, kind: str, name: str = "", day: int = MONDAY) -> Report:
    (found,) = [
        report
        for report in kiosk.reports
        if report.type == kind and (not name or report.name == name) and report.day == iso_day(day)
    ]
    return found


def test_a_morning_round_says_who_has_come_and_who_has_not() -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    kiosk.until(7.5)
    for name in ("pupil1", "pupil2", "pupil4", "pupil1"):
        kiosk.pass_by(name)
    kiosk.pass_by("pupil3", outcome=Outcome.REFER, screening=Screening.ELEVATED, reasons=("fever",))
    kiosk.pass_by("stranger")
    kiosk.until(8.4)
    assert not kiosk.reports, "the round goes on"
    kiosk.state("absence", "ill", number=5)
    kiosk.until(9)
    report = of(kiosk, "round", "morning")
    assert (report.expected, report.checked, report.absent, report.absent_ill) == (6, 4, 2, 1)
    everybody = {"expected": 3, "checked": 3, "unmeasured": 0, "absent": 0, "absent_ill": 0}
    assert report.groups["class-1"] == everybody
    assert report.groups["class-2"] == {**everybody, "checked": 1, "absent": 2, "absent_ill": 1}
    assert report.absent_numbers == (5, 6)
    assert (report.complete, report.exact, report.dated) == (True, True, True)


def test_without_the_right_to_remember_numbers_a_round_counts_without_names() -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS), remembers=False)
    kiosk.until(7.5)
    for name in ("pupil1", "pupil2", "pupil1"):
        kiosk.pass_by(name)
    kiosk.state("absence", "ill", number=5)
    kiosk.until(9)
    report = of(kiosk, "round", "morning")
    assert (report.checked, report.absent, report.absent_ill, report.absent_numbers) == (2, 4, 1, ())


def test_numbers_go_from_the_disk_as_soon_as_none_may_be_kept() -> None:
    """The right to remember ends in the middle of a round: what it counts is known still, and nobody's number."""
    kiosk = Kiosk(roster=roster_of(PUPILS))
    kiosk.until(7.5)
    kiosk.pass_by("pupil1")
    kiosk.pass_by("pupil4", outcome=Outcome.REFER, screening=Screening.INDETERMINATE, reasons=("watched",))
    kiosk.state("absence", "ill", number=5)
    numbered = [each for each in unpack(kiosk.saved()) if each.what in (What.CHECKED, What.ABSENT)]
    assert [each.number for each in numbered] == [1, 4, 5]
    kiosk.force = replace(kiosk.force, remembers=False)
    kiosk.wait(1)
    numbered = [each for each in unpack(kiosk.saved()) if each.what in (What.CHECKED, What.ABSENT)]
    assert [each.number for each in numbered] == [0, 0, 0]
    assert not kiosk.venue.attendance(kiosk.now)["absent_numbers"]
    kiosk.pass_by("pupil4")
    kiosk.until(9)
    report = of(kiosk, "round", "morning")
    assert (report.checked, report.unmeasured, report.absent, report.absent_ill) == (2, 0, 4, 1)
    assert report.absent_numbers == ()


@pytest.mark.parametrize("remembers", [True, False])
def test_who_went_to_staff_before_a_measurement_is_neither_checked_nor_absent(*, remembers: bool) -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS), remembers=remembers)
    kiosk.until(7.5)
    kiosk.pass_by("pupil1")
    for name in ("pupil4", "pupil5", "pupil4"):
        kiosk.pass_by(name, outcome=Outcome.REFER, screening=Screening.INDETERMINATE, reasons=("watched",))
    kiosk.pass_by("pupil5")
    kiosk.pass_by("pupil1", outcome=Outcome.REFER, screening=Screening.INDETERMINATE)
    kiosk.until(9)
    report = of(kiosk, "round", "morning")
    assert (report.expected, report.checked, report.unmeasured, report.absent) == (6, 2, 1, 3)
    assert report.groups["class-2"]["unmeasured"] == 1
    assert report.absent_numbers == ((2, 3, 6) if remembers else ())
    kiosk.until(12.5)
    kiosk.pass_by("pupil4")
    kiosk.until(14)
    assert of(kiosk, "round", "noon").unmeasured == 0, "each round for itself"
    kiosk.wait(DAY_S)
    assert of(kiosk, "day").rounds["morning"]["unmeasured"] == 1


def test_who_leaves_without_a_measurement_was_not_seen_to_come() -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    kiosk.until(7.5)
    kiosk.pass_by("pupil1", lane="out", screening=Screening.UNASKED)
    kiosk.until(9)
    report = of(kiosk, "round", "morning")
    assert (report.checked, report.unmeasured, report.absent) == (0, 0, 6)


def test_zero_is_reported_too() -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    kiosk.wait(DAY_S)
    day = of(kiosk, "day")
    assert (day.came, day.left, day.cases["opened"], day.complete) == (0, 0, 0, False)
    assert of(kiosk, "round", "morning").absent == 6
    kiosk.wait(DAY_S)
    assert of(kiosk, "day", day=MONDAY + 1).complete


def test_days_without_power_are_reported_and_told_from_days_without_people() -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    kiosk.pass_by("pupil1")
    kiosk.wait(HOUR_S)
    kiosk.cut(off_s=4 * DAY_S)
    kiosk.wait(600)
    days = [report for report in kiosk.reports if report.type == "day"]
    assert [(report.day, report.came, report.powered_s > 0, report.complete) for report in days] == [
        (iso_day(MONDAY), 1, True, False),
        (iso_day(MONDAY + 1), 0, False, False),
        (iso_day(MONDAY + 2), 0, False, False),
        (iso_day(MONDAY + 3), 0, False, False),
    ]


def test_of_a_very_long_time_without_power_a_month_is_reported() -> None:
    kiosk = Kiosk()
    kiosk.tick()
    kiosk.cut(off_s=100 * DAY_S)
    kiosk.wait(600)
    assert sum(report.type == "day" for report in kiosk.reports) == MOST_MISSED


def test_a_round_in_which_the_power_failed_is_reported_at_once_and_as_not_complete() -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    kiosk.until(7.5)
    kiosk.pass_by("pupil1")
    kiosk.cut(off_s=2 * HOUR_S)
    kiosk.tick()
    report = of(kiosk, "round", "morning")
    assert (report.checked, report.complete, report.exact) == (1, False, True)


def test_while_the_time_is_not_known_nothing_ends_and_counting_goes_on() -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    kiosk.until(7)
    kiosk.cut(off_s=600)
    kiosk.knows_time = False
    kiosk.pass_by("stranger")
    kiosk.wait(5 * HOUR_S)
    assert not kiosk.reports
    assert kiosk.venue.ledger.inside == 2, "one who came, and one who may have come as the power failed"
    kiosk.knows_time = True
    kiosk.tick()
    assert of(kiosk, "round", "morning").complete is False
    kiosk.wait(DAY_S)
    assert of(kiosk, "day").came == 1


def test_after_a_day_without_time_what_there_is_is_reported_without_a_date() -> None:
    kiosk = Kiosk(knows_time=False)
    kiosk.pass_by("stranger")
    kiosk.wait(DAY_S + HOUR_S)
    (report,) = kiosk.reports
    assert (report.dated, report.day, report.came, report.complete) == (False, "", 1, False)
    kiosk.wait(DAY_S)
    assert [report.came for report in kiosk.reports] == [1, 0]


def set_clock(kiosk: Kiosk, seconds: float) -> None:
    """The wall clock is set; the time since boot is what it was."""
    kiosk.boot_utc += seconds
    kiosk.utc += seconds
    kiosk.tick()


def test_a_round_that_a_clock_ahead_has_ended_is_reported_again_with_all_who_came() -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    kiosk.until(7.1)
    kiosk.pass_by("pupil1")
    set_clock(kiosk, 3 * HOUR_S)
    assert of(kiosk, "round", "morning").complete is False
    set_clock(kiosk, -3 * HOUR_S)
    kiosk.pass_by("pupil2")
    kiosk.until(10)
    morning = ("round", "morning", iso_day(kiosk.venue.ledger.day_of(kiosk.utc)))
    assert keys(kiosk) == {morning: 2}
    report = [each for each in kiosk.reports if each.name == "morning"][-1]
    assert (report.checked, report.absent, report.complete, report.exact) == (2, 4, True, True)
    kiosk.wait(2 * DAY_S)
    assert [key for key, count in keys(kiosk).items() if count > 1] == [morning]
    days = [report for report in kiosk.reports if report.type == "day"]
    assert [report.rounds["morning"]["checked"] for report in days] == [2, 0]


def test_drift_most_and_closing_time() -> None:
    kiosk = Kiosk()
    kiosk.until(10)
    for _ in range(3):
        kiosk.pass_by("guest")
    kiosk.pass_by("guest", lane="out")
    kiosk.state("count", number=4)
    kiosk.until(20.9)
    assert kiosk.venue.ledger.inside == 4
    kiosk.until(21.1)
    assert kiosk.venue.ledger.inside == 0
    kiosk.wait(DAY_S)
    report = of(kiosk, "day")
    assert (report.came, report.left, report.most, report.inside, report.drift) == (3, 1, 4, 0, 2 - 4)


def test_duties_decisions_and_how_long_each_part_worked() -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    kiosk.until(10)
    kiosk.state("duty", "disinfect")
    kiosk.pass_by("pupil1")
    kiosk.pass_by("stranger", outcome=Outcome.REFER)
    kiosk.venue.device("in", "scanner", kiosk.at_s, up=False)
    kiosk.wait(HOUR_S)
    kiosk.venue.device("in", "scanner", kiosk.at_s, up=True)
    kiosk.wait(DAY_S)
    report = of(kiosk, "day")
    assert report.duties == {"disinfect": {"asked": 6, "done": 1, "missed": 5}}
    assert report.decisions == {"pupil": {"admit": 1}, "unknown": {"refer": 1}}
    assert report.up_s["in/gate"] - report.up_s["in/scanner"] == pytest.approx(HOUR_S, abs=1)


@pytest.mark.parametrize(
    ("hours", "done"),
    [
        ([10.0] * 6, 1),
        ([8.0, 8.0], 1),
        ([0.5, 2.5, 4.5, 6.5, 8.5, 10.5], 4),
        ([0.1, 3.9, 8.1, 11.9, 16.1, 19.9], 6),
        ([3.9, 8.1, 12.0, 15.9, 20.1, 23.9], 6),
        ([2.1, 6.1, 10.1, 14.1, 18.1, 22.1], 6),
        ([23.9], 1),
    ],
)
def test_a_duty_is_done_in_its_own_part_of_the_day_however_often_somebody_presses(
    hours: list[float], done: int
) -> None:
    kiosk = Kiosk()
    kiosk.until(0)
    for before, hour in zip((0.0, *hours), hours, strict=False):
        kiosk.wait((hour - before) * HOUR_S)
        kiosk.state("duty", "disinfect")
    kiosk.until(1)
    assert of(kiosk, "day", day=MONDAY + 1).duties == {"disinfect": {"asked": 6, "done": done, "missed": 6 - done}}


def test_a_duty_that_was_done_is_done_also_before_the_time_is_known_and_after_it_was_set() -> None:
    kiosk = Kiosk(knows_time=False)

    def age_s() -> object:
        return kiosk.venue.view(kiosk.now, kiosk.at_s)["duties"]["disinfect"]

    assert age_s() is None
    kiosk.state("duty", "disinfect")
    kiosk.wait(600)
    assert age_s() == 600
    kiosk.knows_time = True
    kiosk.wait(600)
    assert age_s() == 1200
    kiosk.boot_utc += HOUR_S  # the clock is set
    kiosk.utc += HOUR_S
    kiosk.wait(600)
    assert age_s() == 1800
    kiosk.stop(off_s=600)
    kiosk.wait(600)
    assert age_s() == pytest.approx(3000, abs=40)


def test_when_a_duty_was_done_is_known_over_midnight_and_over_a_clock_that_was_ahead() -> None:
    kiosk = Kiosk()
    kiosk.until(23)
    kiosk.state("duty", "disinfect")
    kiosk.until(1)
    kiosk.wait(2 * DAY_S)
    mark = kiosk.force.rules.duties[0].tag
    assert kiosk.venue.duty_age_s(mark, kiosk.at_s) == pytest.approx(2 * DAY_S + 2 * HOUR_S, abs=2)
    done = [report.duties["disinfect"]["done"] for report in kiosk.reports if report.type == "day"]
    assert done == [1, 0, 0], "told once"
    set_clock(kiosk, 10 * DAY_S)
    kiosk.state("duty", "disinfect")
    kiosk.until(1)
    kiosk.cut()
    set_clock(kiosk, -11 * DAY_S)
    kiosk.wait(HOUR_S)
    assert kiosk.venue.duty_age_s(mark, kiosk.at_s) == pytest.approx(HOUR_S, abs=2)


def test_how_long_there_was_power_and_a_connection() -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))  # begins at six
    kiosk.venue.link(kiosk.at_s, online=True)
    kiosk.wait(10 * HOUR_S)
    kiosk.venue.link(kiosk.at_s, online=False)
    kiosk.wait(2 * HOUR_S)
    kiosk.venue.link(kiosk.at_s, online=True)
    kiosk.wait(DAY_S / 2)
    report = of(kiosk, "day")
    assert report.powered_s == pytest.approx(18 * HOUR_S, abs=120)
    assert report.powered_s - report.online_s == pytest.approx(2 * HOUR_S, abs=120)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_round_that_new_rules_bring_after_it_has_begun_is_not_complete(restarted: bool) -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    kiosk.until(12.5)
    for name in PUPILS:
        kiosk.pass_by(name)
    text = SCHOOL.replace('"noon"', '"lunch"').replace("08:30", "08:40")
    kiosk.force = replace(kiosk.force, rules=parse_venue(text))
    kiosk.wait(60)
    if restarted:
        kiosk.stop(off_s=5)
    kiosk.until(14)
    assert not of(kiosk, "round", "lunch").complete, "nobody is known to be absent"
    assert of(kiosk, "round", "morning").complete, "it was reported before"
    kiosk.until(14)
    assert all(of(kiosk, "round", name, MONDAY + 1).complete for name in ("morning", "lunch"))


def test_several_of_one_group_with_one_symptom_are_a_cluster() -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    for number in (1, 2):
        kiosk.state("symptom", "cough", number=number)
    kiosk.state("symptom", "cough", group="class-2")
    kiosk.state("symptom", "cough", number=3)
    kiosk.wait(DAY_S)
    assert of(kiosk, "day").clusters == ({"group": "class-1", "symptom": "cough", "count": 3},)


def test_one_pupil_with_a_fever_in_each_round_is_no_cluster() -> None:
    kiosk = Kiosk(SCHOOL.replace("cluster = 3", "cluster = 2"), roster=roster_of(PUPILS))
    fever = {"outcome": Outcome.REFER, "screening": Screening.ELEVATED, "reasons": ("fever",)}
    for hour in (7.5, 12.5):
        kiosk.until(hour)
        kiosk.pass_by("pupil1", **fever)
    kiosk.pass_by("pupil4", **fever)
    kiosk.until(13.5)
    assert of(kiosk, "round", "noon").clusters == ()
    kiosk.until(7.5)
    for name in ("pupil1", "pupil2"):
        kiosk.pass_by(name, **fever)
    kiosk.until(9)
    clusters = of(kiosk, "round", "morning", MONDAY + 1).clusters
    assert clusters == ({"group": "class-1", "symptom": "fever", "count": 2},)


@pytest.mark.parametrize("remembers", [True, False])
def test_one_pupil_is_no_cluster_however_often_a_symptom_is_noted(remembers: bool) -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS), remembers=remembers)
    for _ in range(3):
        kiosk.state("symptom", "cough", number=1)
        kiosk.state("symptom", "fever", number=1)
    kiosk.until(7.5)
    kiosk.pass_by("pupil1", outcome=Outcome.REFER, screening=Screening.ELEVATED, reasons=("fever",))
    for _ in range(2):
        kiosk.state("symptom", "fever", number=1)
    for number in (2, 3):
        kiosk.state("symptom", "cough", number=number)
    kiosk.wait(DAY_S)
    assert of(kiosk, "day").clusters == ({"group": "class-1", "symptom": "cough", "count": 3},)
    kiosk.state("symptom", "cough", number=1)
    kiosk.until(23)
    assert kiosk.venue.ledger.tally(MONDAY + 1).symptoms.total() == 1, "another day"


@pytest.mark.parametrize("remembers", [True, False])
def test_an_absence_that_two_have_noted_is_one_and_the_last_reason_counts(remembers: bool) -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS), remembers=remembers)
    kiosk.until(6.5)
    for reason in ("ill", "ill", "leave"):
        kiosk.state("absence", reason, number=1)
    for reason in ("leave", "ill", "ill"):
        kiosk.state("absence", reason, number=2)
    kiosk.state("absence", "ill", group="class-2")
    kiosk.state("absence", "ill", group="class-2")
    excused = kiosk.venue.view(kiosk.now, kiosk.at_s)["roster"]
    assert [group["excused"] for group in excused.values()] == [2, 2]
    kiosk.until(9)
    groups = of(kiosk, "round", "morning").groups
    assert [group["absent_ill"] for group in groups.values()] == [1, 2]


def test_an_ill_teacher_excuses_no_pupil() -> None:
    kiosk = Kiosk(roster=roster_of({**PUPILS, "teacher": ("staff", "class-1", 20)}))
    kiosk.until(7.5)
    for name in ("pupil1", "pupil2"):
        kiosk.pass_by(name)
    kiosk.state("absence", "ill", number=20)
    kiosk.until(9)
    report = of(kiosk, "round", "morning")
    assert (report.groups["class-1"]["absent"], report.groups["class-1"]["absent_ill"]) == (1, 0)
    assert 3 in report.absent_numbers


def random_history(seed: int) -> Kiosk:
    """Days of people, cuts, clean stops, lost time, days off."""
    chance = random.Random(seed)
    kiosk = Kiosk(
        roster=roster_of(PUPILS), utc=MONDAY_UTC + chance.uniform(0, DAY_S), remembers=chance.random() < 0.5
    )
    kiosk.knows_time = True
    kiosk.tick()
    kiosk.commit()
    for _ in range(chance.randint(5, 25)):
        match chance.randrange(8):
            case 0 | 1:
                kiosk.pass_by(chance.choice([*PUPILS, "stranger"]), lane=chance.choice(["in", "out"]))
            case 2 | 3:
                kiosk.wait(chance.choice([60, HOUR_S, 7 * HOUR_S, DAY_S]), step_s=HOUR_S)
            case 4:
                kiosk.utc += chance.choice([1, HOUR_S, 3 * HOUR_S])
                kiosk.tick()
                kiosk.cut(chance.choice([5, HOUR_S, DAY_S, 4 * DAY_S]), lost=chance.randrange(4))
            case 5:
                kiosk.stop(chance.choice([5, HOUR_S, 2 * DAY_S]))
            case 6:
                kiosk.knows_time = not kiosk.knows_time
            case 7:
                kiosk.state("count", number=chance.randrange(9))
    kiosk.knows_time = True
    kiosk.tick()
    kiosk.commit()
    return kiosk


def missing_or_twice(kiosk: Kiosk) -> list[object]:
    """Rounds and days that have ended since the ledger began, and were not reported once; those of no other."""
    ledger, found = kiosk.venue.ledger, keys(kiosk)
    assert ledger.since_utc is not None
    now = kiosk.now.earliest_utc
    wrong: list[object] = [key for key, count in found.items() if count > 1 and key[2]]
    for day in range(ledger.day_of(ledger.since_utc), ledger.day_of(now) + 1):
        begins = ledger.day_began_utc(day)
        ends = {("day", "first-school"): begins + DAY_S} | {
            ("round", each.name): begins + each.until_min * 60 for each in kiosk.force.rules.rounds
        }
        for (kind, name), end_utc in ends.items():
            ended = ledger.since_utc < end_utc <= now
            if ended is not ((kind, name, iso_day(day)) in found):
                wrong.append((kind, name, iso_day(day), ended))
    return wrong


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32))
def test_every_round_and_day_is_reported_exactly_once_in_any_history(seed: int) -> None:
    assert not missing_or_twice(random_history(seed))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1 << 32))
def test_the_same_history_gives_the_same_reports(seed: int) -> None:
    assert random_history(seed).reports == random_history(seed).reports


@pytest.mark.parametrize("ahead_days", [2, 20, 400, 7000])
def test_a_clock_that_was_ahead_by_days_stops_no_report_and_no_closing_afterwards(ahead_days: int) -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    kiosk.wait(2 * HOUR_S)
    for seconds in (ahead_days * DAY_S, -ahead_days * DAY_S):
        kiosk.utc += seconds
        kiosk.boot_utc += seconds
        kiosk.wait(HOUR_S)
    before = len(kiosk.reports)
    kiosk.until(20)
    for n in range(3):
        kiosk.pass_by(f"p{n}")
    kiosk.until(7)
    told = kiosk.reports[before:]
    days = [(report.came, report.complete) for report in told if report.type == "day"]
    assert days == [(3, False)]
    assert [report.name for report in told if report.type == "round"] == ["noon"]
    assert kiosk.venue.occupancy(kiosk.at_s)["inside"] == 0
    kiosk.pass_by("pupil1")
    kiosk.until(7)
    (day,) = [report for report in kiosk.reports[before + len(told) :] if report.type == "day"]
    assert (day.came, day.complete) == (1, True)
    assert kiosk.venue.occupancy(kiosk.at_s)["came"] == 0
    kiosk.cut()
    assert len(kiosk.venue.ledger) < 60, "what is dated in the future is not kept"


def test_who_came_before_the_time_was_known_is_not_absent_from_the_round() -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    kiosk.tick()
    kiosk.stop(off_s=600)
    kiosk.knows_time = False
    kiosk.pass_by("pupil6")
    kiosk.until(7.2)
    for n in (1, 2, 3):
        kiosk.pass_by(f"pupil{n}")
    kiosk.until(7.4)
    kiosk.knows_time = True
    kiosk.pass_by("pupil3")
    kiosk.pass_by("pupil4")
    kiosk.until(9)
    (report,) = [each for each in kiosk.reports if each.type == "round"]
    assert (report.checked, report.absent, report.absent_numbers) == (4, 2, (5, 6)), "6 came before the round"


@pytest.mark.parametrize("remembers", [True, False])
def test_a_round_in_which_the_agent_was_restarted_is_exact_only_with_numbers(remembers: bool) -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS), remembers=remembers)
    kiosk.until(7.2)
    kiosk.pass_by("pupil1")
    kiosk.stop(off_s=5)
    kiosk.pass_by("pupil1")
    kiosk.until(9)
    (report,) = [each for each in kiosk.reports if each.type == "round"]
    assert (report.checked, report.exact) == ((1, True) if remembers else (2, False))

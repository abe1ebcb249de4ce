"""Facts, cases, statements: staff add facts, the table decides; what is wrong is one sentence."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from kiosk_bench import DAY_S, HOUR_S, LANES, PUPILS, SCHOOL, Kiosk, roster_of, subject
from test_forms import FORMS

from agent import policy
from agent.model import (
    Attestation,
    CodeStatus,
    Colour,
    Direction,
    MaskState,
    Outcome,
    Permit,
    PermitKind,
    PermitState,
    PersonRole,
    RecordState,
    RoomState,
    Screening,
    TravelState,
    VenueFacts,
    Verdict,
    WatchClass,
    Window,
)
from agent.model.reasons import StatementRefusal
from agent.policy.facts import CodeFact, TestFact, VenueKind, Zone
from agent.venue import MOST_UNPROVEN_CASES, Venue
from agent.venue.attestations import ABOUT_A_PERSON
from agent.venue.cases import case_name, parse_case
from agent.venue.entries import FEEDBACK
from agent.venue.ledger import MOST_CASES
from agent.venue.zones import parse_zones
from tests.profiles import PROFILES, profile


def test_on_a_kiosk_where_nothing_is_asked_the_facts_are_those_without_a_venue() -> None:
    kiosk = Kiosk('name = "shop"')
    assert kiosk.facts("anna") == VenueFacts()
    assert kiosk.facts(None, "out") == VenueFacts()


def test_the_roster_tells_the_role_and_who_is_on_none_is_to_be_recorded() -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    assert kiosk.facts("pupil1").role is PersonRole.PUPIL
    stranger = kiosk.facts("stranger")
    assert (stranger.role, stranger.record) == (PersonRole.UNKNOWN, RecordState.NONE)
    assert kiosk.facts("stranger", record="done").record is RecordState.DONE
    assert kiosk.facts("stranger", "out").role is PersonRole.VISITOR, "nobody is asked when leaving"


def test_a_code_that_is_not_good_has_no_role() -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    passage = kiosk.pass_by("pupil1", outcome=Outcome.REFER, status=CodeStatus.EXPIRED)
    assert passage.facts.role is PersonRole.UNKNOWN


@pytest.mark.parametrize(
    ("hour", "state"),
    [(6.5, PermitState.EARLY), (9.5, PermitState.VALID), (11, PermitState.LATE)],
)
def test_a_booking_holds_in_its_window(hour: float, state: PermitState) -> None:
    kind = PermitKind("visitor", windows=(Window(from_min=9 * 60, until_min=10 * 60),))
    kiosk = Kiosk(roster=roster_of({"anna": ("visitor", "", 0)}, {"anna": kind}))
    kiosk.until(hour)
    assert kiosk.facts("anna").permit is state


def test_without_a_clock_no_window_opens() -> None:
    kind = PermitKind("visitor", windows=(Window(from_min=0, until_min=1439),))
    kiosk = Kiosk(roster=roster_of({"anna": ("visitor", "", 0)}, {"anna": kind}), knows_time=False)
    assert kiosk.facts("anna").permit is PermitState.EARLY


def test_a_permit_may_be_used_up_and_be_for_elsewhere_and_be_missing() -> None:
    kinds = {"anna": PermitKind("visitor", uses=1), "bert": PermitKind("visitor", place="other-hall")}
    text = 'permits = "required"\n' + SCHOOL
    kiosk = Kiosk(text, roster_of(dict.fromkeys(kinds, ("visitor", "", 0)), kinds))
    assert kiosk.facts("anna").permit is PermitState.VALID
    kiosk.pass_by("anna")
    assert kiosk.facts("anna").permit is PermitState.USED
    kiosk.wait(DAY_S)
    assert kiosk.facts("anna").permit is PermitState.VALID, "uses are counted by the day"
    assert kiosk.facts("bert").permit is PermitState.ELSEWHERE
    assert kiosk.facts("carl").permit is PermitState.MISSING


def test_two_visitors_of_a_resident_and_a_third_when_one_has_left() -> None:
    kiosk = Kiosk(roster=roster_of({"bed-7": ("visitor", "", 7)}, {"bed-7": PermitKind("visitor", party=2)}))
    kiosk.pass_by("bed-7")
    kiosk.pass_by("bed-7")
    assert kiosk.facts("bed-7").permit is PermitState.USED
    kiosk.pass_by("bed-7", lane="out")
    assert kiosk.facts("bed-7").permit is PermitState.VALID


@pytest.mark.parametrize("knows_time", [True, False])
def test_a_permit_that_was_used_is_used_after_a_restart_and_a_power_cut(knows_time: bool) -> None:
    kinds = {"anna": PermitKind("visitor", uses=1), "bed-7": PermitKind("visitor", party=2)}
    people = roster_of(dict.fromkeys(kinds, ("visitor", "", 0)), kinds)
    kiosk = Kiosk(SCHOOL.replace("capacity = 5", "capacity = 50"), people, knows_time=knows_time)
    for name in ("anna", "bed-7", "bed-7"):
        kiosk.pass_by(name)
    for again in (kiosk.stop, kiosk.cut):
        again()
        assert (kiosk.facts("anna").permit, kiosk.facts("bed-7").permit) == (PermitState.USED, PermitState.USED)
    kiosk.pass_by("bed-7", lane="out")
    kiosk.stop()
    assert kiosk.facts("bed-7").permit is PermitState.VALID
    kiosk.pass_by("bed-7")
    if knows_time:
        kiosk.wait(DAY_S)
        kiosk.stop()
        assert kiosk.facts("anna").permit is PermitState.VALID, "another day"
        assert kiosk.facts("bed-7").permit is PermitState.VALID, "all are gone at closing"


def test_a_party_is_inside_over_midnight_where_no_time_of_closing_is_given() -> None:
    people = roster_of({"bed-7": ("visitor", "", 7)}, {"bed-7": PermitKind("visitor", party=2)})
    kiosk = Kiosk(SCHOOL.replace(', closes = "21:00"', ""), people)
    kiosk.pass_by("bed-7")
    kiosk.pass_by("bed-7")
    kiosk.wait(3 * DAY_S)
    assert len(kiosk.venue.ledger) < 100, "the ledger was compacted"
    kiosk.stop()
    assert kiosk.facts("bed-7").permit is PermitState.USED


def test_who_is_inside_by_his_permit_has_not_used_it_up_at_a_check() -> None:
    kinds = {"anna": PermitKind("visitor", uses=1), "bed-7": PermitKind("visitor", party=2)}
    kiosk = Kiosk(roster=roster_of(dict.fromkeys(kinds, ("visitor", "", 0)), kinds))
    for name in ("anna", "bed-7", "bed-7"):
        kiosk.pass_by(name)
        assert kiosk.facts(name, "ward").permit is PermitState.VALID
    assert (kiosk.facts("anna").permit, kiosk.facts("bed-7").permit) == (PermitState.USED, PermitState.USED)


def test_where_the_ledger_was_lost_no_permit_with_uses_counts_until_staff_have_counted() -> None:
    kinds = {"anna": PermitKind("visitor", uses=1), "bert": PermitKind("visitor")}
    kiosk = Kiosk(roster=roster_of(dict.fromkeys(kinds, ("visitor", "", 0)), kinds))
    kiosk.venue = type(kiosk.venue)(kiosk.name, kiosk.venue._lanes, lambda: kiosk.force)
    kiosk.venue.begin(kiosk.at_s)
    kiosk.venue.restore(b"", kiosk.at_s, damaged=True)
    assert (kiosk.facts("anna").permit, kiosk.facts("bert").permit) == (PermitState.USED, PermitState.VALID)
    assert kiosk.state("count", number=3).reason is None
    assert kiosk.facts("anna").permit is PermitState.VALID


@pytest.mark.parametrize("ahead_days", [2, 400])
def test_after_a_clock_that_was_ahead_no_permit_with_uses_counts_until_staff_have_counted(ahead_days: int) -> None:
    """What was used this day before the clock was wrong is not known any more."""
    kiosk = Kiosk(roster=roster_of({"anna": ("visitor", "", 0)}, {"anna": PermitKind("visitor", uses=1)}))
    kiosk.pass_by("anna")
    assert kiosk.facts("anna").permit is PermitState.USED
    for seconds in (ahead_days * DAY_S, -ahead_days * DAY_S):
        kiosk.utc += seconds
        kiosk.boot_utc += seconds
        kiosk.wait(60)
    assert kiosk.facts("anna").permit is PermitState.USED
    assert kiosk.facts("guest").room is RoomState.UNKNOWN
    assert kiosk.state("count", number=1).reason is None
    assert kiosk.facts("guest").room is RoomState.FREE


def test_a_full_room_and_one_out_one_in() -> None:
    kiosk = Kiosk()
    for _ in range(4):
        kiosk.pass_by("guest")
    assert kiosk.facts("guest").room is RoomState.BUSY
    kiosk.pass_by("guest")
    assert kiosk.facts("guest").room is RoomState.FULL
    assert kiosk.facts("guest", "ward").room is RoomState.FREE, "who is checked inside needs no place"
    kiosk.pass_by(None, lane="out")
    assert kiosk.facts("guest").room is RoomState.BUSY


def test_the_daily_cap_counts_who_came_and_begins_again_at_midnight() -> None:
    kiosk = Kiosk(SCHOOL.replace("daily = 100", "daily = 2"))
    for _ in range(2):
        kiosk.pass_by("guest")
        kiosk.pass_by("guest", lane="out")
    assert kiosk.facts("guest").room is RoomState.FULL
    kiosk.wait(DAY_S)
    assert kiosk.facts("guest").room is RoomState.FREE


@pytest.mark.parametrize("room", ["capacity = 5", "daily = 100"])
def test_where_the_count_was_lost_nobody_comes_in_until_staff_have_counted(room: str) -> None:
    kiosk = Kiosk(SCHOOL.replace("capacity = 5, daily = 100", room))
    kiosk.pass_by("guest")
    kiosk.boot_utc = kiosk.utc
    again = type(kiosk.venue)(kiosk.name, {"in": kiosk.venue._lanes["in"]}, lambda: kiosk.force)
    again.begin(1.0)
    assert again.room_state(1.0) is RoomState.UNKNOWN, "the disk has not answered yet"
    again.restore(b"", 1.0, damaged=True)
    assert again.room_state(2.0) is RoomState.UNKNOWN
    kiosk.venue = again
    kiosk.utc += 3
    assert kiosk.state("count", number=3).reason is None
    assert again.room_state(3.0) is RoomState.FREE


def test_with_a_disk_that_never_answers_staff_may_count_and_the_room_opens() -> None:
    kiosk = Kiosk()
    kiosk.venue = type(kiosk.venue)(kiosk.name, kiosk.venue._lanes, lambda: kiosk.force)
    kiosk.venue.begin(kiosk.at_s)
    assert kiosk.facts("guest").room is RoomState.UNKNOWN
    assert kiosk.state("count", number=1).reason is None
    assert kiosk.facts("guest").room is RoomState.FREE


def test_after_a_power_cut_whoever_may_have_come_in_is_counted() -> None:
    kiosk = Kiosk()
    kiosk.pass_by("guest")
    kiosk.cut()
    assert kiosk.venue.ledger.inside == 2
    kiosk.stop()
    assert kiosk.venue.ledger.inside == 2, "a clean stop loses nothing"


# -- cases


def red(kiosk: Kiosk, name: str = "rita", **more: object):
    return kiosk.pass_by(name, outcome=Outcome.REFUSE, reasons=("code_red",), colour=Colour.RED, **more)


def test_an_alert_opens_a_case_that_only_feedback_closes() -> None:
    kiosk = Kiosk()
    passage = red(kiosk)
    case = passage.venue.case
    assert parse_case(case.lower()) == parse_case(case)
    assert red(kiosk).venue.case == case, "the same holder, the same case"
    kiosk.wait(11 * 60)
    ((told),) = kiosk.venue.open_cases(kiosk.at_s)
    assert (told["case"], told["kind"], told["overdue"], told["lane"]) == (case, "red", True, "in")
    answer = kiosk.state("feedback", "isolated", case=case.lower())
    assert (answer.reason, case in answer.text) == (None, True)
    assert not kiosk.venue.open_cases(kiosk.at_s)
    assert kiosk.state("feedback", "cleared", case=case).reason == "case_closed"
    kiosk.wait(DAY_S)
    (day,) = [report for report in kiosk.reports if report.type == "day"]
    assert day.cases == {"opened": 1, "answered": 1, "unanswered": 0, "answer_s": 660, "drills": 0}


@pytest.mark.parametrize(
    ("kind", "of_code", "screening", "outcome"),
    [
        ("watch_hit", {"watched": True, "watch": WatchClass.CONTACT}, Screening.NORMAL, Outcome.REFER),
        ("watch_hit", {"watched": True, "status": CodeStatus.EXPIRED}, Screening.NORMAL, Outcome.REFER),
        ("fever", {}, Screening.ELEVATED, Outcome.REFER),
        ("", {}, Screening.NORMAL, Outcome.REFER),
        ("", {"status": CodeStatus.EXPIRED}, Screening.NORMAL, Outcome.REFER),
    ],
)
def test_what_opens_a_case(kind: str, of_code: dict, screening: Screening, outcome: Outcome) -> None:
    kiosk = Kiosk()
    case = kiosk.pass_by("wanda", outcome=outcome, screening=screening, **of_code).venue.case
    kinds = [told["kind"] for told in kiosk.venue.open_cases(kiosk.at_s)]
    assert kinds == ([kind] if kind else [])
    assert bool(case) is bool(kind)


def test_a_case_outlives_restart_shift_midnight_and_days_without_power() -> None:
    kiosk = Kiosk()
    case = red(kiosk).venue.case
    kiosk.wait(20 * HOUR_S)
    kiosk.cut(off_s=3 * DAY_S)
    kiosk.wait(600)
    ((told),) = kiosk.venue.open_cases(kiosk.at_s)
    assert (told["case"], told["overdue"]) == (case, True)
    assert 3.8 * DAY_S < told["age_s"] < 3.9 * DAY_S
    assert [report.cases["unanswered"] for report in kiosk.reports if report.type == "day"] == [1] * 4


def test_there_are_no_more_open_cases_than_can_be_told() -> None:
    kiosk = Kiosk()
    for number in range(MOST_CASES + 3):
        red(kiosk, f"rita{number}")
    names = [told["case"] for told in kiosk.venue.open_cases(kiosk.at_s)]
    assert len(names) == len(set(names)) == MOST_CASES


def test_a_drill_counts_nowhere_and_a_real_case_beside_it_is_real() -> None:
    kiosk = Kiosk()
    drill = red(kiosk, "drill", drill=True).venue
    real = red(kiosk, "rita").venue
    assert (drill.drill, real.drill) == (True, False)
    kiosk.wait(300)
    kiosk.state("feedback", "handed_over", case=drill.case)
    assert kiosk.records[-1].drill
    kiosk.pass_by("drill", drill=True, lane="out")
    kiosk.wait(DAY_S)
    (day,) = [report for report in kiosk.reports if report.type == "day"]
    assert day.cases == {
        "opened": 1, "answered": 0, "unanswered": 1, "answer_s": None, "drills": 1, "drill_answer_s": 300,
    }  # fmt: skip
    assert (day.came, day.left, day.decisions) == (0, 0, {"unknown": {"refuse": 1}})


@pytest.mark.parametrize("drill_first", [True, False])
def test_a_case_of_a_drill_takes_in_no_real_one_of_the_same_holder(drill_first: bool) -> None:
    kiosk = Kiosk()
    marks = [red(kiosk, "rita", drill=drill).venue for drill in (drill_first, not drill_first)]
    assert len({mark.case for mark in marks}) == 2
    assert {case["drill"] for case in kiosk.venue.open_cases(kiosk.at_s)} == {True, False}
    again = [red(kiosk, "rita", drill=drill).venue.case for drill in (drill_first, not drill_first)]
    assert again == [mark.case for mark in marks], "one case each"
    kiosk.wait(3600)
    assert kiosk.venue.is_overdue(kiosk.at_s)


@pytest.mark.parametrize("number", [1, 22, 23, 23**5 - 1])
def test_case_ids_are_five_spoken_letters(number: int) -> None:
    assert len(case_name(number)) == 5
    assert parse_case(case_name(number)) == number


# -- bad input: one sentence each, nothing lost, nobody let in


@pytest.mark.parametrize(
    ("what", "value", "more", "reason", "part"),
    [
        ("feedback", "cleared", {"case": "ZZZZZ"}, "case_closed", "not open"),
        ("feedback", "cleared", {"case": "12"}, "no_such_case", "five letters"),
        ("count", "", {"number": -1}, "out_of_range", "0 to 1000000"),
        ("absence", "bored", {"number": 1}, "bad_value", "ill"),
        ("absence", "ill", {"number": 99}, "no_such_number", "99"),
        ("symptom", "cough", {"group": "class-9"}, "no_such_group", "class-1"),
        ("duty", "dance", {}, "bad_value", "disinfect"),
        ("badge", "G 07!", {}, "bad_value", "letters and digits"),
        ("telepathy", "", {}, "unknown_type", "feedback"),
    ],
)
def test_a_wrong_statement_is_refused_in_a_sentence(
    what: str, value: str, more: dict, reason: str, part: str
) -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    kiosk.pass_by("pupil1")
    before = kiosk.venue.ledger.entries
    answer = kiosk.state(what, value, **more)
    assert (answer.reason, part in answer.text) == (reason, True), answer.text
    assert kiosk.venue.ledger.entries == before


def test_the_badge_of_whoever_has_signed_on_stands_beside_what_is_stated() -> None:
    kiosk = Kiosk()
    kiosk.state("duty", "disinfect")
    kiosk.state("badge", "G07")
    kiosk.state("duty", "disinfect")
    kiosk.state("badge", "")
    kiosk.state("count", number=0)
    assert [record.by for record in kiosk.records] == ["", "", "G07", "G07", ""]


# -- no word of staff lifts an invariant


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_no_statement_of_staff_lifts_an_invariant_in_any_combination(name: str) -> None:
    statements = len([*itertools.product(*([None, *values] for values in ABOUT_A_PERSON.values()))])
    assert no_statement_lifts_an_invariant(name) == 6 * 4 * 5 * 3 * statements


def no_statement_lifts_an_invariant(name: str) -> int:
    """How many combinations were tried. Whatever staff state, nobody comes in who is red, positive, feverish,
    unmeasured or without a valid code that staff have not vouched for; and nobody watched or vouched for comes in
    silently.
    """
    statements = [*itertools.product(*([None, *values] for values in ABOUT_A_PERSON.values()))]
    table, checked = profile(name), 0
    for code, screening, watch, test in itertools.product(
        (CodeFact.GREEN, CodeFact.RED, CodeFact.NONE, CodeFact.EXPIRED, CodeFact.BAD_SIGNATURE, CodeFact.UNDECIDED),
        (Screening.NORMAL, Screening.ELEVATED, Screening.INDETERMINATE, Screening.DEVICE_FAULT),
        WatchClass,
        (TestFact.NONE, TestFact.PCR_24H, TestFact.POSITIVE),
    ):
        for mask, document, record, travel in statements:
            stated = {"mask": mask, "document": document, "record": record, "travel": travel}
            known = {key: value for key, value in stated.items() if value is not None}
            vouched = code is CodeFact.NONE and document == "seen" and record is not None
            facts = policy.Facts(
                Direction.ENTRY, CodeFact.VOUCHED if vouched else code, screening, Zone.LOW, VenueKind.PUBLIC_PLACE,
                test=test, watch=watch,
                mask=MaskState(known.get("mask", "unasked")), record=RecordState(known.get("record", "none")),
                travel=TravelState(known.get("travel", "unasked")), role=PersonRole.UNKNOWN,
            )  # fmt: skip
            outcome = policy.decide(table, facts).outcome
            checked += 1
            if outcome in (Outcome.ADMIT, Outcome.ADMIT_WITH_NOTICE):
                assert code is CodeFact.GREEN or vouched
                assert screening is Screening.NORMAL
                assert test is not TestFact.POSITIVE
                if vouched:
                    assert watch is WatchClass.CLEAR
                if vouched or watch is not WatchClass.CLEAR:
                    assert outcome is Outcome.ADMIT_WITH_NOTICE
    return checked


def test_leaving_a_locked_area_is_free_and_opens_a_case() -> None:
    kiosk = Kiosk()
    zones = parse_zones('[[zone]]\nregion = "5323"\nlevel = "locked"\n')
    kiosk.force = replace(kiosk.force, zones=zones, region=("53", "5323"))
    facts = kiosk.facts("anna")
    assert facts.zone == "locked"
    passage = kiosk.pass_by("anna", lane="out", outcome=Outcome.ADMIT_WITH_NOTICE, reasons=("area_locked",))
    assert passage.venue.case
    for direction, outcome in ((Direction.ENTRY, Outcome.REFER), (Direction.EXIT, Outcome.ADMIT_WITH_NOTICE)):
        situation = policy.Facts(direction, CodeFact.GREEN, Screening.NORMAL, Zone.LOCKED)
        assert policy.decide(profile(), situation).outcome is outcome


def test_every_feedback_closes_a_case_and_opens_no_gate() -> None:
    for feedback in FEEDBACK[1:]:
        kiosk = Kiosk()
        case = red(kiosk).venue.case
        answer = kiosk.state("feedback", feedback, case=case)
        assert answer.passage is None
        assert kiosk.venue.ledger.inside == 0


def test_a_card_of_the_roster_has_its_role_alone_and_beside_a_code() -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    alone = Verdict(CodeStatus.UNDECIDED, "card", subject("pupil1"), adds="card", card=subject("pupil1"))
    beside = replace(alone, status=CodeStatus.VALID, subject=subject("a code"), colour=Colour.GREEN, adds="")
    stranger = replace(alone, subject=subject("who"), card=subject("who"))
    kiosk.tick()
    for verdict, role in ((alone, "pupil"), (beside, "pupil"), (stranger, "unknown")):
        assert kiosk.venue.facts("in", verdict, {}, kiosk.now, kiosk.at_s).role == role


def test_staff_may_vouch_for_whoever_has_a_card_that_no_list_knows_and_for_nobody_with_a_code() -> None:
    kiosk = Kiosk()
    stated = {"document": "seen", "record": "done"}
    alone = Verdict(CodeStatus.UNDECIDED, "card", subject("who"), adds="card", card=subject("who"))
    opaque = replace(alone, format="opaque", adds="", card=b"")
    bad = replace(alone, status=CodeStatus.REVOKED)
    for verdict, vouched in ((None, True), (alone, True), (opaque, False), (bad, False)):
        assert kiosk.venue.facts("in", verdict, stated, kiosk.now, kiosk.at_s).vouched is vouched


def test_a_lane_is_shut_until_its_time_and_over_a_power_cut() -> None:
    kiosk = Kiosk()
    kiosk.tick()
    assert kiosk.state("shut", "in", number=30).text == "in is shut for 30 minutes."
    assert kiosk.venue.shut_lanes(kiosk.now) == {"in"}
    kiosk.cut(off_s=600)
    kiosk.tick()
    assert kiosk.venue.shut_lanes(kiosk.now) == {"in"}
    kiosk.wait(1300)
    assert not kiosk.venue.shut_lanes(kiosk.now)
    kiosk.state("shut", number=2000)
    kiosk.until(0.5)
    assert kiosk.venue.shut_lanes(kiosk.now) == {"in", "out", "ward"}, "also when the day was reported"
    assert kiosk.state("shut", number=0).reason is None
    assert not kiosk.venue.shut_lanes(kiosk.now)


def test_a_lane_is_opened_alone_while_the_others_stay_shut() -> None:
    kiosk = Kiosk()
    kiosk.tick()
    kiosk.state("shut", number=2000)
    assert kiosk.state("shut", "in", number=0).text == "in is open again."
    assert kiosk.venue.shut_lanes(kiosk.now) == {"out", "ward"}
    kiosk.until(0.5)
    kiosk.cut()
    assert kiosk.venue.shut_lanes(kiosk.now) == {"out", "ward"}, "also when the day was reported"
    kiosk.state("shut", "in", number=30)
    assert kiosk.venue.shut_lanes(kiosk.now) == {"in", "out", "ward"}
    kiosk.state("shut", "in", number=0)
    kiosk.state("shut", number=30)
    assert kiosk.venue.shut_lanes(kiosk.now) == {"in", "out", "ward"}


def test_without_a_clock_a_lane_stays_shut_until_it_is_opened_again() -> None:
    kiosk = Kiosk(knows_time=False)
    kiosk.tick()
    assert "until it is opened again" in kiosk.state("shut", number=5).text
    kiosk.wait(3600)
    assert kiosk.venue.shut_lanes(kiosk.now)


@pytest.mark.parametrize(
    ("value", "minutes", "part"),
    [("in", -1, "0 to open it again"), ("", 99_999, "10080"), ("roof", 5, "there are in, out")],
)
def test_what_cannot_be_shut_is_told_in_a_sentence(value: str, minutes: int, part: str) -> None:
    answer = Kiosk().state("shut", value, number=minutes)
    assert answer.reason is not None
    assert part in answer.text


def test_a_case_is_overdue_after_its_time_and_a_drill_never() -> None:
    kiosk = Kiosk()
    kiosk.pass_by("drill", outcome=Outcome.REFER, watched=True, drill=True)
    kiosk.wait(3600)
    assert not kiosk.venue.is_overdue(kiosk.at_s)
    case = kiosk.pass_by("anna", outcome=Outcome.REFER, watched=True).venue.case
    assert not kiosk.venue.is_overdue(kiosk.at_s)
    kiosk.wait(601)
    assert kiosk.venue.is_overdue(kiosk.at_s)
    kiosk.state("feedback", "isolated", case=case)
    assert not kiosk.venue.is_overdue(kiosk.at_s)


def test_while_the_disk_is_behind_nobody_comes_in_whom_a_power_cut_would_forget() -> None:
    kiosk = Kiosk()
    kiosk.venue.is_kept = lambda: False
    kiosk.pass_by("a")
    assert kiosk.facts("b").room is RoomState.UNKNOWN
    kiosk.venue.is_kept = lambda: True
    assert kiosk.facts("b").room is RoomState.FREE
    kiosk.venue.is_kept = lambda: False
    kiosk.pass_by("b")
    kiosk.venue.is_lag_known = lambda: False
    kiosk.state("count", number=2)
    assert kiosk.facts("c").room is RoomState.UNKNOWN, "the next start would take the ledger on disk for whole"
    kiosk.venue.is_lag_known = lambda: True
    assert kiosk.facts("c").room is RoomState.FREE, "on a disk that does not answer staff count"


@pytest.mark.parametrize("kind", [PermitKind("visitor", uses=1), PermitKind("visitor", party=2)])
def test_while_the_disk_is_behind_no_permit_counts_that_the_next_start_would_not_know_as_used(
    kind: PermitKind,
) -> None:
    kinds = {"anna": kind, "bert": kind}
    kiosk = Kiosk('name = "hall"', roster_of(dict.fromkeys(kinds, ("visitor", "", 0)), kinds))
    kiosk.venue.is_kept = lambda: False
    assert kiosk.facts("anna").permit is PermitState.VALID
    kiosk.pass_by("anna")
    assert kiosk.facts("bert").permit is PermitState.USED
    kiosk.venue.is_kept = lambda: True
    assert kiosk.facts("bert").permit is PermitState.VALID


def test_while_the_ledger_is_not_read_every_lane_is_shut_until_staff_say_otherwise() -> None:
    kiosk = Kiosk()
    kiosk.state("shut", "in", number=30)
    read, kiosk.venue = kiosk.saved(), Venue("gate-1", LANES, lambda: kiosk.force)
    kiosk.venue.begin(kiosk.at_s)
    assert kiosk.venue.shut_lanes(kiosk.now) == set(LANES), "it may be one that staff have shut"
    kiosk.state("shut", "ward", number=0)
    assert kiosk.venue.shut_lanes(kiosk.now) == set(LANES) - {"ward"}
    kiosk.venue.restore(read, kiosk.at_s)
    assert kiosk.venue.shut_lanes(kiosk.now) == {"in"}


def test_of_a_damaged_ledger_it_is_not_known_which_lanes_are_shut() -> None:
    kiosk = Kiosk()
    kiosk.state("shut", "", number=30)
    kiosk.state("shut", "", number=0)
    for word in ("count", "shut"):
        read, kiosk.venue = kiosk.saved(), Venue("gate-1", LANES, lambda: kiosk.force)
        kiosk.venue.begin(kiosk.at_s)
        kiosk.venue.restore(read, kiosk.at_s, damaged=True)
        assert kiosk.venue.shut_lanes(kiosk.now) == set(LANES)
        assert kiosk.state(word, number=0).reason is None
        assert kiosk.venue.shut_lanes(kiosk.now) == set()


def test_a_repeat_at_an_exit_and_a_second_command_count_nobody() -> None:
    kiosk = Kiosk()
    kiosk.state("count", number=5)
    first = kiosk.pass_by("pupil1", "out")
    kiosk.venue.passed(replace(first, is_repeat=True), kiosk.now, kiosk.at_s)
    assert kiosk.venue.ledger.inside == 4
    kiosk.utc += LANES["out"].release_s
    for _ in range(3):
        kiosk.venue.opened("out", kiosk.at_s)
        kiosk.utc += 1.0
    assert kiosk.venue.ledger.inside == 3, "the gate has been open all the time"
    kiosk.utc += LANES["out"].release_s
    kiosk.venue.opened("out", kiosk.at_s)
    assert kiosk.venue.ledger.inside == 2
    for _ in range(2):
        kiosk.venue.opened("in", kiosk.at_s)
    assert kiosk.venue.ledger.inside == 4, "of those who may have come in rather one too many"


@pytest.mark.parametrize("apart_s", [0.0, 1.0, 2.9, 3.1])
@pytest.mark.parametrize("is_commanded_first", [True, False])
def test_a_command_while_an_exit_is_open_for_a_code_counts_nobody(is_commanded_first: bool, apart_s: float) -> None:
    """And a code while it is open by a command: at most one more may have left, and none must."""
    kiosk = Kiosk()
    kiosk.state("count", number=5)
    kiosk.utc += 10.0
    if is_commanded_first:
        kiosk.venue.opened("out", kiosk.at_s)
    else:
        kiosk.pass_by("pupil1", "out")
        kiosk.utc -= 1.0  # the gate opened a second before it was decided
    kiosk.utc += apart_s
    if is_commanded_first:
        kiosk.utc += 1.0
        kiosk.pass_by("pupil1", "out")
    else:
        kiosk.venue.opened("out", kiosk.at_s)
    assert kiosk.venue.ledger.inside == (4 if apart_s < LANES["out"].release_s else 3)


def test_a_permit_of_one_who_leaves_by_an_exit_again_frees_no_place() -> None:
    shared = PermitKind("visitor", party=2)
    kiosk = Kiosk(roster=roster_of({"anna": ("visitor", "ward-1", 0)}, {"anna": shared}))
    for _ in range(2):
        kiosk.pass_by("anna")
    left = kiosk.pass_by("anna", "out")
    kiosk.venue.passed(replace(left, is_repeat=True), kiosk.now, kiosk.at_s)
    assert kiosk.facts("anna").permit is PermitState.VALID
    kiosk.pass_by("anna")
    assert kiosk.facts("anna").permit is PermitState.USED


def test_after_seven_years_without_a_restart_it_counts_and_reports() -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    kiosk.boot_utc = kiosk.utc - 7 * 365 * DAY_S
    kiosk.tick()
    for _ in range(2):
        kiosk.until(7.5)
        kiosk.pass_by("pupil1")
        assert kiosk.venue.occupancy(kiosk.at_s)["came"] == 1
        kiosk.until(1)
        day = [report for report in kiosk.reports if report.type == "day"][-1]
        assert (day.came, day.rounds["morning"]["checked"]) == (1, 1)
    assert kiosk.venue.occupancy(kiosk.at_s)["inside"] == 0


@pytest.mark.parametrize("knows_time", [True, False])
def test_power_cuts_let_no_more_people_in_than_may_come_in_one_day(knows_time: bool) -> None:
    kiosk = Kiosk('name = "hall"\nutc_offset_min = 480\nroom = {daily = 5}\n')
    kiosk.tick()
    kiosk.commit()
    came = 0
    for _ in range(12):
        if kiosk.venue.room_state(kiosk.at_s) is RoomState.FREE:
            kiosk.pass_by(f"p{came}")
            came += 1
            kiosk.disk.pop()  # it was not on the disk yet
        kiosk.knows_time = knows_time
        kiosk.cut(1.0)
        kiosk.tick()
        kiosk.commit()
    assert came <= 5
    assert kiosk.venue.occupancy(kiosk.at_s)["inside"] == 0, "where there is no capacity, nobody is made up"


NAME = "王小明"


@pytest.mark.parametrize(
    ("what", "value", "more"),
    [
        ("absence", "ill", {"number": 1, "group": NAME}),
        ("symptom", "cough", {"number": 1, "case": NAME, "form": NAME}),
        ("duty", "disinfect", {"answers": {"name": NAME}, "private": {"name": NAME}}),
        ("count", NAME, {"number": 3}),
        ("form", NAME, {"form": "inspection", "answers": {"subject": "masks", "finding": "mend"}}),
    ],
)
def test_of_a_statement_only_what_was_asked_for_is_kept(what: str, value: str, more: dict[str, object]) -> None:
    kiosk = Kiosk(roster=roster_of(PUPILS))
    kiosk.force = replace(kiosk.force, forms=FORMS)
    kiosk.wait(60.0)
    stated = Attestation(kiosk.at_s, what, value, **more)  # type: ignore[arg-type]
    answer, written = kiosk.venue.attest(NAME, stated, kiosk.at_s)
    assert answer.reason is None, answer.text
    assert written is not None
    assert NAME not in repr(written.body)


@pytest.mark.parametrize("off_s", [0.0, 3.0])
def test_who_came_before_the_agent_was_started_again_is_inside_as_well(off_s: float) -> None:
    kiosk = Kiosk()
    counted_utc = kiosk.utc
    kiosk.utc += 4
    kiosk.pass_by("")
    kiosk.stop(off_s, machine=False)
    kiosk.pass_by("")
    answer, _ = kiosk.venue.attest("", Attestation(counted_utc - kiosk.boot_utc, "count", "", 3), kiosk.at_s)
    assert answer.text.startswith("5 inside;")


def test_a_count_from_just_after_the_machine_was_started_adds_nobody_of_before() -> None:
    """The agent is started 20 s later."""
    kiosk = Kiosk()
    for lane in ("in", "in", "out", "out"):
        kiosk.wait(60)
        kiosk.pass_by("", lane=lane)
    kiosk.stop()
    kiosk.wait(10)
    kiosk.pass_by("")
    answer, _ = kiosk.venue.attest("", Attestation(15.0, "count", "", 2), kiosk.at_s)
    assert answer.text.startswith("3 inside;")
    assert kiosk.venue.ledger.inside == 3


def test_who_comes_while_a_count_is_on_its_way_is_inside_as_well() -> None:
    """Who leaves meanwhile may have counted as gone already: rather one too many than one too few."""
    kiosk = Kiosk()
    kiosk.pass_by("")
    counted = Attestation(kiosk.at_s, "count", "", 3)
    kiosk.utc += 4
    kiosk.pass_by("")
    kiosk.pass_by("", lane="out")
    kiosk.utc += 4
    answer, _ = kiosk.venue.attest("", counted, kiosk.at_s)
    assert answer.text.startswith("4 inside;")
    assert kiosk.venue.ledger.inside == 4


@pytest.mark.parametrize("since", ["counted", "lost", "midnight", "closed", "not read yet", "power cut"])
def test_a_count_of_before_what_is_not_known_any_more_is_not_taken(since: str) -> None:
    """The central server's is of when it was issued, up to ten minutes ago."""
    kiosk = Kiosk(SCHOOL.replace("21:00", "22:00") if since == "closed" else SCHOOL)
    kiosk.until(21.99 if since == "closed" else 23.99)
    kiosk.state("count", number=1)
    kiosk.wait(5)
    issued_s, room = kiosk.at_s, RoomState.FREE
    kiosk.wait(5)
    for _ in range(4):
        kiosk.pass_by("")
    kiosk.utc += 60
    saved = kiosk.saved()
    match since:
        case "counted":
            kiosk.state("count", number=5)
        case "lost" | "not read yet":
            kiosk.venue = type(kiosk.venue)(kiosk.name, kiosk.venue._lanes, lambda: kiosk.force)
            kiosk.venue.begin(kiosk.at_s)
            if since == "lost":
                kiosk.venue.restore(b"", kiosk.at_s, damaged=True)
        case "power cut":
            issued_s -= kiosk.at_s + 60
            kiosk.cut()
    kiosk.wait(30)
    answer, written = kiosk.venue.attest("", Attestation(issued_s, "count", "", 1), kiosk.at_s)
    assert (answer.reason, written) == (StatementRefusal.EXPIRED, None)
    if since == "not read yet":
        kiosk.venue.restore(saved, kiosk.at_s)
    room = RoomState.UNKNOWN if since == "lost" else room if since == "closed" else RoomState.FULL
    assert kiosk.venue.room_state(kiosk.at_s) is room
    assert kiosk.state("count", number=2).reason is None, "one of now"


def test_a_count_of_before_the_agent_was_started_knows_who_came_since() -> None:
    kiosk = Kiosk()
    kiosk.state("count", number=1)
    kiosk.utc += 5
    issued_s = kiosk.at_s
    kiosk.utc += 5
    for _ in range(2):
        kiosk.pass_by("")
    kiosk.utc += 60
    saved = kiosk.saved()
    kiosk.venue = type(kiosk.venue)(kiosk.name, kiosk.venue._lanes, lambda: kiosk.force)
    kiosk.venue.begin(kiosk.at_s)
    kiosk.venue.restore(saved, kiosk.at_s)
    answer, _ = kiosk.venue.attest("", Attestation(issued_s, "count", "", 1), kiosk.at_s)
    assert answer.reason is None
    assert kiosk.venue.ledger.inside == 4, "and one whose entry may have been lost"


IDENTITY_CARD = {"subject": b"", "code": b"", "colour": None, "status": CodeStatus.UNDECIDED, "adds": "card"}


@pytest.mark.parametrize("shown", [None, IDENTITY_CARD])
def test_who_is_named_by_no_code_has_one_case_whatever_staff_do_about_him(shown: dict[str, object] | None) -> None:
    kiosk = Kiosk()

    def decided(number: int) -> str:
        fever = {"outcome": Outcome.REFER, "screening": Screening.ELEVATED, "reasons": ("fever",)}
        passage = kiosk.pass_by(None if shown is None else "", number=number, **fever, **(shown or {}))
        assert passage.venue is not None
        return passage.venue.case

    first = decided(7)
    kiosk.wait(300, step_s=60)
    assert decided(7) == first
    assert decided(8) != first
    kiosk.wait(1000, step_s=60)
    assert decided(7) != first, "the number is another person's by now"
    assert len(kiosk.venue.ledger.cases) == 3
    kiosk.state("feedback", "isolated", case=first)
    assert decided(7) != first


def test_each_of_several_who_come_with_one_permit_has_a_case_of_his_own() -> None:
    kiosk = Kiosk()
    party = Permit(subject("family")[:8], PermitKind("visitor", party=3))
    shown = {"permit": party, "outcome": Outcome.REFER, "screening": Screening.ELEVATED, "reasons": ("fever",)}
    cases = [kiosk.pass_by("family", number=number, **shown).venue.case for number in (7, 8, 7)]
    assert cases[0] == cases[2] != cases[1]


def test_a_count_that_is_not_certain_is_told_as_such_also_where_no_number_is_set() -> None:
    kiosk = Kiosk('name = "hall"\n')
    kiosk.pass_by("")
    assert kiosk.venue.occupancy(kiosk.at_s)["room"] is RoomState.FREE
    kiosk.venue.lose(kiosk.at_s)
    assert kiosk.venue.occupancy(kiosk.at_s)["room"] is RoomState.UNKNOWN
    kiosk.state("count", number=1)
    assert kiosk.venue.occupancy(kiosk.at_s)["room"] is RoomState.FREE


@pytest.mark.parametrize("shows", [None, "another made-up code each time"])
def test_who_comes_again_and_again_with_something_warm_takes_no_place_of_a_real_case(shows: str | None) -> None:
    kiosk = Kiosk()
    warm = {"outcome": Outcome.REFER, "screening": Screening.ELEVATED, "reasons": ("fever",)}
    for number in range(300):
        code = {} if shows is None else {"status": CodeStatus.UNRECOGNISED, "code": b"%016d" % number}
        kiosk.pass_by(shows and "", **warm, **code)
    assert len(kiosk.venue.ledger.cases) == MOST_UNPROVEN_CASES
    red = kiosk.pass_by("pupil1", outcome=Outcome.REFUSE, reasons=("code_red",), colour=Colour.RED)
    feverish = kiosk.pass_by("pupil2", **warm)
    assert red.venue.case
    assert feverish.venue.case
    assert len(kiosk.venue.ledger.cases) == MOST_UNPROVEN_CASES + 2

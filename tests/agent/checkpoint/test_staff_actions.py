"""What staff do is about the person whom they mean, once, and lasts; what comes late is about nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lane_bench import AT_MARK_MM, FEVER_C, NORMAL_C, NOW, ROOM_C, Bench, raised

from agent.checkpoint import DecisionRules
from agent.model import (
    Attestation,
    AttestationResult,
    Decision,
    DeviceDown,
    LaneCommand,
    LaneCommandRequest,
    LaneCommandResult,
    MaskState,
    Observation,
    OpenOnce,
    Outcome,
    Role,
    TravelState,
    VenueFacts,
)
from agent.model.reasons import LocalRefusal, StatementRefusal
from drivers.contract import Reading, Sighting


def with_statements(bench: Bench) -> Bench:
    """A table that turns away who has no mask, a risk by travel; who shows no code must be recorded."""
    rules = bench.checkpoint._rules

    def decide(case):
        if case.facts.mask is MaskState.MISSING or case.facts.travel is TravelState.RISK:
            return Decision(Outcome.REFER, ("mask_missing",))
        if case.verdict is None:
            return Decision(Outcome.ADMIT_WITH_NOTICE if case.facts.vouched else Outcome.REFER, ("no_code",))
        return rules.decide(case)

    def facts(_lane, _verdict, attested, _now, _at_s) -> VenueFacts:
        return VenueFacts(
            mask=MaskState(attested.get("mask", "unasked")),
            travel=TravelState(attested.get("travel", "unasked")),
            vouched={"document", "record"} <= attested.keys(),
        )

    bench.checkpoint._rules = DecisionRules(
        rules.check, decide, rules.screening, rules.site, may_override=lambda _: True, venue=facts
    )
    return bench


def state(bench: Bench, what: str, value: str, number: int = 0, lane: str = "in") -> AttestationResult:
    stated = Attestation(bench.at_s, what, value, number)
    found = bench.checkpoint.handle(Observation(lane, Role.CLINICAL, stated), NOW)
    bench.results += found
    return [each for each in found if isinstance(each, AttestationResult)][-1]


@pytest.mark.parametrize(("what", "bad", "good"), [("mask", "missing", "worn"), ("travel", "risk", "clear")])
def test_an_objection_outlasts_another_showing_of_the_code_at_any_lane(bench: Bench, what, bad, good) -> None:
    with_statements(bench)
    bench.show(b"green:anna")
    assert state(bench, what, bad).reason is None
    bench.measure(NORMAL_C, count=8)
    for lane in ("in", "marked", "in"):
        bench.measure(ROOM_C, lane, count=30)
        bench.distances_mm["marked"] = 60.0
        bench.show(b"green:anna", lane)
        bench.measure(NORMAL_C, lane, count=8)
    assert bench.openings == [], "showing it again puts on no mask"
    number = bench.waiting()[0].number
    bench.measure(ROOM_C, count=80)
    assert state(bench, what, good, number).passage.decision.reasons == ("indeterminate",)
    bench.measure(ROOM_C, count=30)
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=8)
    assert len(bench.openings) == 1


def test_an_objection_outlasts_the_time_that_somebody_waits(bench: Bench) -> None:
    with_statements(bench)
    bench.show(b"green:anna")
    state(bench, "travel", "risk")
    bench.measure(NORMAL_C, count=8)
    bench.measure(ROOM_C, count=30)
    for _ in range(3):
        bench.wait(3 * 3600)
        bench.measure(ROOM_C, count=1)
        assert bench.waiting() == ()
        bench.show(b"green:anna")
        bench.measure(NORMAL_C, count=8)
        assert bench.openings == []
    bench.wait(20)
    assert state(bench, "travel", "clear").reason is None
    bench.measure(ROOM_C, count=30)
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == ["in"]


def waits_at_one_and_shows_at_another(bench: Bench) -> None:
    """Anna was too warm at one entry, and shows her code at the other."""
    with_statements(bench)
    bench.show(b"green:anna")
    bench.measure(FEVER_C, count=8)
    bench.measure(ROOM_C, count=30)
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.show(b"green:anna", "marked")


def test_an_objection_at_one_lane_counts_at_another_where_somebody_waits(bench: Bench) -> None:
    waits_at_one_and_shows_at_another(bench)
    assert state(bench, "travel", "risk", lane="marked").reason is None
    bench.measure(FEVER_C, "marked", count=8)
    number = bench.waiting()[0].number
    assert bench.second(36.6, number=number).passage.decision.reasons == ("mask_missing",)
    assert state(bench, "mask", "worn", number).passage.decision.reasons == ("mask_missing",)
    assert bench.override(number, seen=("elevated",)).reason == "card_changed"
    assert bench.openings == []


def test_an_objection_counts_where_a_code_of_his_is_being_decided(bench: Bench) -> None:
    waits_at_one_and_shows_at_another(bench)
    assert state(bench, "travel", "risk", bench.waiting()[0].number).reason is None
    bench.measure(NORMAL_C, "marked", count=8)
    assert bench.passages[-1].decision.reasons == ("mask_missing",)
    bench.measure(ROOM_C, count=30)
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=8)
    assert bench.passages[-1].decision.reasons == ("mask_missing",)
    assert bench.openings == []


@pytest.mark.parametrize("stays", [True, False])
def test_without_a_number_it_is_about_nobody_once_another_stands_there(bench: Bench, stays: bool) -> None:
    with_statements(bench)
    bench.show(b"green:anna")
    bench.measure(FEVER_C, count=8)
    bench.measure(FEVER_C if stays else ROOM_C, count=12)
    number = bench.waiting()[0].number
    state(bench, "document", "seen", number)
    bench.measure(FEVER_C, count=1)
    assert state(bench, "mask", "worn").reason is (None if stays else StatementRefusal.AMBIGUOUS_PERSON)
    assert bench.second(36.6).reason == ("" if stays else LocalRefusal.AMBIGUOUS_PERSON)
    assert bench.openings == (["in"] if stays else [])
    if not stays:
        bench.second(36.6, number=number)
        assert bench.openings == ["in"]


@pytest.mark.parametrize("is_staff_busy", [True, False])
def test_without_a_number_it_is_about_nobody_once_another_has_stood_there(
    bench: Bench, is_staff_busy: bool
) -> None:
    """Bert, who has no code, has stepped aside, and may be whom staff mean."""
    with_statements(bench)
    raised(bench, b"green:anna")
    bench.measure(NORMAL_C, count=5)
    number = bench.waiting()[0].number
    if is_staff_busy:
        state(bench, "document", "seen", number)
    bench.measure(ROOM_C, count=30)
    assert state(bench, "mask", "worn").reason is StatementRefusal.AMBIGUOUS_PERSON
    assert bench.second(36.6).reason == LocalRefusal.AMBIGUOUS_PERSON
    assert retest(bench, 0).reason == LocalRefusal.AMBIGUOUS_PERSON
    assert bench.second(36.6, number=number).passage.gate_opened


def test_without_a_number_it_is_about_nobody_when_another_stood_there_before(bench: Bench) -> None:
    """The guard has seen Anna's mask; she steps away, and Bert shows his code."""
    with_statements(bench)
    bench.measure(NORMAL_C, count=5)
    bench.measure(ROOM_C, count=10)
    bench.show(b"green:bert")
    assert state(bench, "mask", "worn").reason is StatementRefusal.AMBIGUOUS_PERSON
    bench.measure(FEVER_C, count=8)
    assert state(bench, "mask", "worn").reason is StatementRefusal.AMBIGUOUS_PERSON
    assert bench.second(36.6).reason == LocalRefusal.AMBIGUOUS_PERSON
    assert retest(bench, 0).reason == LocalRefusal.AMBIGUOUS_PERSON
    bench.wait(125)
    assert bench.second(36.6).passage.gate_opened


def walks_by_once_let_in(bench: Bench, number: int, by: str) -> None:
    """Staff let in who waits aside: he walks by, and is not measured for Emil, who shows his code beside him."""
    if by == "instrument":
        bench.second(36.6, number=number)
    else:
        bench.override(number)
    assert bench.openings == ["in"]
    bench.measure(ROOM_C, count=10)
    bench.measure(NORMAL_C, count=6)
    bench.show(b"green:emil")
    bench.measure(NORMAL_C, count=70)
    assert bench.openings == ["in"]


@pytest.mark.parametrize("by", ["instrument", "override"])
@pytest.mark.parametrize("carl", [b"red:carl", b""])
def test_who_is_let_in_while_another_stands_there_walks_by_after_that_one(by: str, carl: bytes) -> None:
    bench = Bench(may_override=lambda _: True)
    raised(bench, b"green:bert")
    number = bench.waiting()[0].number
    if carl:
        bench.show(carl)
    bench.measure(NORMAL_C, count=12)
    walks_by_once_let_in(bench, number, by)


@pytest.mark.parametrize("by", ["instrument", "override"])
def test_who_is_let_in_as_the_sensor_comes_back_walks_by(by: str) -> None:
    bench = Bench(may_override=lambda _: True)
    raised(bench, b"green:bert")
    number = bench.waiting()[0].number
    with bench.without(Role.THERMOMETER):
        bench.show(b"red:carl")
        bench.wait(2.0)
    walks_by_once_let_in(bench, number, by)


def test_an_objection_is_of_one_day(bench: Bench) -> None:
    with_statements(bench)
    bench.show(b"green:anna")
    state(bench, "mask", "missing")
    bench.measure(NORMAL_C, count=8)
    bench.wait(12 * 3600)
    bench.measure(ROOM_C, count=30)
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == ["in"]


def _two_codes(bench: Bench) -> Bench:
    """`fob:anna` is green by itself, and says another holder than `green:anna`, which it may be shown with."""
    check = bench.checkpoint._rules.check

    def by_either(payloads, now):
        codes = [each for each in payloads if not each.startswith(b"fob:")]
        verdict = check(codes or [each.replace(b"fob:", b"green:") for each in payloads], now)
        return verdict if codes else replace(verdict, subject=payloads[0], code=payloads[0])

    bench.checkpoint._rules = replace(bench.checkpoint._rules, check=by_either)
    return bench


def test_an_objection_counts_whichever_of_his_codes_is_shown_again(bench: Bench) -> None:
    _two_codes(with_statements(bench))
    bench.show(b"green:anna")
    bench.show(b"fob:anna")
    assert state(bench, "mask", "missing").reason is None
    bench.measure(NORMAL_C, count=8)
    bench.measure(ROOM_C, count=30)
    bench.show(b"fob:anna")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == [], "the fob puts on no mask"
    assert bench.passages[-1].decision.reasons == ("mask_missing",)


def test_who_is_let_in_by_one_of_his_codes_waits_by_none(bench: Bench) -> None:
    _two_codes(bench)
    bench.show(b"green:anna")
    bench.show(b"fob:anna")
    bench.put("in", Role.THERMOMETER, DeviceDown(bench.at_s, "fake", "gone"))
    number = bench.waiting()[0].number
    bench.show(b"fob:anna", "marked")
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, "marked", count=8)
    assert bench.openings == ["marked"]
    bench.wait(bench.options.passback_window_s)
    assert bench.second(36.6, number=number).reason == "no_such_number"
    assert bench.openings == ["marked"]


def test_who_shows_another_of_his_codes_is_measured_as_before(bench: Bench) -> None:
    _two_codes(bench)
    for code in (b"green:anna", b"fob:anna"):
        bench.show(code)
    bench.measure(FEVER_C, count=8)
    bench.measure(ROOM_C, count=30)
    bench.show(b"fob:anna")
    bench.measure(35.0, count=8)
    passage = bench.passages[-1]
    assert (passage.temperature.attempt, passage.temperature.reason) == (2, "mean_of_two")
    assert bench.openings == []


def test_a_retest_of_a_code_that_has_ended_meanwhile_lets_nobody_in(bench: Bench) -> None:
    bench.show(b"green:anna")
    for _ in range(20):
        bench.wait(3.0)
        assert bench.ask(LaneCommand.RETEST).reason == "", "it waits longer each time"
        bench.expired.add(b"green:anna")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == []


def test_an_objection_is_against_nobody_else(bench: Bench) -> None:
    with_statements(bench)
    bench.show(b"green:anna")
    state(bench, "mask", "missing")
    bench.measure(NORMAL_C, count=8)
    bench.measure(ROOM_C, count=30)
    bench.show(b"green:bert")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == ["in"]


def test_an_objection_to_who_stands_there_counts_for_the_code_that_he_shows_then(bench: Bench) -> None:
    with_statements(bench)
    bench.measure(NORMAL_C, count=2)
    assert state(bench, "mask", "missing").reason is None
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == []
    bench.measure(ROOM_C, count=30)
    bench.show(b"green:bert")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == ["in"], "he has left: it is not against the next one"


def test_what_was_stated_of_him_counts_for_all_his_codes(bench: Bench) -> None:
    with_statements(bench)
    bench.show(b"green:tess")
    assert state(bench, "mask", "missing").reason is None
    bench.show(b"test:tess")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == []


def test_who_shows_no_code_waits_once_and_no_more_when_let_in(bench: Bench) -> None:
    with_statements(bench)
    bench.measure(NORMAL_C, count=8)
    bench.measure(ROOM_C, count=30)
    assert bench.openings == []
    bench.measure(NORMAL_C, count=105)
    bench.measure(ROOM_C, count=30)
    (anna,) = bench.waiting()
    assert state(bench, "document", "seen", anna.number).passage.decision.outcome is Outcome.REFER
    assert [each.number for each in bench.waiting()] == [anna.number], "one person, one number"
    bench.second(36.5, number=anna.number)
    assert [each.number for each in bench.waiting()] == [anna.number]
    assert state(bench, "record", "done", anna.number).passage.gate_opened
    assert bench.openings == ["in"]
    assert bench.waiting() == ()
    assert state(bench, "mask", "worn", anna.number).reason is StatementRefusal.NO_CANDIDATE
    assert bench.openings == ["in"], "nobody comes in on what was stated of somebody who is inside"


def test_staff_let_nobody_in_by_a_closed_lane() -> None:
    bench = Bench(may_override=lambda _: True)
    bench.show(b"green:tess")
    bench.measure(NORMAL_C, count=8)
    bench.wait(10)
    bench.close()
    assert bench.override(bench.waiting()[0].number).reason == "lane_closed"
    assert bench.openings == []
    bench.close(closed=False)
    assert bench.override(bench.waiting()[0].number).passage is not None


def retest(bench: Bench, number: int) -> LaneCommandResult:
    request = LaneCommandRequest(bench.at_s, LaneCommand.RETEST, number)
    found = bench.checkpoint.handle(Observation("in", Role.CLINICAL, request), NOW)
    return next(each for each in found if isinstance(each, LaneCommandResult))


def test_a_retest_of_one_takes_no_reading_from_another(bench: Bench) -> None:
    raised(bench, b"green:anna")
    (anna,) = bench.waiting()
    for _ in range(2):  # Bert has a fever, and is told to rest
        raised(bench, b"green:bert")
        bench.wait(3)
    bench.show(b"green:bert")
    assert retest(bench, anna.number).reason == "ambiguous_person"
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == [], "his rest is not over"
    bench.measure(ROOM_C, count=30)
    assert retest(bench, anna.number).reason == ""
    assert retest(bench, 998).reason == "no_person"
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == ["in"], "hers counts as the first"


def test_a_code_that_comes_late_is_not_of_who_has_stepped_up_since(bench: Bench) -> None:
    bench.measure(NORMAL_C, count=3)
    shown_s = bench.at_s - 0.15
    bench.measure(ROOM_C, count=9)
    bench.measure(NORMAL_C, count=1)
    bench.put("in", Role.SCANNER, Sighting(b"green:anna", shown_s))
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == []
    assert bench.passages[0].decision.reasons == ("has_left",)
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == ["in"]


def test_a_code_that_comes_late_whose_holder_stands_there_counts(bench: Bench) -> None:
    bench.wait(1)
    bench.measure(NORMAL_C, count=2)
    bench.put("in", Role.SCANNER, Sighting(b"green:anna", bench.at_s - 0.9))
    bench.put("in", Role.THERMOMETER, Reading(NORMAL_C, bench.at_s, 0.4))
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == ["in"]
    assert FEVER_C > NORMAL_C


@pytest.mark.parametrize("how", ["by staff", "by the server", "overridden", "vouched for"])
def test_the_body_of_who_is_let_in_without_a_code_measures_for_nobody_else(how: str) -> None:
    bench = with_statements(Bench(may_override=lambda _: True))
    bench.measure(NORMAL_C, count=8 if how.startswith("by") else 110)
    if how == "by staff":
        assert bench._told("in", OpenOnce(bench.at_s)).reason == ""
    elif how == "by the server":
        assert bench.ask(LaneCommand.OPEN).reason == ""
    elif how == "overridden":
        assert bench.override(bench.waiting()[0].number).reason == ""
    else:
        number = bench.waiting()[0].number
        state(bench, "document", "seen", number)
        state(bench, "record", "done", number)
    assert bench.openings == ["in"]
    bench.show(b"green:bob")  # behind him
    bench.measure(NORMAL_C, count=20)
    assert bench.openings == ["in"]
    bench.measure(ROOM_C, count=2)
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == ["in", "in"], "bob steps up"


@pytest.mark.parametrize("how", ["measured", "overridden"])
@pytest.mark.parametrize("soon", [True, False])
def test_who_waited_aside_and_is_let_in_walks_by_and_measures_for_nobody_else(how: str, soon: bool) -> None:
    bench = Bench(may_override=lambda _: True)
    bench.show(b"green:anna")
    bench.measure(FEVER_C, count=8)
    bench.measure(ROOM_C, count=30)
    number = bench.waiting()[0].number
    if how == "measured":
        bench.second(36.6, number=number)
    else:
        bench.override(number)
    assert bench.openings == ["in"]
    bench.measure(ROOM_C, count=5 if soon else 30)
    bench.measure(NORMAL_C, count=2)
    bench.show(b"green:bob")
    bench.measure(NORMAL_C, count=20)
    assert bench.openings == (["in"] if soon else ["in", "in"])
    bench.measure(ROOM_C, count=2)
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == ["in", "in"]


def test_an_opening_for_somebody_else_leaves_who_is_being_measured_alone(bench: Bench) -> None:
    bench.measure(NORMAL_C, count=2)
    bench.show(b"green:bob")
    bench.ask(LaneCommand.OPEN)
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == ["in", "in"]


@pytest.mark.parametrize("how", ["by staff", "by the server"])
def test_what_was_stated_of_who_is_let_in_by_hand_counts_for_nobody_behind_him(how: str) -> None:
    bench = with_statements(Bench())
    bench.measure(NORMAL_C, count=3)
    assert state(bench, "document", "seen").reason is None
    assert state(bench, "record", "done").reason is None
    if how == "by staff":
        assert bench._told("in", OpenOnce(bench.at_s)).reason == ""
    else:
        assert bench.ask(LaneCommand.OPEN).reason == ""
    bench.measure(NORMAL_C, count=300)  # the next one steps up close behind, and waits
    assert bench.openings == ["in"]


def test_what_staff_do_about_another_frees_no_body() -> None:
    bench = Bench(may_override=lambda _: True)
    raised(bench, b"green:anna")
    bench.measure(NORMAL_C, count=2)
    bench.show(b"red:dan")
    bench.measure(NORMAL_C, count=30)
    assert bench.override(bench.waiting()[1].number).passage is not None
    bench.show(b"green:eve")
    bench.measure(NORMAL_C, count=5)
    bench.measure(ROOM_C, count=2)  # dan steps back for a moment
    bench.measure(NORMAL_C, count=20)
    assert bench.openings == ["in"]


def test_what_was_measured_last_counts_at_whichever_lane_somebody_waits(bench: Bench) -> None:
    with_statements(bench)
    rules = bench.checkpoint._rules

    def decide(case):
        told = rules.decide(replace(case, facts=VenueFacts()))
        return rules.decide(case) if told.outcome is Outcome.ADMIT else told

    bench.checkpoint._rules = replace(rules, decide=decide)
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, count=1)
    state(bench, "mask", "missing")
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=8)
    bench.measure(ROOM_C, count=20)
    bench.show(b"green:anna", "marked")
    bench.measure(FEVER_C, "marked", count=8)
    (here,), (there,) = bench.waiting("in"), bench.waiting("marked")
    assert here.number == there.number, "one person, one number"
    passage = state(bench, "mask", "worn", here.number).passage
    assert passage.decision.reasons == ("elevated",)
    assert bench.openings == []


@pytest.mark.parametrize("how", ["by a reading", "by a statement", "overridden"])
def test_a_code_that_was_not_kept_lets_nobody_in(how: str) -> None:
    """It cannot be checked again: it may have been revoked since."""
    bench = Bench(may_override=lambda _: True)
    rules, shut = bench.checkpoint._rules, [True]

    def decide(case):
        if shut:
            return Decision(Outcome.REFUSE, ("area_locked",))
        if how != "by a reading" and case.facts.mask is not MaskState.WORN:
            return Decision(Outcome.REFER, ("mask_missing",))
        return rules.decide(case)

    bench.checkpoint._rules = replace(
        rules,
        decide=decide,
        venue=lambda _lane, _code, stated, _now, _at_s: VenueFacts(mask=MaskState(stated.get("mask", "unasked"))),
    )
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=8)
    bench.measure(ROOM_C, count=20)
    number = bench.waiting()[0].number
    shut.clear()
    bench.expired.add(b"green:anna")
    bench.checkpoint.reevaluate(NOW)
    if how == "overridden":
        assert bench.override(number).passage is None
    elif how == "by a statement":
        state(bench, "mask", "worn", number)
        bench.second(36.6, number=number)
    else:
        bench.second(36.6, number=number)
        assert bench.passages[-1].decision.reasons == ("code_undecided",)
    assert bench.openings == []

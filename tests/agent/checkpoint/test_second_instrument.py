"""Staff's own thermometer decides again, about the right person."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lane_bench import (
    AT_MARK_MM,
    FEVER_C,
    LANES,
    NORMAL_C,
    ROOM_C,
    Bench,
    raised,
)

from agent.checkpoint import Checkpoint, Options
from agent.checkpoint.lanes import MOST_AHEAD, MOST_UNPROVEN, MOST_WAITING
from agent.model import (
    Attestation,
    AttestationResult,
    DeviceDown,
    DeviceUp,
    Outcome,
    Role,
    Screening,
    SentAway,
)


def test_staffs_own_thermometer_decides_again(bench: Bench) -> None:
    raised(bench)
    settled = bench.second(36.8)
    assert settled.passage is bench.passages[-1]
    first, again = bench.passages
    assert first.decision.outcome is Outcome.REFER
    assert again.decision.outcome is Outcome.ADMIT
    assert bench.openings == ["in"]
    told = again.temperature
    assert (told.outcome, told.estimate_c, told.threshold_c) == (Screening.NORMAL, 36.8, 37.3)
    assert (told.basis, told.reason, told.attempt) == ("clinical", "clinical_decides", 2)
    assert bench.second(36.8).reason == "no_candidate", "who was let in is decided"


def test_a_fever_by_staffs_own_thermometer_stays_one_and_may_be_corrected(bench: Bench) -> None:
    raised(bench)
    for celsius, outcome in ((38.4, Outcome.REFER), (36.9, Outcome.ADMIT)):
        passage = bench.second(celsius).passage
        assert passage is not None
        assert passage.decision.outcome is outcome
    assert [passage.temperature.attempt for passage in bench.passages] == [1, 2, 3]


def test_a_normal_temperature_makes_no_other_code_good(bench: Bench) -> None:
    raised(bench, b"red:bert")
    passage = bench.second(36.5).passage
    assert passage is not None
    assert passage.decision.outcome is Outcome.REFUSE
    assert not bench.openings


def test_the_code_of_whom_no_temperature_admits_is_not_remembered(bench: Bench) -> None:
    raised(bench, b"red:bert")
    raised(bench, b"green:anna")
    codes = [payload for each in bench.checkpoint._lanes["in"].waiting for payload in each.pending.shown.values()]
    assert codes == [b"", b"green:anna"]
    anna, bert = bench.waiting()
    passage = bench.second(36.5, number=bert.number).passage
    assert passage is not None
    assert (passage.decision.outcome, passage.payloads) == (Outcome.REFUSE, ())
    assert passage.verdict is not None
    passage = bench.second(36.5, number=anna.number).passage
    assert passage is not None
    assert passage.gate_opened


def test_who_shows_the_code_again_is_on_top_also_when_it_is_refused(bench: Bench) -> None:
    raised(bench, b"green:anna")
    raised(bench, b"red:bert")
    bench.wait(bench.options.rescan_after_refusal_s)
    raised(bench, b"red:bert")
    top, _ = bench.waiting()
    assert not getattr(bench.second(36.5, number=top.number).passage, "gate_opened", True)
    assert not bench.openings


def test_a_code_that_turns_red_meanwhile_is_no_longer_good(bench: Bench) -> None:
    raised(bench)
    bench.expired.add(b"green:anna")
    assert not getattr(bench.second(36.5).passage, "gate_opened", True)
    assert not bench.openings


def test_the_code_is_checked_again(bench: Bench) -> None:
    raised(bench)
    bench.expired.add(b"green:anna")
    passage = bench.second(36.5).passage
    assert passage is not None
    assert not passage.gate_opened


@pytest.mark.parametrize(("celsius", "reason"), [(12.0, "out_of_range"), (98.6, "out_of_range")])
def test_a_slip_of_the_finger_decides_nothing(bench: Bench, celsius: float, reason: str) -> None:
    raised(bench)
    assert bench.second(celsius).reason == reason
    assert bench.second(36.5).passage is not None


def test_nobody_is_mistaken_for_another(bench: Bench) -> None:
    assert bench.second(36.5).reason == "no_candidate"
    raised(bench)
    bench.show(b"green:carl")
    assert bench.second(36.5).reason == "lane_busy"
    bench.measure(NORMAL_C, count=5)
    assert bench.openings == ["in"]
    assert bench.second(36.5).reason == "no_candidate", "the last one here was let in"
    bench.measure(ROOM_C, count=10)
    raised(bench, b"green:dora")
    bench.wait(601.0)
    assert bench.second(36.5).reason == "no_candidate"


def test_of_two_who_wait_only_the_one_who_is_named_is_recorded(bench: Bench) -> None:
    raised(bench, b"green:anna")
    raised(bench, b"green:bob")
    refused = bench.second(36.7)
    assert refused.reason == "ambiguous_person", "it could be Anna's, who stands aside"
    bob, anna = refused.waiting
    bench.show(b"green:anna")
    assert bench.second(36.7, number=anna.number).reason == "lane_busy"
    bench.wait(7.0)
    assert bench.second(36.7).reason == "ambiguous_person"
    assert bench.waiting()[0].number == anna.number, "who showed the code again comes first, under the same number"
    assert bench.second(36.7, number=99).reason == "no_such_number"
    passage = bench.second(36.7, number=bob.number).passage
    assert passage is not None
    assert passage.gate_opened
    assert passage.payloads == (b"green:bob",)
    assert [each.number for each in bench.waiting()] == [anna.number]


def test_the_second_reading_that_the_gate_asked_for_names_nobody_to_staff(bench: Bench) -> None:
    raised(bench, b"green:bob")
    raised(bench, b"green:anna")
    assert bench.passages[-1].temperature.next_step == "second_reading"
    bench.wait(bench.options.rescan_after_refusal_s)
    raised(bench, b"green:anna")
    assert bench.second(36.7).reason == "ambiguous_person", "it may be of Bob, who waits since before"
    assert not bench.openings


def test_who_was_let_in_at_the_other_lane_waits_no_more(bench: Bench) -> None:
    bench.distances_mm["marked"] = AT_MARK_MM
    raised(bench, b"green:anna")
    bench.show(b"green:anna", "marked")
    bench.measure(NORMAL_C - 1.2, "marked", count=6)
    assert bench.openings == ["marked"]
    assert not bench.waiting()


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"", b"green:anna", b"green:bob", b"red:bert"]),
            st.sampled_from([FEVER_C, FEVER_C, NORMAL_C]),
            st.sampled_from([0.0, 20.0, 61.0, 550.0]),
            st.sampled_from([36.7, 36.7, 38.5]),
        ),
        max_size=8,
    )
)
@settings(deadline=None)
def test_a_record_is_only_about_who_was_decided_last_and_cannot_be_another(
    steps: list[tuple[bytes, float, float, float]],
) -> None:
    """Somebody comes, is decided, and staff types what their thermometer shows of, perhaps, another."""
    bench = Bench()
    away: list[tuple[bytes, float]] = []
    """Who was turned away because of the temperature and has not been let in since, and when."""
    last = b""
    for code, surface_c, later_s, celsius in steps:
        decided = len(bench.passages)
        if code:
            bench.show(code)
        bench.measure(surface_c, count=5)
        bench.wait(12.0)
        last = code if bench.passages[decided:] else last
        for passage in bench.passages[decided:]:
            if passage.gate_opened:
                away = [(who, at_s) for who, at_s in away if who != last]
            else:
                away.append((last, passage.decided_s))
        bench.wait(later_s)
        bench.results += bench.checkpoint.tick(bench.at_s)
        passage_by_staff = bench.second(celsius).passage
        if passage_by_staff is None:
            continue
        assert b"".join(passage_by_staff.payloads) == (b"" if last.startswith(b"red:") else last)
        late = [(who, at_s) for who, at_s in away if at_s >= bench.at_s - 600.0]
        assert {who for who, _ in late} == {last}
        if passage_by_staff.gate_opened:
            away = [(who, at_s) for who, at_s in away if who != last]
        else:
            away.append((last, bench.at_s))


def test_who_was_let_in_waits_no_more(bench: Bench) -> None:
    raised(bench, b"green:anna")
    assert bench.second(36.7).passage is not None
    raised(bench, b"green:bob")
    assert bench.second(36.7).passage is not None


def test_who_has_waited_too_long_waits_no_more(bench: Bench) -> None:
    raised(bench, b"green:anna")
    bench.wait(601.0)
    bench.checkpoint.tick(bench.at_s)
    raised(bench, b"green:bob")
    assert [each.number for each in bench.waiting()] != []
    assert bench.second(36.7).reason == "ambiguous_person", "they may have measured Anna a moment ago"
    bench.wait(121.0)
    bench.checkpoint.tick(bench.at_s)
    assert bench.second(36.7).passage is not None


@pytest.mark.parametrize("how", ["sent away", "by her own code"])
def test_a_reading_without_a_number_is_not_for_who_waits_since_another_did(bench: Bench, how: str) -> None:
    raised(bench, b"green:anna")
    (anna,) = bench.waiting()  # measured by staff, who go to type it in
    if how == "sent away":
        bench.put("in", Role.CLINICAL, SentAway(bench.at_s, anna.number))
    else:
        bench.wait(5.0)
        bench.show(b"green:anna")
        bench.measure(NORMAL_C - 0.6, count=8)
        assert bench.openings == ["in"]
        bench.measure(ROOM_C, count=10)
    bench.wait(5.0)
    raised(bench, b"green:bob")
    (bob,) = bench.waiting()
    before = len(bench.openings)
    assert bench.second(36.5).reason == "ambiguous_person"
    bench.put("in", Role.CLINICAL, Attestation(bench.at_s, "mask", "worn"))
    assert [each.reason for each in bench.results if isinstance(each, AttestationResult)] == ["ambiguous_person"]
    assert len(bench.openings) == before
    assert bench.second(36.5, number=bob.number).passage is not None
    raised(bench, b"green:carl")
    assert bench.second(36.5).reason == "ambiguous_person"


def test_a_broken_thermometer_can_be_stood_in_for(bench: Bench) -> None:
    bench.put("in", Role.THERMOMETER, DeviceDown(bench.at_s, "fake", "unplugged"))
    bench.show(b"green:anna")
    assert bench.only().temperature.outcome is Screening.DEVICE_FAULT
    assert bench.second(36.6).reason == "ambiguous_person", "nobody knows who stands there"
    passage = bench.second(36.6, number=bench.waiting()[0].number).passage
    assert passage is not None
    assert passage.gate_opened


def test_a_reading_without_a_number_opens_nothing_while_somebody_else_stands_there(bench: Bench) -> None:
    raised(bench)
    bench.measure(NORMAL_C)
    assert bench.second(36.5).reason == "ambiguous_person"
    assert bench.openings == []
    assert bench.second(36.5, number=bench.waiting()[0].number).passage is not None


def test_a_number_that_was_called_is_nobody_elses_while_its_holder_waits(bench: Bench) -> None:
    raised(bench)
    (anna,) = bench.waiting()
    for number in range(MOST_WAITING + 5):
        bench.show(b"red:%d" % number, "marked")
    assert [each.number for each in bench.waiting()] == [anna.number]
    others = [each.number for each in bench.waiting("marked")]
    assert anna.number not in others
    assert len(others) == len(set(others)) == MOST_WAITING - 1


def test_a_telephone_that_shows_one_code_after_the_other_takes_nobodys_place(bench: Bench) -> None:
    """Codes that anybody can make up; who waits with a signed one, or with none, goes on waiting."""
    raised(bench)
    bench.measure(ROOM_C, count=10)
    bench.measure(NORMAL_C, count=round(bench.options.credential_timeout_s / 0.1) + 5)  # without a code
    bench.measure(ROOM_C, count=10)
    before = {each.number for each in bench.waiting()}
    assert len(before) == 2
    began_s = bench.at_s
    for number in range(2000):
        bench.show(b"https://example.org/%d" % number)
        bench.wait(0.2)
    given = [each.number for each in bench.passages if each.number and each.number not in before]
    assert len(given) == len(set(given)), "no number was given twice in six minutes"
    assert len(given) <= bench.at_s - began_s + MOST_AHEAD + 2
    waiting = [each.number for each in bench.waiting()]
    assert before < set(waiting)
    assert len(waiting) == len(before) + MOST_UNPROVEN
    assert bench.second(36.5, number=waiting[0]).reason != "no_such_number", "the latest of them"


def test_after_a_restart_the_numbers_go_on_elsewhere() -> None:
    bench, called = Bench(), set[int]()
    for holder in range(400):
        if holder % 7 == 0:  # the agent starts again
            bench.checkpoint = Checkpoint(LANES, bench.checkpoint._rules, Options(), first_number=990)
            for role in LANES["in"].parts:
                bench.put("in", role, DeviceUp(bench.at_s, "fake"))
        raised(bench, b"green:%d" % holder)
        number = bench.waiting()[0].number
        assert 1 <= number <= MOST_WAITING
        assert number not in called, "somebody was called by it within ten minutes"
        called.add(number)

"""What staff do at a lane: let in whom the table has left to them, close it; never against an invariant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lane_bench import COLD_C, FEVER_C, NORMAL_C, Bench

from agent import policy
from agent.model import DeviceDown, DeviceUp, LaneCommand, Outcome, Role
from agent.model.effects import Cue, ShowCue
from agent.policy.facts import DIMENSIONS, Facts
from tests.profiles import PROFILES, profile


def referred(bench: Bench, code: bytes = b"green:tess") -> int:
    """Somebody is left to staff; the number."""
    bench.show(code)
    bench.measure(NORMAL_C, count=8)
    bench.wait(10)
    (waiting,) = bench.waiting()
    return waiting.number


@pytest.fixture
def bench() -> Bench:
    return Bench(may_override=lambda _: True)


def test_staff_let_in_whom_the_table_refers(bench: Bench) -> None:
    number = referred(bench)
    result = bench.override(number)
    assert result.passage is not None
    assert (result.passage.decision.outcome, result.passage.gate_opened) == (Outcome.ADMIT, True)
    assert result.passage.decision.reasons == ("staff_override", "no_test")
    assert bench.openings == ["in"]
    assert ShowCue("in", Cue.ADMIT) in bench.results
    assert bench.waiting() == ()


def test_not_twice(bench: Bench) -> None:
    number = referred(bench)
    bench.override(number)
    assert bench.override(number).reason == "no_such_number"
    assert bench.openings == ["in"]


def test_not_against_an_invariant() -> None:
    bench = Bench(may_override=lambda _: False)
    number = referred(bench)
    assert bench.override(number).reason == "invariant"
    assert bench.openings == []
    assert [each.number for each in bench.waiting()] == [number], "who waits, waits on"


def test_not_whom_the_table_refuses_by_now(bench: Bench) -> None:
    number = referred(bench)
    bench.expired.add(b"green:tess")
    assert bench.override(number).reason == "not_referred"
    assert bench.openings == []


def test_not_past_a_reason_that_staff_have_not_seen(bench: Bench) -> None:
    number = referred(bench)
    (card,) = bench.waiting()
    assert bench.override(number, seen=("code_expired",)).reason == "card_changed"
    assert bench.override(number, seen=(*card.decision.reasons, "fever")).reason == "card_changed"
    assert bench.override(number, seen=()).reason == "card_changed"
    assert bench.openings == []
    (card,) = bench.waiting()
    assert (card.number, card.decision.reasons) == (number, ("no_test",)), "as it is by now"
    assert bench.override(number, seen=card.decision.reasons).passage is not None
    assert bench.openings == ["in"]


def test_not_late(bench: Bench) -> None:
    number = referred(bench)
    bench.wait(3600)
    assert bench.override(number).reason == "no_such_number"
    assert bench.openings == []


def test_not_while_somebody_else_is_being_decided(bench: Bench) -> None:
    number = referred(bench)
    bench.wait(30)
    bench.show(b"green:anna")
    assert bench.override(number).reason == "lane_busy"
    assert bench.openings == []


def test_not_through_a_gate_that_is_down(bench: Bench) -> None:
    number = referred(bench)
    bench.put("in", Role.GATE, DeviceDown(bench.at_s, "fake", "gone"))
    assert bench.override(number).reason == "gate_down"
    bench.put("in", Role.GATE, DeviceUp(bench.at_s, "fake"))
    assert bench.override(number).passage is not None


@pytest.mark.parametrize("number", [0, -1, 998])
def test_nobody_waits_under_another_number(bench: Bench, number: int) -> None:
    referred(bench)
    assert bench.override(number).reason == "no_such_number"
    assert bench.openings == []


FACTS = st.builds(Facts, *(st.sampled_from(values) for values in DIMENSIONS.values()))


@given(FACTS, st.sampled_from(PROFILES))
def test_no_word_of_staff_lifts_an_invariant(facts: Facts, name: str) -> None:
    if policy.permits(profile(name), facts, Outcome.ADMIT) and facts.direction == "entry":
        assert facts.temperature in {"normal", "unasked"}
        assert facts.code in {"green", "yellow", "red", "certificate", "ticket"}
        assert facts.test != "positive"
        assert facts.watch != "hit"


def test_nobody_comes_in_by_a_closed_lane(bench: Bench) -> None:
    bench.close()
    assert bench.results[-1] == ShowCue("in", Cue.FAULT, "closed")
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=8)
    assert bench.only().decision.reasons == ("lane_closed",)
    assert bench.openings == []
    bench.close(closed=False)
    assert ShowCue("in", Cue.READY) in bench.results
    bench.wait(30)
    bench.show(b"green:bert")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == ["in"]


def test_who_is_refused_is_refused_at_a_closed_lane_too(bench: Bench) -> None:
    bench.close()
    bench.show(b"red:anna")
    bench.measure(COLD_C, count=8)
    assert bench.passages[0].decision.outcome is Outcome.REFUSE


def test_an_exit_cannot_be_closed(bench: Bench) -> None:
    bench.close("out")
    bench.show(b"red:anna", "out")
    bench.measure(FEVER_C, "out", count=8)
    assert bench.openings == ["out"]


def test_the_central_server_opens_a_closed_lane_once(bench: Bench) -> None:
    bench.close()
    assert bench.ask(LaneCommand.OPEN).reason == ""
    assert bench.openings == ["in"]

"""What the central server asks of a lane."""

from __future__ import annotations

import pytest
from lane_bench import (
    COLD_C,
    FEVER_C,
    LANES,
    NORMAL_C,
    NOW,
    ROOM_C,
    Bench,
    check,
    decide,
    raised,
)

from agent import screening
from agent.checkpoint import Checkpoint, DecisionRules, Options
from agent.model import (
    DeviceDown,
    DeviceUp,
    LaneCommand,
    LaneCommandRequest,
    LaneCommandResult,
    Observation,
    Outcome,
    Role,
)
from agent.model.effects import Cue, ShowCue
from agent.model.reasons import CommandReason


@pytest.mark.parametrize("lane", ["in", "out"])
def test_the_server_opens_a_gate_once(bench: Bench, lane: str) -> None:
    assert bench.ask(LaneCommand.OPEN, lane) == LaneCommandResult()
    assert bench.openings == [lane]
    assert not bench.passages


def test_an_opening_by_command_decides_nothing_about_who_stands_there(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.ask(LaneCommand.OPEN)
    bench.measure(FEVER_C, count=5)
    assert bench.openings == ["in"]
    assert bench.only().decision.reasons == ("elevated",)
    assert not bench.only().gate_opened


def test_a_gate_that_is_down_cannot_be_opened(bench: Bench) -> None:
    bench.put("in", Role.GATE, DeviceDown(bench.at_s, "fake", "unplugged"))
    assert bench.ask(LaneCommand.OPEN) == LaneCommandResult("gate_down")
    assert not bench.openings
    bench.put("in", Role.GATE, DeviceUp(bench.at_s, "fake", simulated=True))
    assert bench.ask(LaneCommand.OPEN) == LaneCommandResult(simulated=True)


def test_a_gate_that_has_not_come_up_yet_cannot_be_opened() -> None:
    checkpoint = Checkpoint(LANES, DecisionRules(check, decide, screening.Options()), Options())
    asked = Observation("in", Role.GATE, LaneCommandRequest(1.0, LaneCommand.OPEN))
    assert checkpoint.handle(asked, NOW) == [LaneCommandResult("gate_down"), ShowCue("in", Cue.FAULT)]


def test_measured_again_the_first_reading_is_the_first_again(bench: Bench) -> None:
    for _ in range(2):
        bench.show(b"green:anna")
        bench.measure(FEVER_C, count=5)
        bench.wait(bench.options.rescan_after_refusal_s)
    assert bench.passages[-1].temperature.next_step == "rest"
    assert bench.ask(LaneCommand.RETEST) == LaneCommandResult()
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=5)
    assert bench.passages[-1].temperature.attempt == 1
    assert bench.openings == ["in"]


def test_measured_again_the_same_code_counts_at_once(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.measure(FEVER_C, count=5)
    bench.show(b"green:anna")
    assert len(bench.passages) == 1
    bench.ask(LaneCommand.RETEST)
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=5)
    assert bench.openings == ["in"]


def test_who_is_being_measured_gets_new_time_and_one_decision(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.measure(FEVER_C, count=2)
    bench.measure(COLD_C, count=50)
    assert bench.ask(LaneCommand.RETEST) == LaneCommandResult()
    bench.measure(COLD_C, count=20)
    bench.measure(NORMAL_C, count=25)
    assert bench.only().decision.outcome is Outcome.ADMIT


def test_nobody_to_measure_again(bench: Bench) -> None:
    assert bench.ask(LaneCommand.RETEST) == LaneCommandResult("no_person")
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=5)
    assert bench.ask(LaneCommand.RETEST) == LaneCommandResult("no_person"), "who was let in is not measured again"
    bench.show(b"green:anna")
    assert len(bench.passages) == 1


def test_measured_again_is_only_who_is_meant(bench: Bench) -> None:
    raised(bench)
    bench.show(b"green:bert")
    assert bench.ask(LaneCommand.RETEST) == LaneCommandResult()
    bench.measure(NORMAL_C, count=5)
    bench.wait(bench.options.rescan_after_admit_s)
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=5)
    assert bench.passages[-1].temperature.attempt == 2, "anna's first reading still counts"


def test_of_several_who_wait_nobody_is_measured_again(bench: Bench) -> None:
    raised(bench, b"green:anna")
    raised(bench, b"green:bert")
    assert bench.ask(LaneCommand.RETEST) == LaneCommandResult(CommandReason.AMBIGUOUS_PERSON)
    bench.wait(bench.options.rescan_after_refusal_s)
    bench.show(b"green:bert")
    bench.measure(NORMAL_C, count=5)
    assert bench.passages[-1].temperature.attempt == 2, "bert's first reading still counts"


def test_of_several_who_wait_the_one_who_shows_the_code_is_measured_again(bench: Bench) -> None:
    raised(bench, b"green:anna")
    raised(bench, b"green:bert")
    bench.show(b"green:anna")
    assert bench.ask(LaneCommand.RETEST) == LaneCommandResult()
    bench.measure(NORMAL_C, count=5)
    assert bench.passages[-1].temperature.attempt == 1


def test_a_body_without_a_code_among_several_is_not_measured_again(bench: Bench) -> None:
    raised(bench, b"green:anna")
    raised(bench, b"green:bert")
    bench.measure(NORMAL_C, count=1)
    assert bench.ask(LaneCommand.RETEST) == LaneCommandResult(CommandReason.AMBIGUOUS_PERSON)


def test_who_was_refused_last_is_not_taken_for_the_one_who_waits(bench: Bench) -> None:
    raised(bench, b"green:anna")
    bench.show(b"red:bert")
    bench.measure(NORMAL_C, count=5)
    bench.measure(ROOM_C, count=10)
    assert bench.ask(LaneCommand.RETEST) == LaneCommandResult(CommandReason.AMBIGUOUS_PERSON)


def test_of_several_the_only_one_left_is_measured_again(bench: Bench) -> None:
    raised(bench, b"green:anna")
    bench.wait(400.0)
    raised(bench, b"green:bert")
    assert bench.ask(LaneCommand.RETEST) == LaneCommandResult(CommandReason.AMBIGUOUS_PERSON)
    bench.wait(330.0)
    assert bench.ask(LaneCommand.RETEST) == LaneCommandResult(), "anna was told to more than twelve minutes ago"


def test_nobody_is_there_after_a_while(bench: Bench) -> None:
    raised(bench)
    bench.wait(601.0)
    assert bench.ask(LaneCommand.RETEST) == LaneCommandResult("no_person")

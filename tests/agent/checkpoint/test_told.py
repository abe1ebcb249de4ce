"""What lamp and buzzer are told, step by step."""

from __future__ import annotations

import pytest
from lane_bench import (
    FEVER_C,
    NORMAL_C,
    Bench,
)

from agent.model import (
    DeviceDown,
    DeviceUp,
    LaneCommand,
    Role,
)
from agent.model.effects import Cue, ShowCue


def told(bench: Bench, lane: str = "in") -> list[Cue]:
    return [result.cue for result in bench.results if isinstance(result, ShowCue) and result.lane == lane]


def test_each_step_of_a_person_is_told_at_once(bench: Bench) -> None:
    bench.show(b"green:anna")
    assert told(bench) == [Cue.MEASURE]
    bench.measure(NORMAL_C)
    assert told(bench) == [Cue.MEASURE, Cue.WAIT]
    bench.measure(NORMAL_C, count=4)
    assert told(bench) == [Cue.MEASURE, Cue.WAIT, Cue.ADMIT, Cue.READY]


def test_who_stands_there_already_is_not_sent_to_the_thermometer(bench: Bench) -> None:
    bench.measure(NORMAL_C, count=2)
    assert told(bench) == []
    bench.show(b"green:anna")
    assert told(bench) == [Cue.WAIT]


def test_who_was_measured_before_is_answered_without_another_step(bench: Bench) -> None:
    bench.measure(NORMAL_C, count=6)
    bench.show(b"green:anna")
    assert told(bench) == [Cue.ADMIT]


def test_a_code_in_parts_is_asked_for_the_rest(bench: Bench) -> None:
    bench.show(b"half1:anna")
    assert told(bench) == [Cue.RETRY]
    bench.show(b"half2:anna")
    assert told(bench) == [Cue.RETRY, Cue.MEASURE]


def test_an_exit_is_green_at_the_code_and_never_red(bench: Bench) -> None:
    bench.show(b"red:bert", "out")
    bench.wait(20)
    assert told(bench, "out") == [Cue.ADMIT]


def test_a_second_reading_is_asked_for(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.measure(FEVER_C, count=5)
    assert bench.only().temperature.next_step == "second_reading"
    assert Cue.RETRY in told(bench)


def test_measured_again_at_the_server_s_command_the_person_hears_of_it(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.ask(LaneCommand.RETEST)
    assert told(bench)[-2:] == [Cue.MEASURE, Cue.RETRY]


@pytest.mark.parametrize("part", [Role.SCANNER, Role.THERMOMETER, Role.RANGE, Role.GATE])
def test_a_lane_that_lacks_a_part_is_out_of_service_until_it_is_back(bench: Bench, part: Role) -> None:
    bench.put("marked", part, DeviceDown(bench.at_s, "fake", "unplugged"))
    bench.put("marked", part, DeviceUp(bench.at_s, "fake"))
    assert told(bench, "marked") == [Cue.FAULT, Cue.READY]


@pytest.mark.parametrize("part", [Role.LAMP, Role.BUZZER, Role.ROOM])
def test_other_parts_may_be_missing(bench: Bench, part: Role) -> None:
    bench.put("in", part, DeviceDown(bench.at_s, "fake", "unplugged"))
    assert told(bench) == []

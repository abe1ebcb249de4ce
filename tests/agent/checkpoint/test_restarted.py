"""After a restart: who was turned away before it may wait, and stand there, and is not known any more."""

from __future__ import annotations

import pytest
from lane_bench import AT_MARK_MM, LANES, NORMAL_C, NOW, ROOM_C, Bench, raised

from agent.checkpoint import Checkpoint, Options
from agent.model import (
    Attestation,
    AttestationResult,
    DeviceDown,
    DeviceUp,
    LaneCommand,
    Observation,
    Role,
    Screening,
)
from agent.model.reasons import StatementRefusal
from agent.screening import Options as ScreeningOptions

TIMEOUT_S = ScreeningOptions().clinical_timeout_s


def restart(bench: Bench) -> None:
    rules, bench.results = bench.checkpoint._rules, []
    bench.checkpoint = Checkpoint(LANES, rules, Options(), first_number=17, restarted_s=bench.at_s)
    for lane in LANES:
        for part in Role:
            bench.put(lane, part, DeviceUp(bench.at_s, "fake"))
    bench.results.clear()


def state(bench: Bench, what: str, value: str, number: int = 0) -> AttestationResult:
    stated = Attestation(bench.at_s, what, value, number)
    found = bench.checkpoint.handle(Observation("in", Role.CLINICAL, stated), NOW)
    bench.results += found
    return [each for each in found if isinstance(each, AttestationResult)][-1]


def test_a_reading_without_a_number_is_not_of_whoever_waits_alone_since(bench: Bench) -> None:
    raised(bench, b"green:anna")
    restart(bench)
    bench.measure(ROOM_C, count=10)
    raised(bench, b"green:bert")
    bench.wait(60)
    assert bench.second(36.5).reason == "ambiguous_person", "it may be Anna's"
    assert bench.openings == []
    passage = bench.second(36.5, number=bench.waiting()[0].number).passage
    assert passage is not None
    assert passage.gate_opened


def test_later_nobody_can_wait_since_before_it(bench: Bench) -> None:
    restart(bench)
    bench.wait(TIMEOUT_S)
    bench.measure(ROOM_C, count=10)
    raised(bench, b"green:bert")
    passage = bench.second(36.5).passage
    assert passage is not None
    assert passage.gate_opened


def test_the_first_start_knows_of_everybody(bench: Bench) -> None:
    raised(bench, b"green:bert")
    assert bench.second(36.5).passage is not None


def test_nor_is_what_staff_state_or_a_retest(bench: Bench) -> None:
    restart(bench)
    bench.measure(ROOM_C, count=10)
    raised(bench, b"green:bert")
    assert state(bench, "record", "done").reason is StatementRefusal.AMBIGUOUS_PERSON
    assert bench.ask(LaneCommand.RETEST).reason == "ambiguous_person"
    bench.show(b"green:carl")
    assert state(bench, "record", "done").reason is StatementRefusal.AMBIGUOUS_PERSON, "nor of who stands there"
    assert bench.ask(LaneCommand.RETEST).reason == "", "his code says who is meant"
    assert state(bench, "record", "done", bench.waiting()[0].number).reason is StatementRefusal.LANE_BUSY


@pytest.mark.parametrize("lane", ["in", "marked"])
def test_whoever_stands_there_since_before_it_measures_for_nobody(bench: Bench, lane: str) -> None:
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.show(b"red:anna", lane)
    bench.measure(NORMAL_C, lane, count=10)
    restart(bench)
    bench.measure(NORMAL_C, lane, count=3)
    bench.show(b"green:bert", lane)  # over her shoulder
    bench.measure(NORMAL_C, lane, count=80)
    assert bench.openings == []
    assert bench.passages[-1].temperature.reason == "not_new"
    bench.come_after_a_gap(b"green:bert", lane)
    assert bench.openings == [lane]


@pytest.mark.parametrize("away_s", [0.2, 1.0, 4.0, 30.0])
@pytest.mark.parametrize("when", ["before", "meanwhile"])
@pytest.mark.parametrize(("lane", "part"), [("in", Role.THERMOMETER), ("marked", Role.RANGE)])
def test_a_sensor_that_was_gone_has_seen_nobody_leave(
    bench: Bench, lane: str, part: Role, when: str, away_s: float
) -> None:
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, lane, count=2)
    if when == "before":
        bench.show(b"red:anna", lane)
        bench.measure(NORMAL_C, lane, count=3)
    bench.put(lane, part, DeviceDown(bench.at_s, "fake", "gone"))
    if when == "meanwhile":
        bench.wait(away_s / 2)
        bench.show(b"red:anna", lane)
    bench.wait(away_s)
    bench.put(lane, part, DeviceUp(bench.at_s, "fake"))
    bench.measure(NORMAL_C, lane, count=3)
    bench.show(b"green:bert", lane)
    bench.measure(NORMAL_C, lane, count=80)
    assert bench.openings == []
    bench.come_after_a_gap(b"green:bert", lane)
    assert bench.openings == [lane]


def test_a_silence_is_no_proof_that_somebody_has_left(bench: Bench) -> None:
    bench.measure(NORMAL_C, count=2)
    bench.show(b"red:anna")
    bench.measure(NORMAL_C, count=3)
    bench.wait(1.5)
    bench.measure(NORMAL_C, count=3)
    bench.show(b"green:bert")
    bench.measure(NORMAL_C, count=80)
    assert bench.openings == []


def test_who_comes_after_a_sensor_was_gone_is_let_in_at_once(bench: Bench) -> None:
    with bench.without(Role.THERMOMETER):
        bench.show(b"green:bert")
        bench.wait(3)
    bench.measure(ROOM_C, count=2)
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == ["in"]
    assert bench.passages[0].temperature.outcome is Screening.DEVICE_FAULT


def test_who_stepped_up_while_the_sensor_was_gone_is_not_seen_to_have_left(bench: Bench) -> None:
    bench.measure(ROOM_C, count=5)
    bench.put("in", Role.THERMOMETER, DeviceDown(bench.at_s, "fake", "gone"))
    bench.show(b"red:anna")
    bench.show(b"green:bert")  # over her shoulder
    bench.wait(0.5)
    bench.put("in", Role.THERMOMETER, DeviceUp(bench.at_s, "fake"))
    bench.measure(NORMAL_C, count=90)
    bench.show(b"green:bert")
    bench.measure(NORMAL_C, count=20)
    assert bench.openings == []
    bench.measure(ROOM_C, count=70)
    bench.come_after_a_gap(b"green:bert", "in")
    assert bench.openings == ["in"]

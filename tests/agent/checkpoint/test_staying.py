"""Something warm that stays before a thermometer is no person; honest queues pass all the same."""

from __future__ import annotations

import random

import pytest
from lane_bench import AT_MARK_MM, FEVER_C, NORMAL_C, ROOM_C, Bench, raised

from agent import screening
from agent.model import Outcome, Screening
from agent.model.problems import in_words

STAY_S = screening.Options().stay_s
PAD_C = 34.5


def told(bench: Bench, lane: str = "in") -> str:
    return in_words(bench.checkpoint.screens.findings.get(lane, ()))


def pad(
    bench: Bench, seconds: float, lane: str = "in", spread_c: float = 0.0, dice: random.Random | None = None
) -> None:
    for _ in range(round(seconds / 0.5)):
        bench.measure(PAD_C + (dice.uniform(-spread_c, spread_c) if dice else 0.0), lane)
        bench.wait(0.4)


@pytest.mark.parametrize("spread_c", [0.0, 0.1, 0.3])
def test_a_warm_pad_lets_nobody_in_behind_the_first(bench: Bench, spread_c: float) -> None:
    dice = random.Random(1)
    for number in range(40):
        bench.show(b"green:%d" % number)
        pad(bench, 20.0, spread_c=spread_c, dice=dice)
    assert len(bench.openings) <= 1
    assert (bench.passages[-1].temperature.outcome, bench.passages[-1].temperature.reason) == (
        Screening.DEVICE_FAULT,
        "warm_object",
    )
    assert "take it away" in told(bench)
    bench.measure(ROOM_C, count=10)
    assert told(bench) == ""
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=6)
    assert bench.passages[-1].decision.outcome is Outcome.ADMIT


def test_a_pad_that_was_there_before_anybody_lets_nobody_in(bench: Bench) -> None:
    pad(bench, STAY_S + 1)
    bench.show(b"green:anna")
    pad(bench, 10.0)
    assert not bench.openings


@pytest.mark.parametrize("thing_c", [PAD_C, 38.0])
def test_a_thing_at_the_mark_is_told_apart_with_a_range_sensor_too(bench: Bench, thing_c: float) -> None:
    bench.distances_mm["marked"] = AT_MARK_MM
    for number in range(40):
        bench.show(b"green:%d" % number, "marked")
        bench.measure(thing_c, "marked", count=60)
    assert len(bench.openings) <= 1
    assert "marked" in bench.checkpoint.screens.findings


def test_an_object_before_the_range_sensor_alone_blocks_the_lane(bench: Bench) -> None:
    bench.distances_mm["marked"] = AT_MARK_MM
    for _ in range(round(STAY_S / 2) + 2):
        bench.measure(NORMAL_C, "marked", count=10)
        bench.measure(ROOM_C, "marked", count=10)
    bench.show(b"green:anna", "marked")
    bench.measure(NORMAL_C, "marked", count=6)
    assert bench.passages[-1].temperature.reason == "mark_blocked"
    assert "before the range sensor" in told(bench, "marked")


def test_the_body_of_one_is_not_measured_for_the_code_of_another(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=6)
    bench.show(b"green:bert")
    bench.measure(NORMAL_C, count=30)
    assert bench.openings == ["in"], "bert has not stepped up"
    bench.measure(ROOM_C, count=2)
    bench.measure(NORMAL_C, count=6)
    assert bench.openings == ["in", "in"]


def test_a_holder_may_be_measured_twice_without_stepping_away(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.measure(35.7, count=6)
    bench.wait(0.3)
    for _ in range(25):
        bench.measure(35.0)
    bench.show(b"green:anna")
    bench.measure(35.0, count=6)
    assert bench.passages[-1].temperature.attempt == 2
    assert bench.openings == ["in"]


def test_whoever_looks_long_for_a_code_is_measured_all_the_same(bench: Bench) -> None:
    bench.measure(NORMAL_C, count=150)
    assert bench.only().decision.outcome is Outcome.REFER
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=6)
    assert bench.openings == ["in"]


def test_staffs_reading_marks_nobody_who_stands_there(bench: Bench) -> None:
    raised(bench)
    bench.measure(NORMAL_C, count=2)
    bench.second(36.6, number=bench.waiting()[0].number)
    bench.show(b"green:bert")
    bench.measure(NORMAL_C, count=6)
    assert bench.openings == ["in", "in"]


@pytest.mark.parametrize(("gap_c", "gap"), [(ROOM_C, 1), (ROOM_C, 5), (29.0, 2), (31.5, 3), (33.0, 4)])
def test_a_close_queue_passes(bench: Bench, gap_c: float, gap: int) -> None:
    """Between two people the spot sees the wall, or somebody farther behind, for 0.1 to 0.5 s."""
    dice = random.Random(2)
    for number in range(200):
        skin_c = dice.uniform(34.1, 35.2)
        if dice.random() < 0.5:
            bench.measure(skin_c + dice.gauss(0, 0.05), count=2)
        bench.show(b"green:%d" % number)
        for _ in range(12):
            bench.measure(skin_c + dice.gauss(0, 0.05))
        bench.measure(gap_c, count=gap)
    assert len(bench.openings) == 200
    assert told(bench) == ""


def test_an_exit_opens_whatever_stays_there(bench: Bench) -> None:
    pad(bench, STAY_S + 1, "out")
    before = len(bench.openings)
    bench.show(b"green:anna", "out")
    assert bench.openings[before:] == ["out"]


def test_a_wall_in_the_sun_blocks_only_until_somebody_steps_up(bench: Bench) -> None:
    bench.measure(31.5, count=round(STAY_S * 10) + 20)
    assert "screening.presence_c" in told(bench)
    bench.show(b"red:bert")
    bench.measure(34.5, count=6)
    assert told(bench) == ""


def test_a_thermometer_that_hangs_lets_in_nobody_by_the_value_of_who_stood_there_before(bench: Bench) -> None:
    for number, code in enumerate((b"green:anna", b"green:bert", b"green:carl")):
        bench.distances_mm["marked"] = None
        bench.measure(NORMAL_C if number else ROOM_C, "marked", count=20)
        bench.distances_mm["marked"] = AT_MARK_MM
        bench.show(code, "marked")
        bench.measure(NORMAL_C, "marked", count=70)
    assert bench.openings == ["marked"]
    assert [each.temperature.reason for each in bench.passages[1:]] == ["frozen"] * 2
    assert "it hangs" in told(bench, "marked")
    bench.distances_mm["marked"] = None
    bench.measure(NORMAL_C, "marked", count=20)
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.show(b"green:dora", "marked")
    bench.measure(NORMAL_C, "marked", count=5)
    bench.measure(NORMAL_C + 0.1, "marked", count=6)
    assert bench.openings == ["marked"] * 2, "its last digit moves again"


@pytest.mark.parametrize("hung", [5, 19, 28])
def test_a_thermometer_that_hangs_no_more_has_measured_nobody_before(bench: Bench, hung: int) -> None:
    bench.come_after_a_gap(b"green:anna", "marked")
    bench.distances_mm["marked"] = None
    bench.measure(NORMAL_C, "marked", count=5)
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.show(b"green:bert", "marked")
    bench.measure(NORMAL_C, "marked", count=hung)
    bench.measure(FEVER_C, "marked", count=8)
    assert bench.openings == ["marked"]
    assert bench.passages[-1].temperature.surface_c == FEVER_C


@pytest.mark.parametrize("digits", [1, 2])
def test_who_follows_closely_is_measured_by_coarse_digits_too(bench: Bench, digits: int) -> None:
    chance = random.Random(7)
    for number in range(60):
        bench.distances_mm["marked"] = None
        bench.measure(31.0, "marked", count=2)
        bench.distances_mm["marked"] = AT_MARK_MM
        bench.show(b"green:%d" % number, "marked")
        for _ in range(12):
            bench.measure(round(chance.gauss(NORMAL_C, 0.03), digits), "marked")
    assert len(bench.openings) == 60

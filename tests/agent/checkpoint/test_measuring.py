"""What a temperature counts for: the room, the baseline, second readings, the mark before a range sensor."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lane_bench import (
    AT_MARK_MM,
    LANES,
    NORMAL_C,
    TOO_FAR_MM,
    TOO_NEAR_MM,
    Bench,
)

from agent import screening
from agent.model import (
    DeviceChange,
    DeviceDown,
    Outcome,
    Role,
    Screening,
)
from agent.model.effects import ShowCue
from drivers.contract import Distance, Reading, Sighting


def test_screening_keeps_its_limits_in_command() -> None:
    with pytest.raises(ValueError, match="must hold"):
        replace(screening.Options(), min_skin_c=40.0)


ROOM_SENSOR_C = 21.5


def test_the_room_is_no_person_and_stands_in_the_event(bench: Bench) -> None:
    bench.put("in", Role.ROOM, Reading(ROOM_SENSOR_C, bench.at_s, 0.5))
    assert not bench.results
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=5)
    assert bench.only().temperature.ambient_c == ROOM_SENSOR_C


def test_a_room_sensor_serves_the_lanes_that_have_none(bench: Bench) -> None:
    bench.put("out", Role.ROOM, Reading(ROOM_SENSOR_C, bench.at_s, 0.5))
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=5)
    assert bench.only().temperature.ambient_c == ROOM_SENSOR_C


def test_an_old_room_temperature_is_none(bench: Bench) -> None:
    bench.put("in", Role.ROOM, Reading(ROOM_SENSOR_C, bench.at_s, 0.5))
    bench.wait(screening.Options().room_age_s + 1)
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=5)
    assert bench.only().temperature.ambient_c is None


def test_a_room_sensor_that_goes_is_told_and_stops_nobody(bench: Bench) -> None:
    bench.put("in", Role.ROOM, DeviceDown(bench.at_s, "fake", "unplugged"))
    assert [r.up for r in bench.results if isinstance(r, DeviceChange)] == [False]
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=5)
    assert bench.only().decision.outcome is Outcome.ADMIT


def test_the_baseline_of_a_lane_becomes_its_reference(bench: Bench) -> None:
    for number in range(40):
        bench.show(b"green:%d" % number)
        bench.measure(34.0 + 0.1 * (number % 8), count=5)
        bench.wait(bench.options.rescan_after_admit_s)
    scales = [passage.temperature.basis for passage in bench.passages]
    assert scales == ["fixed"] * 30 + ["population"] * 10
    assert bench.checkpoint.screens.baselines["in"].people == 40
    assert "out" not in bench.checkpoint.screens.baselines
    bench.show(b"green:zoe")
    bench.measure(35.5, count=5)
    assert bench.passages[-1].temperature.outcome is Screening.ELEVATED, "normal by the fixed limit"


def test_an_alarm_is_read_again_and_both_readings_are_events(bench: Bench) -> None:
    for surface_c in (35.7, 35.4):
        bench.show(b"green:anna")
        bench.measure(surface_c, count=5)
        bench.wait(bench.options.presence_timeout_s + bench.options.rescan_after_refusal_s)
    first, second = (passage.temperature for passage in bench.passages)
    assert (first.outcome, first.attempt, first.next_step) == (Screening.ELEVATED, 1, "second_reading")
    assert (second.outcome, second.attempt, second.reason) == (Screening.NORMAL, 2, "mean_of_two")


def test_after_a_rest_that_was_too_short_nobody_is_admitted(bench: Bench) -> None:
    for surface_c in (36.5, 36.5, NORMAL_C):
        bench.show(b"green:anna")
        bench.measure(surface_c, count=5)
        bench.wait(10.0)
    assert [passage.temperature.next_step for passage in bench.passages] == ["second_reading", "rest", "rest"]
    assert bench.passages[2].temperature.reason == "rest_not_over"
    rests_s = [told.rest_s for told in bench.results if isinstance(told, ShowCue) and told.rest_s]
    assert rests_s[0] == screening.Options().retest_wait_s
    assert 0 < rests_s[1] <= rests_s[0] - 10.0
    assert bench.waiting()[0].rest_s == pytest.approx(rests_s[1] - 10.0, abs=1.0), "and staff see the same"
    assert not bench.openings


def test_a_drifted_thermometer_is_a_fault_on_its_lane_only() -> None:
    site = screening.ThermometerSite(check=screening.ReferenceCheck(0.4, 0.0, "black body", "Li Wei"))
    bench = Bench(sites={"in": site})
    for lane in LANES:
        bench.show(b"green:anna", lane)
        bench.measure(NORMAL_C, lane, count=5)
    outcomes = {passage.lane: passage.temperature for passage in bench.passages}
    assert (outcomes["in"].outcome, outcomes["in"].reason) == (Screening.DEVICE_FAULT, "drift")
    assert outcomes["out"].outcome is Screening.NORMAL


@pytest.mark.parametrize("distance_mm", [AT_MARK_MM, TOO_FAR_MM, TOO_NEAR_MM, None])
def test_with_a_range_sensor_only_somebody_at_the_mark_is_measured(bench: Bench, distance_mm: float | None) -> None:
    bench.distances_mm["marked"] = distance_mm
    bench.show(b"green:anna", "marked")
    bench.measure(NORMAL_C, "marked", count=70)
    passage = bench.only()
    if distance_mm == AT_MARK_MM:
        assert passage.decision.outcome is Outcome.ADMIT
    else:
        assert (passage.temperature.outcome, passage.temperature.reason) == (Screening.INDETERMINATE, "not_at_mark")
        assert passage.decision.outcome is Outcome.REFER


def test_a_distance_that_is_old_counts_no_more(bench: Bench) -> None:
    bench.put("marked", Role.RANGE, Distance(AT_MARK_MM, bench.at_s))
    bench.wait(screening.Options().range_age_s + 0.1)
    bench.show(b"green:anna", "marked")
    bench.measure(NORMAL_C, "marked", count=70)
    assert bench.only().temperature.reason == "not_at_mark"


def test_readings_from_before_the_mark_was_left_do_not_stay(bench: Bench) -> None:
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, "marked", count=8)
    bench.distances_mm["marked"] = TOO_FAR_MM
    bench.measure(NORMAL_C, "marked", count=25)
    bench.show(b"green:anna", "marked")
    assert not bench.passages
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C + 0.1, "marked", count=6)
    assert bench.only().decision.outcome is Outcome.ADMIT


def test_while_the_range_sensor_is_down_staff_decides_at_once(bench: Bench) -> None:
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, "marked", count=8)
    bench.put("marked", Role.RANGE, DeviceDown(bench.at_s, "fake", "unplugged"))
    bench.show(b"green:anna", "marked")
    passage = bench.only()
    assert (passage.temperature.outcome, passage.temperature.reason) == (Screening.DEVICE_FAULT, "range_down")
    assert not bench.openings


@pytest.mark.parametrize(("lane", "part"), [("in", Role.THERMOMETER), ("marked", Role.RANGE)])
def test_a_code_from_while_nobody_was_measured_waits_for_no_body(bench: Bench, lane: str, part: Role) -> None:
    """It reaches the loop after the word that the sensor is back: who showed it may have left unseen."""
    bench.distances_mm["marked"] = AT_MARK_MM
    with bench.without(part, lane):
        shown_s = bench.at_s
        bench.wait(0.2)
    bench.put(lane, Role.SCANNER, Sighting(b"green:anna", shown_s))
    bench.measure(NORMAL_C, lane, count=8)
    assert not bench.openings


def test_a_range_sensor_lost_while_waiting_sends_to_staff(bench: Bench) -> None:
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.show(b"green:anna", "marked")
    bench.measure(NORMAL_C, "marked", count=3)
    bench.put("marked", Role.RANGE, DeviceDown(bench.at_s, "fake", "unplugged"))
    assert bench.only().temperature.reason == "range_down"


def test_a_lost_range_sensor_holds_nobody_in(bench: Bench) -> None:
    bench.put("out marked", Role.RANGE, DeviceDown(bench.at_s, "fake", "unplugged"))
    bench.show(b"green:anna", "out marked")
    bench.wait(30)
    bench.measure(NORMAL_C, "out marked", count=120)
    assert bench.openings == ["out marked", "out marked"], "with a code, and without one"


def test_screening_keeps_the_mark_between_its_ends() -> None:
    with pytest.raises(ValueError, match="min_distance_mm"):
        replace(screening.Options(), min_distance_mm=200.0)

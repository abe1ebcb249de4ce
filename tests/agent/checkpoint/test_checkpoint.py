"""The checkpoint: one person after the other, by hand."""

from __future__ import annotations

import hashlib
import pickle

import pytest
from lane_bench import (
    AT_MARK_MM,
    COLD_C,
    FEVER_C,
    LANES,
    NORMAL_C,
    NOW,
    ROOM_C,
    Bench,
    check,
    decide,
)

from agent import screening
from agent.checkpoint import Checkpoint, DecisionRules, Options
from agent.model import (
    DeviceDown,
    DeviceUp,
    Observation,
    Outcome,
    Passage,
    Role,
    Screening,
)
from agent.model.effects import Cue, OpenGate, ShowCue
from drivers.contract import Departure, Sighting


def test_code_then_temperature_admits(bench: Bench) -> None:
    bench.show(b"green:anna")
    assert not bench.passages
    bench.measure(NORMAL_C, count=5)
    assert bench.only().decision.outcome is Outcome.ADMIT
    told = [type(result) for result in bench.results if result != ShowCue("in", Cue.WAIT)]
    assert told == [ShowCue, OpenGate, ShowCue, Passage, ShowCue], (
        "gate and lamp hear of it before the event is made"
    )
    assert bench.only().temperature.surface_c == NORMAL_C


def test_temperature_then_code_admits_on_the_code(bench: Bench) -> None:
    bench.measure(NORMAL_C, count=6)
    bench.show(b"green:anna")
    assert bench.only().decision.outcome is Outcome.ADMIT
    assert bench.only().decided_s == bench.at_s


def test_fever_is_referred(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.measure(FEVER_C, count=5)
    assert bench.only().decision.reasons == ("elevated",)
    assert not bench.openings


def test_a_red_code_does_not_wait_for_a_temperature(bench: Bench) -> None:
    bench.show(b"red:bert")
    assert bench.only().decision.outcome is Outcome.REFUSE


def test_nobody_before_the_thermometer_goes_to_staff_at_the_deadline(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.measure(ROOM_C, count=20)
    bench.wait(bench.options.temperature_timeout_s)
    assert bench.only().decision.reasons == ("indeterminate",)
    assert bench.only().decided_s == pytest.approx(100 + bench.options.temperature_timeout_s)


def test_cold_skin_waits_and_then_goes_to_staff(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.measure(COLD_C, count=90)
    assert bench.only().temperature.outcome is Screening.INDETERMINATE


def test_somebody_stepping_up_is_not_measured_half_way(bench: Bench) -> None:
    bench.show(b"green:anna")
    for step in range(12):
        bench.measure(33.2 + 0.3 * step)
    assert not bench.passages
    bench.measure(FEVER_C, count=30)
    assert bench.only().temperature.outcome is Screening.ELEVATED


def test_the_next_person_is_not_given_the_last_ones_temperature(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=8)
    assert len(bench.passages) == 1
    bench.show(b"green:bob")
    assert len(bench.passages) == 1
    bench.measure(FEVER_C, count=5)
    assert bench.passages[1].temperature.outcome is Screening.ELEVATED


def test_a_second_code_sends_the_first_to_staff(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.show(b"green:bob")
    assert bench.only().decision.reasons == ("another_code",)
    bench.measure(NORMAL_C, count=5)
    assert bench.passages[1].decision.outcome is Outcome.ADMIT


def test_a_code_held_in_view_is_one_passage(bench: Bench) -> None:
    bench.measure(NORMAL_C, count=6)
    for _ in range(100):
        bench.show(b"green:anna")
        bench.measure(NORMAL_C)
    assert bench.only().decision.outcome is Outcome.ADMIT
    assert bench.openings == ["in"]


def test_a_code_held_long_in_view_counts_from_when_it_went(bench: Bench) -> None:
    """A camera tells of a code once, and when it leaves; lost from view for a moment it is no second passage."""
    bench.measure(NORMAL_C, count=6)
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=150)
    bench.put("in", Role.SCANNER, Departure(bench.at_s))
    bench.wait(1.0)
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=10)
    assert bench.openings == ["in"]


@pytest.mark.parametrize(("after_s", "outcome"), [(10, Outcome.REFER), (120, Outcome.ADMIT)])
def test_a_code_that_let_somebody_in_is_asked_about_if_shown_again_soon(
    bench: Bench, after_s: float, outcome: Outcome
) -> None:
    for _ in range(2):
        bench.measure(NORMAL_C, count=6)
        bench.show(b"green:anna")
        bench.wait(after_s)
    assert [p.decision.outcome for p in bench.passages] == [Outcome.ADMIT, outcome]


def test_a_further_code_does_not_hide_that_the_first_was_used(bench: Bench) -> None:
    for _ in range(2):
        bench.show(b"green:tess")
        bench.show(b"test:tess")
        bench.measure(NORMAL_C, count=6)
        bench.wait(10)
    assert [p.decision.outcome for p in bench.passages] == [Outcome.ADMIT, Outcome.REFER]


def test_a_card_in_parts_that_let_one_in_does_not_let_the_next_in(bench: Bench) -> None:
    for code in (b"half1:tom", b"half2:tom"):
        bench.measure(NORMAL_C, count=6)
        bench.show(code)
    bench.wait(10)
    bench.measure(NORMAL_C, count=6)
    for code in (b"half2:tom", b"half1:tom"):
        bench.show(code)
    bench.wait(10)
    assert [p.decision.outcome for p in bench.passages] == [Outcome.ADMIT, Outcome.REFER]


@pytest.mark.parametrize("codes", [(b"green:tess", b"test:tess"), (b"half1:tom", b"half2:tom")])
@pytest.mark.parametrize("turned", [False, True])
def test_codes_that_belong_together_are_one_passage(bench: Bench, codes: tuple[bytes, bytes], turned: bool) -> None:
    bench.measure(NORMAL_C, count=6)
    for code in reversed(codes) if turned else codes:
        bench.show(code)
        bench.measure(NORMAL_C)
    assert bench.only().decision.outcome is Outcome.ADMIT


@pytest.mark.parametrize("code", [b"green:tess", b"half1:tom"])
def test_what_stays_incomplete_goes_to_staff_at_the_deadline(bench: Bench, code: bytes) -> None:
    bench.measure(NORMAL_C, count=6)
    bench.show(code)
    bench.measure(NORMAL_C, count=40)
    assert not bench.passages
    bench.wait(bench.options.temperature_timeout_s)
    assert bench.only().decision.outcome is not Outcome.ADMIT


def test_somebody_elses_test_is_not_added(bench: Bench) -> None:
    bench.measure(NORMAL_C, count=6)
    bench.show(b"green:tess")
    bench.show(b"test:anna")
    assert bench.only().decision.reasons == ("another_code",)


def test_a_refused_code_may_be_tried_again_sooner(bench: Bench) -> None:
    bench.show(b"expired:carl")
    bench.wait(bench.options.rescan_after_refusal_s)
    bench.show(b"expired:carl")
    assert len(bench.passages) == 2


def test_standing_there_without_a_code_is_referred_once(bench: Bench) -> None:
    bench.measure(NORMAL_C, count=250)
    assert bench.only().decision.reasons == ("no_code",)
    assert bench.only().verdict is None


def test_walking_by_is_no_passage(bench: Bench) -> None:
    bench.measure(NORMAL_C, count=20)
    bench.wait(60)
    assert not bench.results


def test_the_person_refused_at_once_is_not_reported_again_for_standing_there(bench: Bench) -> None:
    bench.show(b"red:bert")
    bench.measure(NORMAL_C, count=120)
    assert len(bench.passages) == 1


def test_thermometer_down_goes_to_staff_at_once(bench: Bench) -> None:
    bench.put("in", Role.THERMOMETER, DeviceDown(bench.at_s, "fake", "unplugged"))
    bench.show(b"green:anna")
    assert bench.only().temperature.outcome is Screening.DEVICE_FAULT
    assert not bench.openings


def test_thermometer_lost_while_waiting_goes_to_staff(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=3)
    bench.put("in", Role.THERMOMETER, DeviceDown(bench.at_s, "fake", "unplugged"))
    assert bench.only().temperature.outcome is Screening.DEVICE_FAULT


def test_samples_from_before_a_fault_do_not_count(bench: Bench) -> None:
    bench.measure(NORMAL_C, count=6)
    bench.put("in", Role.THERMOMETER, DeviceDown(bench.at_s, "fake", "unplugged"))
    bench.put("in", Role.THERMOMETER, DeviceUp(bench.at_s, "fake"))
    bench.show(b"green:anna")
    assert not bench.passages


def test_scanner_down_is_said(bench: Bench) -> None:
    bench.put("in", Role.SCANNER, DeviceDown(bench.at_s, "fake", "unplugged"))
    bench.measure(NORMAL_C, count=120)
    assert bench.only().decision.reasons == ("scanner_fault",)


def test_before_any_device_has_spoken_nobody_is_admitted() -> None:
    checkpoint = Checkpoint(LANES, DecisionRules(check, decide, screening.Options()), Options())
    results = checkpoint.handle(Observation("in", Role.SCANNER, Sighting(b"green:anna", 1.0)), NOW)
    assert [r.decision.reasons for r in results if isinstance(r, Passage)] == [("device_fault",)]


@pytest.mark.parametrize("code", [b"green:anna", b"red:bert", b"junk"])
def test_an_exit_opens_at_once_whatever_the_code_and_once_only(bench: Bench, code: bytes) -> None:
    bench.show(code, lane="out")
    assert bench.openings == ["out"]
    bench.measure(FEVER_C, lane="out", count=10)
    bench.wait(30)
    assert bench.openings == ["out"]
    assert bench.only().gate_opened


def test_an_exit_opens_for_somebody_without_a_code(bench: Bench) -> None:
    bench.measure(NORMAL_C, lane="out", count=120)
    assert bench.openings == ["out"]
    assert bench.only().decision.reasons == ("no_code",)


def test_lanes_do_not_mix(bench: Bench) -> None:
    bench.measure(NORMAL_C, lane="out", count=5)
    bench.show(b"green:anna", lane="in")
    assert not bench.passages


def test_simulated_parts_mark_the_passage(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=5, simulated=True)
    assert bench.only().simulated
    bench.put("in", Role.GATE, DeviceUp(bench.at_s, "fake", simulated=True))
    bench.show(b"red:bert")
    assert bench.passages[1].simulated


@pytest.mark.parametrize("surface_c", [NORMAL_C, FEVER_C])
@pytest.mark.parametrize("code", [b"green:anna", b"red:anna", b"junk-of-anna"])
def test_whoever_has_left_is_forgotten(bench: Bench, code: bytes, surface_c: float) -> None:
    for lane in LANES:
        bench.distances_mm[lane] = AT_MARK_MM
        bench.show(code, lane)
        bench.measure(surface_c, lane, count=20)
    checkpoint, screens = bench.checkpoint, bench.checkpoint.screens
    parts = (checkpoint._lanes, checkpoint._repeats, screens._retests._episodes)
    assert any(isinstance(result, Passage) and result.payloads == (code,) for result in bench.results)
    bench.results.clear()
    remembered = pickle.dumps(parts)
    assert b"anna" in remembered or hashlib.blake2b(code, digest_size=16).digest() in remembered
    bench.at_s += screening.Options().retest_memory_s + 1
    checkpoint.tick(bench.at_s)
    parts = (checkpoint._lanes, checkpoint._repeats, screens._retests._episodes)
    remembered = pickle.dumps(parts)
    assert b"anna" not in remembered
    assert hashlib.blake2b(code, digest_size=16).digest() not in remembered


def test_a_colour_that_changes_while_its_holder_is_measured_decides() -> None:
    colours = {"now": b"green:anna"}
    rules = DecisionRules(lambda _codes, now: check((colours["now"],), now), decide, screening.Options())
    bench = Bench()
    bench.checkpoint._rules = rules
    bench.show(b"anna's")
    bench.measure(NORMAL_C, count=2)
    colours["now"] = b"red:anna"
    bench.results += bench.checkpoint.reevaluate(NOW)
    bench.measure(NORMAL_C, count=5)
    assert bench.only().decision.reasons == ("red",)
    assert not bench.openings

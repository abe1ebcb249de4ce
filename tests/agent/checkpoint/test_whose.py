"""Whose code, whose body: what is known of one person never opens for another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from lane_bench import AT_MARK_MM, COLD_C, ENTRIES, FEVER_C, NORMAL_C, ROOM_C, TOO_FAR_MM, Bench, raised

from agent.checkpoint import Options
from agent.model import (
    CodeStatus,
    Colour,
    DeviceDown,
    DeviceUp,
    Outcome,
    Permit,
    PermitKind,
    Role,
    Screening,
    Verdict,
)
from agent.model.effects import GREEN_CUES, Cue, OpenGate, ShowCue, Trying
from drivers.contract import Reading, Sighting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.model import TimeBounds


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0), (2, 2)])
@pytest.mark.parametrize("away_s", [1.0, 1.5, 4.0])
def test_whoever_steps_up_after_the_holder_has_left_is_not_let_in_on_his_code(
    bench: Bench, before: int, after: int, away_s: float
) -> None:
    bench.measure(NORMAL_C, count=before)
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=after)
    bench.measure(ROOM_C, count=round(away_s / 0.1))
    bench.measure(NORMAL_C, count=10)
    assert not bench.openings
    assert bench.passages[0].decision.reasons == ("has_left",)
    assert ShowCue("in", Cue.RETRY) in bench.results
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=5)
    assert bench.openings == ["in"], "the holder shows the code again, at once"


@pytest.mark.parametrize(
    "own", [b"green:tess", b"half1:anna", b"half1:", b"green:anna", b"red:anna", b"expired:anna"]
)
@pytest.mark.parametrize("lane", ["in", "marked"])
def test_a_code_shown_over_somebodys_shoulder_is_not_measured_by_his_body(
    bench: Bench, lane: str, own: bytes
) -> None:
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, lane, count=1)
    bench.show(own, lane)
    bench.measure(NORMAL_C, lane, count=1)
    bench.show(b"green:bert", lane)
    bench.measure(NORMAL_C, lane, count=80)
    assert not bench.openings
    assert len(bench.passages) == 2
    assert bench.passages[1].temperature.reason == "not_new"


@pytest.mark.parametrize("steps_up_s", [0.0, 0.1, 0.5, 1.5])
@pytest.mark.parametrize("lane", ["in", "marked"])
def test_who_is_turned_away_before_stepping_up_measures_for_nobody_else(
    bench: Bench, lane: str, steps_up_s: float
) -> None:
    bench.distances_mm["marked"] = None
    bench.measure(ROOM_C, lane, count=2)
    bench.show(b"red:anna", lane)
    bench.measure(ROOM_C, lane, count=round(steps_up_s / 0.1))
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, lane, count=3)
    bench.show(b"green:bert", lane)  # over her shoulder
    bench.measure(NORMAL_C, lane, count=80)
    assert not bench.openings
    bench.come_after_a_gap(b"green:bert", lane)
    assert bench.openings == [lane]


@pytest.mark.parametrize("own", [b"junk", b"junk:anna", b"expired:anna"])
def test_whose_code_says_nothing_measures_for_nobody_else(bench: Bench, own: bytes) -> None:
    bench.measure(NORMAL_C, count=2)
    bench.show(own)
    bench.measure(NORMAL_C, count=1)
    bench.show(b"green:bert")  # over his shoulder
    bench.measure(NORMAL_C, count=80)
    assert not bench.openings


def test_who_was_let_in_and_comes_again_measures_for_nobody_else(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=8)
    bench.measure(ROOM_C, count=12)
    bench.measure(NORMAL_C, count=2)
    bench.show(b"green:anna")  # it has been in sight a moment ago
    bench.measure(NORMAL_C, count=1)
    bench.show(b"green:bert")  # over her shoulder
    bench.measure(NORMAL_C, count=80)
    assert bench.openings == ["in"]


def test_who_comes_after_somebody_who_never_stepped_up_is_measured(bench: Bench) -> None:
    bench.show(b"red:anna")
    bench.measure(ROOM_C, count=25)
    bench.show(b"green:bert")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == ["in"]


@pytest.mark.parametrize("lane", ["in", "marked"])
def test_who_has_shown_it_there_is_measured_once_the_other_has_left(bench: Bench, lane: str) -> None:
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, lane, count=1)
    bench.show(b"green:tess", lane)
    bench.show(b"green:bert", lane)
    bench.measure(NORMAL_C, lane, count=10)
    bench.distances_mm["marked"] = TOO_FAR_MM
    bench.measure(ROOM_C if lane == "in" else NORMAL_C, lane, count=12)
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.show(b"green:bert", lane)
    bench.measure(FEVER_C, lane, count=8)
    assert bench.passages[-1].temperature.outcome is Screening.ELEVATED
    assert not bench.openings


def test_whom_staff_is_to_look_at_measures_for_nobody_else(bench: Bench) -> None:
    bench.measure(NORMAL_C, count=1)
    bench.show(b"red:anna")
    bench.measure(NORMAL_C, count=3)
    bench.show(b"green:bert")
    bench.measure(NORMAL_C, count=30)
    assert not bench.openings
    bench.measure(ROOM_C, count=10)
    bench.show(b"green:bert")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == ["in"]


def test_who_shows_his_code_again_too_soon_measures_for_nobody_else(bench: Bench) -> None:
    bench.show(b"expired:anna")
    bench.measure(NORMAL_C, count=2)
    bench.measure(ROOM_C, count=9)
    bench.measure(NORMAL_C, count=1)
    bench.show(b"expired:anna")  # as a telephone that is still held there
    bench.show(b"green:bert")
    bench.measure(NORMAL_C, count=30)
    assert not bench.openings


@pytest.mark.parametrize("away", [1, 4, 7])
def test_who_steps_back_for_a_moment_is_not_the_one_who_has_shown_it_behind_him(bench: Bench, away: int) -> None:
    bench.measure(NORMAL_C, count=2)
    bench.show(b"red:anna")
    bench.show(b"green:bert")
    bench.measure(NORMAL_C, count=3)
    bench.measure(ROOM_C, count=away)
    bench.measure(NORMAL_C, count=20)
    assert not bench.openings
    assert bench.passages[-1].decision.reasons == ("has_left",)


def see(bench: Bench, lane: str, surface_c: float, count: int) -> None:
    """So many readings of a body, which stands at the mark, or of the room."""
    bench.distances_mm["marked"] = None if surface_c == ROOM_C else AT_MARK_MM
    bench.measure(surface_c, lane, count)


@pytest.mark.parametrize("away", [1, 4, 7])
@pytest.mark.parametrize("lane", ["in", "marked"])
def test_who_was_turned_away_is_not_the_one_behind_him_though_another_was_let_in_aside(
    bench: Bench, lane: str, away: int
) -> None:
    """The body that steps up as staff let somebody in may be that one's, or of who is turned away next."""

    bench.show(b"green:anna", lane)
    see(bench, lane, FEVER_C, 8)
    see(bench, lane, ROOM_C, 20)
    (anna,) = bench.waiting(lane)
    assert bench.second(36.6, lane, anna.number).passage is not None
    see(bench, lane, ROOM_C, 10)
    see(bench, lane, NORMAL_C, 2)
    bench.show(b"green:bert", lane)
    bench.show(b"green:carl", lane)
    see(bench, lane, NORMAL_C, 3)
    see(bench, lane, ROOM_C, away)
    see(bench, lane, NORMAL_C, 20)
    assert bench.openings == [lane]  # for Anna


@pytest.mark.parametrize("lane", ["in", "marked"])
@pytest.mark.parametrize("again_s", [0.5, 3.0])
def test_a_body_that_was_turned_away_with_its_own_code_counts_for_no_other(
    bench: Bench, lane: str, again_s: float
) -> None:
    """It stepped up just after another was turned away, and was taken for that one."""

    bench.show(b"green:anna", lane)
    see(bench, lane, ROOM_C, 61)
    assert bench.passages[-1].decision.outcome is Outcome.REFER
    see(bench, lane, ROOM_C, 8)
    see(bench, lane, NORMAL_C, 3)
    bench.show(b"yellow:bert", lane)
    see(bench, lane, NORMAL_C, round(again_s / 0.1))
    bench.show(b"green:anna", lane)  # over his shoulder
    see(bench, lane, NORMAL_C, 70)
    bench.show(b"green:anna", lane)
    see(bench, lane, NORMAL_C, 70)
    assert not bench.openings
    see(bench, lane, ROOM_C, 12)
    bench.show(b"green:anna", lane)
    see(bench, lane, NORMAL_C, 12)
    assert bench.openings == [lane], "once he has gone"


def test_who_stood_there_by_a_reading_that_comes_late_is_not_who_shows_a_code_behind_him(bench: Bench) -> None:
    bench.at_s += 10.0
    came_s = bench.at_s - 0.4
    bench.show(b"yellow:anna")
    bench.at_s += 0.1
    bench.show(b"green:bert")
    for number in range(12):
        bench.put("in", Role.THERMOMETER, Reading(NORMAL_C, came_s + number / 10, 0.4))
        bench.at_s += 0.1
    assert not bench.openings
    bench.measure(ROOM_C, count=10)
    bench.come_after_a_gap(b"green:bert", "in")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == ["in"]


def test_who_shows_his_code_again_before_his_readings_come_is_not_who_shows_one_behind_him(bench: Bench) -> None:
    bench.show(b"yellow:anna")
    bench.measure(NORMAL_C, count=8)
    bench.measure(ROOM_C, count=10)
    bench.at_s += 0.5
    came_s = bench.at_s - 0.4
    bench.show(b"yellow:anna")  # within two seconds: it is no new one
    bench.at_s += 0.1
    bench.show(b"green:bert")
    for number in range(12):
        bench.put("in", Role.THERMOMETER, Reading(NORMAL_C, came_s + number / 10, 0.4))
        bench.at_s += 0.1
    assert not bench.openings


def test_who_is_seen_to_come_to_the_mark_is_not_who_shows_a_code_behind_him(bench: Bench) -> None:
    bench.distances_mm["marked"] = TOO_FAR_MM
    bench.measure(NORMAL_C, "marked", 3)
    bench.show(b"yellow:anna", "marked")
    bench.measure(NORMAL_C, "marked", 2)
    bench.show(b"green:bert", "marked")
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, "marked", 12)
    assert not bench.openings


@pytest.mark.parametrize("lane", ENTRIES)
def test_of_two_who_may_step_up_the_body_that_comes_is_neithers(bench: Bench, lane: str) -> None:
    """Both were turned away at once, as the lane was closed."""
    bench.close(lane)
    bench.show(b"yellow:anna", lane)
    bench.wait(0.3)
    bench.show(b"green:bert", lane)
    bench.wait(0.3)
    bench.close(lane, closed=False)
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, lane, 30)
    bench.show(b"green:bert", lane)
    bench.measure(NORMAL_C, lane, 12)
    assert not bench.openings


def test_code_first_then_step_up_still_works(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.wait(bench.options.temperature_timeout_s - 1.0)
    bench.measure(NORMAL_C, count=5)
    assert bench.openings == ["in"]


def test_a_wobble_shorter_than_leaving_costs_nothing(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=2)
    bench.measure(ROOM_C, count=5)
    bench.measure(NORMAL_C, count=5)
    assert bench.only().decision.outcome is Outcome.ADMIT


def test_stepping_off_the_mark_is_leaving(bench: Bench) -> None:
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.show(b"green:anna", "marked")
    bench.measure(NORMAL_C, "marked", count=3)
    bench.distances_mm["marked"] = TOO_FAR_MM
    bench.measure(NORMAL_C, "marked", count=15)
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, "marked", count=10)
    assert not bench.openings


def test_at_an_exit_nobody_is_told_anothers_temperature(bench: Bench) -> None:
    bench.show(b"green:anna", "out")
    bench.measure(NORMAL_C, "out", count=2)
    bench.wait(1.5)
    bench.measure(FEVER_C, "out", count=6)
    assert bench.openings == ["out", "out"], "an exit opens for the person who stands there now"
    assert bench.passages[0].temperature.surface_c is None


@pytest.mark.parametrize("second", [b"green:anna", b"test:anna"])
def test_a_holder_is_a_repeat_at_every_entry(bench: Bench, second: bytes) -> None:
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=5)
    bench.show(second, "marked")
    bench.measure(NORMAL_C, "marked", count=6)
    bench.wait(10.0)
    assert bench.openings == ["in"]


def test_of_two_lanes_at_one_time_only_one_lets_a_holder_in(bench: Bench) -> None:
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.show(b"green:anna")
    bench.show(b"green:anna", "marked")
    bench.measure(NORMAL_C, "marked", count=6)
    bench.measure(NORMAL_C, count=6)
    assert bench.openings == ["marked"]


def test_who_came_in_may_go_out(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=5)
    bench.show(b"green:anna", "out")
    bench.measure(NORMAL_C, "out", count=5)
    assert bench.openings == ["in", "out"]
    assert bench.passages[-1].decision.outcome is Outcome.ADMIT


def test_at_an_entry_whose_gate_is_down_staff_is_asked_at_once(bench: Bench) -> None:
    bench.put("in", Role.GATE, DeviceDown(bench.at_s, "fake", "unplugged"))
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=6)
    assert (bench.only().decision.reasons, bench.only().gate_opened) == (("gate_fault",), False)
    assert not bench.openings
    assert not [r for r in bench.results if isinstance(r, ShowCue) and r.cue in GREEN_CUES]


def test_a_gate_that_goes_down_while_its_person_is_measured_opens_nothing(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=3)
    bench.put("in", Role.GATE, DeviceDown(bench.at_s, "fake", "unplugged"))
    bench.measure(NORMAL_C, count=6)
    assert bench.only().decision.reasons == ("gate_fault",)


@pytest.mark.parametrize("code", [b"green:anna", None])
def test_an_exit_whose_gate_is_down_is_commanded_to_open_and_tells_no_green(
    bench: Bench, code: bytes | None
) -> None:
    bench.put("out", Role.GATE, DeviceDown(bench.at_s, "fake", "unplugged"))
    if code:
        bench.show(code, "out")
    bench.measure(NORMAL_C, "out", count=120)
    assert Trying("out") in bench.results
    assert not bench.only().gate_opened
    assert not bench.openings
    assert not [r for r in bench.results if isinstance(r, ShowCue) and r.cue in GREEN_CUES]


def test_an_exit_opens_as_soon_as_its_gate_is_back(bench: Bench) -> None:
    bench.put("out", Role.GATE, DeviceDown(bench.at_s, "fake", "unplugged"))
    bench.show(b"green:anna", "out")
    bench.wait(1.0)
    bench.put("out", Role.GATE, DeviceUp(bench.at_s, "fake"))
    assert OpenGate("out") in bench.results
    bench.measure(NORMAL_C, "out", count=6)
    assert bench.only().gate_opened


@pytest.mark.parametrize("part", [Role.THERMOMETER, Role.RANGE])
def test_a_code_of_while_nobody_could_be_measured_joins_no_code_of_later(part):
    """Its holder may have left unseen; the next person's code is not added to it. It may be shown again at once."""
    bench = Bench()
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.put("marked", part, DeviceDown(bench.at_s, "fake", "gone"))
    bench.show(b"half1:anna", "marked")
    bench.wait(1.0)
    assert bench.passages == []
    bench.put("marked", part, DeviceUp(bench.at_s, "fake"))
    assert bench.only().temperature.reason == "has_left"
    bench.show(b"half2:anna", "marked")
    bench.measure(NORMAL_C, "marked", count=8)
    assert bench.openings == []
    bench.show(b"half1:anna", "marked")
    bench.measure(NORMAL_C, "marked", count=8)
    assert bench.openings == ["marked"]


@pytest.mark.parametrize("lane", ENTRIES)
@pytest.mark.parametrize("own", [b"red:anna", b"green:anna"])
def test_a_body_counts_for_no_other_code_however_often_that_is_shown(bench: Bench, lane: str, own: bytes) -> None:
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, lane, count=2)
    bench.show(own, lane)
    bench.measure(NORMAL_C, lane, count=10)
    before = list(bench.openings)
    for _ in range(3):
        bench.show(b"green:bob", lane)
        bench.measure(NORMAL_C, lane, count=90)
    assert bench.openings == before
    bench.come_after_a_gap(b"green:bob", lane)
    assert bench.openings == [*before, lane]


def test_the_holder_is_measured_again_though_another_showed_a_code_meanwhile(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.measure(35.7, count=6)
    bench.show(b"green:bob")
    bench.measure(35.3, count=90)
    bench.show(b"green:anna")
    bench.measure(35.0, count=25)
    assert [passage.payloads for passage in bench.passages if passage.gate_opened] == [(b"green:anna",)]


def is_let_in_after_a_gap_only(bench: Bench, code: bytes) -> None:
    """The body that stands there may be another's."""
    bench.measure(NORMAL_C, count=5)
    bench.show(code)
    bench.measure(NORMAL_C, count=90)
    assert bench.openings == []
    bench.come_after_a_gap(code, "in")
    assert bench.openings == ["in"]


def test_who_steps_up_unseen_measures_for_nobody_else(bench: Bench) -> None:
    """Anna is turned away before she stands there, and the thermometer goes just then."""
    bench.show(b"red:anna")
    bench.wait(0.1)
    with bench.without(Role.THERMOMETER):
        bench.wait(0.3)
        bench.show(b"green:bob")
        bench.wait(5)
    is_let_in_after_a_gap_only(bench, b"green:bob")


def test_two_who_were_turned_away_while_the_sensor_was_gone_both_step_up_again(bench: Bench) -> None:
    bench.measure(NORMAL_C, count=2)
    bench.show(b"red:anna")
    bench.measure(NORMAL_C, count=3)
    with bench.without(Role.THERMOMETER):
        bench.wait(1)
        bench.show(b"green:bob")
        bench.wait(3)
    is_let_in_after_a_gap_only(bench, b"green:bob")


def test_who_is_turned_away_beside_the_mark_measures_for_nobody_else(bench: Bench) -> None:
    bench.distances_mm["marked"] = TOO_FAR_MM
    bench.measure(NORMAL_C, "marked", count=3)
    bench.show(b"red:anna", "marked")
    bench.measure(NORMAL_C, "marked", count=5)
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, "marked", count=3)
    bench.show(b"green:bob", "marked")
    bench.measure(NORMAL_C, "marked", count=90)
    assert bench.openings == []


def test_a_code_that_comes_late_is_not_of_who_has_stepped_on_the_mark_since(bench: Bench) -> None:
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, "marked", count=3)
    shown_s = bench.at_s - 0.15
    bench.distances_mm["marked"] = TOO_FAR_MM  # somebody waits behind it
    bench.measure(NORMAL_C, "marked", count=10)
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, "marked", count=1)
    bench.put("marked", Role.SCANNER, Sighting(b"green:anna", shown_s))
    bench.measure(NORMAL_C, "marked", count=10)
    assert bench.openings == []
    assert bench.passages[0].decision.reasons == ("has_left",)


def test_another_code_with_the_same_key_is_no_repeat(bench: Bench) -> None:
    """As two health cards of one person with one revocation id."""
    check = bench.checkpoint._rules.check

    def of_one_key(payloads, now):
        verdict = max((check((each,), now) for each in payloads), key=lambda each: str(each.colour))
        return replace(verdict, code=b"one key for both")

    bench.checkpoint._rules = replace(bench.checkpoint._rules, check=of_one_key)
    bench.show(b"green:anna")
    bench.show(b"red:anna")
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == []
    assert bench.only().decision.reasons == ("red",)
    assert set(bench.only().payloads) == {b"green:anna", b"red:anna"}


@pytest.mark.parametrize("own", [b"proof:bert", b"green:anna"], ids=["the next one's card", "who comes back"])
@pytest.mark.parametrize("gone_s", [2.0, 4.0])
def test_what_is_shown_after_somebody_was_let_in_and_left_is_of_who_steps_up_now(
    bench: Bench, own: bytes, gone_s: float
) -> None:
    """A card after a code, or the same code, is no second person, while the first stands there."""
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=10)
    bench.measure(ROOM_C, count=round(gone_s / 0.1))
    bench.show(own)
    bench.measure(NORMAL_C, count=1)
    bench.show(b"green:carl")  # over the shoulder
    bench.measure(NORMAL_C, count=80)
    assert bench.openings == ["in"], "for Anna, once"


def test_a_card_shown_after_the_code_is_no_second_person_while_its_holder_stands_there(bench: Bench) -> None:
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=20)
    bench.show(b"proof:anna")
    bench.measure(NORMAL_C, count=5)
    bench.measure(ROOM_C, count=20)
    bench.show(b"green:bert")
    bench.measure(NORMAL_C, count=10)
    assert bench.openings == ["in", "in"]
    assert len(bench.passages) == 2


@pytest.mark.parametrize("seen_s", [0.5, 0.9])
def test_a_code_that_stays_in_sight_when_its_holder_walks_on_keeps_the_next_one_from_nothing(
    bench: Bench, seen_s: float
) -> None:
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=10)
    bench.show(b"green:anna")
    bench.measure(ROOM_C, count=round(seen_s / 0.1))
    bench.show(b"green:anna")
    bench.measure(ROOM_C, count=3)
    bench.show(b"green:bert")
    bench.measure(NORMAL_C, count=10)
    assert bench.openings == ["in", "in"]


class WithFamilies(Bench):
    """`family:NAME` is a permit for two, which lets in by itself."""

    def check(self, payloads: Sequence[bytes], now: TimeBounds) -> Verdict:
        word, _, name = payloads[0].partition(b":")
        if word != b"family":
            return super().check(payloads, now)
        key = name.ljust(16, b".")
        permit = Permit(key[:8], PermitKind("visitor", party=2))
        return Verdict(CodeStatus.VALID, "permit", key, code=key, colour=Colour.GREEN, kind="other", permit=permit)


@pytest.mark.parametrize("lane", ENTRIES)
def test_of_two_with_one_permit_each_is_measured(lane: str) -> None:
    bench = WithFamilies()
    if lane == "marked":
        bench.distances_mm[lane] = AT_MARK_MM
    bench.show(b"family:fay", lane)
    bench.measure(NORMAL_C, lane, count=70)
    assert bench.openings == [lane]
    bench.show(b"family:fay", lane)  # over the shoulder of the first one, who stands there still
    bench.measure(NORMAL_C, lane, count=70)
    assert bench.openings == [lane]
    if lane == "marked":
        bench.distances_mm[lane] = None
    bench.measure(ROOM_C, lane, count=30)
    if lane == "marked":
        bench.distances_mm[lane] = AT_MARK_MM
    bench.show(b"family:fay", lane)
    bench.measure(NORMAL_C, lane, count=8)
    assert bench.openings == [lane, lane]


def test_two_with_one_permit_wait_under_two_numbers() -> None:
    bench = WithFamilies()
    raised(bench, b"family:fay")
    bench.measure(ROOM_C, count=30)
    bench.show(b"family:fay")
    bench.measure(COLD_C, count=8)
    bench.measure(ROOM_C, count=70)
    second, first = bench.waiting()
    assert (first.outcome, second.outcome) == (Screening.ELEVATED, Screening.INDETERMINATE)
    assert bench.second(36.5, number=second.number).passage.gate_opened
    assert [each.number for each in bench.waiting()] == [first.number]


def test_who_steps_up_late_with_a_permit_for_several_is_measured_once_he_shows_it_again() -> None:
    bench = WithFamilies()
    bench.show(b"family:fay")
    bench.wait(bench.options.temperature_timeout_s + 1)
    assert bench.passages[-1].decision.outcome is Outcome.REFER
    bench.measure(NORMAL_C, count=30)
    bench.show(b"family:fay")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == ["in"]


@pytest.mark.parametrize("hot_first", [True, False])
def test_who_has_shown_a_permit_for_several_twice_is_let_in_by_neither_number_while_he_was_hot(
    hot_first: bool,
) -> None:
    bench = WithFamilies(may_override=lambda case: case.temperature.outcome is not Screening.ELEVATED)
    for celsius in (FEVER_C, COLD_C) if hot_first else (COLD_C, FEVER_C):
        bench.show(b"family:fay")
        bench.measure(celsius, count=8)
        bench.measure(ROOM_C, count=100)
    assert {each.outcome for each in bench.waiting()} == {Screening.ELEVATED, Screening.INDETERMINATE}
    for each in bench.waiting():
        assert bench.override(each.number).reason == "invariant"
    (cold,) = [each for each in bench.waiting() if each.outcome is Screening.INDETERMINATE]
    assert bench.second(36.5, number=cold.number).passage.gate_opened


@pytest.mark.parametrize("window_s", [Options().passback_window_s, 0.0])
@pytest.mark.parametrize("by_hand", [False, True])
def test_a_code_lets_nobody_in_where_it_was_shown_once_its_holder_was_let_in_elsewhere(
    window_s: float, by_hand: bool
) -> None:
    """Another steps up there, while the code still waits for a temperature. Also where nobody is a repeat."""
    bench = Bench(Options(passback_window_s=window_s, temperature_timeout_s=20.0))
    bench.distances_mm["marked"] = None
    bench.measure(ROOM_C, "marked", count=3)
    if by_hand:
        bench.distances_mm["marked"] = AT_MARK_MM
        bench.show(b"green:anna", "marked")
        bench.measure(FEVER_C, "marked", count=8)
        bench.distances_mm["marked"] = None
        bench.measure(ROOM_C, "marked", count=10)
    bench.show(b"green:anna", "in")
    bench.wait(1.0)
    if by_hand:
        (anna,) = bench.waiting("marked")
        assert bench.second(36.5, "marked", anna.number).passage.gate_opened
    else:
        bench.distances_mm["marked"] = AT_MARK_MM
        bench.show(b"green:anna", "marked")
        bench.measure(NORMAL_C, "marked", count=8)
    assert bench.openings == ["marked"]
    bench.measure(NORMAL_C, "in", count=8)
    assert bench.openings == ["marked"]
    assert bench.passages[-1].decision.reasons[0] == "again"


def test_who_stands_there_after_an_internal_error_counts_for_no_other_code(bench: Bench) -> None:
    """What was half judged is forgotten; the body that was there for it is not the next code's."""
    bench.show(b"yellow:anna")
    bench.measure(NORMAL_C, count=2)
    bench.checkpoint.reset(None, bench.at_s)
    bench.show(b"green:bert")
    bench.measure(NORMAL_C, count=70)
    assert not bench.openings
    assert bench.passages[-1].temperature.reason == "not_new"
    bench.measure(ROOM_C, count=30)
    bench.show(b"green:bert")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == ["in"]


def test_an_internal_error_elsewhere_is_nothing_to_an_empty_lane(bench: Bench) -> None:
    bench.show(b"yellow:anna", "marked")
    bench.checkpoint.reset(None, bench.at_s)
    bench.show(b"green:bert")
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == ["in"]


@pytest.mark.parametrize("shows_at_once", [True, False])
@pytest.mark.parametrize("skin_c", [ROOM_C, 28.0])
def test_a_range_sensor_sees_who_is_too_cold_for_the_thermometer_step_off_the_mark(
    bench: Bench, skin_c: float, shows_at_once: bool
) -> None:
    """By a hung thermometer, too: his code is not for who steps up next."""
    bench.distances_mm["marked"] = None
    bench.measure(ROOM_C, "marked", count=10)
    bench.distances_mm["marked"] = AT_MARK_MM if not shows_at_once else None
    bench.measure(skin_c, "marked", count=2)
    bench.show(b"green:anna", "marked")
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(skin_c, "marked", count=10)
    bench.distances_mm["marked"] = None
    bench.measure(ROOM_C, "marked", count=9)
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, "marked", count=10)
    assert not bench.openings
    assert bench.passages[0].temperature.reason == "has_left"


@pytest.mark.parametrize("late_s", [0.0, 0.3])
def test_a_part_of_a_card_or_a_code_that_comes_late_is_of_who_stood_at_the_mark(
    bench: Bench, late_s: float
) -> None:
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(28.0, "marked", count=9)
    if not late_s:
        bench.show(b"half1:anna", "marked")
    bench.measure(28.0, "marked", count=2)
    shown_s = bench.at_s - 0.2
    bench.distances_mm["marked"] = None
    bench.measure(ROOM_C, "marked", count=3)
    code = b"green:anna" if late_s else b"half2:anna"
    bench.put("marked", Role.SCANNER, Sighting(code, shown_s))
    bench.measure(ROOM_C, "marked", count=9)
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, "marked", count=10)
    assert not bench.openings


@pytest.mark.parametrize("skin_c", [28.0, NORMAL_C])
def test_a_code_that_is_shown_just_after_stepping_off_the_mark_is_not_for_who_comes_next(
    bench: Bench, skin_c: float
) -> None:
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(skin_c, "marked", count=10)
    bench.distances_mm["marked"] = None
    bench.measure(ROOM_C, "marked", count=3)
    bench.show(b"green:anna", "marked")
    bench.measure(ROOM_C, "marked", count=12)
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, "marked", count=10)
    assert not bench.openings


def test_a_telephone_that_is_lowered_before_its_owner_steps_up_is_nobody_at_the_mark(bench: Bench) -> None:
    """Held before the scanner, it was for a moment where the range sensor looks."""
    bench.distances_mm["marked"] = None
    bench.measure(ROOM_C, "marked", count=10)
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(ROOM_C, "marked", count=2)
    bench.show(b"green:anna", "marked")
    bench.measure(ROOM_C, "marked", count=3)
    bench.distances_mm["marked"] = None
    bench.measure(ROOM_C, "marked", count=10)
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, "marked", count=10)
    assert bench.openings == ["marked"]


def test_who_is_cold_at_the_mark_and_stays_is_measured_as_before(bench: Bench) -> None:
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.show(b"green:anna", "marked")
    bench.measure(28.0, "marked", count=20)
    bench.distances_mm["marked"] = None
    bench.measure(28.0, "marked", count=6)
    bench.distances_mm["marked"] = AT_MARK_MM
    bench.measure(NORMAL_C, "marked", count=10)
    assert bench.openings == ["marked"]

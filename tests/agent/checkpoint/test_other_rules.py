"""Other keys or another calibration come while somebody stands at the lane or waits: who is who by then."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from lane_bench import LANES, NORMAL_C, NOW, ROOM_C, Bench

from agent import screening
from agent.checkpoint import Checkpoint, DecisionRules, Options
from agent.model import (
    NO_VENUE,
    Attestation,
    ClockState,
    CodeStatus,
    Colour,
    Decision,
    DecisionInput,
    DeviceUp,
    Observation,
    Outcome,
    Role,
    Screening,
    TimeBounds,
    Verdict,
)
from agent.model.effects import OpenGate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.model import Item


DAY_S = 86400.0


class KeysToCome(Bench):
    """Whose a code is can be read only once the keys are here."""

    has_keys = False

    def check(self, payloads: Sequence[bytes], now: TimeBounds) -> Verdict:
        if self.has_keys:
            return super().check(payloads, now)
        return Verdict(CodeStatus.VALID, "test", colour=Colour.YELLOW)

    def bring_keys(self) -> None:
        self.has_keys = True
        self.results += self.checkpoint.reevaluate(NOW)


class SetClock(Bench):
    """The clock turns out to have been wrong by days; codes end a day after `NOW`."""

    now = NOW

    def check(self, payloads: Sequence[bytes], now: TimeBounds) -> Verdict:
        found = super().check(payloads, now)
        begin_utc, end_utc = NOW.earliest_utc - DAY_S, NOW.latest_utc + DAY_S
        is_valid = begin_utc < now.earliest_utc <= now.latest_utc < end_utc
        return found if is_valid else replace(found, status=CodeStatus.EXPIRED)

    def put(self, lane: str, part: Role, item: Item) -> None:
        if self.checkpoint.was_clock_set(self.now):
            self.results += self.checkpoint.reevaluate(self.now)
        self.results += self.checkpoint.handle(Observation(lane, part, item), self.now)


@pytest.mark.parametrize("days", [-3, 3])
@pytest.mark.parametrize("other_rules", [False, True])
def test_a_code_is_judged_by_the_time_that_a_clock_was_set_to_meanwhile(days: int, other_rules: bool) -> None:
    bench = SetClock()
    bench.show(b"green:anna")
    bench.wait(0.2)
    bench.now = TimeBounds(NOW.earliest_utc + days * DAY_S, NOW.latest_utc + days * DAY_S, ClockState.SYNCED)
    if other_rules:
        bench.results += bench.checkpoint.reevaluate(bench.now)
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == []
    assert bench.passages[-1].verdict.status is CodeStatus.EXPIRED


def test_a_code_is_judged_by_the_time_that_is_in_doubt_by_now() -> None:
    bench = SetClock()
    bench.show(b"green:anna")
    bench.wait(0.2)
    bench.now = replace(NOW, latest_utc=math.inf, state=ClockState.SUSPECT)
    bench.measure(NORMAL_C, count=8)
    assert bench.openings == []


@pytest.mark.parametrize("by", ["instrument", "override"])
def test_who_waited_for_keys_is_not_let_in_by_a_code_that_another_has_used(by: str) -> None:
    bench = KeysToCome(may_override=lambda case: not case.shown_again)
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=6)
    bench.wait(bench.options.temperature_timeout_s)
    bench.measure(ROOM_C, count=10)
    (waits,) = bench.waiting()
    bench.bring_keys()
    bench.come_after_a_gap(b"green:anna", "marked")
    assert bench.openings == ["marked"]
    if by == "instrument":
        bench.second(36.5, number=waits.number)
    else:
        bench.override(waits.number)
    assert bench.openings == ["marked"]


def test_a_code_that_staff_let_in_unread_lets_in_nobody_once_it_is_read() -> None:
    bench = KeysToCome(may_override=lambda _: True)
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=6)
    bench.wait(bench.options.temperature_timeout_s)
    bench.measure(ROOM_C, count=10)
    (waits,) = bench.waiting()
    bench.override(waits.number)
    assert bench.openings == ["in"]
    bench.bring_keys()
    bench.come_after_a_gap(b"green:anna", "marked")
    assert bench.openings == ["in"]


def test_who_stands_there_as_keys_come_is_not_let_in_by_a_code_that_another_uses() -> None:
    bench = KeysToCome()
    bench.show(b"green:anna", "in")
    bench.bring_keys()
    bench.come_after_a_gap(b"green:anna", "marked")
    bench.measure(NORMAL_C, "in", count=6)
    assert bench.openings == ["marked"]


def _check(error_c: float) -> screening.ReferenceCheck:
    return screening.ReferenceCheck(error_c, NOW.earliest_utc, "black body 7", "Li Wei")


_ZERO = screening.Zero(0.5, NOW.earliest_utc, "black body 7", "Li Wei")
_MODEL = screening.Model(0.0, 1.0, 0.0, 20, 0.2, 10.0, 30.0, "oral 1", "2026-11-30")


@pytest.mark.parametrize(
    ("at", "known", "found"),
    [
        ("in", screening.ThermometerSite(check=_check(0.0)), (Screening.NORMAL, "")),
        ("in", screening.ThermometerSite(check=_check(-0.9)), (Screening.DEVICE_FAULT, "drift")),
        ("in", screening.ThermometerSite(zero=_ZERO), (Screening.INDETERMINATE, "calibration_changed")),
        ("in", screening.ThermometerSite(model=_MODEL), (Screening.INDETERMINATE, "calibration_changed")),
        ("marked", screening.ThermometerSite(zero=_ZERO), (Screening.NORMAL, "")),  # another lane's
    ],
)
def test_who_waits_is_normal_by_what_is_known_of_the_thermometer_since(
    at: str, known: screening.ThermometerSite, found: tuple[Screening, str]
) -> None:
    sites: dict[str, screening.ThermometerSite] = {}
    bench = _with_calibrations(sites)
    bench.measure(NORMAL_C, count=130)
    bench.measure(ROOM_C, count=10)
    (waits,) = bench.waiting()
    assert waits.outcome is Screening.NORMAL
    sites[at] = known
    bench.put("in", Role.CLINICAL, Attestation(bench.at_s, "record", "done", number=waits.number))
    assert [isinstance(each, OpenGate) for each in bench.results].count(True) == (found[0] is Screening.NORMAL)
    told = bench.passages[-1].temperature
    assert (told.outcome, told.reason) == found


def test_who_waits_at_two_lanes_is_judged_by_the_thermometer_that_measured_last() -> None:
    sites: dict[str, screening.ThermometerSite] = {}
    bench = _with_calibrations(sites)
    bench.show(b"yellow:anna", "marked")
    bench.wait(bench.options.temperature_timeout_s + 1)
    bench.measure(NORMAL_C, "in", count=6)
    bench.show(b"yellow:anna", "in")
    bench.measure(ROOM_C, "in", count=10)
    (waits,) = bench.waiting("marked")
    assert waits.outcome is Screening.NORMAL
    sites["in"] = screening.ThermometerSite(check=_check(-0.9))
    bench.put("marked", Role.CLINICAL, Attestation(bench.at_s, "record", "done", number=waits.number))
    told = bench.passages[-1].temperature
    assert (told.outcome, told.reason) == (Screening.DEVICE_FAULT, "drift")


def _with_calibrations(sites: dict[str, screening.ThermometerSite]) -> Bench:
    bench = Bench(sites=sites)
    rules = DecisionRules(
        bench.check,
        _admit_who_is_vouched_for,
        screening.Options(),
        lambda lane: sites.get(lane, screening.ThermometerSite()),
        venue=lambda _lane, _verdict, attested, _now, _at_s: replace(NO_VENUE, vouched="record" in attested),
    )
    bench.checkpoint = Checkpoint(LANES, rules, Options())
    for lane in ("in", "marked"):
        for part in Role:
            bench.put(lane, part, DeviceUp(bench.at_s, "fake"))
    return bench


def _admit_who_is_vouched_for(case: DecisionInput) -> Decision:
    if case.facts.vouched and case.temperature.outcome is Screening.NORMAL:
        return Decision(Outcome.ADMIT, ("recorded",))
    return Decision(Outcome.REFER, ("no_code",))

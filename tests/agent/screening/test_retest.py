"""Second reading, rest, second instrument; each an attempt of its own."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.model import Screening, Temperature
from agent.screening import Options
from agent.screening.calibration import JudgedBy, ThermometerSite, Zero
from agent.screening.retest import MOST_HOLDERS, Retests
from agent.texts import CATALOGUE

OPTIONS = Options()
ANNA = b"anna............"


def reading(surface_c: float, limit_c: float = 35.6) -> Temperature:
    outcome = Screening.ELEVATED if surface_c >= limit_c else Screening.NORMAL
    return Temperature(outcome, surface_c=surface_c, threshold_c=limit_c, samples=5)


class Desk:
    """One lane's protocol with a clock moved by hand."""

    def __init__(self) -> None:
        self.retests = Retests(OPTIONS)
        self.at_s = 0.0

    def measure(self, surface_c: float, holder: bytes = ANNA) -> Temperature:
        told = self.retests.next_step((holder,), reading(surface_c), self.at_s)
        self.retests.record((holder,), told, self.at_s)
        return told


def test_the_whole_protocol() -> None:
    desk = Desk()
    first = desk.measure(36.4)
    assert (first.outcome, first.attempt, first.next_step) == (Screening.ELEVATED, 1, "second_reading")
    second = desk.measure(36.2)
    assert (second.outcome, second.attempt, second.next_step) == (Screening.ELEVATED, 2, "rest")
    early = desk.measure(34.4)
    assert (early.outcome, early.reason, early.next_step) == (Screening.RETEST, "rest_not_over", "rest")
    desk.at_s += OPTIONS.retest_wait_s
    third = desk.measure(36.0)
    assert (third.outcome, third.attempt, third.next_step) == (Screening.ELEVATED, 3, "clinical_reading")
    fourth = desk.measure(34.0)
    assert (fourth.outcome, fourth.reason) == (Screening.RETEST, "clinical_decides")


def test_normal_once_is_normal_and_is_not_remembered() -> None:
    desk = Desk()
    assert desk.measure(34.4).outcome is Screening.NORMAL
    assert desk.measure(34.4).attempt == 1


def test_the_mean_of_two_readings_counts_only_by_one_calibration_of_a_thermometer() -> None:
    zeroed = ThermometerSite(zero=Zero(0.5, 0.0, "black body 7", "Li Wei"))
    for then, now, outcome in (
        (JudgedBy("in", ThermometerSite()), JudgedBy("in", zeroed), Screening.ELEVATED),
        (JudgedBy("in", zeroed), JudgedBy("in", zeroed), Screening.NORMAL),
        (JudgedBy("in", zeroed), JudgedBy("marked", ThermometerSite()), Screening.NORMAL),
    ):
        retests = Retests(OPTIONS)
        first = retests.next_step((ANNA,), replace(reading(35.7), judged_by=then), 0.0)
        retests.record((ANNA,), first, 0.0)
        second = retests.next_step((ANNA,), replace(reading(35.3), judged_by=now), 1.0)
        assert second.outcome is outcome


def test_the_mean_of_two_readings_decides() -> None:
    desk = Desk()
    desk.measure(35.8)
    assert desk.measure(35.3).outcome is Screening.NORMAL
    assert desk.measure(35.3).attempt == 1
    desk.measure(36.6)
    high = desk.measure(35.3)
    assert (high.outcome, high.reason) == (Screening.ELEVATED, "mean_of_two")


def test_rested_and_normal_passes() -> None:
    desk = Desk()
    desk.measure(36.0)
    desk.measure(36.0)
    desk.at_s += OPTIONS.retest_wait_s
    assert desk.measure(34.8).outcome is Screening.NORMAL


def test_elevated_before_the_rest_is_over_is_no_third_reading() -> None:
    desk = Desk()
    desk.measure(36.0)
    desk.measure(36.0)
    desk.at_s += 60
    desk.measure(36.2)
    desk.at_s += OPTIONS.retest_wait_s - 60
    assert desk.measure(34.8).reason == "rest_not_over"


def test_what_is_elevated_at_any_estimate_is_so_twice() -> None:
    retests = Retests(OPTIONS)
    hot = Temperature(Screening.ELEVATED, surface_c=38.8, estimate_c=36.4, threshold_c=37.3, basis="calibrated")
    for attempt in (1, 2):
        told = retests.next_step((ANNA,), hot, 0.0)
        assert (told.outcome, told.attempt) == (Screening.ELEVATED, attempt)
        retests.record((ANNA,), told, 0.0)


def test_the_next_day_begins_again() -> None:
    desk = Desk()
    desk.measure(36.4)
    desk.at_s += OPTIONS.retest_memory_s + 1
    assert desk.measure(34.4).outcome is Screening.NORMAL


def test_people_do_not_mix() -> None:
    desk = Desk()
    desk.measure(36.4)
    assert desk.measure(34.4, b"bob").attempt == 1


def test_a_reading_that_is_none_changes_nothing() -> None:
    desk = Desk()
    desk.measure(36.4)
    nothing = Temperature(Screening.INDETERMINATE)
    assert desk.retests.next_step((ANNA,), nothing, 1.0) == nothing
    desk.retests.record((ANNA,), nothing, 1.0)
    assert desk.measure(36.4).attempt == 2


def test_memory_is_bounded() -> None:
    desk = Desk()
    for number in range(MOST_HOLDERS + 5):
        desk.measure(36.4, str(number).encode())
    assert desk.measure(36.4, b"0").attempt == 1
    assert desk.measure(36.4, str(MOST_HOLDERS).encode()).attempt == 2


@given(st.lists(st.tuples(st.sampled_from([34.4, 35.5, 35.7, 36.8]), st.sampled_from([0.0, 5.0, 300.0, 700.0]))))
def test_after_two_alarms_nobody_passes_without_a_rest(steps: list[tuple[float, float]]) -> None:
    desk = Desk()
    alarms, alarm_s = 0, 0.0
    for surface_c, wait_s in steps:
        desk.at_s += wait_s
        if desk.at_s - alarm_s > OPTIONS.retest_memory_s:
            alarms = 0
        told = desk.measure(surface_c)
        if told.outcome is Screening.NORMAL:
            assert alarms < 2 or (alarms == 2 and desk.at_s - alarm_s >= OPTIONS.retest_wait_s) or told.attempt == 3
            alarms = 0
        elif told.outcome is Screening.ELEVATED:
            alarms, alarm_s = alarms + 1, desk.at_s
        assert told.reason in {"", *CATALOGUE["temperature"]}
        assert told.next_step in {"", *CATALOGUE["next_step"]}

"""Screening: what is measured is said with its uncertainty; what is not, is never normal."""

from __future__ import annotations

from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import Screening
from agent.screening import Options, fault, screen
from agent.screening.baseline import Baseline
from agent.screening.outcome import ScreeningContext
from drivers.contract import Reading

OPTIONS = Options()


def look(*surfaces_c: float, u_c: float = 0.4) -> list[Reading]:
    return [Reading(surface_c, 0.1 * i, u_c) for i, surface_c in enumerate(surfaces_c)]


@pytest.mark.parametrize(
    ("surface_c", "outcome"),
    [
        (31.0, Screening.INDETERMINATE),
        (32.99, Screening.INDETERMINATE),
        (33.0, Screening.NORMAL),
        (34.4, Screening.NORMAL),
        (35.59, Screening.NORMAL),
        (35.6, Screening.ELEVATED),
        (39.0, Screening.ELEVATED),
        (43.1, Screening.INDETERMINATE),
        (382.0, Screening.INDETERMINATE),
    ],
)
def test_the_limits(surface_c: float, outcome: Screening) -> None:
    found = screen(look(*[surface_c] * 5), OPTIONS)
    assert found.outcome is outcome
    assert found.surface_c == surface_c
    assert found.uncertainty_c == 0.4


@pytest.mark.parametrize("u_c", [1.5, 2.0, 2.5])
def test_what_cannot_tell_a_fever_finds_nobody_normal_until_it_is_calibrated(u_c: float) -> None:
    """Such a thermometer shows 34.3 °C of a skin of 36.3 °C, which is a fever at the forehead."""
    found = screen(look(*[34.3] * 5, u_c=u_c), Options())
    assert (found.outcome, found.reason, found.basis) == (Screening.INDETERMINATE, "imprecise", "fixed")
    assert found.surface_c == 34.3
    assert screen(look(*[34.3] * 5, u_c=1.0), Options()).outcome is Screening.NORMAL
    assert screen(look(*[36.5] * 5, u_c=u_c), Options()).outcome is Screening.ELEVATED


def test_it_does_not_beside_those_whom_a_better_one_has_measured_either() -> None:
    baseline = Baseline()
    for person in range(60):
        baseline = baseline.after(34.0 + 0.2 * (person % 5), None, 60.0 * person, Options(), simulated=False)
    for u_c, outcome in ((0.4, Screening.NORMAL), (2.0, Screening.INDETERMINATE)):
        found = screen(look(*[34.3] * 5, u_c=u_c), Options(), ScreeningContext(baseline=baseline))
        assert (found.outcome, found.basis) == (outcome, "population")


def test_one_bad_sample_does_not_decide() -> None:
    assert screen(look(34.4, 34.5, 39.9, 34.4, 34.5, 34.4), OPTIONS).outcome is Screening.NORMAL


def test_scattered_samples_ask_for_another_look() -> None:
    assert screen(look(34.0, 35.4, 34.2, 35.5, 34.1, 35.3), OPTIONS).outcome is Screening.RETEST


def test_a_rising_surface_asks_for_another_look() -> None:
    assert screen(look(34.0, 34.1, 34.2, 34.3, 34.4, 34.5), OPTIONS).outcome is Screening.RETEST


def test_a_fault_has_no_number() -> None:
    assert fault().outcome is Screening.DEVICE_FAULT
    assert fault().surface_c is None


@given(st.lists(st.floats(-70, 382), max_size=40))
def test_normal_is_only_ever_said_of_enough_warm_flat_samples(surfaces_c: list[float]) -> None:
    found = screen(look(*surfaces_c), OPTIONS)
    assert found.samples == len(surfaces_c)
    if found.outcome in (Screening.NORMAL, Screening.ELEVATED):
        assert len(surfaces_c) >= OPTIONS.samples
        assert OPTIONS.min_skin_c - 0.01 <= median(surfaces_c) <= OPTIONS.max_skin_c + 0.01
        assert found.uncertainty_c is not None
        assert found.uncertainty_c >= 0.4


@given(st.lists(st.floats(30, 42), min_size=5, max_size=30))
def test_the_temperature_lies_among_the_samples(surfaces_c: list[float]) -> None:
    found = screen(look(*surfaces_c), OPTIONS)
    assert found.surface_c is not None
    assert min(surfaces_c) - 0.01 <= found.surface_c <= max(surfaces_c) + 0.01

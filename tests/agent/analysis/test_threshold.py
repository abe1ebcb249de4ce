"""Where a limit must lie: never too low for those it was chosen on, steadier than counting, and right."""

from __future__ import annotations

import random
from statistics import NormalDist, fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.analysis import threshold

RISE, SCATTER = 0.7, 0.3
TRUE_95 = NormalDist(RISE * 36.8, (0.25**2 * RISE**2 + SCATTER**2) ** 0.5).inv_cdf(0.95)


def people(count: int, seed: int) -> list[tuple[float, float]]:
    """Bodies about 36.8 °C; what is measured follows them by `RISE` and scatters."""
    chance = random.Random(seed)
    bodies = [chance.gauss(36.8, 0.25) for _ in range(count)]
    return [(RISE * body + chance.gauss(0, SCATTER), body) for body in bodies]


@given(st.lists(st.floats(30, 40), min_size=20, max_size=200), st.floats(0.6, 0.99))
def test_counted_out_it_passes_at_least_the_share_it_promises(values: list[float], specificity: float) -> None:
    limit_c = threshold.empirical(values, specificity)
    assert sum(value < limit_c for value in values) >= min(len(values), specificity * len(values) - 1e-9)


@given(
    st.lists(st.tuples(st.floats(30, 40), st.floats(35, 38)), min_size=2, max_size=40),
    st.floats(0.1, 1.5),
    st.floats(0.6, 0.99),
)
def test_smeared_it_passes_that_share_of_all_pairs(
    well: list[tuple[float, float]], rise: float, specificity: float
) -> None:
    limit_c = threshold.smeared(well, rise, specificity)
    pairs = [rise * body + here - rise * own for _, body in well for here, own in well]
    assert sum(pair < limit_c + 1e-9 for pair in pairs) >= specificity * len(pairs) - 1e-9
    assert sum(pair < limit_c - 3 * threshold.STEP_C for pair in pairs) < specificity * len(pairs)


def test_it_is_right_on_the_average_and_steadier_than_counting() -> None:
    baselines = [people(260, seed) for seed in range(60)]
    counted = [threshold.empirical([here for here, _ in baseline], 0.95) for baseline in baselines]
    chosen = [threshold.choose(baseline, RISE, 0.95) for baseline in baselines]
    assert fmean(chosen) == pytest.approx(TRUE_95, abs=0.02)
    assert pstdev(chosen) < 0.85 * pstdev(counted)


def test_it_is_told_in_thousandths() -> None:
    limit_c = threshold.choose(people(50, 1), RISE, 0.95)
    assert limit_c == pytest.approx(round(limit_c, 3), abs=1e-9)


def test_equal_people_are_no_trouble() -> None:
    assert 34.0 < threshold.choose([(34.0, 36.8)] * 30, RISE, 0.95) <= 34.0 + 2 * threshold.STEP_C

"""Durations in classes, as a histogram has them."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.platform.histogram import BOUNDS_S, Histogram


@given(st.lists(st.floats(0, 10)))
def test_each_bound_counts_what_is_not_longer(durations_s: list[float]) -> None:
    tally = Histogram()
    for seconds in durations_s:
        tally.add(seconds)
    found = list(tally.up_to())
    assert [bound for bound, _ in found] == [*BOUNDS_S, math.inf]
    assert all(count == sum(seconds <= bound for seconds in durations_s) for bound, count in found)
    assert all(fewer <= more for (_, fewer), (_, more) in pairwise(found))
    assert tally.sum_s == pytest.approx(sum(durations_s))

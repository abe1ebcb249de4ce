"""How fast a part is started again, whatever becomes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.devices.backoff import ABSENT_BACKOFF, FAULT_BACKOFF, Backoff

ladders = st.sampled_from([FAULT_BACKOFF, ABSENT_BACKOFF])
worked = st.lists(st.floats(0, 2000))


def climb(pipeline: Backoff, times_s: list[float]) -> Backoff:
    for worked_s in times_s:
        pipeline = pipeline.failed(worked_s)
    return pipeline


def test_the_steps_of_a_device_that_fails_at_once() -> None:
    pipeline, pauses = FAULT_BACKOFF, []
    for _ in range(7):
        pipeline = pipeline.failed(0.0)
        pauses.append(pipeline.pause_s(0.5))
    assert pauses == pytest.approx([1, 2, 5, 15, 60, 60, 60])


def test_no_pause_before_the_first_failure() -> None:
    assert FAULT_BACKOFF.pause_s(1.0) == 0.0


@given(ladders, worked, st.floats(0, 1))
def test_pauses_stay_within_a_fifth_of_a_step(pipeline: Backoff, times_s: list[float], chance: float) -> None:
    pause_s = climb(pipeline, times_s).pause_s(chance)
    assert pause_s == 0.0 or any(0.8 * step <= pause_s <= 1.2 * step * (1 + 1e-9) for step in pipeline.steps_s)
    assert bool(pause_s) == bool(times_s)


@given(ladders, worked, st.floats(0, 2000))
def test_only_a_long_good_time_leads_back_to_the_first_step(
    pipeline: Backoff, times_s: list[float], worked_s: float
) -> None:
    before, after = (found := climb(pipeline, times_s)), found.failed(worked_s)
    if worked_s >= pipeline.healthy_s:
        assert after.failures == 1
    else:
        assert after.failures == before.failures + 1
        assert after.pause_s(0.5) >= before.pause_s(0.5)

"""Valid, expired, not yet, or unknown: the truth table of a clock that may be unsure."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.credentials.validity import check_validity
from agent.model import ClockState, CodeStatus, TimeBounds

TIMES = st.floats(min_value=0, max_value=4e9)


def at(lo: float, hi: float) -> TimeBounds:
    return TimeBounds(lo, hi, ClockState.SYNCED)


@pytest.mark.parametrize(
    ("now", "starts", "expires", "status"),
    [
        (at(100, 101), None, 200, CodeStatus.VALID),
        (at(100, 101), None, 101, CodeStatus.VALID),
        (at(100, 102), None, 101, CodeStatus.TIME_UNKNOWN),
        (at(100, math.inf), None, 10**9, CodeStatus.TIME_UNKNOWN),
        (at(100, 101), None, 99, CodeStatus.EXPIRED),
        (at(100, math.inf), None, 99, CodeStatus.EXPIRED),
        (at(100, 101), 102, 200, CodeStatus.NOT_YET_VALID),
        (at(100, 102), 101, 200, CodeStatus.TIME_UNKNOWN),
        (at(100, math.inf), 50, None, CodeStatus.VALID),
    ],
)
def test_table(now: TimeBounds, starts: float | None, expires: float | None, status: CodeStatus) -> None:
    assert check_validity(now, issued=None, starts=starts, expires=expires) is status


def test_a_code_issued_ahead_of_every_possible_now_is_not_yet_valid() -> None:
    assert check_validity(at(100, 101), issued=102, starts=None, expires=200) is CodeStatus.NOT_YET_VALID
    assert check_validity(at(100, 101), issued=100.5, starts=None, expires=200) is CodeStatus.VALID


@given(TIMES, TIMES, TIMES, TIMES, TIMES)
def test_valid_means_valid_whatever_the_time_really_is(
    one: float, other: float, starts: float, expires: float, part: float
) -> None:
    lo, hi = sorted((one, other))
    true_time = lo + (hi - lo) * (part / 4e9)
    if check_validity(at(lo, hi), issued=None, starts=starts, expires=expires) is CodeStatus.VALID:
        assert starts <= true_time <= expires

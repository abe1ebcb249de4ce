from hypothesis import given
from hypothesis import strategies as st

from agent.platform.rate_limit import TokenBucket


@given(st.lists(st.floats(0, 5), max_size=200))
def test_never_more_than_the_burst_and_what_the_time_allows(pauses_s):
    rate, now_s, allowed = TokenBucket(10, 5.0, 0.0), 0.0, 0
    for pause_s in pauses_s:
        now_s += pause_s
        allowed += rate.allows(now_s)
        assert allowed <= 10 + 5.0 * now_s + 1e-6


def test_who_keeps_to_the_rate_is_always_allowed():
    rate = TokenBucket(1, 4.0, 0.0)
    assert all(rate.allows(number * 0.25) for number in range(1, 1000))

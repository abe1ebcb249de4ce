"""A source of time that is wrong for a while, or contradicts itself."""

import math

import pytest
from clock_bench import Kept, Kernel
from hypothesis import given
from hypothesis import strategies as st

from agent.model import ClockState
from agent.platform.clock import Options, TimeSource

YEARS = 365 * 86_400.0


@pytest.mark.parametrize("by_s", [-30 * 86_400, -600, 600, 10 * YEARS])
def test_a_false_answer_to_a_clock_that_was_right_is_nobody_s_time(kernel, make, by_s):
    asked = make()
    asked.now()
    before = kernel.pass_by(asked, 7200)
    kernel.booted_utc += by_s
    kernel.here_s += 2
    doubtful = asked.now()
    assert (doubtful.state, doubtful.latest_utc) == (ClockState.SUSPECT, math.inf)
    assert doubtful.earliest_utc <= before.earliest_utc + 10, "nothing is called expired for it"
    kernel.here_s += 1800
    assert asked.now().state is ClockState.SUSPECT
    kernel.booted_utc -= by_s
    kernel.here_s += 2
    true_utc = kernel.booted_utc + kernel.here_s
    after = asked.now()
    assert after.state is ClockState.SYNCED, "it is back on its course"
    assert after.earliest_utc <= true_utc <= after.latest_utc
    asked.save()
    assert make().now().state is ClockState.SYNCED


@pytest.mark.parametrize("by_s", [-30 * 86_400, 600, 10 * YEARS])
def test_a_false_answer_that_came_first_is_forgotten_after_an_hour_or_by_a_restart(kernel, make, by_s):
    kernel.booted_utc += by_s
    asked = make()
    assert asked.now().state is ClockState.SYNCED, "nobody can tell"
    kernel.pass_by(asked, 1800)
    kernel.booted_utc -= by_s
    kernel.here_s += 2
    assert make().now().state is ClockState.SYNCED
    assert asked.now().state is ClockState.SUSPECT
    assert kernel.pass_by(asked, 3000).state is ClockState.SUSPECT
    healed = kernel.pass_by(asked, 1300)
    assert healed.state is ClockState.SYNCED
    assert healed.earliest_utc <= kernel.booted_utc + kernel.here_s <= healed.latest_utc


def test_answers_that_contradict_each_other_prove_nothing(kernel, make):
    """One of two servers is wrong, and they are asked in turn: which of them, nobody knows."""
    asked = make()
    asked.now()
    for turn in range(20):
        kernel.booted_utc += -YEARS if turn % 2 else YEARS
        kernel.here_s += 600
        kernel.answer()
        assert asked.now().state is ClockState.SUSPECT
    assert kernel.pass_by(asked, 4800).state is ClockState.SYNCED


def test_a_battery_clock_may_be_set_forward_and_back_only_with_patience(kernel, make):
    asked = make(source=TimeSource.SYSTEM)
    asked.now()
    kernel.booted_utc += 10 * YEARS
    assert asked.now().state is ClockState.SYNCED
    kernel.booted_utc -= 10 * YEARS
    for _ in range(3):
        assert asked.now().state is ClockState.SUSPECT
        kernel.here_s += 1
    assert kernel.pass_by(asked, 4800).state is ClockState.SYNCED


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["true", "false", "silent", "restart"]),
            st.sampled_from([-400 * 86_400.0, -100.0, 100.0, 1e8]),
            st.floats(1, 1200),
        ),
        max_size=40,
    )
)
def test_whatever_is_false_for_less_than_an_hour_is_healed_an_hour_later(tmp_path_factory, told):
    """Answers come and go, true ones and false ones; then only true ones."""
    kernel = Kernel()
    true_utc = kernel.booted_utc
    file = tmp_path_factory.mktemp("clock") / "clock"
    asked = Kept(Options(last_known_time_file=file), kernel.sources)
    false_s = 0.0
    for what, by_s, seconds in told:
        false_s = 0.0 if what in ("true", "restart") else false_s + seconds
        if false_s > 3000:
            continue
        kernel.booted_utc = true_utc + (by_s if what == "false" else 0.0)
        kernel.error_s = None if what == "silent" else 0.02
        asked = Kept(Options(last_known_time_file=file), kernel.sources) if what == "restart" else asked
        asked.now()
        kernel.here_s += seconds
        asked.now()
    kernel.booted_utc, kernel.error_s = true_utc, 0.01
    kernel.here_s += 2
    asked.now()
    found = kernel.pass_by(asked, 5400)
    assert found.state is ClockState.SYNCED
    assert found.earliest_utc <= true_utc + kernel.here_s <= found.latest_utc


def test_doubts_end_the_holdover(kernel, make):
    asked = make()
    asked.now()
    kernel.booted_utc -= 86_400
    kernel.here_s += 2
    assert asked.now().state is ClockState.SUSPECT
    kernel.error_s = None
    kernel.here_s += 2
    assert asked.now().state is ClockState.FLOOR

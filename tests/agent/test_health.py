"""Down and known to be down is one thing, silent is another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.health import Condition, Part, assess

parts = st.builds(
    Part,
    name=st.sampled_from(["loop", "outbox", "entry scanner"]),
    up=st.booleans(),
    silent_s=st.floats(0, 100),
    limit_s=st.floats(0.1, 50),
    why=st.just("gone (plug it in)"),
)


def part(*, up=True, silent_s=0.0):
    return Part("entry scanner", up, silent_s, 5.0, "" if up else "gone (plug it in)")


@pytest.mark.parametrize(
    ("looked_at", "condition", "summary"),
    [
        ([], Condition.OK, "ok"),
        ([part()], Condition.OK, "ok"),
        ([part(silent_s=5.0)], Condition.OK, "ok"),
        ([part(up=False)], Condition.DEGRADED, "degraded; entry scanner: gone (plug it in)"),
        ([part(silent_s=7.4)], Condition.STUCK, "stuck; entry scanner: no progress for 7 s"),
        (
            [part(up=False, silent_s=6)],
            Condition.STUCK,
            "stuck; entry scanner: no progress for 6 s; entry scanner: gone (plug it in)",
        ),
    ],
)
def test_cases(looked_at, condition, summary):
    health = assess(looked_at)
    assert health.condition is condition
    assert health.summary == summary


@given(st.lists(parts))
def test_the_watchdog_is_fed_exactly_when_nothing_is_silent(looked_at):
    health = assess(looked_at)
    silent = [each for each in looked_at if each.silent_s > each.limit_s]
    down = [each for each in looked_at if not each.up]
    assert (health.condition is Condition.STUCK) == bool(silent)
    assert (health.condition is Condition.OK) == (not silent and not down)
    assert len(health.problems) == len(silent) + len(down)
    assert all("no progress" in problem for problem in health.problems[: len(silent)]), "the gravest first"

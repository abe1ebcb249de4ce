"""Down and known to be down is one thing, silent is another, and only vital parts are worth a restart of all."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import Component
from agent.model.problems import SEVERITY, Finding, ProblemCode, Severity, found
from agent.supervisor.health import LEAST_BETWEEN_S, Condition, assess, restarts_agent

GONE = found(ProblemCode.DEVICE_DOWN, "gone (plug it in)")
parts = st.builds(
    Component,
    name=st.sampled_from(["loop", "outbox", "entry scanner"]),
    silent_s=st.floats(0, 100),
    limit_s=st.floats(0.1, 50),
    findings=st.sampled_from([(), GONE]),
    vital=st.booleans(),
)


def part(name="entry scanner", *, up=True, silent_s=0.0, vital=False):
    return Component(name, silent_s, 5.0, () if up else GONE, vital)


@pytest.mark.parametrize(
    ("looked_at", "condition", "summary"),
    [
        ([], Condition.OK, "ok"),
        ([part()], Condition.OK, "ok"),
        ([part(silent_s=5.0)], Condition.OK, "ok"),
        ([part(up=False)], Condition.DEGRADED, "degraded; entry scanner: gone (plug it in)"),
        (
            [part("mqtt", silent_s=7.4)],
            Condition.DEGRADED,
            "degraded; mqtt: no progress for more than 5 s (systemctl restart gatepost)",
        ),
        (
            [part(up=False, silent_s=7.4)],
            Condition.DEGRADED,
            "degraded; entry scanner: no progress for more than 5 s (gone (plug it in))",
        ),
        (
            [part("x", up=False), part("loop", silent_s=6, vital=True)],
            Condition.STUCK,
            "stuck; loop: no progress for more than 5 s (the watchdog restarts the agent); x: gone (plug it in)",
        ),
    ],
)
def test_cases(looked_at, condition, summary):
    health = assess(looked_at)
    assert health.condition is condition
    assert health.summary == summary


@given(st.lists(parts))
def test_the_watchdog_bites_exactly_when_a_vital_part_is_silent(looked_at):
    health = assess(looked_at)
    silent = [each for each in looked_at if each.silent_s > each.limit_s]
    bad = [each for each in looked_at if each in silent or not each.up]
    assert (health.condition is Condition.STUCK) == any(each.vital for each in silent)
    assert (health.condition is Condition.OK) == (not bad)
    assert len(health.problems) == len(bad), "one sentence for each part that is not well"
    assert health.bad == {each.name for each in bad}
    assert all("no progress" in problem.text for problem in health.problems[: len(silent)]), "the gravest first"


@given(st.lists(parts), st.floats(0, 1000))
def test_it_says_the_same_while_nothing_changes(looked_at, later_s):
    """Each difference is sent over MQTT: seconds that run must not be in it."""
    later = [replace(each, silent_s=each.silent_s + later_s * each.hangs) for each in looked_at]
    assert assess(later) == assess(looked_at)


def test_a_problem_names_code_part_and_severity():
    sealed = Component(
        "mqtt", 0.0, 5.0, (Finding(ProblemCode.RECEIPTS_OVERDUE, "a"), Finding(ProblemCode.BROKER_TERMS, "b"))
    )
    stuck = Component("loop", 9.0, 5.0, vital=True)
    told = [(each.code, each.part, each.severity) for each in assess([sealed, stuck]).problems]
    assert told == [
        ("agent_stuck", "loop", "critical"),
        ("receipts_overdue", "mqtt", "error"),
        ("broker_terms", "mqtt", "warning"),
    ]


def test_every_problem_has_a_severity():
    assert set(SEVERITY) == set(ProblemCode)
    assert set(SEVERITY.values()) == set(Severity)


@given(st.lists(st.just("entry scanner")), st.floats(0, 2 * LEAST_BETWEEN_S))
def test_the_agent_is_not_started_again_for_devices_more_than_once_an_hour(
    hopeless: list[str], up_s: float
) -> None:
    assert restarts_agent(hopeless, up_s) == (bool(hopeless) and up_s >= LEAST_BETWEEN_S)

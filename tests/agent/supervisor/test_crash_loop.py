"""When starts that come too often make the agent careful, and when they do not."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.supervisor.crash_loop import MANY, WITHIN_S, StartHistory, from_plain

gaps = st.lists(st.floats(0, 2 * WITHIN_S), min_size=1, max_size=12)
steps = st.lists(st.tuples(st.sampled_from(["start", "end", "boot"]), st.floats(0, WITHIN_S)), max_size=30)


def after(starts: StartHistory, *gaps_s: float, boot: str = "b", at_s: float = 100.0) -> StartHistory:
    for gap_s in gaps_s:
        at_s += gap_s
        starts = starts.begun(boot, at_s)
    return starts


def test_five_falls_within_five_minutes() -> None:
    assert not after(StartHistory(), *[10.0] * (MANY - 1)).safe
    safe = after(StartHistory(), *[10.0] * MANY).safe
    assert "5 starts within 5 minutes" in safe
    assert "gatepost recover" in safe


def test_clean_ends_do_not_count() -> None:
    starts = StartHistory()
    for n in range(3 * MANY):
        starts = starts.begun("b", 100.0 + n).ended()
    assert not starts.safe


def test_power_cuts_do_not_count() -> None:
    """A technician pulls the plug, again and again: each boot is another."""
    starts = StartHistory()
    for n in range(3 * MANY):
        starts = starts.begun(f"boot {n}", 20.0)
    assert not starts.safe


@given(gaps)
def test_exactly_five_within_the_time(gaps_s: list[float]) -> None:
    at_s, times, starts = 0.0, [], StartHistory()
    for gap_s in gaps_s:
        at_s += gap_s
        times.append(at_s)
        before, starts = starts, starts.begun("b", at_s)
        crowded = sum(at_s - then_s < WITHIN_S for then_s in times) >= MANY
        assert bool(starts.safe) == (bool(before.safe) or crowded)


@given(steps)
def test_safe_mode_stays_until_somebody_recovers(taken: list[tuple[str, float]]) -> None:
    starts, boot, at_s = StartHistory().enter_safe_mode("a test"), 0, 0.0
    for step, gap_s in taken:
        at_s += gap_s
        match step:
            case "start":
                starts = starts.begun(str(boot), at_s)
            case "end":
                starts = starts.ended()
            case _:
                boot, at_s = boot + 1, 0.0
        assert starts.safe
        assert len(starts.at_s) <= MANY
    assert not starts.recovered().begun(str(boot), at_s).safe


@given(steps)
def test_what_is_written_is_read(taken: list[tuple[str, float]]) -> None:
    starts = StartHistory()
    for _, at_s in taken:
        starts = starts.begun("b", at_s)
    assert from_plain(json.loads(json.dumps(asdict(starts)))) == starts


@pytest.mark.parametrize("plain", [[], {}, None, 7, {"boot": "b", "at_s": ["x"], "safe": ""}])
def test_what_is_not_ours_is_told(plain: object) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        from_plain(plain)

"""The same code a moment ago: remembered for its window, for its way, and no longer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.credentials import AntiPassback, PassbackOptions
from agent.credentials.freshness import Age, missing
from agent.model import ClockState, TimeBounds


def test_within_the_window_this_way() -> None:
    repeats = AntiPassback(PassbackOptions(window_s=600))
    repeats.admitted("in", [b"a"], 100)
    assert repeats.is_repeat("in", [b"a"], 699)
    assert not repeats.is_repeat("in", [b"a"], 700)
    assert not repeats.is_repeat("other", [b"a"], 101)
    assert not repeats.is_repeat("in", [b"b"], 101)


def test_it_can_be_switched_off() -> None:
    repeats = AntiPassback(PassbackOptions(window_s=0))
    repeats.admitted("in", [b"a"], 100)
    assert not repeats.is_repeat("in", [b"a"], 100)


def test_a_code_without_key_is_never_a_repeat() -> None:
    repeats = AntiPassback(PassbackOptions())
    repeats.admitted("in", [b""], 100)
    assert not repeats.is_repeat("in", [b""], 100)


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=2), st.floats(0, 10)), max_size=60))
def test_memory_is_bounded_and_nothing_in_the_window_is_forgotten_before_it_is_full(
    steps: list[tuple[bytes, float]],
) -> None:
    repeats, last, at_s = AntiPassback(PassbackOptions(window_s=30, most=16)), {}, 0.0
    for code, pause_s in steps:
        at_s += pause_s
        expected = code in last and at_s - last[code] < 30
        newest = sorted(last, key=last.__getitem__)[-15:]
        if code in newest or not expected:
            assert repeats.is_repeat("in", [code], at_s) is expected
        repeats.admitted("in", [code], at_s)
        last[code] = at_s
    assert len(repeats._seen["in"]) <= 16


def test_whatever_is_shown_at_an_exit_makes_nobody_new_at_an_entry() -> None:
    repeats = AntiPassback(PassbackOptions(window_s=36_000, most=16))
    repeats.admitted("in", [b"anna"], 100)
    for number in range(40):
        repeats.admitted("out", [b"code %d" % number], 101)
    assert repeats.is_repeat("in", [b"anna"], 102)
    assert repeats.is_repeat("out", [b"code 39"], 102)
    assert not repeats.is_repeat("out", [b"code 0"], 102)


@pytest.mark.parametrize(
    ("at", "fault"),
    [
        (1000.0, ""),
        (9000.0, "2 hours old: people are admitted with a notice until a newer one comes"),
        (90_000.0, "25 hours old: everybody goes to staff until a newer one comes"),
        (float("inf"), "missing, or of unknown age: everybody goes to staff until a newer one comes"),
    ],
)
def test_what_is_told_of_an_age(at: float, fault: str) -> None:
    age = Age("status list of demo", 900.0, warn_age_s=3600, max_age_s=86_400)
    assert age.fault(TimeBounds(900.0, at, ClockState.SYNCED)) == fault


def test_a_missing_list_is_told() -> None:
    assert missing("list x").fault(TimeBounds(1.0, 2.0, ClockState.SYNCED)).startswith("missing")

"""From whom a baseline has learnt lately: never twice within the window, in a fixed amount of memory."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from agent.screening.learnt import MOST, QUARTERS, RecentlyLearnt

WINDOW_S = 1000.0
keys = st.integers(-(1 << 63), (1 << 63) - 1)


@given(st.lists(st.tuples(keys, st.floats(0, 600)), max_size=60))
def test_nobody_is_new_twice_within_the_window(visits: list[tuple[int, float]]) -> None:
    recent, at_s = RecentlyLearnt(WINDOW_S), 0.0
    last_s: dict[int, float] = {}
    for key, later_s in visits:
        at_s += later_s
        is_new = recent.is_new(key, at_s)
        since_s = at_s - last_s.get(key, -10 * WINDOW_S)
        if since_s < WINDOW_S:
            assert not is_new
        if is_new:
            last_s[key] = at_s


def test_after_the_window_and_a_quarter_everybody_is_new() -> None:
    recent = RecentlyLearnt(WINDOW_S)
    assert recent.is_new(hash(b"anna"), 0.0)
    assert not recent.is_new(hash(b"anna"), WINDOW_S)
    assert recent.is_new(hash(b"anna"), WINDOW_S * (1 + 1 / QUARTERS))


def test_few_strangers_are_taken_for_known_and_beyond_the_most_all_are() -> None:
    recent = RecentlyLearnt(WINDOW_S)
    new = sum(recent.is_new(hash((number, b"holder")), 0.0) for number in range(MOST))
    assert new > 0.99 * MOST
    more = [recent.is_new(hash((number, b"other")), 0.0) for number in range(MOST)]
    assert sum(more) == MOST - new
    assert recent.is_new(hash(b"late"), WINDOW_S / QUARTERS), "the next quarter has room"


def test_its_memory_does_not_grow_with_the_people() -> None:
    recent = RecentlyLearnt(WINDOW_S)
    for number in range(4000):
        recent.is_new(hash((number, b"holder")), float(number))
    held = [sys.getsizeof(quarter.bits) for quarter in recent._quarters]
    assert len(held) <= QUARTERS + 1
    assert sum(held) < 100_000

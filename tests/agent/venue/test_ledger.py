"""The ledger is what its entries are: folded again, cut, compacted."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kiosk_bench import MONDAY_UTC, OFFSET_S

from agent.venue.entries import NO_LANE, SIZE, Entry, What, pack, unpack
from agent.venue.ledger import DAY_S, Ledger


def clock(at: int, utc: int) -> Entry:
    return Entry(at, NO_LANE, What.CLOCK, number=utc)


BOOT = Entry(100, NO_LANE, What.BOOT)


def day_ledger(*entries: Entry) -> Ledger:
    return Ledger(OFFSET_S).fold([BOOT, clock(200, MONDAY_UTC + 3600), *entries])


def state(ledger: Ledger) -> dict[str, object]:
    """All that a ledger knows, but for how its entries are stored."""
    return {
        name: getattr(ledger, name)
        for name in ("inside", "exact", "cases", "reported", "total_in", "total_out", "since_utc", "gave")
    }


def test_an_entry_has_eighteen_bytes_and_comes_back() -> None:
    entry = Entry(-5, 3, What.CASE, 4, 1, 65_535, 0xFFFF_FFFF, 7)
    assert SIZE == 18
    assert unpack(pack([entry]) + b"half") == [entry]


def test_people_come_and_go() -> None:
    ledger = day_ledger(*[Entry(300, 0, What.IN)] * 3, Entry(400, 1, What.OUT))
    tally = ledger.tally(ledger.day_of(MONDAY_UTC))
    assert (ledger.inside, tally.came, tally.left, tally.most) == (2, 3, 1, 3)


def test_nobody_can_leave_an_empty_room_of_one_kiosk_but_by_another_of_several() -> None:
    assert day_ledger(Entry(300, 1, What.OUT)).inside == 0
    assert Ledger(shared=True).fold([Entry(300, 1, What.OUT)]).inside == -1


def test_entries_before_the_clock_is_known_count_at_once_and_are_dated_when_it_is() -> None:
    ledger = Ledger(OFFSET_S).fold([BOOT, Entry(150, 0, What.IN)])
    assert (ledger.inside, ledger.days) == (1, {})
    ledger.apply(clock(36_000 * 20, MONDAY_UTC + DAY_S + 7200))
    day = ledger.day_of(MONDAY_UTC)
    assert ledger.days[day].came == 1, "the entry is 20 hours old: it was yesterday"
    assert ledger.days[day].dated


def test_entries_of_a_boot_that_never_knew_the_time_are_counted_on_the_day_before_and_said_to_be_undated() -> None:
    ledger = day_ledger(Entry(300, 0, What.IN))
    ledger.fold([BOOT, Entry(150, 0, What.IN), BOOT])
    tally = ledger.tally(ledger.day_of(MONDAY_UTC))
    assert (tally.came, tally.dated, ledger.inside) == (2, False, 2)


def test_power_is_counted_from_boot_to_the_last_entry() -> None:
    ledger = day_ledger(Entry(200 + 36_000, NO_LANE, What.ALIVE))
    ledger.fold([BOOT, clock(200, MONDAY_UTC + 4 * 3600)])
    assert ledger.powered_s(MONDAY_UTC, MONDAY_UTC + DAY_S, MONDAY_UTC + 5 * 3600) == pytest.approx(7220)


def test_a_clock_that_is_set_back_puts_nothing_into_a_day_that_was_reported() -> None:
    day = day_ledger().day_of(MONDAY_UTC)
    ledger = day_ledger(Entry(300, NO_LANE, What.REPORTED, number=day), Entry(400, 0, What.IN))
    assert ledger.tally(day).came == 0
    assert ledger.tally(day + 1).came == 1


entry_lists = st.lists(
    st.one_of(
        st.sampled_from([What.IN, What.OUT]).map(lambda what: (0, what)),
        st.integers(1, 5).map(lambda case: (case, What.CASE)),
        st.integers(1, 5).map(lambda case: (case, What.ANSWERED)),
        st.integers(0, 30).map(lambda count: (count, What.COUNT)),
        st.just((0, What.BOOT)),
        st.just((0, What.DAMAGED)),
        st.sampled_from([What.DOWN, What.UP, What.OFFLINE, What.ONLINE]).map(lambda what: (0, what)),
        st.sampled_from([What.DUTY, What.DECIDED]).map(lambda what: (0, what)),
    ),
    max_size=40,
)


def history(steps: list[tuple[int, int]], pace_s: int) -> list[Entry]:
    """Entries of these steps; the clock is known after each boot."""
    entries, at, utc = [BOOT, clock(100, MONDAY_UTC)], 100, MONDAY_UTC
    for number, what in steps:
        at, utc = at + pace_s * 10, utc + pace_s
        if what == What.BOOT:
            at = 100
            entries += [BOOT, clock(at, utc)]
        elif what in (What.CASE, What.ANSWERED):
            entries.append(Entry(at, 0, what, value=1, case=number))
        else:
            entries.append(Entry(at, 0, what, number=number if what == What.COUNT else 0))
    return entries


@given(entry_lists, st.integers(60, 20_000))
def test_folded_from_bytes_it_is_the_same(steps: list[tuple[int, int]], pace_s: int) -> None:
    entries = history(steps, pace_s)
    one, other = Ledger(OFFSET_S).fold(entries), Ledger(OFFSET_S).fold_bytes(pack(entries))
    assert state(one) == state(other)
    assert one.days == other.days


@given(entry_lists, st.integers(60, 20_000), st.integers(0, 5))
def test_compacted_it_knows_all_that_is_needed_after_the_day(
    steps: list[tuple[int, int]], pace_s: int, days: int
) -> None:
    ledger = Ledger(OFFSET_S).fold(history(steps, pace_s))
    day = ledger.day_of(MONDAY_UTC) + days
    again = Ledger(OFFSET_S).fold_bytes(ledger.compacted(day))
    assert (again.inside, again.exact, again.total_in, again.total_out) == (
        ledger.inside, ledger.exact, ledger.total_in, ledger.total_out,
    )  # fmt: skip
    assert again.cases.keys() == ledger.cases.keys()
    for later in range(day + 1, day + 12):
        mine, theirs = ledger.tally(later), again.tally(later)
        assert (mine.came, mine.left, mine.opened, mine.decided, mine.duties) == (
            theirs.came, theirs.left, theirs.opened, theirs.decided, theirs.duties,
        )  # fmt: skip
        assert ledger.unanswered(later) == again.unanswered(later)


@given(entry_lists, st.integers(60, 20_000), st.integers(0, 3), st.integers(0, 3))
def test_compacted_twice_is_compacted_once(
    steps: list[tuple[int, int]], pace_s: int, first: int, more: int
) -> None:
    ledger = Ledger(OFFSET_S).fold(history(steps, pace_s))
    day = ledger.day_of(MONDAY_UTC) + first
    once = Ledger(OFFSET_S).fold_bytes(ledger.compacted(day + more))
    twice = Ledger(OFFSET_S).fold_bytes(Ledger(OFFSET_S).fold_bytes(ledger.compacted(day)).compacted(day + more))
    assert state(once) == state(twice)


@given(st.binary(max_size=400))
def test_any_bytes_can_be_folded(data: bytes) -> None:
    Ledger(OFFSET_S).fold_bytes(data)


def test_twenty_thousand_passages_are_folded_at_start_in_time_and_fit_into_memory() -> None:
    ledger, chance = day_ledger(), random.Random(1)
    for number in range(20_000):
        at = 1000 + number * 20
        ledger.apply(Entry(at, 0, What.DECIDED, 3, 1))
        ledger.apply(Entry(at, 0, chance.choice((What.IN, What.OUT))))
    data = ledger.entries
    assert len(data) < 800_000
    best_s = 9.0
    for _ in range(3):
        began = time.process_time()
        Ledger(OFFSET_S).fold_bytes(data)
        best_s = min(best_s, time.process_time() - began)
    assert best_s < 0.4, f"folded in {best_s * 1000:.0f} ms of processor time"

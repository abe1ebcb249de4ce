"""Random days of a venue's ledger, and what they have found; the long run is `python …/venue_days.py 3000`."""

from __future__ import annotations

import pytest
from kiosk_bench import DAY_S, HOUR_S, SCHOOL, Kiosk, roster_of
from venue_days import wrong_openings

from agent.model import PermitKind, PermitState, RoomState
from agent.venue import Venue, Written
from agent.venue.ledger import Ledger

VISITORS = {"once": PermitKind("visitor", uses=1), "family": PermitKind("visitor", party=2)}


def kiosk_of(**room: object) -> Kiosk:
    wanted = {"capacity": 5, "daily": 100, "closes": '"21:00"', **room}
    text = ", ".join(f"{key} = {value}" for key, value in wanted.items() if value)
    people = roster_of(dict.fromkeys(VISITORS, ("visitor", "", 0)), VISITORS)
    return Kiosk(SCHOOL.replace('capacity = 5, daily = 100, closes = "21:00"', text), people)


def set_clock(kiosk: Kiosk, seconds: float) -> None:
    """The wall clock is set; the time since boot is what it was."""
    kiosk.boot_utc += seconds
    kiosk.utc += seconds
    kiosk.wait(60)


def lose_ledger(kiosk: Kiosk) -> None:
    kiosk.disk, kiosk.pending = [], []
    kiosk.venue = Venue(kiosk.name, kiosk.venue._lanes, lambda: kiosk.force)
    kiosk.write(Written(kiosk.venue.begin(kiosk.at_s)))
    kiosk.write(Written(kiosk.venue.restore(b"", kiosk.at_s, damaged=True)))
    kiosk.wait(60)


def test_no_clock_that_was_wrong_or_not_known_lets_anybody_in_once_it_is_right() -> None:
    wrong, counts = wrong_openings(range(100))
    assert not wrong
    assert counts["admitted"] > 600


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        ("was_wrong", lambda *_args: False),
        ("_cut", lambda self, _day: len(self)),
        ("came_since", lambda *_args: 0),
    ],
)
def test_the_days_find_a_ledger_that_is_wrong(monkeypatch: pytest.MonkeyPatch, what, instead) -> None:
    monkeypatch.setattr(Ledger, what, instead)
    assert any(wrong_openings(range(seed, seed + 20))[0] for seed in range(0, 4000, 20))


def test_a_closing_time_that_came_too_early_makes_no_room_once_the_clock_is_right() -> None:
    kiosk = kiosk_of()
    kiosk.until(14)
    for _ in range(4):
        kiosk.pass_by("guest")
    kiosk.pass_by("once")
    set_clock(kiosk, 8 * HOUR_S)
    kiosk.pass_by("guest", lane="out")
    set_clock(kiosk, -8 * HOUR_S)
    assert kiosk.facts("once").permit is PermitState.USED
    assert kiosk.facts("guest").room is RoomState.BUSY
    kiosk.pass_by("guest")
    assert kiosk.facts("guest").room is RoomState.FULL
    kiosk.until(21.1)
    assert kiosk.venue.occupancy(kiosk.at_s)["inside"] == 0


def test_after_a_day_that_was_reported_too_early_staff_have_to_count() -> None:
    kiosk = kiosk_of()
    kiosk.until(14)
    kiosk.pass_by("once")
    set_clock(kiosk, 16 * HOUR_S)
    set_clock(kiosk, -16 * HOUR_S)
    assert (kiosk.facts("once").permit, kiosk.facts("guest").room) == (PermitState.USED, RoomState.UNKNOWN)
    kiosk.state("count", number=1)
    assert kiosk.facts("guest").room is RoomState.FREE
    kiosk.until(1)
    (early, again) = [report for report in kiosk.reports if report.type == "day"]
    assert (early.day, early.complete) == (again.day, again.complete)


def three_came_without_the_time() -> Kiosk:
    """A kiosk in the morning after a night without power: as many have come as may on a day."""
    kiosk = kiosk_of(daily=3)
    kiosk.until(20)
    kiosk.stop(off_s=11 * HOUR_S)
    kiosk.knows_time = False
    for name in ("once", "guest", "guest"):
        kiosk.pass_by(name)
    return kiosk


def test_who_came_before_the_time_was_learnt_counts_for_that_day() -> None:
    kiosk = three_came_without_the_time()
    kiosk.wait(60)
    kiosk.knows_time = True
    kiosk.wait(60)
    assert (kiosk.facts("once").permit, kiosk.facts("guest").room) == (PermitState.USED, RoomState.FULL)
    kiosk.until(0.5)
    days = [report for report in kiosk.reports if report.type == "day"]
    assert [(day.came, day.decisions.get("visitor", {})) for day in days] == [(0, {}), (3, {"admit": 1})]


def test_who_came_before_a_restart_without_the_time_may_have_come_today() -> None:
    kiosk = three_came_without_the_time()
    kiosk.stop()
    kiosk.knows_time = True
    kiosk.wait(60)
    assert (kiosk.facts("once").permit, kiosk.facts("guest").room) == (PermitState.USED, RoomState.FULL)
    kiosk.wait(DAY_S)
    assert kiosk.facts("once").permit is PermitState.VALID
    assert kiosk.facts("guest").room is RoomState.FREE
    assert [report.came for report in kiosk.reports if report.type == "day"] == [3, 0], "told once"


@pytest.mark.parametrize("learns", [True, False])
def test_who_came_before_a_report_without_a_date_may_have_come_today(learns: bool) -> None:
    kiosk = kiosk_of(daily=3)
    kiosk.until(10)
    kiosk.stop()
    kiosk.knows_time = False
    kiosk.until(9)
    for name in ("once", "guest", "guest"):
        kiosk.pass_by(name)
    kiosk.until(11)
    assert [report.dated for report in kiosk.reports if report.type == "day"] == [False]
    kiosk.knows_time = learns
    kiosk.wait(60)
    assert (kiosk.facts("once").permit, kiosk.facts("guest").room) == (PermitState.USED, RoomState.FULL)
    kiosk.wait(2 * DAY_S)
    assert (kiosk.facts("once").permit, kiosk.facts("guest").room) == (PermitState.VALID, RoomState.FREE)
    assert sum(report.came for report in kiosk.reports if report.type == "day") == 3, "told once"


def test_closing_time_is_no_count_by_staff() -> None:
    kiosk = kiosk_of()
    kiosk.until(20)
    kiosk.pass_by("once")
    kiosk.state("shut", "in", number=10_000)
    lose_ledger(kiosk)
    kiosk.until(21.1)
    assert kiosk.venue.occupancy(kiosk.at_s)["inside"] == 0
    assert "in" in kiosk.venue.shut_lanes(kiosk.now)
    assert (kiosk.facts("once").permit, kiosk.facts("guest").room) == (PermitState.USED, RoomState.UNKNOWN)
    kiosk.state("count", number=0)
    assert kiosk.facts("guest").room is RoomState.FREE


def test_closing_time_that_comes_late_leaves_those_inside_who_came_since_with_a_permit() -> None:
    kiosk = kiosk_of()
    kiosk.until(20)
    kiosk.pass_by("family")
    kiosk.pass_by("guest")
    kiosk.stop(off_s=11 * HOUR_S)
    kiosk.knows_time = False
    kiosk.pass_by("family")
    kiosk.pass_by("guest", lane="out")
    kiosk.knows_time = True
    kiosk.wait(60)
    assert kiosk.venue.ledger.inside == 0
    assert kiosk.facts("family").permit is PermitState.VALID, "who came yesterday is gone"
    kiosk.pass_by("family")
    assert kiosk.facts("family").permit is PermitState.USED


def test_a_lane_that_was_shut_by_a_clock_behind_stays_shut_for_its_time() -> None:
    kiosk = kiosk_of()
    kiosk.until(14)
    set_clock(kiosk, -3 * HOUR_S)
    kiosk.state("shut", "in", number=60)
    set_clock(kiosk, 3 * HOUR_S)
    assert "in" in kiosk.venue.shut_lanes(kiosk.now)
    kiosk.wait(HOUR_S)
    assert "in" not in kiosk.venue.shut_lanes(kiosk.now)


def test_a_clock_that_was_ahead_by_days_shuts_no_lane() -> None:
    kiosk = kiosk_of(capacity=0, daily=0)
    kiosk.until(14)
    kiosk.state("shut", "ward", number=600)
    for seconds in (2 * DAY_S, -2 * DAY_S):
        set_clock(kiosk, seconds)
    assert kiosk.venue.shut_lanes(kiosk.now) == {"ward"}
    assert kiosk.facts("guest").room is RoomState.FREE

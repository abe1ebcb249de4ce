"""Several kiosks whole, one room: never beyond the capacity after damage, counts, closing time and new rules."""

from __future__ import annotations

import json

import pytest
from kiosk_bench import DAY_S, HOUR_S, MONDAY_UTC, Kiosk

from agent.model import Attestation, RoomState
from agent.model.reasons import StatementRefusal
from agent.venue import Venue, VenueInForce, Written
from agent.venue.room import tally_content
from agent.venue.rules import parse_venue

ALONE = 'name = "hall"\nutc_offset_min = 480\nroom = {capacity = 10}\n'
KIOSKS = 'kiosks = ["gate-1", "gate-2"]'
CLOSING = 'name = "hall"\nutc_offset_min = 480\nroom = {capacity = 10, closes = "21:00"}\n'
SHARED = f'name = "hall"\nutc_offset_min = 480\nroom = {{capacity = 10, {KIOSKS}, closes = "21:00"}}\n'


def tell(speaker: Kiosk, hearer: Kiosk) -> None:
    content = json.loads(json.dumps(tally_content(speaker.venue.tally)))
    hearer.write(Written(hearer.venue.on_peer_tally(speaker.name, content)))
    hearer.commit()


def share(*kiosks: Kiosk) -> None:
    """All hear each other, and give places."""
    for _ in range(8):
        for kiosk in kiosks:
            kiosk.write(Written(kiosk.venue.share(kiosk.at_s)))
            kiosk.commit()
            for other in kiosks:
                if other is not kiosk:
                    tell(kiosk, other)


def admits(*kiosks: Kiosk) -> int:
    """How many more come in until all are full."""
    came = 0
    for _ in range(60):
        for kiosk in kiosks:
            if kiosk.venue.room_state(kiosk.at_s) in (RoomState.FREE, RoomState.BUSY):
                kiosk.pass_by(f"p{came}")
                came += 1
        share(*kiosks)
    return came


def pair(text: str = SHARED, utc: float = MONDAY_UTC + 6 * HOUR_S) -> tuple[Kiosk, Kiosk]:
    one, other = Kiosk(text, kiosk="gate-1", utc=utc), Kiosk(text, kiosk="gate-2", utc=utc)
    for kiosk in (one, other):
        kiosk.tick()
        kiosk.commit()
    return one, other


def test_a_kiosk_whose_ledger_is_damaged_gives_no_places_that_it_may_not_have() -> None:
    one, other = pair()
    share(one, other)
    assert admits(one, other) == 10
    one.venue = Venue("gate-1", {"in": one.venue._lanes["in"]}, lambda: one.force)
    one.venue.begin(one.at_s)
    one.venue.restore(b"", one.at_s, damaged=True)
    assert admits(one, other) == 0


def test_places_of_a_kiosk_that_lost_entries_while_it_ran_are_not_given_away() -> None:
    one, other = pair()
    share(one, other)
    for _ in range(4):
        other.pass_by("p")
    one.venue.lose(one.at_s)
    one.venue.share(one.at_s)
    assert not one.venue.tally.gave.get("gate-2", 0)


@pytest.mark.parametrize("at_night", [False, True])
def test_who_left_uncounted_while_a_kiosk_was_alone_gives_no_places_when_the_room_is_shared(at_night) -> None:
    one = Kiosk(ALONE, kiosk="gate-1")
    one.tick()
    for _ in range(7):  # they had followed others in
        one.pass_by(lane="out")
    if at_night:
        one.wait(DAY_S)
    one.force = VenueInForce(parse_venue(SHARED))
    other = Kiosk(SHARED, kiosk="gate-2", utc=one.utc)
    for kiosk in (one, other):
        kiosk.tick()
    share(one, other)
    assert admits(one, other) == 10
    one.cut()
    share(one, other)
    assert admits(one, other) == 0


def test_a_count_sets_a_shared_room_right_below_zero_too() -> None:
    one, other = pair()
    for _ in range(4):  # they had followed others in
        one.pass_by(lane="out")
    share(one, other)
    assert one.state("count", number=0).reason is None
    share(one, other)
    assert admits(one, other) == 10


def test_who_comes_by_another_kiosk_while_a_count_is_on_its_way_is_inside_as_well() -> None:
    one, other = pair()
    for kiosk in (one, other):
        for _ in range(3):
            kiosk.pass_by("p")
    share(one, other)
    counted = Attestation(one.at_s, "count", "", 6)
    for kiosk in (one, other):
        kiosk.utc += 4
        kiosk.tick()
    for kiosk in (one, other):
        kiosk.pass_by("p")
    share(one, other)
    answer, written = one.venue.attest("", counted, one.at_s)
    assert answer.text.startswith("8 inside; +0"), "six were counted, and two came since"
    assert written is not None
    one.write(written)
    share(one, other)
    assert admits(one, other) == 2


def test_a_count_of_before_another_kiosk_was_heard_is_not_taken() -> None:
    """Who came by it since, and before it was heard, is not known here."""
    one, other = pair()
    one.utc += 60
    counted = Attestation(one.at_s, "count", "", 0)
    one.utc += 60
    other.utc += 120
    for _ in range(3):
        other.pass_by("p")
    one.tick()
    share(one, other)
    answer, written = one.venue.attest("", counted, one.at_s)
    assert (answer.reason, written) == (StatementRefusal.EXPIRED, None)
    assert one.state("count", number=3).reason is None


def test_a_count_at_one_kiosk_knows_what_another_counts_since_its_ledger_was_damaged() -> None:
    one, other = pair()
    for _ in range(5):
        one.pass_by("p")
    for _ in range(5):
        one.pass_by(lane="out")
    for _ in range(5):
        one.pass_by("p")
    share(one, other)
    one.write(Written(one.venue.lose(one.at_s)))
    one.disk, one.pending = [], []
    one.venue = Venue("gate-1", one.venue._lanes, lambda: one.force)
    one.venue.begin(one.at_s)
    one.venue.restore(b"", one.at_s, damaged=True)
    share(one, other)
    assert one.state("count", number=5).reason is None
    for _ in range(3):
        one.pass_by(lane="out")
    share(one, other)
    assert other.state("count", number=2).text.startswith("2 inside; +0")
    share(one, other)
    assert admits(one, other) == 8


@pytest.mark.parametrize("knows_time", [True, False])
def test_closing_time_that_a_kiosk_of_the_room_slept_through_gives_no_places(knows_time: bool) -> None:
    """All come in by one and leave by the other, whose power is off at night."""
    one, other = pair()
    for day in range(3):
        share(one, other)
        came = admits(one, other)
        assert came <= 10, day
        for _ in range(came):
            other.pass_by(lane="out")
        share(one, other)
        assert came == 10 or not knows_time
        one.until(22)
        other.until(20)
        other.knows_time = knows_time
        other.stop(off_s=11 * HOUR_S)
        other.tick()
        one.until(7)


def test_who_is_inside_at_closing_time_without_power_has_gone_and_who_came_since_has_not() -> None:
    kiosk = Kiosk(CLOSING)
    kiosk.tick()
    for n in range(4):
        kiosk.pass_by(f"p{n}")
    kiosk.until(20)
    kiosk.stop(off_s=10 * HOUR_S)  # 06:00
    kiosk.knows_time = False
    for n in range(2):
        kiosk.pass_by(f"p{n}")
    kiosk.wait(600)
    kiosk.knows_time = True
    kiosk.tick()
    assert kiosk.venue.occupancy(kiosk.at_s)["inside"] == 2
    kiosk.wait(DAY_S)
    assert kiosk.venue.occupancy(kiosk.at_s)["inside"] == 0


def test_who_came_after_closing_time_before_the_clock_was_known_still_counts() -> None:
    kiosk = Kiosk(CLOSING)
    kiosk.tick()
    kiosk.until(20)
    kiosk.stop(off_s=1.5 * HOUR_S)
    kiosk.knows_time = False
    for n in range(3):
        kiosk.pass_by(f"p{n}")
    kiosk.wait(600)
    kiosk.knows_time = True
    kiosk.tick()
    assert kiosk.venue.occupancy(kiosk.at_s)["inside"] == 3


def minute(*kiosks: Kiosk, apart: bool = False) -> None:
    """A minute passes; every two seconds all tell each other what they count, unless they are cut off."""
    for _ in range(30):
        for kiosk in kiosks:
            kiosk.wait(2.0, 2.0)
        if not apart:
            share(*kiosks)


def test_who_leaves_after_closing_time_makes_no_place_on_the_next_day() -> None:
    one, other = pair()
    minute(one, other)
    assert admits(one, other) == 10
    for kiosk in (one, other):
        kiosk.until(21.1)
    minute(one, other)
    for _ in range(10):
        other.pass_by(lane="out")
    for _ in range(12):
        minute(one, other)
    for kiosk in (one, other):
        kiosk.until(7)
    minute(one, other)
    assert admits(one, other) == 10


def test_who_leaves_by_a_kiosk_that_was_cut_off_leaves_a_place() -> None:
    """The kiosk that they leave by has not heard that they came."""
    one, other = pair()
    minute(one, other)
    minute(one, other, apart=True)
    came = 0
    while one.venue.room_state(one.at_s) in (RoomState.FREE, RoomState.BUSY):
        one.pass_by(f"p{came}")
        came += 1
    for _ in range(came):
        other.pass_by(lane="out")
    minute(one, other)
    assert admits(one, other) == 10


def test_who_left_uncounted_while_a_kiosk_was_cut_off_makes_no_place_once_it_is_not() -> None:
    one, other = pair()
    minute(one, other)
    minute(one, other, apart=True)
    for _ in range(4):  # they had followed others in
        other.pass_by(lane="out")
    minute(one, other)
    assert admits(one, other) == 10


def test_a_kiosk_that_closes_some_minutes_later_takes_no_places_with_it() -> None:
    one, other = pair()
    minute(one, other)
    assert admits(one, other) == 10
    for _ in range(10):
        other.pass_by(lane="out")
    one.until(21)
    other.until(20.99)
    other.knows_time = False
    for _ in range(3):
        minute(one, other)
    other.knows_time = True
    for _ in range(12):
        minute(one, other)
    assert admits(one, other) == 10


def test_a_count_while_a_kiosk_is_cut_off_asks_for_another_one() -> None:
    one, other = pair()
    minute(one, other)
    assert admits(one, other) == 10
    minute(one, other)
    assert one.state("count", number=10).text == "10 inside; +0 against the count so far."
    minute(one, other, apart=True)
    for _ in range(4):
        other.pass_by(lane="out")
    assert "Count again when gate-2 is connected" in one.state("count", number=6).text
    assert one.venue.occupancy(one.at_s)["unheard"] == ["gate-2"]
    minute(one, other)
    assert one.venue.occupancy(one.at_s)["unheard"] == []
    assert one.state("count", number=6).text == "6 inside; +4 against the count so far."
    minute(one, other)
    assert admits(one, other) == 4


def test_places_that_a_count_makes_go_to_the_kiosk_by_which_too_many_came_in() -> None:
    """A power cut counts one more at the other kiosk: a count here takes that one out, and gives it back there."""
    one, other = pair()
    share(one, other)
    assert admits(one, other) == 10
    other.cut()
    share(one, other)
    assert one.state("count", number=10).reason is None
    told = [kiosk.venue.room_state(kiosk.at_s) for kiosk in (one, other)]  # before either hears of it
    assert told == [RoomState.FULL, RoomState.FULL]
    share(one, other)
    assert admits(one, other) == 0


def test_who_came_by_one_kiosk_and_left_by_another_makes_no_place_twice_at_closing_time() -> None:
    """The other is cut off from closing time on, and so takes none back."""
    one, other = pair()
    for _ in range(8):
        one.pass_by("p")
        share(one, other)
    for _ in range(6):
        other.pass_by(lane="out")
        share(one, other)
    for kiosk in (one, other):
        kiosk.until(21.1)
    came = {"gate-1": 0, "gate-2": 0}
    for kiosk in (one, other):
        while kiosk.venue.room_state(kiosk.at_s) in (RoomState.FREE, RoomState.BUSY):
            kiosk.pass_by("p")
            came[kiosk.name] += 1
    assert sum(came.values()) == 10


def test_who_left_by_a_kiosk_without_the_time_makes_no_place_twice() -> None:
    """It may have been before closing time, at which the other counts all as gone who came by it."""
    one, other = pair(utc=MONDAY_UTC + 19 * HOUR_S)
    for _ in range(4):
        one.pass_by("p")
    share(one, other)
    other.knows_time = False
    other.cut()
    for _ in range(4):
        other.pass_by(lane="out")
    one.until(21.1)
    assert admits(one, other) <= 10

"""Trips of a vehicle: begun by the driver's badge or by staff, over restarts and midnight, with place and seat."""

from __future__ import annotations

from dataclasses import replace

import pytest
from kiosk_bench import HOUR_S, Kiosk, roster_of

from agent.model import Outcome, PermitKind
from agent.model.reasons import StatementRefusal
from agent.venue import Vehicle
from agent.venue.cases import parse_case
from drivers.contract import Fix

BUS = """
name = "line-7"
utc_offset_min = 480
round = [{name = "morning", from = "05:00", until = "09:00", roles = ["driver"]}]
badges = ["D01", "D02"]
"""
PEOPLE = {"dave": ("driver", "", 1), "dora": ("driver", "", 2), "paul": ("passenger", "", 17)}
PLATE = "沪A12345"


@pytest.fixture
def bus() -> Kiosk:
    kiosk = Kiosk(BUS, roster_of(PEOPLE, {"paul": PermitKind("passenger", uses=1)}))
    kiosk.force = replace(kiosk.force, vehicle=Vehicle(PLATE, 45))
    return kiosk


def drive(kiosk: Kiosk, name: str, **more):
    passage = kiosk.pass_by(name, **more)
    for written in kiosk.venue.pop_follow_ups():
        kiosk.write(written)
    kiosk.commit()
    return passage


def test_the_drivers_badge_begins_a_trip_and_passengers_carry_it_with_seat_and_place(bus: Kiosk) -> None:
    assert bus.pass_by("paul").venue.trip == ""
    begun = drive(bus, "dave")
    assert parse_case(begun.venue.trip)
    bus.venue.fix = Fix(31.23041234, 121.47371234, 4.26, bus.at_s - 30.0)
    bus.utc += HOUR_S / 60
    paul = bus.pass_by("paul")
    assert (paul.venue.trip, paul.venue.seat) == (begun.venue.trip, 17)
    place = paul.venue.place
    assert (place.lat, place.lon, place.u_m) == (31.230412, 121.473712, 4.3)
    assert place.age_s == pytest.approx(90.0)
    (record,) = bus.records
    assert (record.type, record.value, record.private) == ("trip", begun.venue.trip, {"plate": PLATE})


def test_a_place_that_is_long_ago_is_none(bus: Kiosk) -> None:
    drive(bus, "dave")
    bus.venue.fix = Fix(31.2, 121.4, 4.0, bus.at_s)
    bus.utc += 700
    assert bus.pass_by("paul").venue.place is None


def test_the_same_driver_drives_on_and_another_begins_a_trip_of_his_own(bus: Kiosk) -> None:
    first = drive(bus, "dave").venue.trip
    assert drive(bus, "dave").venue.trip == first
    assert drive(bus, "dora").venue.trip not in ("", first)
    bus.wait(60)
    assert bus.venue.report_now(bus.now).trips == 2


def test_a_driver_who_is_not_let_in_begins_nothing(bus: Kiosk) -> None:
    assert drive(bus, "dave", outcome=Outcome.REFER).venue.trip == ""
    assert drive(bus, "dave", drill=True).venue.trip == ""
    assert not bus.records


def test_a_trip_goes_on_over_a_power_cut_and_midnight_and_days_offline(bus: Kiosk) -> None:
    bus.until(23.5)
    trip = drive(bus, "dave").venue.trip
    bus.cut(off_s=300)
    bus.until(0.5)
    assert bus.pass_by("paul").venue.trip == trip
    assert drive(bus, "dora").venue.trip == trip, "who drove before the cut is not kept: the trip goes on"
    bus.wait(3 * 24 * HOUR_S, step_s=HOUR_S)
    bus.cut(off_s=300)
    assert bus.pass_by("paul").venue.trip == trip
    assert drive(bus, "dora").venue.trip not in ("", trip), "after days a driver's badge begins another"


def test_staff_begin_and_end_trips_by_word(bus: Kiosk) -> None:
    assert bus.state("trip", "end").reason is StatementRefusal.NO_TRIP
    assert bus.state("trip", "begin").reason is None
    trip = bus.pass_by("paul").venue.trip
    assert bus.records[-1].value == trip
    assert trip in bus.state("trip", "end").text
    assert bus.pass_by("paul").venue.trip == ""
    assert bus.state("trip", "fly").reason is StatementRefusal.BAD_VALUE


def test_after_staff_have_ended_a_trip_the_same_drivers_badge_begins_another(bus: Kiosk) -> None:
    first = drive(bus, "dave").venue.trip
    bus.state("trip", "end")
    drive(bus, "dave", lane="out")
    assert bus.venue.ledger.trip == 0, "who leaves begins nothing"
    assert drive(bus, "dave").venue.trip not in ("", first)


def test_without_a_sealing_key_the_plate_is_told_to_nobody(bus: Kiosk) -> None:
    bus.force = replace(bus.force, can_seal=False)
    drive(bus, "dave")
    assert bus.records[-1].private == {}
    assert PLATE not in repr(bus.force)


def test_where_there_is_no_vehicle_there_are_no_trips() -> None:
    kiosk = Kiosk(BUS, roster_of(PEOPLE))
    assert drive(kiosk, "dave").venue.trip == ""
    answer = kiosk.state("trip", "begin")
    assert (answer.reason, "[vehicle]" in answer.text) == (StatementRefusal.NO_VEHICLE, True)


def test_a_badge_of_another_venue_is_refused_in_a_sentence(bus: Kiosk) -> None:
    answer = bus.state("badge", "G99")
    assert answer.text == "Badge G99 is none of line-7: there are D01, D02."
    assert bus.venue.badge == ""
    assert bus.state("badge", "D02").reason is None

"""Rosters: packed, looked up, proved; and every way in which one can be wrong is one sentence."""

from __future__ import annotations

import time
from base64 import b64encode
from zlib import compress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kiosk_bench import HOUR_S, MONDAY_UTC, OFFSET_S

from agent.model import ClockState, Permit, PermitKind, PermitState, TimeBounds, Window
from agent.venue.permits import BadRoster, build_roster, parse_roster, permit_state

permits = st.builds(
    Permit,
    st.binary(min_size=8, max_size=8),
    st.builds(PermitKind, st.sampled_from(["pupil", "staff", "visitor"]), uses=st.integers(0, 3)),
    st.sampled_from(["", "class-1", "class-2", "三年级2班"]),
    st.just(0),
)


@given(st.lists(permits, max_size=40, unique_by=lambda permit: permit.key), st.binary(min_size=8, max_size=8))
def test_whoever_is_on_it_is_found_as_he_stands_there_and_nobody_else(people: list[Permit], other: bytes) -> None:
    roster = parse_roster(build_roster(people))
    assert len(roster) == len(people)
    for permit in people:
        assert roster.find(permit.key + b"the rest of the key") == permit
    if other not in {permit.key for permit in people}:
        assert roster.find(other) is None
    assert roster.find(b"short") is None
    assert sum(roster.expected(()).values()) == len(people)


def test_fifty_thousand_are_opened_and_looked_up_in_no_time_and_fit_into_a_bundle() -> None:
    kind = PermitKind("pupil")
    people = [Permit(number.to_bytes(4) * 2, kind, f"class-{number % 300}", number) for number in range(1, 50_001)]
    content = build_roster(people)
    assert len(content["permits"]) * 4 / 3 < 1_000_000, "within an envelope it is coded once more"
    opened_s = found_s = 9.0
    for _ in range(3):
        began = time.process_time()
        roster = parse_roster(content)
        opened_s = min(opened_s, time.process_time() - began)
        began = time.process_time()
        for permit in people[::50]:
            roster.find(permit.key)
        found_s = min(found_s, (time.process_time() - began) / 1000)
    assert opened_s < 0.5
    assert found_s < 100e-6


ROW = b"k" * 8 + bytes((0, 0, 1)) + (7).to_bytes(2)


def content(**more: object) -> dict[str, object]:
    return {
        "kinds": [{"role": "pupil"}],
        "groups": ["class-1"],
        "permits": b64encode(compress(ROW)).decode(),
        **more,
    }


def packed(*rows: bytes) -> str:
    return b64encode(compress(b"".join(rows))).decode()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (content(permits=packed(ROW, b"m" + ROW[1:])), "two people have the number 7"),
        (content(permits=packed(ROW, ROW)), "one person has two"),
        (content(permits=packed(b"z" + ROW[1:-1] + b"\x01", ROW)), "order of their keys"),
        (content(permits=packed(ROW[:-1])), "within a row"),
        (content(permits="???"), "base64"),
        (content(permits=packed(ROW[:8] + b"\x05" + ROW[9:])), "kind or group"),
        (content(permits=packed(ROW[:9] + b"\x00\x09" + ROW[11:])), "kind or group"),
        (content(groups=["class 1"]), "name of 1 to 32"),
        (content(groups=["class-1", "class-1"]), "cannot be told apart"),
        (content(kinds=[{"role": "king"}]), "resident"),
        (content(kinds=[{"role": "pupil", "uses": -1}]), "0 to 100"),
        (content(kinds=[{"role": "pupil", "hat": 1}]), "hat"),
        (
            content(kinds=[{"role": "pupil", "windows": [{"from": "09:00", "until": "08:00"}]}]),
            "ends before it begins",
        ),
        (content(kinds=[{"role": "pupil", "windows": [{"from": "9"}]}]), "local times"),
        (
            content(
                kinds=[
                    {
                        "role": "pupil",
                        "windows": [{"from": "07:00", "until": "09:00"}, {"from": "08:00", "until": "10:00"}],
                    }
                ]
            ),
            "overlap",
        ),
        (content(kinds=[{"role": "pupil", "windows": [{"from_utc": 20, "until_utc": 10}]}]), "ends before"),
        (content(kinds=[{"role": "pupil", "windows": [{"weekdays": [0]}]}]), "1 (Monday)"),
        ({"kinds": []}, "and nothing else"),
        (None, "and nothing else"),
        ({**content(), "more": 1}, "and nothing else"),
    ],
)
def test_what_is_wrong_with_a_roster_is_one_sentence(wrong: object, sentence: str) -> None:
    with pytest.raises(BadRoster) as found:
        parse_roster(wrong)
    assert sentence in str(found.value)


def test_a_packed_roster_that_would_fill_the_memory_is_refused() -> None:
    with pytest.raises(BadRoster, match="up to 60000"):
        parse_roster(content(permits=b64encode(compress(b"\0" * 20_000_000, 9)).decode()))


def at(hour: float, error_s: float = 1.0, day: int = 0) -> TimeBounds:
    utc = MONDAY_UTC + day * 86_400 + hour * HOUR_S
    return TimeBounds(utc - error_s, utc + error_s, ClockState.SYNCED)


@pytest.mark.parametrize(
    ("windows", "now", "state"),
    [
        ((), at(3), PermitState.VALID),
        ((Window(from_min=480, until_min=600),), at(9), PermitState.VALID),
        ((Window(from_min=480, until_min=600),), at(7), PermitState.EARLY),
        ((Window(from_min=480, until_min=600),), at(11), PermitState.LATE),
        ((Window(from_min=480, until_min=600),), at(8, 60), PermitState.EARLY),
        ((Window(from_min=480, until_min=600),), at(10, 60), PermitState.LATE),
        ((Window(from_min=480, until_min=600), Window(from_min=840, until_min=900)), at(14.2), PermitState.VALID),
        ((Window(from_min=480, until_min=600), Window(from_min=840, until_min=900)), at(11), PermitState.EARLY),
        ((Window(weekdays=(1,)),), at(12), PermitState.VALID),
        ((Window(weekdays=(1,)),), at(12, day=1), PermitState.EARLY),
        ((Window(from_utc=MONDAY_UTC, until_utc=MONDAY_UTC + 3600),), at(0.5), PermitState.VALID),
        ((Window(from_utc=MONDAY_UTC, until_utc=MONDAY_UTC + 3600),), at(2), PermitState.LATE),
        ((Window(from_utc=MONDAY_UTC + 3600),), at(0.5), PermitState.EARLY),
    ],
)
def test_when_a_permit_holds(windows: tuple[Window, ...], now: TimeBounds, state: PermitState) -> None:
    assert permit_state(Permit(b"k" * 8, PermitKind(windows=windows)), now, OFFSET_S, ()) is state


def test_a_permit_for_one_lane_holds_there_only() -> None:
    permit = Permit(b"k" * 8, PermitKind(place="gate-b"))
    assert permit_state(permit, at(9), OFFSET_S, ("hall", "gate-b")) is PermitState.VALID
    assert permit_state(permit, at(9), OFFSET_S, ("hall", "gate-a")) is PermitState.ELSEWHERE

"""venue.toml and zones: read, and every fault one sentence with its range and an example."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kiosk_bench import SCHOOL

from agent.model import ClockState, TimeBounds
from agent.venue.rules import BadVenue, VenueRules, parse_venue
from agent.venue.zones import BadZones, parse_zones

NOW = TimeBounds(1_795_996_800.0, 1_795_996_801.0, ClockState.SYNCED)


def test_a_whole_file() -> None:
    rules = parse_venue(SCHOOL)
    assert (rules.name, rules.register, rules.offset_s, rules.room.closes_min) == (
        "first-school",
        True,
        28_800,
        1260,
    )
    assert [each.name for each in rules.rounds] == ["morning", "noon"]


def test_an_empty_file_is_a_venue_that_asks_for_nothing() -> None:
    assert parse_venue("") == VenueRules(name="venue")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[[[", ["not TOML"]),
        ("hat = 1", ["venue.toml: unknown setting 'hat'"]),
        ("utc_offset_min = 9000", ["-840 to 840", "minutes", "9000"]),
        ("room = {capacity = -1}", ["room.capacity", "0 to 1000000 (people)", "-1"]),
        ("room = 5", ["room is a table"]),
        ('room = {closes = "25:00"}', ["room.closes", '"07:30"']),
        ('room = {kiosks = ["a"]}', ["give room.capacity"]),
        ('room = {capacity = 5, kiosks = ["a", "a"]}', ["one name twice"]),
        (
            'round = [{name = "m", from = "09:00", until = "08:00"}]',
            ["until (08:00)", "later than from (09:00)"],
        ),
        (
            'round = [{name = "m", from = "07:00", until = "09:00"},{name="n", from="08:00", until="09:30"}]',
            ["overlaps", "'m'"],
        ),
        (
            'round = [{name = "m", from = "07:00", until = "08:00", roles = ["king"]}]',
            ["roles are some of resident", "not ['king']"],
        ),
        ('round = [{name = "m", from = "07:00", until = "08:00", weekdays = [8]}]', ["1 (Monday) to 7"]),
        ('round = [{name = "Früh", from = "07:00", until = "08:00"}]', ["no name", "for example morning"]),
        ('duty = [{name = "d", every_h = 0}]', ["0.25 to 24", "hours"]),
        ('duty = [{name = "d"}, {name = "d"}]', ["another duty"]),
        ('mask = "often"', ["none, object, confirm"]),
        ("register = 1", ["true or false"]),
        ("case = {answer_min = 0}", ["case.answer_min", "1 to 1440", "minutes"]),
    ],
)
def test_each_fault_is_one_sentence(text: str, parts: list[str]) -> None:
    with pytest.raises(BadVenue) as found:
        parse_venue(text)
    assert len(found.value.faults) == 1
    for part in parts:
        assert part in str(found.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(BadVenue) as found:
        parse_venue('register = 1\nmask = "no"\nduty = [{name = "d", every_h = 99}]')
    assert len(found.value.faults) == 3


@given(st.one_of(st.text(max_size=80), st.binary(max_size=10), st.none()))
def test_anything_else_is_refused_or_read(text: object) -> None:
    for parse in (parse_venue, parse_zones):
        with contextlib.suppress(BadVenue, BadZones):
            parse(text)


ZONES = """
[[zone]]
region = "53"
level = "low"
[[zone]]
region = "5323"
level = "medium"
[[zone]]
region = "532301"
level = "locked"
from = 2026-11-20T00:00:00Z
until = 2026-12-01T00:00:00Z
[[zone]]
region = "532301"
level = "high"
until = 2026-11-01T00:00:00Z
"""


@pytest.mark.parametrize(
    ("region", "level"),
    [
        (("53", "5323", "532301"), "locked"),
        (("53", "5323", "532399"), "medium"),
        (("5301",), "low"),
        (("44",), ""),
        ((), ""),
    ],
)
def test_the_longest_prefix_wins(region: tuple[str, ...], level: str) -> None:
    assert parse_zones(ZONES).level(region, NOW) == level


@pytest.mark.parametrize(("unsure_s", "level"), [((0, 0), "low"), ((-30, 30), "locked"), ((-60, -30), "locked")])
def test_a_zone_that_is_eased_is_eased_once_that_is_certain(unsure_s: tuple[int, int], level: str) -> None:
    text = """
    [[zone]]
    region = "5323"
    level = "locked"
    [[zone]]
    region = "532301"
    level = "low"
    from = 2026-11-24T04:00:00Z
    """
    eased_utc = datetime(2026, 11, 24, 4, tzinfo=UTC).timestamp()
    now = TimeBounds(eased_utc + unsure_s[0], eased_utc + unsure_s[1], ClockState.HOLDOVER)
    assert parse_zones(text).level(("53", "5323", "532301"), now) == level


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('[[zone]]\nregion = "53"\nlevel = "pink"', "low, medium"),
        ('[[zone]]\nlevel = "low"', "needs region"),
        ('[[zone]]\nregion = "53"\nlevel = "low"\nuntil = 3', "2026-11-20T00:00:00Z"),
        (
            '[[zone]]\nregion = "53"\nlevel = "low"\nfrom = 2026-12-01T00:00:00Z\nuntil = 2026-11-01T00:00:00Z',
            "ends before",
        ),
        ("x = 1", "only [[zone]]"),
    ],
)
def test_what_is_wrong_with_zones(text: str, part: str) -> None:
    with pytest.raises(BadZones) as found:
        parse_zones(text)
    assert part in str(found.value)

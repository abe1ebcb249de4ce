"""A written time is taken as old, and as late, as it can be: nobody gains hours by leaving out the zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.credentials.wallclock import Moment, day_of_year, earliest_end, latest_start, moment

HOUR = 3600.0


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "earliest", "latest"),
    [
        ("2022-01-02T10:00:00Z", "2022-01-02T10:00", "2022-01-02T10:00"),
        ("2022-01-02T10:00:00+08:00", "2022-01-02T02:00", "2022-01-02T02:00"),
        ("2022-01-02T10:00:00", "2022-01-01T20:00", "2022-01-02T22:00"),
        ("2022-01-02 10:00:00.5+00", "2022-01-02T10:00:00.500", "2022-01-02T10:00:00.500"),
        ("2022-01-02T10:00:00+14:00", "2022-01-01T20:00", "2022-01-01T20:00"),
        ("2022-01-02T10:00:00-1200", "2022-01-02T22:00", "2022-01-02T22:00"),
        ("2022-01-02", "2022-01-01T10:00", "2022-01-03T12:00"),
        ("          2022-01-02          ", "2022-01-01T10:00", "2022-01-03T12:00"),
        ("2022-02", "2022-01-31T10:00", "2022-03-01T12:00"),
        ("2022-12", "2022-11-30T10:00", "2023-01-01T12:00"),
        ("2022", "2021-12-31T10:00", "2023-01-01T12:00"),
    ],
)
def test_between_the_first_and_the_last_zone(text: str, earliest: str, latest: str) -> None:
    assert moment(text) == Moment(utc(earliest), utc(latest))


UNREADABLE = """
    2022-13 2022-02-30 0000 9999 9999-12-31 20220131 2022-W05 2022-W05-1 2022-031 2022-01-31T10 20220131T100000Z
    2022-01-31T24:00:00Z 2022-01-31T23:59:60Z 2022-01-31T10:00:00-12:01 2022-01-31T10:00:00+14:01 ２０２２-01-31
    2022-01-31T10:00:00-23:59 2022-01-31T10:00:00+0 0000-01-01T00:00:00Z
"""


@pytest.mark.parametrize("text", [*UNREADABLE.split(), "", "soon", "2022-01-31T10:00:00 UTC", None, 7, True])
def test_what_cannot_be_read(text: object) -> None:
    assert moment(text) is None
    assert latest_start(text) is None
    assert earliest_end(text) is None


@given(st.text() | st.from_regex(r"[0-9]{4}(-[0-9]{2}){0,2}(T[0-9:]{0,8})?(Z|[+-][0-9:]{0,5})?", fullmatch=True))
def test_any_text_is_read_or_refused(text: str) -> None:
    found = moment(text)
    assert found is None or found.earliest_utc <= found.latest_utc


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1)),  # noqa: DTZ001 - the zone comes beside it
    st.integers(-12, 14),
)
def test_the_true_time_is_within_what_is_left_of_it(when: datetime, zone_h: int) -> None:
    true = when.replace(tzinfo=timezone(timedelta(hours=zone_h))).timestamp()
    for text in (when.isoformat(), f"{when:%Y-%m-%d}", f"{when:%Y-%m}", f"{when:%Y}"):
        found = moment(text)
        assert found is not None
        assert found.earliest_utc <= true <= found.latest_utc


def test_a_day_that_has_begun_everywhere_and_one_that_is_over_somewhere() -> None:
    assert latest_start("2022-01-02") == utc("2022-01-02T12:00")
    assert earliest_end("2022-01-02") == utc("2022-01-02T10:00")
    assert latest_start("2022-01-02T00:00:00Z") == earliest_end("2022-01-02T00:00:00Z") == utc("2022-01-02")


def test_a_day_by_its_number_is_one_of_its_year() -> None:
    assert [day_of_year(2026, number) for number in (0, 366)] == [None, None]
    assert (str(day_of_year(2026, 365)), str(day_of_year(2028, 366))) == ("2026-12-31", "2028-12-31")
    assert [day_of_year(year, 1) for year in (0, 10_000)] == [None, None]

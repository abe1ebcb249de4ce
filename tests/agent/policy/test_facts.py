"""From a verdict to facts: classes of tests and ages, and never too fresh."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import policy
from agent.model import (
    ClockState,
    CodeStatus,
    Colour,
    Direction,
    LabResult,
    ListAge,
    Screening,
    TimeBounds,
    Verdict,
    WatchClass,
)
from agent.policy.facts import CodeFact, CredentialKind, ListAgeFact, Series, TestFact, best_test, code_fact

UTC = 1_700_000_000.0
HOUR = 3600.0
NOW = TimeBounds(UTC - 1, UTC, ClockState.SYNCED)


def ago(hours: float, kind: str = "pcr", *, positive: bool = False) -> LabResult:
    return LabResult(kind, UTC - hours * HOUR, positive)


@pytest.mark.parametrize(
    ("tests", "fact"),
    [
        ([], TestFact.NONE),
        ([ago(23)], TestFact.PCR_24H),
        ([ago(24)], TestFact.PCR_24H),
        ([ago(24.01)], TestFact.PCR_48H),
        ([ago(71)], TestFact.PCR_72H),
        ([ago(73)], TestFact.OLDER),
        ([ago(1, "antigen")], TestFact.ANTIGEN_24H),
        ([ago(25, "antigen")], TestFact.OLDER),
        ([ago(1, "antigen"), ago(40)], TestFact.PCR_48H),
        ([ago(100), ago(30)], TestFact.PCR_48H),
        ([ago(1, positive=True)], TestFact.POSITIVE),
        ([ago(1), ago(30, positive=True)], TestFact.PCR_24H),
        ([ago(30), ago(1, positive=True)], TestFact.POSITIVE),
    ],
)
def test_classes_of_tests(tests: list[LabResult], fact: TestFact) -> None:
    assert best_test(tests, NOW) is fact


def test_a_clock_without_end_makes_every_test_old() -> None:
    assert best_test([ago(1)], TimeBounds(UTC, float("inf"), ClockState.FLOOR)) is TestFact.OLDER


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_wider_clock_never_makes_a_test_fresher(hours: float, wider_s: float) -> None:
    order = list(TestFact)
    one = best_test([ago(hours)], NOW)
    other = best_test([ago(hours)], TimeBounds(NOW.earliest_utc, UTC + wider_s, ClockState.HOLDOVER))
    assert order.index(other) >= order.index(one)


@pytest.mark.parametrize("status", [status for status in CodeStatus if status is not CodeStatus.VALID])
def test_a_code_that_is_not_valid_has_no_colour_for_the_policy(status: CodeStatus) -> None:
    expected = CodeFact.SCANNER_FAULT if status is CodeStatus.INTERNAL_ERROR else status.value
    assert code_fact(Verdict(status, "gatepost", colour=Colour.GREEN)) == expected


@pytest.mark.parametrize(("colour", "code"), [(Colour.RED, CodeFact.RED), (None, CodeFact.CERTIFICATE)])
def test_a_valid_code_is_its_colour(colour: Colour | None, code: CodeFact) -> None:
    assert code_fact(Verdict(CodeStatus.VALID, "x", colour=colour)) is code


def facts(verdict: Verdict | None, **site: object) -> policy.Facts:
    return policy.facts_of(
        Direction.ENTRY,
        verdict,
        Screening.NORMAL,
        NOW,
        site=policy.SiteFacts(**site),  # type: ignore[arg-type]  # each is of its field's type
    )


def test_no_code_and_a_broken_scanner_differ() -> None:
    assert facts(None).code is CodeFact.NONE
    broken = policy.facts_of(
        Direction.ENTRY, None, Screening.NORMAL, NOW, site=policy.SiteFacts(), scanner_works=False
    )
    assert broken.code is CodeFact.SCANNER_FAULT


def test_all_that_a_verdict_tells() -> None:
    verdict = Verdict(CodeStatus.VALID, "dcc", kind="test", tests=(ago(3),), watched=True, list_age=ListAge.STALE)
    found = facts(verdict, venue=policy.VenueKind.SCHOOL, zone=policy.Zone.HIGH)
    assert (found.kind, found.test, found.watch, found.list_age) == (
        CredentialKind.TEST,
        TestFact.PCR_24H,
        WatchClass.HIT,
        ListAgeFact.STALE,
    )
    assert (found.venue, found.zone) == (policy.VenueKind.SCHOOL, policy.Zone.HIGH)


@pytest.mark.parametrize(
    ("tests", "series"),
    [
        ([ago(1), ago(30), ago(60)], Series.MET),
        ([ago(1), ago(30)], Series.INSUFFICIENT),
        ([ago(1), ago(30), ago(73)], Series.INSUFFICIENT),
        ([ago(1), ago(30), ago(60, positive=True)], Series.INSUFFICIENT),
        ([ago(1), ago(30), ago(-5)], Series.INSUFFICIENT),
    ],
)
def test_three_tests_in_three_days(tests: list[LabResult], series: Series) -> None:
    verdict = Verdict(CodeStatus.VALID, "gatepost", colour=Colour.GREEN, tests=tuple(tests))
    assert facts(verdict, series_tests=3, series_days=3.0).test_series is series


def test_a_test_dated_ahead_is_no_test() -> None:
    verdict = Verdict(CodeStatus.VALID, "gatepost", colour=Colour.GREEN, tests=(ago(-1),))
    assert facts(verdict).test is TestFact.NONE


@pytest.mark.parametrize("tests", [[ago(1), ago(-1, positive=True)], [ago(1), ago(1, positive=True)]])
def test_a_positive_test_counts_however_it_is_dated(tests: list[LabResult]) -> None:
    for order in (tests, tests[::-1]):
        verdict = Verdict(CodeStatus.VALID, "gatepost", colour=Colour.GREEN, tests=tuple(order))
        assert facts(verdict).test is TestFact.POSITIVE


def test_one_test_in_two_codes_is_one_of_the_series() -> None:
    verdict = Verdict(CodeStatus.VALID, "gatepost", colour=Colour.GREEN, tests=(ago(1), ago(30), ago(30)))
    assert facts(verdict, series_tests=2).test_series is Series.MET
    assert facts(verdict, series_tests=3).test_series is Series.INSUFFICIENT


def day(hours_ago: float, span_h: float, *, positive: bool = False) -> LabResult:
    """A test that is dated no better than to a span of hours."""
    return LabResult("pcr", UTC - hours_ago * HOUR, positive, UTC - (hours_ago - span_h) * HOUR)


def test_a_test_that_is_dated_to_the_day_is_as_old_as_it_can_be() -> None:
    assert best_test([day(50, 26)], NOW) is TestFact.PCR_72H


def test_a_negative_test_must_be_newer_than_the_positive_one_for_certain() -> None:
    assert best_test([day(40, 30, positive=True), ago(20)], NOW) is TestFact.POSITIVE
    assert best_test([day(40, 10, positive=True), ago(20)], NOW) is TestFact.PCR_24H


@pytest.mark.parametrize(
    ("tests", "series"),
    [
        ([day(40, 30), ago(20)], Series.INSUFFICIENT),  # may be one swab
        ([ago(20), ago(20, "antigen")], Series.INSUFFICIENT),
        ([ago(20), ago(20.5)], Series.INSUFFICIENT),
        ([ago(20), ago(21)], Series.MET),
        ([day(70, 30), ago(20)], Series.MET),
        ([day(90, 30), ago(20)], Series.INSUFFICIENT),  # one may be of before
    ],
)
def test_one_swab_in_two_codes_is_one_test(tests: list[LabResult], series: Series) -> None:
    verdict = Verdict(CodeStatus.VALID, "gatepost", colour=Colour.GREEN, tests=tuple(tests))
    assert facts(verdict, series_tests=2, series_days=3.0).test_series is series


def test_a_result_told_late_is_no_newer_than_what_was_found_meanwhile() -> None:
    """Where ages count from the report: swabbed on Monday, told on Wednesday; positive on Tuesday."""
    late = LabResult("pcr", UTC - 60 * HOUR, reported_utc=UTC - 5 * HOUR)
    site = policy.SiteFacts(from_report=True)

    def fact(*tests: LabResult) -> TestFact:
        verdict = Verdict(CodeStatus.VALID, "", tests=tests)
        return policy.facts_of(Direction.ENTRY, verdict, Screening.NORMAL, NOW, site=site).test

    assert fact(late) is TestFact.PCR_24H
    assert fact(late, ago(30, positive=True)) is TestFact.POSITIVE
    assert fact(late, ago(70, positive=True)) is TestFact.PCR_24H

"""Permits as signed codes, drills, classes of watch lists, tests for codes that carry none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import credentials, policy
from agent.credentials import lists
from agent.credentials.formats import gatepost, permit
from agent.credentials.trust import TrustedKey, parse_trust_store
from agent.crypto import digest, signing
from agent.crypto.refusal import Malformed
from agent.model import (
    ClockState,
    CodeStatus,
    Colour,
    Direction,
    LabResult,
    PermitState,
    Screening,
    TimeBounds,
    WatchClass,
)
from agent.policy.facts import Series, SiteFacts, TestFact, facts_of
from agent.venue.permits import permit_state

UTC = 1_796_000_000
HOUR_S = 3600
NOW = TimeBounds(UTC - 1.0, UTC + 1.0, ClockState.SYNCED)
HALL = {"kind": {"role": "visitor", "place": "hall", "uses": 1}, "number": 7}


def key_for(*formats: str) -> tuple[signing.PrivateKey, TrustedKey]:
    private = signing.new_private_key()
    return private, TrustedKey("hall-office", private.public.kid, frozenset(formats), private.public)


PERMITS, PERMITS_PINNED = key_for("permit")
HEALTH, HEALTH_PINNED = key_for("gatepost")
DRILLS, DRILLS_PINNED = key_for("drill")
TRUST = parse_trust_store([PERMITS_PINNED, HEALTH_PINNED, DRILLS_PINNED])


def a_permit(content: object = HALL, key: signing.PrivateKey = PERMITS, *, expires_utc: int = UTC + 60) -> bytes:
    text = permit.issue(key, "hall-office", "b-7", content, issued_utc=UTC - 60, expires_utc=expires_utc)
    return text.encode()


def a_code(key: signing.PrivateKey = HEALTH, tests: tuple[LabResult, ...] = (), *, ends: int = UTC + 60) -> bytes:
    claims = gatepost.claims(
        "hall-office", "anna", Colour.GREEN, issued_utc=UTC - 999, expires_utc=ends, tests=tests
    )
    return gatepost.issue(key, claims).encode()


def test_a_permit_is_proved_and_says_why_somebody_may_be_here() -> None:
    verdict = credentials.check(a_permit(), TRUST, NOW)
    assert (verdict.status, verdict.colour, verdict.kind) == (CodeStatus.VALID, None, "other")
    assert verdict.permit is not None
    assert (verdict.permit.kind.role, verdict.permit.number) == ("visitor", 7)
    assert permit_state(verdict.permit, NOW, 0, ("hall",)) is PermitState.VALID
    assert permit_state(verdict.permit, NOW, 0, ("other",)) is PermitState.ELSEWHERE


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_permit_joins_a_health_code_in_any_order(order: tuple[int, int]) -> None:
    codes = [a_permit(), a_code()]
    verdict = credentials.check_all([codes[at] for at in order], TRUST, NOW)
    assert (verdict.status, verdict.colour) == (CodeStatus.VALID, Colour.GREEN)
    assert verdict.permit is not None
    assert verdict.permit.number == 7


def test_a_key_pinned_for_health_signs_no_permit_and_the_other_way_round() -> None:
    assert credentials.check(a_permit(key=HEALTH), TRUST, NOW).status is CodeStatus.UNKNOWN_ISSUER
    assert credentials.check(a_code(PERMITS), TRUST, NOW).status is CodeStatus.UNKNOWN_ISSUER


def test_a_permit_that_is_over_is_expired() -> None:
    assert credentials.check(a_permit(expires_utc=UTC - 9), TRUST, NOW).status is CodeStatus.EXPIRED


@pytest.mark.parametrize(
    "content",
    [None, {}, {"kind": {"role": "king"}}, {"kind": {"role": "visitor"}, "number": -1}, {**HALL, "hat": 1}],
)
def test_a_permit_that_makes_no_sense_is_not_issued(content: object) -> None:
    with pytest.raises(Malformed):
        a_permit(content)


@given(st.binary(max_size=60))
def test_junk_after_the_prefix_is_no_permit(junk: bytes) -> None:
    assert credentials.check(b"GPE1:" + junk, TRUST, NOW).status is not CodeStatus.VALID


def test_a_code_signed_for_a_drill_is_one_and_joins_no_real_code() -> None:
    assert credentials.check(a_code(DRILLS), TRUST, NOW).drill
    assert not credentials.check(a_code(), TRUST, NOW).drill
    for real in (a_permit(), a_code()):
        for order in ([real, a_code(DRILLS)], [a_code(DRILLS), real]):
            together = credentials.check_all(order, TRUST, NOW)
            assert (together.status, together.drill, together.adds) == (CodeStatus.UNDECIDED, True, "")


def listed(kind: str, values: dict[bytes, int] | None, keys: tuple[bytes, ...] = ()) -> lists.CodeList:
    head = lists.ListHeader(kind, "hall-office", 1, float(UTC), 1e6, 2e6)
    names = b"".join(values or keys)
    built = lists.build(head, names, bytes((values or {}).values()) if values else None)
    return lists.CodeList(lists.parse(b"".join(map(bytes, built.chunks))))


ANNA = gatepost.subject_key("hall-office", "anna")


@pytest.mark.parametrize(("value", "watch"), [(1, "hit"), (2, "contact"), (3, "arrival"), (4, "asked"), (9, "hit")])
@pytest.mark.parametrize("ends", [UTC + 60, UTC - 60])
def test_a_watch_list_has_classes_and_knows_who_shows_a_stale_screen(value: int, watch: str, ends: int) -> None:
    trust = credentials.TrustStore(TRUST.keys, lists=lists.gather([listed("watched", {ANNA: value})]))
    verdict = credentials.check(a_code(ends=ends), trust, NOW)
    assert (verdict.watched, verdict.watch) == (True, WatchClass(watch))
    assert (verdict.status is CodeStatus.EXPIRED) is (ends < UTC)


@pytest.mark.parametrize("colour", Colour)
def test_a_permits_colour_on_a_list_is_no_health_code(colour: Colour) -> None:
    known = listed("status", {digest.of_subject("permit", "hall-office", "b-7"): lists.VALUES[colour]})
    trust = credentials.TrustStore(TRUST.keys, lists=lists.gather([known]))
    verdict = credentials.check(a_permit(), trust, NOW)
    certificate = credentials.check_all([a_permit(), a_code()], trust, NOW)
    if colour is Colour.RED:
        assert verdict.colour is certificate.colour is Colour.RED
        return
    assert verdict.colour is None
    assert verdict.status is (CodeStatus.VALID if colour is Colour.GREEN else CodeStatus.UNDECIDED)
    assert certificate.status is verdict.status


def test_a_list_of_tests_makes_up_for_codes_that_carry_none() -> None:
    trust = credentials.TrustStore(TRUST.keys, lists=lists.gather([listed("tested", {ANNA: 30})]))
    (found,) = credentials.check(a_code(), trust, NOW).tests
    assert (found.kind, UTC - found.taken_utc) == ("pcr", 30 * HOUR_S)


def test_changes_on_top_of_a_list_make_no_listed_test_younger() -> None:
    base = listed("tested", {ANNA: 30}).base
    ben = gatepost.subject_key("hall-office", "ben")
    late = replace(base.head, version=9, issued_at=UTC + 40 * HOUR_S, sha256="", count=0)
    changes = lists.parse(b"".join(lists.build(late, ben, bytes((3,))).chunks)).prove()
    trust = credentials.TrustStore(TRUST.keys, lists=lists.gather([lists.CodeList(base, changes)]))
    (found,) = credentials.check(a_code(), trust, NOW).tests
    assert UTC - found.taken_utc == 30 * HOUR_S
    assert found.reported_utc is None, "a list does not tell when a result was told"
    newer = lists.parse(b"".join(lists.build(late, ANNA, bytes((3,))).chunks)).prove()
    trust = credentials.TrustStore(TRUST.keys, lists=lists.gather([lists.CodeList(base, newer)]))
    (found,) = credentials.check(a_code(), trust, NOW).tests
    assert UTC - found.taken_utc == 3 * HOUR_S, "from the issue of the base"


@pytest.mark.parametrize(("newer", "hours"), [(lists.GONE, None), (2, 30), (60, 50)])
def test_of_an_awaited_list_of_tests_only_what_is_stricter_counts(newer: int, hours: int | None) -> None:
    found = listed("tested", {ANNA: 30})
    base = replace(found.base.head, version=8, issued_at=UTC + 10 * HOUR_S)
    awaited = lists.Awaited("tested", 8, UTC, base, {ANNA: newer})
    trust = credentials.TrustStore(TRUST.keys, lists=lists.gather([replace(found, awaited=awaited)]))
    tests = credentials.check(a_code(), trust, NOW).tests
    assert [UTC - test.taken_utc for test in tests] == ([] if hours is None else [hours * HOUR_S])


# -- series and reports


def test_three_tests_within_an_hour_are_one_of_a_series() -> None:
    site = policy.site_of(policy.Options(series_tests=3, series_days=3.0))
    minutes = tuple(LabResult("pcr", UTC - 600.0 + 60 * n) for n in range(3))
    days = tuple(LabResult("pcr", UTC - 600.0 - n * 23 * HOUR_S) for n in range(3))
    for tests, series in ((minutes, Series.INSUFFICIENT), (days, Series.MET)):
        verdict = credentials.check(a_code(tests=tests), TRUST, NOW)
        assert facts_of(Direction.ENTRY, verdict, Screening.NORMAL, NOW, site=site).test_series is series


@pytest.mark.parametrize(("from_report", "fact"), [(False, TestFact.PCR_72H), (True, TestFact.PCR_48H)])
def test_some_places_count_from_the_report(from_report: bool, fact: TestFact) -> None:
    taken, reported = UTC - 49 * HOUR_S, UTC - 40 * HOUR_S
    claims = gatepost.claims("hall-office", "anna", Colour.GREEN, issued_utc=UTC - 9, expires_utc=UTC + 60)
    claims[gatepost.TESTS] = [[1, taken, False, reported]]
    verdict = credentials.check(gatepost.issue(HEALTH, claims).encode(), TRUST, NOW)
    facts = facts_of(Direction.ENTRY, verdict, Screening.NORMAL, NOW, site=SiteFacts(from_report=from_report))
    assert facts.test is fact


def test_a_report_ahead_of_its_test_or_of_now_counts_for_nothing() -> None:
    for taken, reported in ((UTC - HOUR_S, UTC - 9 * HOUR_S), (UTC - 60 * HOUR_S, UTC + 9 * HOUR_S)):
        test = LabResult("pcr", float(taken), reported_utc=float(reported))
        verdict = credentials.check(a_code(), TRUST, NOW)
        given = facts_of(
            Direction.ENTRY, type(verdict)(verdict.status, "", tests=(test,)), Screening.NORMAL, NOW,
            site=SiteFacts(from_report=True),
        )  # fmt: skip
        assert given.test is (TestFact.PCR_24H if reported < taken else TestFact.PCR_72H)


def test_keys_of_people_are_bytes_of_the_signed_payload() -> None:
    assert credentials.check(a_permit(), TRUST, NOW).subject == digest.of_subject("permit", "hall-office", "b-7")

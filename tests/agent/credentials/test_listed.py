"""Boarding passes and licences: an id for a list; without a list, staff; never a proof, whatever is printed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import credentials, policy
from agent.credentials import list_text, lists
from agent.credentials.trust import TrustStore
from agent.model import (
    ClockState,
    CodeProof,
    CodeStatus,
    Colour,
    Direction,
    LaneTickets,
    Outcome,
    Screening,
    TicketService,
    TimeBounds,
    Tristate,
    Verdict,
)
from agent.policy.facts import SiteFacts, facts_of
from agent.ruleset import load
from tests.profiles import PROFILES, profile

UTC_S = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
NOW = TimeBounds(UTC_S, UTC_S, ClockState.SYNCED)
PASS = b"M1DESMARAIS/LUC       EABC123 YULFRAAC 0834 326J001A0025 100"
PASS_SEALED = PASS[:-2] + b"06>60000^108ABCDEFGH"
LICENCE = (
    b"@\n\x1e\rANSI 636014040002DL00410288ZC03290015DLDAQD1234567\nDCSCANARY\nDACANA\nDBB02011990\nDBA02012030\n"
    b"DAG1 SECRET STREET\n\rZCZCAN\r"
)


def listed(of: str, line: str, colour: Colour = Colour.GREEN) -> TrustStore:
    """Trust with a status list of that issuer that has this line."""
    head = lists.ListHeader("status", of, 1, NOW.earliest_utc, 86_400, 259_200)
    built = lists.build(head, list_text.key_of(of, of, line), bytes((lists.VALUES[colour],)))
    found = lists.CodeList(lists.parse(b"".join(built.chunks)))
    return replace(TrustStore(), lists=lists.gather([found]), ages=(found.age,))


@pytest.mark.parametrize("payload", [PASS, PASS_SEALED, LICENCE], ids=["pass", "sealed", "licence"])
def test_by_itself_it_is_for_staff(payload: bytes) -> None:
    verdict = credentials.check(payload, TrustStore(), NOW)
    assert (verdict.status, verdict.proof, verdict.of_age) == (
        CodeStatus.UNDECIDED,
        CodeProof.NONE,
        Tristate.UNKNOWN,
    )
    assert verdict.reason.endswith("it proves nothing by itself")
    assert not any(
        word in repr(verdict) for word in ("DESMARAIS", "ABC123", "CANARY", "D1234567", "SECRET", "1990")
    )
    assert _decide(verdict) is Outcome.REFER


@pytest.mark.parametrize(
    ("payload", "of", "line"),
    [
        (PASS, "boarding-pass", "AC834/326/25/ABC123"),
        (PASS, "boarding-pass", "AC0834/326/0025/ABC123"),
        (LICENCE, "licence", "636014:d1234567"),
    ],
)
def test_a_list_knows_it(payload: bytes, of: str, line: str) -> None:
    verdict = credentials.check(payload, listed(of, line), NOW)
    assert (verdict.status, verdict.colour, verdict.proof) == (CodeStatus.VALID, Colour.GREEN, CodeProof.LISTED)
    red = credentials.check(payload, listed(of, line, Colour.RED), NOW)
    assert red.colour is Colour.RED


@pytest.mark.parametrize(
    ("payload", "of", "line"),
    [(PASS, "boarding-pass", "AC834/326/25/ABC123"), (LICENCE, "licence", "636014:d1234567")],
)
@pytest.mark.parametrize("colour", [Colour.GREEN, Colour.YELLOW])
@pytest.mark.parametrize("name", PROFILES)
def test_its_colour_on_a_list_is_no_health_code(
    name: str, colour: Colour, payload: bytes, of: str, line: str
) -> None:
    verdict = credentials.check(payload, listed(of, line, colour), NOW)
    facts = facts_of(Direction.ENTRY, verdict, Screening.NORMAL, NOW, site=SiteFacts())
    assert policy.decide(profile(name), facts).outcome is Outcome.REFER
    if not profile(name).takes_tickets:
        assert not policy.permits(profile(name), facts, Outcome.ADMIT)


def test_red_on_its_list_stays_red() -> None:
    verdict = credentials.check(PASS, listed("boarding-pass", "AC834/326/25/ABC123", Colour.RED), NOW)
    facts = facts_of(Direction.ENTRY, verdict, Screening.NORMAL, NOW, site=SiteFacts())
    assert policy.decide(profile(), facts).reasons == ("code_red",)


def test_the_pass_is_for_its_flight_on_its_day() -> None:
    ticket = credentials.check(PASS, TrustStore(), NOW).entitlement
    assert ticket is not None
    assert (ticket.places, ticket.services) == (("airport/YUL",), (TicketService("AC 834", "2026-11-22"),))
    assert ticket.single_use


def _decide(verdict: Verdict) -> Outcome:
    lane = LaneTickets(places=frozenset({"airport/YUL"}))
    facts = facts_of(Direction.ENTRY, verdict, Screening.NORMAL, NOW, site=SiteFacts(), tickets=lane)
    return policy.decide(load.load_table(policy.Options(table="platform")), facts).outcome


@pytest.mark.parametrize("of", ["boarding-pass", "licence"])
def test_lines_that_are_none(of: str) -> None:
    with pytest.raises(ValueError, match="for example"):
        list_text.key_of(of, of, "x")


@given(st.binary(max_size=80), st.sampled_from([PASS[:30], LICENCE[:14]]))
def test_no_untyped_exception_from_noise(noise: bytes, head: bytes) -> None:
    verdict = credentials.check(head + noise, TrustStore(), NOW)
    assert verdict.status is not CodeStatus.VALID
    assert verdict.status is not CodeStatus.INTERNAL_ERROR, verdict.reason

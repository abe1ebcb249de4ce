"""What a ticket is worth at a lane that boards several trains, for a journey of several trains."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agent import policy
from agent.model import (
    ClockState,
    CodeProof,
    Direction,
    Entitlement,
    LaneTickets,
    Outcome,
    Screening,
    TicketService,
    TimeBounds,
    Tristate,
)
from agent.policy.facts import CodeFact, CredentialKind, Facts
from agent.policy.tickets import parse_service, ticket_service
from tests.profiles import PROFILES, profile

LANE = LaneTickets(
    services=(parse_service("ICE 77 18:05"), parse_service("RE 5 19:30")), tolerance_s=1800.0, time_zone=UTC
)
JOURNEY = Entitlement(services=(TicketService("ICE 0077", "2026-10-03"), TicketService("IC 2005", "2026-10-03")))


def at(moment: str) -> TimeBounds:
    utc = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    return TimeBounds(utc, utc, ClockState.SYNCED)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-10-03T17:34", Tristate.NO),
        ("2026-10-03T17:36", Tristate.YES),
        ("2026-10-03T18:36", Tristate.NO),
        ("2026-10-03T19:30", Tristate.NO),
        ("2026-10-04T18:05", Tristate.NO),
    ],
)
def test_any_train_of_the_journey_that_boards_here(moment: str, expected: Tristate) -> None:
    assert ticket_service(JOURNEY, LANE, at(moment)) is expected


@pytest.mark.parametrize(("moment", "expected"), [("17:34", Tristate.NO), ("17:36", Tristate.UNKNOWN)])
def test_a_ticket_for_a_train_that_it_does_not_name(moment: str, expected: Tristate) -> None:
    unnamed = Entitlement(services=(TicketService("", "2026-10-03"),))
    assert ticket_service(unnamed, LANE, at(f"2026-10-03T{moment}")) is expected


def test_a_ticket_for_any_train_and_a_lane_that_knows_none() -> None:
    assert ticket_service(Entitlement(), LANE, at("2026-10-03T17:34")) is Tristate.YES
    assert ticket_service(JOURNEY, LaneTickets(), at("2026-10-03T17:36")) is Tristate.UNKNOWN


@pytest.mark.parametrize("name", PROFILES)
def test_a_signature_alone_is_told_to_staff_at_every_place(name: str) -> None:
    table = profile(name)
    facts = Facts(Direction.ENTRY, CodeFact.UNDECIDED, Screening.NORMAL, kind=CredentialKind.TICKET)
    signed, unsigned = (
        policy.decide(table, facts._replace(proof=proof)) for proof in (CodeProof.SIGNED, CodeProof.NONE)
    )
    assert (signed.outcome, signed.reasons) == (Outcome.REFER, ("ticket_signature_only",))
    assert (unsigned.outcome, unsigned.reasons) == (Outcome.REFER, ("code_undecided",))
    assert table.takes_tickets is (name in {"event", "platform"})

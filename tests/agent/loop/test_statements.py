"""What staff state of people is an event each, whether it decides at once or not."""

from __future__ import annotations

import time

import pytest

from agent import screening
from agent.checkpoint import Checkpoint, DecisionRules, Options
from agent.loop import Loop
from agent.loop.inbox import LoopRequest
from agent.loop.ledger import LedgerKeeper
from agent.model import (
    Attestation,
    AttestationRecord,
    AttestationResult,
    ClockState,
    CodeStatus,
    Decision,
    DecisionInput,
    DeviceUp,
    Direction,
    EventBody,
    Item,
    LaneSpec,
    Observation,
    Outcome,
    Passage,
    Role,
    Screening,
    TimeBounds,
    Verdict,
)
from agent.venue import Venue, VenueInForce
from drivers.contract import Reading, Sighting

LANES = {"in": LaneSpec(Direction.ENTRY)}
NOW = TimeBounds(1_800_000_000.0, 1_800_000_001.0, ClockState.SYNCED)


def decide(case: DecisionInput) -> Decision:
    """Who is vouched for and normal comes in."""
    may = case.facts.vouched and case.temperature.outcome is Screening.NORMAL
    return Decision(Outcome.ADMIT_WITH_NOTICE if may else Outcome.REFER, ("vouched",))


class Kiosk:
    """A loop with the ledger of a venue."""

    def __init__(self) -> None:
        self.kept: list[EventBody] = []
        venue = Venue("gate-1", LANES, VenueInForce)
        keeper = LedgerKeeper(venue, lambda _entries, _replaces: None)
        rules = DecisionRules(
            lambda _payloads, _now: Verdict(CodeStatus.UNRECOGNISED, ""),
            decide,
            screening.Options(),
            venue=venue.facts,
        )
        self.loop = Loop(
            Checkpoint(LANES, rules, Options(credential_timeout_s=60.0)),
            open_gate={"in": lambda: None},
            show={"in": lambda _cue, _after: None},
            store=lambda event: self.kept.append(event.body),
            log_event=lambda _event: None,
            now=lambda: NOW,
            ledger=keeper,
        )
        keeper.found(b"", damaged=False)
        self.turn()
        for role in LANES["in"].parts:
            self.put(role, DeviceUp(time.monotonic(), "fake"))

    def put(self, role: Role, item: Item) -> None:
        self.loop.inbox.add(Observation("in", role, item))
        self.turn()

    def turn(self) -> None:
        self.loop.step(0.0)
        while not self.loop.inbox.is_empty():
            self.loop.step(0.0)

    def state(self, what: str, value: str, number: int = 0) -> AttestationResult:
        stated = Attestation(time.monotonic(), what, value, number, by="G07")
        request = LoopRequest(Observation("in", Role.CLINICAL, stated))
        self.loop.inbox.add(request)
        self.turn()
        answer = request.answer.result(0)
        assert isinstance(answer, AttestationResult)
        return answer

    @property
    def statements(self) -> list[tuple[str, str, str]]:
        return [(each.type, each.value, each.by) for each in self.kept if isinstance(each, AttestationRecord)]


@pytest.fixture
def kiosk() -> Kiosk:
    return Kiosk()


def test_what_is_stated_of_who_stands_there_is_kept_though_it_decides_later(kiosk: Kiosk) -> None:
    for _ in range(8):
        kiosk.put(Role.THERMOMETER, Reading(34.4, time.monotonic(), 0.4))
    assert kiosk.state("document", "seen").reason is None
    assert kiosk.state("record", "done").reason is None
    assert not [each for each in kiosk.kept if isinstance(each, Passage)], "he may show a code yet"
    assert kiosk.statements == [("document", "seen", "G07"), ("record", "done", "G07")]


def test_what_decides_at_once_is_kept_once(kiosk: Kiosk) -> None:
    kiosk.put(Role.SCANNER, Sighting(b"x", time.monotonic()))
    waiting = kiosk.kept[-1]
    assert isinstance(waiting, Passage)
    assert kiosk.state("document", "seen", waiting.number).passage is not None
    assert kiosk.statements == [("document", "seen", "G07")]


def test_what_is_refused_is_no_statement(kiosk: Kiosk) -> None:
    assert kiosk.state("record", "done").reason is not None
    assert kiosk.state("record", "done", 7).reason is not None
    assert kiosk.statements == []

"""A lane that staff have shut is shut from the first code on, also before the ledger was read."""

from __future__ import annotations

import time

from agent import screening
from agent.checkpoint import Checkpoint, DecisionRules, Options
from agent.loop import Loop
from agent.loop.ledger import LedgerKeeper
from agent.model import (
    Attestation,
    ClockState,
    CodeStatus,
    Colour,
    Decision,
    DeviceUp,
    Direction,
    LaneSpec,
    Observation,
    Outcome,
    Passage,
    Role,
    TimeBounds,
    Verdict,
)
from agent.platform.clock import boottime_s
from agent.venue import Venue, VenueInForce
from drivers.contract import Sighting

LANES = {
    "left": LaneSpec(Direction.ENTRY, parts=frozenset({Role.SCANNER, Role.GATE})),
    "right": LaneSpec(Direction.ENTRY, parts=frozenset({Role.SCANNER, Role.GATE})),
}
NOW = TimeBounds(1_800_000_000.0, 1_800_000_001.0, ClockState.SYNCED)


class Kiosk:
    """A loop with the ledger of a venue, whose disk answers when it is told to."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.passages: list[Passage] = []
        self.venue = Venue("gate-1", LANES, VenueInForce)
        self.keeper = LedgerKeeper(self.venue, lambda _entries, _replaces: None)
        rules = DecisionRules(
            lambda payloads, _now: Verdict(
                CodeStatus.VALID, "test", subject=payloads[0].ljust(16), colour=Colour.GREEN
            ),
            lambda _case: Decision(Outcome.ADMIT, ("code_green",)),
            screening.Options(),
        )
        self.loop = Loop(
            Checkpoint(LANES, rules, Options()),
            open_gate={lane: lambda lane=lane: self.opened.append(lane) for lane in LANES},
            show=dict.fromkeys(LANES, lambda _cue, _after: None),
            store=lambda event: self.passages.append(event.body) if isinstance(event.body, Passage) else None,
            log_event=lambda _event: None,
            now=lambda: NOW,
            ledger=self.keeper,
        )
        for closure in self.keeper.closures():
            self.loop.inbox.add(closure)
        for lane, spec in LANES.items():
            for role in sorted(spec.parts):
                self.put(lane, role, DeviceUp(boottime_s(), "fake"))

    def put(self, lane: str, role: Role, item: object) -> None:
        self.loop.inbox.add(Observation(lane, role, item))  # type: ignore[arg-type]
        self.turn()

    def turn(self) -> None:
        while not self.loop.inbox.is_empty():
            self.loop.step(0.0)
        self.loop.step(0.0)

    def show(self, lane: str, code: bytes) -> Passage:
        self.put(lane, Role.SCANNER, Sighting(code, time.monotonic()))
        return self.passages[-1]


def test_before_the_ledger_is_read_nobody_comes_in() -> None:
    kiosk = Kiosk()
    assert kiosk.show("left", b"anna").decision.reasons == ("lane_closed",)
    assert kiosk.opened == []


def test_then_the_lanes_open_at_once_but_for_the_one_that_is_shut() -> None:
    before = Kiosk()
    before.keeper.found(b"", damaged=False)
    before.turn()
    stated = Attestation(boottime_s(), "shut", "left", 30)
    assert before.keeper.attest(Observation("", Role.CLINICAL, stated), stated, NOW).reason is None
    kiosk = Kiosk()
    kiosk.keeper.found(before.venue.ledger.entries, damaged=False)
    kiosk.turn()
    kiosk.turn()
    assert kiosk.show("left", b"anna").decision.reasons == ("lane_closed",)
    assert kiosk.show("right", b"bert").gate_opened
    assert kiosk.opened == ["right"]


def test_what_a_bad_card_has_lost_may_have_shut_a_lane() -> None:
    kiosk = Kiosk()
    kiosk.keeper.found(b"", damaged=True)
    kiosk.turn()
    kiosk.turn()
    assert kiosk.show("left", b"anna").decision.reasons == ("lane_closed",)


def test_what_was_read_from_an_older_copy_of_the_card_may_have_shut_a_lane_and_let_others_in() -> None:
    kiosk = Kiosk()
    kiosk.keeper.found(b"", damaged=False)
    kiosk.turn()
    kiosk.turn()
    assert kiosk.show("left", b"anna").gate_opened
    kiosk.keeper.found(kiosk.venue.ledger.entries, damaged=False)
    kiosk.turn()
    assert kiosk.venue.ledger.exact, "another file, and memory has all that was in it"
    kiosk.keeper.found(kiosk.venue.ledger.entries, damaged=True)
    kiosk.turn()
    kiosk.turn()
    assert not kiosk.venue.ledger.exact
    assert kiosk.show("left", b"bert").decision.reasons == ("lane_closed",)

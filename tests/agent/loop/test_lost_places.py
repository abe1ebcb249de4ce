"""A kiosk that has lost its ledger asks the others of its room what it gave them: no old answer counts."""

from __future__ import annotations

from agent.loop.ledger import TELL_EVERY_S, LedgerKeeper
from agent.model import Attestation, ClockState, Direction, LaneSpec, RoomState, TimeBounds
from agent.platform.clock import boottime_s
from agent.venue import Venue, VenueInForce
from agent.venue.rules import RoomRules, VenueRules

NOW = TimeBounds(1_800_000_000.0, 1_800_000_001.0, ClockState.SYNCED)
RULES = VenueInForce(VenueRules("hall", room=RoomRules(10, kiosks=("gate-1", "gate-2"))))


class Kiosk:
    """The ledger of one kiosk, and what it has said."""

    def __init__(self, name: str, *, damaged: bool = False) -> None:
        self.said: list[bytes] = []
        self.venue = Venue(name, {"in": LaneSpec(Direction.ENTRY)}, lambda: RULES)
        self.keeper = LedgerKeeper(self.venue, lambda _entries, _replaces: None)
        self.keeper.send = lambda payload: self.said.append(payload) or True  # type: ignore[func-returns-value]
        self.keeper.connected()
        self.keeper.found(b"", damaged)
        self.turn()

    def turn(self) -> None:
        """Once, as if so much time had passed that all is said again."""
        self.keeper._told = (None, -TELL_EVERY_S)
        self.keeper._asked_s = self.keeper._turned_s = -TELL_EVERY_S
        self.keeper.turn(NOW)

    def hear(self, other: Kiosk, said: list[bytes]) -> None:
        for payload in said:
            self.keeper.received(other.venue.kiosk, payload)
        self.turn()

    def count(self, inside: int) -> None:
        """Staff count: the rest of what was lost."""
        counted = Attestation(boottime_s(), "count", "", inside)
        assert self.venue.attest("in", counted, boottime_s())[0].reason is None

    @property
    def room(self) -> RoomState:
        return self.venue.room_state(boottime_s())


def test_a_tally_that_was_told_before_the_loss_does_not_say_what_was_given_since() -> None:
    one, other = Kiosk("gate-1"), Kiosk("gate-2")
    other.hear(one, one.said)
    old = list(other.said)
    again = Kiosk("gate-1", damaged=True)
    again.count(0)
    again.hear(other, old)
    assert again.room is RoomState.UNKNOWN, "a line has held it back, or somebody sends it again"
    other.said.clear()
    other.hear(again, again.said)
    again.hear(other, other.said)
    assert again.room is RoomState.FREE
    again.venue.lose(boottime_s())
    again.keeper.found(b"", True)
    again.turn()
    again.count(0)
    again.hear(other, other.said)
    assert again.room is RoomState.UNKNOWN, "a second loss is another question"


def test_a_kiosk_of_a_release_that_answers_no_question_is_believed() -> None:
    again = Kiosk("gate-1", damaged=True)
    again.count(0)
    tally = b'{"type": "gatepost.tally.v1", "came": 0, "left": 0, "gave": {}, "capacity": 10, "got": {}}'
    again.hear(Kiosk("gate-2"), [tally])
    assert again.room is RoomState.FREE


def test_junk_is_no_question() -> None:
    one = Kiosk("gate-1")
    junk = [
        b"[]",
        b'{"type": "gatepost.tally_question.v1"}',
        b'{"type": "gatepost.tally_question.v1", "question": 7}',
    ]
    junk.append(b'{"type": "gatepost.tally_question.v1", "question": "%b"}' % (b"x" * 65))
    one.hear(Kiosk("gate-2"), junk)
    one.hear(Kiosk("gate-9"), [b'{"type": "gatepost.tally_question.v1", "question": "x"}'])
    assert one.venue.tally.heard == {}
    assert one.keeper.errors == 0

"""Places shared by several kiosks without a server: never over capacity, whatever is cut off, restarted or lost."""

from __future__ import annotations

import itertools
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model import Attestation, Direction, LaneSpec, RoomState
from agent.venue import Venue, VenueInForce
from agent.venue.entries import NO_LANE, Entry, What, tag
from agent.venue.ledger import Ledger
from agent.venue.room import (
    Tally,
    inside_of_all,
    own_tally,
    parse_tally,
    rights,
    room_state,
    share_of,
    tally_content,
    to_give,
)
from agent.venue.rules import RoomRules, VenueRules


class Gate:
    """One kiosk of a room: what is in memory, what is on disk, what it has heard."""

    def __init__(self, name: str, rules: RoomRules) -> None:
        self.name, self.rules = name, rules
        self.ledger = Ledger(shared=True)
        self.ledger.apply(Entry(0, NO_LANE, What.BOOT))
        self.disk = self.ledger.entries
        self.peers: dict[str, Tally] = {}

    def apply(self, what: What, number: int = 0, case: int = 0) -> None:
        self.ledger.apply(Entry(1, 0, what, number=number, case=case))

    @property
    def state(self) -> RoomState:
        return room_state(self.ledger, self.rules, self.name, self.peers, 0)

    def state_after(self, came_today: int) -> RoomState:
        return room_state(self.ledger, self.rules, self.name, self.peers, came_today)

    def commit(self) -> None:
        self.disk = self.ledger.entries

    def tell(self) -> Tally:
        """Only what is on disk is told."""
        self.commit()
        return own_tally(self.ledger, self.rules, self.name)

    def hear(self, name: str, tally: Tally) -> None:
        read = parse_tally(tally_content(tally))
        assert read is not None
        self.peers[name] = read.newer(self.peers.get(name))

    def cut(self) -> None:
        """The newest entry may not have reached the disk: one is counted for it, as at the start of the agent."""
        self.ledger = Ledger(shared=True).fold_bytes(self.disk)
        self.apply(What.BOOT)
        self.apply(What.COUNT, self.ledger.inside + 1 & 0xFFFF_FFFF)
        self.peers = {}
        self.commit()

    def share(self) -> None:
        given = to_give(own_tally(self.ledger, self.rules, self.name), self.peers, self.rules, self.name)
        if given is not None:
            peer, count = given
            self.apply(What.GAVE, self.ledger.gave.get(tag(peer), 0) + count, tag(peer))


def test_a_room_that_is_full_by_what_all_have_told_is_full_at_each() -> None:
    """Also where one has let in more than it has places by a lower capacity, or by what staff have counted."""
    gates = {name: Gate(name, RoomRules(capacity=6, kiosks=("gate-1", "gate-2"))) for name in ("gate-1", "gate-2")}
    first, second = gates.values()
    for _ in range(3):
        first.apply(What.IN)
    assert second.state is RoomState.FREE
    for gate in gates.values():
        gate.rules = RoomRules(capacity=3, kiosks=("gate-1", "gate-2"))
    second.hear("gate-1", first.tell())
    first.hear("gate-2", second.tell())
    assert (first.state, second.state) == (RoomState.FULL, RoomState.FULL)
    first.apply(What.OUT)
    second.hear("gate-1", first.tell())
    assert (first.state, second.state) == (RoomState.FULL, RoomState.FREE), "one comes in when one leaves"


def random_room(seed: int, steps: int = 300) -> tuple[int, int, int]:  # noqa: C901, PLR0912 - a history in steps
    """Most people who were truly inside, the capacity, how many were turned away while there was room."""
    chance = random.Random(seed)
    names = tuple(f"gate-{n}" for n in range(chance.randint(2, 5)))
    rules = RoomRules(capacity=chance.randint(len(names), 40), kiosks=names, share=chance.choice([1.0, 0.75]))
    gates = {name: Gate(name, rules) for name in names}
    cut_off: set[str] = set()
    retained: dict[str, Tally] = {}
    inside = most = vain = 0
    for _ in range(steps):
        gate = gates[chance.choice(names)]
        match chance.randrange(12):
            case 0 | 1 | 2 | 3 | 4:
                if gate.state in (RoomState.FREE, RoomState.BUSY):
                    inside += 1
                    gate.apply(What.IN)
                elif inside < rules.capacity:
                    vain += 1
            case 5 | 6 | 7:
                if inside:
                    inside -= 1
                    gate.apply(What.OUT)
            case 8:
                gate.cut()
            case 9:
                cut_off ^= {gate.name}
            case _:
                gate.share()
        if chance.random() < 0.9:
            gate.commit()
        most = max(most, inside)
        for other in gates.values():
            if other.name not in cut_off:
                if chance.random() < 0.7:
                    retained[other.name] = other.tell().newer(retained.get(other.name))
                for name, tally in retained.items():
                    if name != other.name and chance.random() < 0.8:
                        other.hear(name, tally)
    return most, rules.capacity, vain


def test_a_daily_cap_is_one_for_all_kiosks() -> None:
    """No kiosk hears of each who came at another: each has its part, and one that is not named has none."""
    names = ("gate-1", "gate-2", "gate-3")
    rules = RoomRules(100, daily=8, kiosks=names)
    most = [
        next(came for came in range(100) if Gate(name, rules).state_after(came) is RoomState.FULL) for name in names
    ]
    assert most == [3, 3, 2]
    assert Gate("gate-9", rules).state_after(0) is RoomState.FULL


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 32))
def test_never_over_capacity_in_any_history_of_partitions_and_restarts(seed: int) -> None:
    most, capacity, _ = random_room(seed)
    assert most <= capacity


@given(st.integers(0, 5000), st.integers(1, 9), st.sampled_from([1.0, 0.75, 0.5]))
def test_the_shares_are_never_more_than_the_places(capacity: int, count: int, share: float) -> None:
    names = tuple(f"gate-{n}" for n in range(count))
    rules = RoomRules(capacity=capacity, share=share, kiosks=names)
    shares = [share_of(rules, name) for name in names]
    assert sum(shares) == int(capacity * share)
    assert max(shares) - min(shares) <= 1
    assert share_of(rules, "stranger") == 0


def test_cut_off_one_comes_in_for_each_who_leaves() -> None:
    gate = Gate("gate-1", RoomRules(capacity=4, kiosks=("gate-1", "gate-2")))
    for _ in range(2):
        assert gate.state is not RoomState.FULL
        gate.apply(What.IN)
    assert gate.state is RoomState.FULL
    gate.apply(What.OUT)
    assert gate.state is not RoomState.FULL


def test_half_of_the_places_are_given_to_a_gate_that_is_short_of_them() -> None:
    rules = RoomRules(capacity=40, kiosks=("gate-1", "gate-2"))
    rich, poor = Gate("gate-1", rules), Gate("gate-2", rules)
    for _ in range(19):
        poor.apply(What.IN)
    rich.hear("gate-2", poor.tell())
    rich.share()
    poor.hear("gate-1", rich.tell())
    assert rights(poor.tell(), poor.peers, rules, "gate-2") == 1 + 10
    assert rights(rich.tell(), rich.peers, rules, "gate-1") == 10
    assert inside_of_all(rich.tell(), rich.peers, rules) == 19


def test_tallies_that_come_late_or_twice_take_no_places_back() -> None:
    newer = Tally(9, 4, {"b": 3}, 10)
    assert Tally(5, 6, {"c": 1}, 10).newer(newer) == Tally(5, 6, {"b": 3, "c": 1}, 10)


@pytest.mark.parametrize(
    "content",
    [
        None, 7, {}, {"type": "gatepost.tally.v1"},
        {"type": "gatepost.tally.v1", "came": -1, "left": 0, "gave": {}, "capacity": 5},
        {"type": "gatepost.tally.v1", "came": True, "left": 0, "gave": {}, "capacity": 5},
        {"type": "gatepost.tally.v1", "came": 1, "left": 0, "gave": {"b": "x"}, "capacity": 5},
        {"type": "gatepost.tally.v1", "came": 1 << 40, "left": 0, "gave": {}, "capacity": 5},
    ],
)  # fmt: skip
def test_what_is_no_tally_says_nothing(content: object) -> None:
    assert parse_tally(content) is None


def test_a_kiosk_that_has_lost_its_ledger_hears_first_what_it_gave() -> None:
    rules = VenueInForce(VenueRules("hall", room=RoomRules(10, kiosks=("gate-1", "gate-2"))))
    lanes = {"in": LaneSpec(Direction.ENTRY)}

    def start(name: str, *, damaged: bool) -> Venue:
        venue = Venue(name, lanes, lambda: rules)
        venue.begin(1.0)
        venue.restore(b"", 1.0, damaged=damaged)
        return venue

    def tell(venue: Venue, other: Venue) -> None:
        other.on_peer_tally(venue.kiosk, json.loads(json.dumps(tally_content(venue.tally))))

    def enter(venue: Venue) -> bool:
        is_free = venue.room_state(2.0) in (RoomState.FREE, RoomState.BUSY)
        if is_free:
            venue.opened("in", 2.0)
        return is_free

    one, other = start("gate-1", damaged=False), start("gate-2", damaged=False)
    inside = sum(enter(other) for _ in range(6))
    for _ in range(3):
        tell(other, one)
        one.share(2.0)
        tell(one, other)
    again = start("gate-1", damaged=True)
    count = Attestation(2.0, "count", "", inside)
    assert again.attest("in", count, 2.0)[0].reason is None
    assert not enter(again), "it may have given all its places"
    tell(other, again)
    assert again.attest("in", count, 2.0)[0].reason is None
    for _ in range(20):
        inside += enter(again) + enter(other)
    assert inside == 10


def test_who_leaves_and_was_never_counted_makes_no_place() -> None:  # noqa: C901 - a history in steps
    """People who were inside before, or came by a gate that was opened by hand, leave by gates that count."""
    for seed in range(300):
        chance = random.Random(seed)
        capacity, uncounted = chance.randint(2, 12), chance.randint(1, 12)
        names = tuple(f"gate-{n}" for n in range(chance.randint(1, 3)))
        rules = VenueInForce(VenueRules("hall", room=RoomRules(capacity, kiosks=names if len(names) > 1 else ())))
        lanes = {"in": LaneSpec(Direction.ENTRY), "out": LaneSpec(Direction.EXIT)}
        gates = [Venue(name, lanes, lambda rules=rules: rules) for name in names]
        for gate in gates:
            gate.begin(1.0)
            gate.restore(b"", 1.0)
        at_s, inside = 2.0, uncounted
        for step in range(120):
            at_s += 60.0
            for each in gates:
                each.set_time(at_s)
            gate = chance.choice(gates)
            if inside and (step < 40 or chance.random() < 0.3):
                inside -= 1
                gate.opened("out", at_s)
            elif gate.room_state(at_s) in (RoomState.FREE, RoomState.BUSY):
                inside += 1
                gate.opened("in", at_s)
            if not inside:
                uncounted = 0
            assert inside <= capacity + uncounted, f"seed {seed}"
            for one, other in itertools.permutations(gates, 2):
                other.on_peer_tally(one.kiosk, tally_content(one.tally))
            gate.share(at_s)
        if len(gates) > 1 and chance.random() < 0.5:
            assert gate.attest("in", Attestation(at_s, "count", "", inside), at_s)[0].reason is None
            for one, other in itertools.permutations(gates, 2):
                other.on_peer_tally(one.kiosk, tally_content(one.tally))
            free = sum(rights(each.tally, each.peers, rules.rules.room, each.kiosk) for each in gates)
            assert free <= capacity - inside, f"seed {seed}"

"""Kiosks share the places of a room over a broker on site: never above the capacity, also when cut off."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from agent.events import Encoder, Topics
from agent.events.state import State
from agent.loop.ledger import LedgerKeeper
from agent.model import ClockState, Direction, LaneSpec, RoomState, TimeBounds
from agent.mqtt import Link
from agent.mqtt.options import Options as MqttOptions
from agent.outbox import Options, Outbox
from agent.platform.clock import boottime_s
from agent.venue import Venue, VenueInForce
from agent.venue.rules import RoomRules, VenueRules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("gate-1", "gate-2")
CAPACITY = 8
RULES = VenueInForce(VenueRules("library", room=RoomRules(CAPACITY, kiosks=NAMES)))
LIMIT_S = 20.0


class Gate:
    """A kiosk without devices: its ledger, its outbox, its link to the others."""

    def __init__(self, folder: Path, name: str, port: int) -> None:
        self.name = name
        topics = Topics("library", name)
        self.outbox = Outbox(Options(path=folder / f"{name}.db"), Encoder(topics))
        lanes = {"in": LaneSpec(Direction.ENTRY), "out": LaneSpec(Direction.EXIT)}
        self.venue = Venue(name, lanes, lambda: RULES)
        self.keeper = LedgerKeeper(self.venue, lambda data, new: self.outbox.put_entries(data, replaces=new))
        self.keeper.is_kept = self.outbox.has_ledger
        self.outbox.on_ledger = self.keeper.found
        self.link = Link(
            MqttOptions(host="127.0.0.1", port=port), topics, self.outbox, lambda: State(software_version="1")
        )
        self.channel = self.link.share("tally", self.keeper)
        self.keeper.send = self.channel.send
        self.outbox.put_entries(self.keeper.first_entries())
        self.outbox.start()
        self.link.start()
        self.channel.start()

    def turn(self) -> None:
        utc = time.time()
        self.keeper.turn(TimeBounds(utc - 0.1, utc + 0.1, ClockState.SYNCED))
        assert self.keeper.errors == 0

    def enter(self) -> bool:
        """Somebody wants to come in; whether there was room."""
        self.turn()
        if self.venue.room_state(boottime_s()) not in (RoomState.FREE, RoomState.BUSY):
            return False
        self.outbox.put_entries(self.venue.opened("in", boottime_s()))
        return True

    def leave(self) -> None:
        self.outbox.put_entries(self.venue.opened("out", boottime_s()))

    def stop(self) -> None:
        self.channel.stop()
        self.link.stop(0.0)
        self.outbox.stop(5.0)


@pytest.fixture
def gates(tmp_path: Path, broker) -> Iterator[list[Gate]]:
    made = [Gate(tmp_path, name, broker.port) for name in NAMES]
    yield made
    for gate in made:
        gate.stop()


def settle(gates: list[Gate], condition) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end_s
        for gate in gates:
            gate.turn()
        time.sleep(0.02)


def test_a_busy_gate_is_given_places_of_a_quiet_one_and_both_together_never_exceed_the_capacity(
    gates: list[Gate],
) -> None:
    busy, quiet = gates
    settle(gates, lambda: busy.venue.peers and quiet.venue.peers)
    inside = 0
    end_s = time.monotonic() + LIMIT_S
    while inside < CAPACITY - 1 and time.monotonic() < end_s:
        inside += busy.enter()
        quiet.turn()
        time.sleep(0.01)
    assert inside >= CAPACITY - 1, "half of the places were the other's, and most of them came over"
    for _ in range(20):
        inside += busy.enter() + quiet.enter()
    assert inside == CAPACITY
    settle(gates, lambda: quiet.venue.occupancy(boottime_s())["inside"] == CAPACITY)
    quiet.leave()
    assert quiet.enter(), "one out, one in: also by the other gate"
    assert not quiet.enter()


def test_cut_off_each_gate_goes_on_with_its_own_places(gates: list[Gate], broker) -> None:
    one, other = gates
    settle(gates, lambda: one.venue.peers and other.venue.peers)
    broker.stop()
    inside = sum(one.enter() for _ in range(20)) + sum(other.enter() for _ in range(20))
    assert inside == CAPACITY, "each let in its own half"
    one.leave()
    assert not other.enter()
    assert one.enter()

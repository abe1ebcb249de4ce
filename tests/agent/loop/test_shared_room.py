"""Kiosks share the places of a room over a broker on site: never above the capacity, also when cut off."""

from __future__ import annotations

import random
import shutil
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
LIMIT_S = 90.0


class Gate:
    """A kiosk without devices: its ledger, its outbox, its link to the others."""

    def __init__(self, folder: Path, name: str, port: int, rules: VenueInForce = RULES) -> None:
        self.name, self.folder = name, folder
        topics = Topics("library", name)
        self.outbox = Outbox(Options(path=folder / f"{name}.db"), Encoder(topics))
        lanes = {"in": LaneSpec(Direction.ENTRY), "out": LaneSpec(Direction.EXIT)}
        self.venue = Venue(name, lanes, lambda: rules)
        self.keeper = LedgerKeeper(self.venue, lambda data, new: self.outbox.store_entries(data, replaces=new))
        self.venue.is_kept = self.outbox.has_ledger
        self.outbox.on_ledger = self.keeper.found
        self.link = Link(
            MqttOptions(host="127.0.0.1", port=port), topics, self.outbox, lambda: State(software_version="1")
        )
        self.channel = self.link.share("tally", self.keeper)
        self.keeper.send = self.channel.send
        self.outbox.store_entries(self.keeper.first_entries())
        self.outbox.start()
        self.link.start()
        self.channel.start()

    def turn(self) -> None:
        utc = time.time()
        self.keeper.turn(TimeBounds(utc - 0.1, utc + 0.1, ClockState.SYNCED))
        assert self.keeper.errors == 0

    def enter(self, *, at_once: bool = False) -> bool:
        """Somebody wants to come in; whether there was room. `at_once`: before the one before is on the disk."""
        end_s = time.monotonic() + LIMIT_S
        while not at_once and not self.outbox.has_ledger() and time.monotonic() < end_s:
            time.sleep(0.001)
        self.turn()
        if self.venue.room_state(boottime_s()) not in (RoomState.FREE, RoomState.BUSY):
            return False
        self.outbox.store_entries(self.venue.opened("in", boottime_s()))
        return True

    def leave(self) -> None:
        self.outbox.store_entries(self.venue.opened("out", boottime_s()))

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


class Room:
    """Gates that people use while the broker goes and comes; they are restarted, and lose their power."""

    def __init__(self, folder: Path, broker, seed: int) -> None:
        self.folder, self.broker, self.chance = folder, broker, random.Random(seed)
        names = tuple(f"gate-{number}" for number in range(self.chance.randint(2, 4)))
        self.rules = RoomRules(
            self.chance.randint(len(names), 12), kiosks=names, share=self.chance.choice([1.0, 0.75])
        )
        self.force = VenueInForce(VenueRules("library", room=self.rules))
        self.gates = {name: Gate(folder, name, broker.port, self.force) for name in names}
        self.inside = self.most = self.came = self.lives = 0
        self.is_up = True

    def step(self) -> None:
        name = self.chance.choice(self.rules.kiosks)
        match self.chance.randrange(20):
            case 0:
                (self.broker.stop if self.is_up else self.broker.start)()
                self.is_up = not self.is_up
            case 1:
                self.gates[name].keeper.end()
                self.replace(name, self.gates[name].folder)
            case 2:
                self.cut_power(name)
            case 3 | 4 | 5 | 6:
                if self.inside:
                    self.inside -= 1
                    self.gates[name].leave()
            case 7 | 8:
                for gate in self.gates.values():
                    gate.turn()
                time.sleep(0.02)
            case _:
                self.enter(self.gates[name])

    def enter(self, gate: Gate) -> None:
        if gate.enter(at_once=self.chance.random() < 0.5):
            self.inside, self.came = self.inside + 1, self.came + 1
            self.most = max(self.most, self.inside)

    def cut_power(self, name: str) -> None:
        """What was on the card at this moment is all that is left."""
        self.lives += 1
        folder = self.folder / f"life-{self.lives}"
        folder.mkdir()
        for file in self.gates[name].folder.glob(f"{name}.db*"):
            shutil.copy(file, folder)
        self.replace(name, folder)

    def replace(self, name: str, folder: Path) -> None:
        self.gates[name].stop()
        self.gates[name] = Gate(folder, name, self.broker.port, self.force)

    def close(self) -> None:
        for gate in self.gates.values():
            gate.stop()
        if not self.is_up:
            self.broker.start()


def random_history(folder: Path, broker, seed: int, steps: int = 80) -> tuple[int, int, int]:
    """Most people who were truly inside, the capacity, how many came in."""
    room = Room(folder, broker, seed)
    try:
        for _ in range(steps):
            room.step()
    finally:
        room.close()
    return room.most, room.rules.capacity, room.came


@pytest.mark.parametrize("seed", range(4))
def test_never_over_capacity_in_random_histories_on_a_real_broker(tmp_path: Path, broker, seed: int) -> None:
    most, capacity, _ = random_history(tmp_path, broker, seed)
    assert most <= capacity

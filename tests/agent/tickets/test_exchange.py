"""Kiosks that share their used tickets, whatever the network and the power do.

Two thousand histories here; GATEPOST_HISTORIES=10000 for more.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter, deque
from pathlib import Path

import pytest

from agent.model import Tristate
from agent.tickets import exchange
from agent.tickets.exchange import LOST_AFTER_S, Exchange, Use
from agent.tickets.store import SqliteUses

HISTORIES = int(os.environ.get("GATEPOST_HISTORIES", "2000"))
KIOSKS = ("gate-1", "gate-2", "gate-3")
TICKETS = [bytes((number,)) * 16 for number in range(3)]
YES, NO, UNKNOWN = Tristate


class Disk:
    """A store that outlives its kiosk."""

    def __init__(self) -> None:
        self.uses: list[Use] = []

    def add(self, use: Use) -> None:
        assert use.number > self.have().get(use.source, 0)
        self.uses.append(use)

    def of(self, key: bytes) -> list[Use]:
        return [use for use in self.uses if use.key == key]

    def have(self) -> dict[str, int]:
        last: dict[str, int] = {}
        for use in self.uses:
            last[use.source] = max(use.number, last.get(use.source, 0))
        return last

    def last(self, source: str) -> int:
        return self.have().get(source, 0)

    def since(self, source: str, number: int, most: int) -> list[Use]:
        return [use for use in self.uses if use.source == source and use.number > number][:most]


class Site:
    """Some kiosks and their broker, which gives all messages to all that are connected, in one order."""

    def __init__(self, count: int, seed: int) -> None:
        self.dice = random.Random(seed)
        self.now_s = 1000.0
        self.names = KIOSKS[:count]
        self.disks = {name: Disk() for name in self.names}
        self.skew = {name: self.dice.choice((-2.0, 0.0, 3.0)) for name in self.names}
        self.starts: Counter[str] = Counter()
        self.lost: set[str] = set()
        self.to_broker: dict[str, deque[str]] = {name: deque() for name in self.names}
        self.to_kiosk: dict[str, deque[tuple[str, str]]] = {name: deque() for name in self.names}
        self.linked: dict[str, bool] = dict.fromkeys(self.names, False)
        self.claiming: dict[str, bytes] = {}
        self.admitted: list[tuple[bytes, str, Tristate, bool]] = []
        """Ticket, kiosk, what it knew, whether all were linked."""
        self.reported: Counter[tuple[str, int]] = Counter()
        self.kiosks: dict[str, Exchange] = {}
        for name in self.names:
            self.restart(name)
            self.link(name)

    def lose(self, name: str) -> None:
        """The card is damaged: the kiosk begins with an empty store, and says so."""
        self.disks[name] = Disk()
        self.lost.add(name)
        self.restart(name)
        self.link(name)

    def restart(self, name: str) -> None:
        self.cut(name)
        self.starts[name] += 1
        self.kiosks[name] = Exchange(name, f"e{self.starts[name]}", self.disks[name], self.names)
        self.kiosks[name].lost = name in self.lost
        self.claiming.pop(name, None)

    def link(self, name: str) -> None:
        if not self.linked[name]:
            self.linked[name] = True
            self.send(name, self.kiosks[name].connected(self.now_s))

    def cut(self, name: str) -> None:
        """All that is on the way is lost."""
        self.linked[name] = False
        self.to_broker[name].clear()
        self.to_kiosk[name].clear()
        if name in self.kiosks:
            self.kiosks[name].disconnected()

    def send(self, name: str, messages: list[dict[str, object]]) -> None:
        if self.linked[name]:
            self.to_broker[name].extend(json.dumps(message) for message in messages)

    def step(self) -> None:
        """One message moves one hop."""
        waiting = [name for name in self.names if self.to_broker[name] or self.to_kiosk[name]]
        if not waiting:
            return
        name = self.dice.choice(waiting)
        if self.to_kiosk[name] and (self.dice.random() < 0.5 or not self.to_broker[name]):
            sender, text = self.to_kiosk[name].popleft()
            replies, doubles = self.kiosks[name].received(sender, json.loads(text), self.now_s)
            self.send(name, replies)
            self.reported.update((use.source, use.number) for use in doubles)
        elif self.to_broker[name]:
            text = self.to_broker[name].popleft()
            for other in self.names:
                if self.linked[other]:
                    self.to_kiosk[other].append((name, text))

    def show(self, name: str, key: bytes) -> None:
        """Somebody shows a ticket; the kiosk waits for its claim, or gives up (see `finish`)."""
        if name in self.claiming or self.kiosks[name].used(key, self.now_s) is YES:
            return
        self.claiming[name] = key
        self.send(name, [self.kiosks[name].claim(key, self.now_s)])

    def finish(self, name: str) -> None:
        """The claim has come back, or was waited for long enough."""
        key = self.claiming.pop(name, None)
        if key is None:
            return
        kiosk = self.kiosks[name]
        used = kiosk.claimed(key, self.now_s)
        if used is YES:
            kiosk.let_go(key)
            return
        everybody = all(self.linked.values())
        self.send(name, [kiosk.use(key, self.now_s + self.skew[name], 1e6)])
        self.admitted.append((key, name, used, everybody))
        self.reported.update((use.source, use.number) for use in kiosk.doubles(key))

    def settle(self) -> None:
        """Everybody is linked until nothing is on the way."""
        for name in self.names:
            self.link(name)
        for _ in range(12):
            self.turn(2.0)

    def turn(self, seconds: float) -> None:
        """Time passes; who is linked says what there is, and all of it arrives."""
        self.now_s += seconds
        for name in self.names:
            self.send(name, self.kiosks[name].tick(self.now_s))
        while any(self.to_broker.values()) or any(self.to_kiosk.values()):
            self.step()


def play(seed: int, *, cuts: bool, losses: bool = False) -> Site:
    dice = random.Random(seed)
    site = Site(dice.choice((2, 2, 3)), seed)
    if dice.random() < 0.7:
        site.settle()
    for _ in range(dice.randrange(10, 60)):
        site.now_s += dice.choice((0.0, 0.01, 0.1, 1.0))
        name, what = dice.choice(site.names), dice.random()
        if what < 0.35:
            site.step()
        elif what < 0.6:
            site.show(name, dice.choice(TICKETS))
        elif what < 0.8:
            if site.kiosks[name].is_returned(site.claiming.get(name, b"")) or dice.random() < 0.3:
                site.finish(name)
        elif what < 0.85:
            site.send(name, site.kiosks[name].tick(site.now_s))
        elif losses and what > 0.98:
            site.lose(name)
        elif cuts:
            dice.choice((site.cut, site.link, site.link, site.restart))(name)
    return site


@pytest.mark.parametrize("part", range(4))
def test_never_twice_for_certain_and_every_double_is_reported(part: int) -> None:
    unsure = twice = 0
    for seed in range(part, HISTORIES, 4):
        site = play(seed, cuts=seed % 4 != 0)
        certain = Counter(key for key, _, used, _ in site.admitted if used is NO)
        assert max(certain.values(), default=0) <= 1, seed
        site.settle()
        together = {tuple(sorted(disk.uses)) for disk in site.disks.values()}
        assert len(together) == 1, seed
        (uses,) = together
        assert len(uses) == len(site.admitted), seed
        second = {
            (use.source, use.number)
            for key in TICKETS
            for use in sorted(each for each in uses if each.key == key)[1:]
        }
        assert second == set(site.reported), seed
        unsure += sum(used is UNKNOWN for _, _, used, _ in site.admitted)
        twice += len(second)
    assert unsure > 50  # else these histories show nothing
    assert twice > 50


@pytest.mark.parametrize("part", range(2))
def test_with_lost_stores_never_twice_for_certain_and_all_that_is_known_comes_back(part: int) -> None:
    came_back = 0
    for seed in range(part, max(HISTORIES // 5, 1000), 2):
        site = play(seed, cuts=True, losses=True)
        certain = Counter(key for key, _, used, _ in site.admitted if used is NO)
        assert max(certain.values(), default=0) <= 1, seed
        known = {use for disk in site.disks.values() for use in disk.uses}
        before = {use for name in site.names for use in site.disks[name].uses if use.kiosk == name}
        site.settle()
        for name, disk in site.disks.items():
            own = {use for use in known if use.kiosk == name}
            assert own <= set(disk.uses), (seed, name)
        came_back += len(known - before)
        for name in site.names:
            assert site.kiosks[name].used(b"n" * 16, site.now_s) is (UNKNOWN if site.lost else NO), seed
    assert came_back > 5  # else these histories show nothing


def test_a_claim_that_led_to_nothing_is_void_after_a_while() -> None:
    """Else the holder of that ticket would be told for ever that it was used."""
    site = Site(2, 1)
    site.settle()
    one, two = (site.kiosks[name] for name in site.names)
    site.send("gate-1", [one.claim(TICKETS[0], site.now_s)])
    while any(site.to_broker.values()) or any(site.to_kiosk.values()):
        site.step()
    assert two.used(TICKETS[0], site.now_s) is YES
    site.settle()
    assert two.used(TICKETS[0], site.now_s) is NO


def test_once_all_tickets_have_ended_nothing_is_unknown(tmp_path: Path) -> None:
    """Each forgets them when it comes to it; the one that used them goes on counting where it was."""
    stores = {name: SqliteUses(tmp_path / name) for name in KIOSKS[:2]}
    kiosks = {name: Exchange(name, "e", store, stores) for name, store in stores.items()}
    one, two = kiosks.values()

    def talk(at_s: float) -> None:
        for _ in range(2):  # with what was lacking, the next word shows that all is there
            waiting = [(name, message) for name, kiosk in kiosks.items() for message in kiosk.tick(at_s)]
            spread(waiting, at_s)

    def spread(waiting: list[tuple[str, dict[str, object]]], at_s: float) -> None:
        while waiting:
            sender, message = waiting.pop(0)
            for name, kiosk in kiosks.items():
                waiting += [(name, reply) for reply in kiosk.received(sender, message, at_s)[0]]

    for kiosk in kiosks.values():
        kiosk.connected(0.0)
    for key, ends_utc in zip(TICKETS, (9.0, 5.0, 5.0), strict=True):
        one.use(key, 1.0, ends_utc)
    talk(2.0)
    assert (two.used(TICKETS[0], 2.0), two.used(b"n" * 16, 2.0)) == (YES, NO)
    for at_s, name in ((4.0, "gate-1"), (6.0, "gate-2"), (8.0, "gate-1"), (10.0, "gate-2")):
        stores[name].expire(6.0 if at_s < 8 else 10.0, kiosks[name].source)
        talk(at_s)
        assert [kiosk.used(b"n" * 16, at_s) for kiosk in (one, two)] == [NO, NO], at_s
    said = one.use(TICKETS[1], 11.0, 20.0)
    two.received("gate-1", said, 11.0)
    assert two.used(TICKETS[1], 11.0) is YES, "at once"
    for store in stores.values():
        store.close()


def test_a_kiosk_speaks_for_nobody_else() -> None:
    """Neither for another one, nor for this one in its present run; of an earlier run it may know more."""
    kiosk = Exchange("gate-1", "now", Disk(), ["gate-2", "gate-3"])
    kiosk.connected(0.0)
    taken = {"gate-3/e": False, "gate-1/now": False, "gate-1/before": True, "gate-2/e": True}
    for source, is_taken in taken.items():
        key = source.encode().ljust(16)
        kiosk.received("gate-2", {"uses": [[key.hex(), source, 1 << 39, 1.0, 2.0]], "after": 0}, 0.0)
        assert (kiosk.used(key, 0.0) is YES) == is_taken, source


def test_all_linked_and_quiet_nothing_is_unknown() -> None:
    site = Site(2, 1)
    site.settle()
    for number, key in enumerate(TICKETS):
        one, other = site.names if number % 2 else site.names[::-1]
        site.show(one, key)
        site.show(other, key)
        while any(site.to_broker.values()) or any(site.to_kiosk.values()):
            site.step()
        site.finish(other)
        site.finish(one)
    assert len(site.admitted) == len(TICKETS)
    assert {used for _, _, used, _ in site.admitted} == {NO}


def told(site: Site) -> None:
    """Who is linked hears twice of all others, and is heard."""
    for _ in range(4):
        site.turn(1.0)


def used_at(site: Site, name: str, key: bytes) -> Tristate:
    """What a kiosk knows of a ticket, which it admits unless it was used."""
    site.send(name, [site.kiosks[name].claim(key, site.now_s)])
    told(site)
    known = site.kiosks[name].claimed(key, site.now_s)
    if known is not YES:
        site.send(name, [site.kiosks[name].use(key, 1.0, 1e9)])
        told(site)
    return known


def test_kiosks_that_are_started_again_and_again_are_certain_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tickets without an end are kept for more than a year; each day's start once made a source of its own."""
    monkeypatch.setattr(exchange, "MOST_SOURCES", 20)
    site = Site(2, 0)
    for day in range(30):
        for name in site.names:
            site.restart(name)
            site.link(name)
        told(site)
        assert used_at(site, site.names[day % 2], day.to_bytes(4) * 4) is NO
    assert len(site.kiosks["gate-1"].store.have()) == 2
    assert site.kiosks["gate-2"].used(bytes(16), site.now_s) is YES


def test_a_kiosk_that_cannot_ask_its_peers_numbers_in_a_source_of_its_own() -> None:
    site = Site(2, 0)
    told(site)
    assert used_at(site, "gate-1", TICKETS[0]) is NO
    site.cut("gate-2")
    site.restart("gate-1")
    site.link("gate-1")
    assert used_at(site, "gate-1", TICKETS[1]) is UNKNOWN
    assert set(site.disks["gate-1"].have()) == {"gate-1/e1", "gate-1/e2"}
    site.link("gate-2")
    told(site)
    assert site.disks["gate-2"].have() == site.disks["gate-1"].have()


def test_a_kiosk_on_an_older_copy_of_its_card_goes_on_behind_what_its_peers_know() -> None:
    site = Site(2, 0)
    told(site)
    assert used_at(site, "gate-1", TICKETS[0]) is NO
    image = list(site.disks["gate-1"].uses)
    assert used_at(site, "gate-1", TICKETS[1]) is NO
    site.disks["gate-1"].uses = image
    site.restart("gate-1")
    site.link("gate-1")
    told(site)
    assert used_at(site, "gate-1", TICKETS[1]) is YES
    assert used_at(site, "gate-1", TICKETS[2]) is NO
    assert site.disks["gate-2"].have() == {"gate-1/e1": 3}


def test_no_use_of_a_second_machine_with_a_copied_card_is_passed_over() -> None:
    """Both go on with the same numbers."""
    site = Site(2, 0)
    told(site)
    assert used_at(site, "gate-1", TICKETS[0]) is NO
    twin = Disk()
    twin.uses = list(site.disks["gate-1"].uses)
    site.restart("gate-1")
    site.link("gate-1")
    told(site)
    assert used_at(site, "gate-1", TICKETS[1]) is NO
    site.disks["gate-1"] = twin
    there = Exchange("gate-1", "e9", twin, site.names)
    there.source = "gate-1/e1"
    message = there.use(TICKETS[2], 1.0, 1e9)
    for _ in range(2):  # also when it is told again
        site.kiosks["gate-2"].received("gate-1", json.loads(json.dumps(message)), site.now_s)
    assert used_at(site, "gate-2", TICKETS[2]) is YES
    assert site.disks["gate-2"].have() == {"gate-1/e1": 2, "gate-1/e1~": 1}


def test_a_kiosk_alone_needs_nobody() -> None:
    kiosk = Exchange("gate-1", "e", Disk())
    assert kiosk.used(TICKETS[0], 0.0) is NO
    kiosk.use(TICKETS[0], 1.0, 2.0)
    assert kiosk.used(TICKETS[0], 0.0) is YES


def test_a_peer_that_is_silent_may_be_admitting() -> None:
    site = Site(2, 1)
    site.settle()
    kiosk = site.kiosks["gate-1"]
    assert kiosk.used(TICKETS[0], site.now_s) is NO
    assert kiosk.used(TICKETS[0], site.now_s + 60) is UNKNOWN
    site.cut("gate-1")
    assert kiosk.used(TICKETS[0], site.now_s) is UNKNOWN


def test_a_dead_kiosk_is_not_kept_alive_by_its_old_messages() -> None:
    """A broker, or a line that holds messages back, says them again and again; also to one that starts again."""
    site = Site(2, 1)
    site.settle()
    kiosk, peer = site.kiosks["gate-1"], site.kiosks["gate-2"]
    said = peer.tick(site.now_s)
    site.cut("gate-2")
    site.send("gate-1", kiosk.tick(site.now_s))
    for seconds in range(2, 60, 2):
        at_s = site.now_s + seconds
        kiosk.tick(at_s)
        for message in said:
            kiosk.received("gate-2", message, at_s)
        if seconds > 2 * LOST_AFTER_S:
            assert kiosk.used(TICKETS[0], at_s) is UNKNOWN, seconds
    again = Exchange("gate-1", "e2", site.disks["gate-1"], KIOSKS[:2])
    again.connected(site.now_s)
    again.received("gate-2", said[0], site.now_s)
    assert again.used(TICKETS[0], site.now_s) is UNKNOWN


def test_a_kiosk_is_certain_again_with_the_second_word_of_its_peer() -> None:
    one, two = (Exchange(name, "e", Disk(), KIOSKS[:2]) for name in KIOSKS[:2])
    first, answer = one.connected(0.0), two.connected(0.0)
    two.received("gate-1", first[0], 0.1)
    one.received("gate-2", answer[0], 0.1)
    assert one.used(TICKETS[0], 0.1) is UNKNOWN, "it may have been said long ago"
    one.received("gate-2", two.tick(2.0)[0], 2.1)
    assert one.used(TICKETS[0], 2.1) is NO


def test_a_kiosk_of_an_older_release_is_believed_until_it_knows_nonces() -> None:
    kiosk = Exchange("gate-1", "e", Disk(), ["gate-2"])
    kiosk.connected(0.0)
    kiosk.received("gate-2", {"have": {}, "claims": []}, 1.0)
    assert kiosk.used(TICKETS[0], 1.0) is NO
    kiosk.received("gate-2", {"have": {}, "claims": [], "nonce": "e-1", "heard": {}}, 2.0)
    kiosk.received("gate-2", {"have": {}, "claims": []}, 7.5)
    assert kiosk.used(TICKETS[0], 7.5) is UNKNOWN


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"have": {}, "nonce": 1, "heard": {}},
        {"have": {}, "nonce": "n" * 65, "heard": {}},
        {"have": {}, "nonce": "n", "heard": {"gate-1": ["e-1"]}},
        {"have": {}, "nonce": "n", "heard": []},
        {"claim": "zz"},
        {"claim": 7},
        {"have": []},
        {"have": {}, "claims": 5},
        {"have": {"gate-2/e": "many", "x": None}, "claims": [1, "ab"]},
        {"uses": [[], None, ["ab", "gate-2/e", 1, 1, 1], ["ab" * 16, "gate-2/e", -1, 1, 1]], "after": 0},
        {"uses": [["ab" * 16, "gate-2/e", True, 1, 1], ["ab" * 16, "gate-1/e", 1, 1, 1]], "after": 0},
        {"uses": [["ab" * 16, "gate-2/e", 1, 1, 1]], "after": 7},
        {
            "uses": [
                ["ab" * 16, "gate-2/e", 1, float("nan"), 1],
                ["ab" * 16, "", 1, 1, 1],
                ["ab" * 16, "x/e", True, 1, 1],
            ]
        },
    ],
)
def test_what_cannot_be_read_is_passed_over(message: dict[str, object]) -> None:
    disk = Disk()
    kiosk = Exchange("gate-1", "e", disk, ["gate-2"])
    kiosk.connected(0.0)
    kiosk.received("gate-2", message, 0.0)
    assert not disk.uses
    is_older = "have" in message and "nonce" not in message
    assert is_older or kiosk.used(TICKETS[0], 0.0) is UNKNOWN


def test_a_kiosk_that_has_no_part_in_the_tickets_uses_none_up() -> None:
    kiosk = Exchange("gate-1", "e", Disk(), ["gate-2"])
    kiosk.connected(0.0)
    key = TICKETS[0]
    kiosk.received("shop", {"claim": key.hex()}, 0.0)
    kiosk.received("shop", {"uses": [[key.hex(), "shop/e", 1, 1.0, 2.0]], "after": 0}, 0.0)
    assert kiosk.used(key, 0.0) is UNKNOWN, "not used, as far as is known without the peer"


def test_who_does_not_answer_for_a_minute_is_silent() -> None:
    one = Exchange("gate-1", "e", Disk(), ("gate-1", "gate-2", "gaet-3"))
    assert one.silent(1000.0) == [], "without a connection nobody could be heard"
    one.connected(1000.0)
    assert one.silent(1059.0) == []
    one.received("gate-2", {"have": {}}, 1050.0)
    assert one.silent(1061.0) == ["gaet-3"]
    assert one.silent(1111.0) == ["gaet-3", "gate-2"]
    one.disconnected()
    assert one.silent(1200.0) == []

"""How many people may be inside: a room of one kiosk, and one that several share without a server. Pure.

Each kiosk keeps three kinds of numbers that only grow: how many came in, how many left, how many places it gave to
each peer. It tells them to its peers. Its rights are

    its share of the places + out - in - all that it gave + all that its peers say they gave to it

It admits while its rights are above zero, so all together never admit more than the places. What it does not hear
of its peers only makes its rights fewer. A kiosk that is cut off goes on with its own: one out, one in (出一进一).

A kiosk that has lost what it gave asks its peers, by a question of its own: a tally that was told before that does
not answer it, however late it comes.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from agent.model import RoomState
from agent.model.lazy import dataclass
from agent.venue.entries import tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.venue.ledger import Ledger
    from agent.venue.rules import RoomRules

_MOST = 1 << 32
_MOST_QUESTION = 64
_POORER = 4
"""A peer with less than a quarter of our rights is given some."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What a kiosk tells its peers; every number only grows, but for those of a kiosk that lost its ledger."""

    came: int = 0
    left: int = 0
    gave: Mapping[str, int] = field(default_factory=dict)
    """Peer → places given to it, in all."""
    capacity: int = 0
    """By which rules it counts: places are shared only among kiosks of one capacity."""
    got: Mapping[str, int] = field(default_factory=dict)
    """Peer → places that it has given to this one, in all: one that has lost its ledger is told so what it gave."""
    heard: Mapping[str, str] | None = None
    """Peer → its last question; None: of a release that answers none."""

    def newer(self, other: Tally | None) -> Tally:
        """What is known after this tally of a kiosk, when `other` was heard before. Whom it counts it may have lost
        in between, with its ledger; places that were once given are given, also when it is told late.
        """
        if other is None:
            return self
        gave, got = _most(self.gave, other.gave), _most(self.got, other.got)
        return Tally(self.came, self.left, gave, self.capacity, got, self.heard)


def _most(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {peer: max(one.get(peer, 0), other.get(peer, 0)) for peer in {*one, *other}}


def parse_tally(content: object) -> Tally | None:
    """The tally in a message of a peer; None when it is none."""
    match content:
        case {"type": "gatepost.tally.v1", "came": int(came), "left": int(left), "gave": dict(gave),
              "capacity": int(capacity), **rest} if isinstance(got := rest.get("got", {}), dict) and all(
            type(count) is int and 0 <= count < _MOST
            for count in (came, left, capacity, *gave.values(), *got.values())
        ) and all(isinstance(peer, str) for peer in (*gave, *got)):  # fmt: skip
            heard = rest.get("heard")
            return Tally(came, left, gave, capacity, got, heard if isinstance(heard, dict) else None)
    return None


@dataclass(slots=True)
class Questions:
    """What a kiosk that has lost its ledger asks the others, and what they ask it."""

    unheard: frozenset[str] = frozenset()
    """Those of whom it is to be heard first what this one gave them: its ledger is damaged."""
    own: str = ""
    """What these are asked, another text for each loss; empty: whatever they tell answers it."""
    of_peers: dict[str, str] = field(default_factory=dict)
    """Peer → what it has asked last."""

    def is_answered_by(self, peer: str, told: Tally, kiosk: str) -> bool:
        """Whether this kiosk has asked a peer, which has told this after that."""
        is_later = not self.own or told.heard is None or told.heard.get(kiosk) == self.own
        return peer in self.unheard and is_later


def parse_question(content: object) -> str:
    """The question in a message of a peer, which wants to be told this kiosk's tally; empty when it is none."""
    match content:
        case {"type": "gatepost.tally_question.v1", "question": str(question)} if len(question) <= _MOST_QUESTION:
            return question
    return ""


def question_content(question: str) -> dict[str, Any]:
    """The message that asks it."""
    return {"type": "gatepost.tally_question.v1", "question": question}


def tally_content(tally: Tally) -> dict[str, Any]:
    """The message that tells it."""
    return {
        "type": "gatepost.tally.v1",
        "came": tally.came,
        "left": tally.left,
        "gave": dict(sorted(tally.gave.items())),
        "capacity": tally.capacity,
        "got": dict(sorted(tally.got.items())),
        "heard": dict(sorted((tally.heard or {}).items())),
    }


def share_of(rules: RoomRules, kiosk: str) -> int:
    """The places that a kiosk begins with: its part of what is handed out; 0 for a kiosk that is not named."""
    return _part(int(rules.capacity * rules.share), rules, kiosk) if rules.kiosks else rules.capacity


def daily_of(rules: RoomRules, kiosk: str) -> int:
    """How many may come by this kiosk in one day: its part of all, as none hears of each who came at another."""
    return _part(rules.daily, rules, kiosk) if rules.kiosks else rules.daily


def _part(whole: int, rules: RoomRules, kiosk: str) -> int:
    if kiosk not in rules.kiosks:
        return 0
    count, index = len(rules.kiosks), rules.kiosks.index(kiosk)
    return whole // count + (index < whole % count)


def own_tally(ledger: Ledger, rules: RoomRules, kiosk: str, peers: Mapping[str, Tally] | None = None) -> Tally:
    """What this kiosk tells."""
    gave = {peer: ledger.gave[tag(peer)] for peer in rules.kiosks if peer != kiosk and tag(peer) in ledger.gave}
    got = {name: peer.gave[kiosk] for name, peer in (peers or {}).items() if kiosk in peer.gave}
    came = max(0, ledger.total_out + ledger.inside)  # with those who left unseen while this kiosk was alone
    left = ledger.total_out
    if rules.closes_min is not None and not ledger.knows_time:
        # it may have closed since: then who had left by this kiosk, and come by others, frees no place any more
        left = max(0, left + min(0, ledger.least_since_boot))
    return Tally(came, left, gave, rules.capacity, got)


def rights(own: Tally, peers: Mapping[str, Tally], rules: RoomRules, kiosk: str) -> int:
    """How many may still come in by this kiosk."""
    given = sum(own.gave.values())
    received = sum(peer.gave.get(kiosk, 0) for name, peer in peers.items() if name in rules.kiosks)
    return share_of(rules, kiosk) + own.left - own.came - given + received


def to_give(own: Tally, peers: Mapping[str, Tally], rules: RoomRules, kiosk: str) -> tuple[str, int] | None:
    """A peer that is short of rights, and how many to give to it; None when nobody is."""
    mine = rights(own, peers, rules, kiosk)
    poorest = min(((theirs, name) for name, theirs in _rights_of_peers(own, peers, rules, kiosk)), default=None)
    if poorest is None or mine < 2 or poorest[0] * _POORER >= mine:  # noqa: PLR2004 - half of them
        return None
    return poorest[1], mine // 2


def debts(own: Tally, peers: Mapping[str, Tally], rules: RoomRules, kiosk: str) -> list[tuple[str, int]]:
    """Peers by which more came in than they had places, as a power cut or a count has shown, and how many more."""
    return [(name, -theirs) for name, theirs in _rights_of_peers(own, peers, rules, kiosk) if theirs < 0]


def _rights_of_peers(
    own: Tally, peers: Mapping[str, Tally], rules: RoomRules, kiosk: str
) -> Iterator[tuple[str, int]]:
    """What each may still let in, as far as is known here, in the order of their names."""
    for name, peer in sorted(peers.items()):
        if name == kiosk or name not in rules.kiosks or peer.capacity != rules.capacity:
            continue
        theirs = share_of(rules, name) + peer.left - peer.came - sum(peer.gave.values())
        theirs += own.gave.get(name, 0)
        theirs += sum(other.gave.get(name, 0) for third, other in peers.items() if third != name)
        yield name, theirs


def inside_of_all(own: Tally, peers: Mapping[str, Tally], rules: RoomRules) -> int:
    """How many are inside, as far as is known; below zero when more left than came: some were not seen coming."""
    others = [peer for name, peer in peers.items() if name in rules.kiosks]
    return own.came - own.left + sum(peer.came - peer.left for peer in others)


def room_state(
    ledger: Ledger, rules: RoomRules, kiosk: str, peers: Mapping[str, Tally], came_today: int
) -> RoomState:
    """Whether one more may come in."""
    if rules.daily and came_today >= daily_of(rules, kiosk):
        return RoomState.FULL
    if not ledger.exact and (rules.daily or rules.capacity):
        return RoomState.UNKNOWN
    if not rules.capacity:
        return RoomState.FREE
    if not rules.kiosks:
        inside = ledger.inside
        left = rules.capacity - inside
    else:
        own = own_tally(ledger, rules, kiosk)
        inside = inside_of_all(own, peers, rules)
        left = min(rights(own, peers, rules, kiosk), rules.capacity - inside)  # others may have let in too many
    if left <= 0:
        return RoomState.FULL
    return RoomState.BUSY if inside >= rules.busy * rules.capacity else RoomState.FREE

"""One entry for one ticket at several kiosks: the messages between them, and what each may conclude. Pure.

A use is one admission on one ticket. Each kiosk numbers its own uses 1, 2, 3 … (`source`: its name and a random
epoch) and keeps everybody's, so that a gap is seen and asked for. A run of the agent begins with an epoch of its
own. Once all peers have told that they know no more of an earlier source than is kept here, it goes on with that:
there are few sources, however often a kiosk is started. Messages are JSON objects, each published by one kiosk and
received by all, the sender too, in one order: that of the broker.

| member | meaning |
|---|---|
| have | {source: number}: the last use kept of each source; sent every `HAVE_EVERY_S` |
| nonce | with `have`: another text each time |
| heard | with `have`: {kiosk: the last nonce of it that the sender has heard} |
| claims | keys that the sender is about to admit |
| uses | [[key, source, number, time, end]]: key in hexadecimal; time of the admission, end of the ticket |
| after | the number before the first of `uses`: what was between is forgotten by its kiosk |
| claim | a key: the sender is about to admit it, unless somebody else's claim comes back to it first |
| lost | with `have`: the sender has lost uses of its own, so that nobody knows of all |

A kiosk admits on a ticket for certain (`NO`: not used) only when its claim has come back to it, no other was before
it, and all peers have been heard lately and lack nothing of theirs here. Else it cannot know (`UNKNOWN`); what was
admitted twice is found when the kiosks hear each other again. The earlier use stands, the later one is reported by
the kiosk that made it.

A `have` shows that its sender is there only if it names a nonce that this kiosk has sent lately: one that somebody
has kept back, or sends again, names an older one. An agent before nonces names none, and is believed without.

A kiosk that has lost its own uses is given those that the others have heard of. Which of its uses nobody had heard
of is not known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from agent.model import Tristate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

HAVE_EVERY_S = 2.0
LOST_AFTER_S = 6.0
"""A peer that was not heard for so long may be admitting without us."""
CLAIM_S = 10.0
"""A claim that led to no use is void after this."""
SILENT_S = 60.0
"""A peer that has not answered for so long, while we are connected, is off, or not a kiosk at all."""
MOST_USES = 200
"""In one message."""
KEY_BYTES = 16
MOST_SOURCES = 1000
_MOST_NONCE = 64
_TWIN = "~"
"""At the end of a source: uses of a second machine with its numbers."""
_MOST_NUMBER = 1 << 40
_MOST_UTC = float(1 << 40)

Message = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """One admission on one ticket. The order is that of precedence: the earlier one stands."""

    utc: float
    source: str
    number: int
    key: bytes = field(repr=False)
    ends_utc: float
    """The key may be forgotten after this."""

    @property
    def kiosk(self) -> str:
        """Who admitted."""
        return kiosk_of(self.source)


class UseStore(Protocol):
    """Where uses are kept; each method is durable when it returns."""

    def add(self, use: Use) -> None:
        """Keep one; its number is higher than those before of its source."""

    def of(self, key: bytes) -> list[Use]:
        """All uses of a ticket."""

    def have(self) -> dict[str, int]:
        """Source → the last number of those kept; one without any is not there."""

    def last(self, source: str) -> int:
        """The last number ever given by a source of our own, kept or not; 0: none."""

    def since(self, source: str, number: int, most: int) -> list[Use]:
        """The uses of a source after that number, in order."""


class Exchange:
    """What one kiosk knows. Not thread-safe."""

    def __init__(self, kiosk: str, epoch: str, store: UseStore, peers: Iterable[str] = ()) -> None:
        """`epoch`: another one at each start; `peers`: the other kiosks that admit on the same tickets."""
        self.kiosk, self.source, self.store = kiosk, f"{kiosk}/{epoch}", store
        self._run = epoch
        self._is_settled = False
        """Whether the source stays, of this run or of an earlier one."""
        self.peers = frozenset(peers) - {kiosk}
        self._heard_s: dict[str, float] = {}
        """Peer → when it was last found to have nothing that we lack, while connected."""
        self._count = 0
        self._nonces: dict[str, float] = {}
        """Those of our own on this connection that may still be answered, and when each was sent."""
        self._heard: dict[str, str] = {}
        """Peer → its last nonce; one that is here has always to name ours."""
        self.lost = False
        """Uses of ours are lost, and not all of them were heard of by others."""
        self.recovered_end_utc = 0.0
        """When the last ticket ends of whose use here others had to tell us; it may be set back."""
        self._connected = False
        self._connected_s = 0.0
        """Since when; as long as it is."""
        self._claims: dict[bytes, tuple[str, float]] = {}
        """Key → whose claim came first, and when."""
        self._own: dict[bytes, float] = {}
        """Keys that we claim, since when."""
        self._returned: dict[bytes, bool] = {}
        """Keys of ours whose claim has come back, and whether we could be certain then: what peers had claimed
        before comes with the first that we hear of them."""

    # -- the connection

    def connected(self, at_s: float) -> list[Message]:
        """Messages go out and come in again: what to say first."""
        self._connected, self._connected_s = True, at_s
        self._heard_s.clear()
        self._nonces.clear()
        return [self._have(at_s)]

    def disconnected(self) -> None:
        """Nothing goes out or comes in."""
        self._connected = False
        self._heard_s.clear()

    def tick(self, at_s: float) -> list[Message]:
        """What to say every `HAVE_EVERY_S`."""
        return [self._have(at_s)] if self._connected and self.peers else []

    def received(self, sender: str, message: Mapping[str, Any], at_s: float) -> tuple[list[Message], list[Use]]:
        """Take a message of `sender`, which may be ourselves: what to say to it, and which of our own uses turn out
        to be second ones. What cannot be read is passed over.
        """
        replies: list[Message] = []
        doubles: list[Use] = []
        match message:
            case _ if sender != self.kiosk and sender not in self.peers:
                pass  # a kiosk of the site that has no part in these tickets
            case {"claim": str(text)} if (key := _key(text)) is not None:
                self._claimed(sender, key, at_s)
            case {"uses": list(rows), "after": int(after)} if sender != self.kiosk:
                uses = [use for use in map(_use, rows[:MOST_USES]) if use is not None]
                doubles += self._merge(sender, uses, after)
            case {"have": dict(have)} if sender in self.peers:
                claims = message.get("claims")
                for key in filter(None, map(_key, claims if isinstance(claims, list) else ())):
                    self._claimed(sender, key, at_s)
                replies += self._missing(sender, have)
                answers = self._answers(sender, message, at_s)
                if self._lacks(sender, have) or message.get("lost"):
                    self._heard_s.pop(sender, None)
                elif answers:
                    self._heard_s[sender] = at_s
                    self._settle(at_s)
        return replies, doubles

    def silent(self, at_s: float) -> list[str]:
        """Peers that do not answer for what they let in, though we are connected; in the order of their names."""
        return sorted(
            peer
            for peer in self.peers
            if self._connected and at_s - self._heard_s.get(peer, self._connected_s) >= SILENT_S
        )

    # -- tickets

    def used(self, key: bytes, at_s: float) -> Tristate:
        """Whether somebody was admitted on this ticket, or is just being."""
        claim = self._claims.get(key)
        if self.store.of(key) or (claim is not None and claim[0] != self.kiosk and at_s - claim[1] < CLAIM_S):
            return Tristate.YES
        return Tristate.NO if self._is_certain(at_s) else Tristate.UNKNOWN

    def claim(self, key: bytes, at_s: float) -> Message:
        """What to say before somebody is admitted. `is_returned` tells when it has come back."""
        self._returned.pop(key, None)
        self._own[key] = at_s
        return {"claim": key.hex()}

    def is_returned(self, key: bytes) -> bool:
        """Whether our claim has come back."""
        return key in self._returned

    def claimed(self, key: bytes, at_s: float) -> Tristate:
        """As `used`, after our claim: NO only if it has come back and was the first for certain."""
        used = self.used(key, at_s)
        is_first = not self.peers or self._returned.get(key, False)
        return Tristate.UNKNOWN if used is Tristate.NO and not is_first else used

    def let_go(self, key: bytes) -> None:
        """The claim led to nothing, or to a use."""
        self._own.pop(key, None)
        self._returned.pop(key, None)
        if self._claims.get(key, ("", 0.0))[0] == self.kiosk:
            del self._claims[key]

    def use(self, key: bytes, utc: float, ends_utc: float) -> Message:
        """Somebody is admitted: kept when this returns. What to say of it. Raises what the store raises."""
        before = self.store.have().get(self.source, 0)
        use = Use(utc, self.source, self.store.last(self.source) + 1, key, ends_utc)
        self.store.add(use)
        self.let_go(key)
        return {"uses": [_row(use)], "after": before}

    def doubles(self, key: bytes) -> list[Use]:
        """Our own uses of a ticket that were not the first."""
        _, *rest = sorted(self.store.of(key))
        return [use for use in rest if use.kiosk == self.kiosk]

    # -- inside

    def _is_certain(self, at_s: float) -> bool:
        lately = {peer for peer, heard_s in self._heard_s.items() if at_s - heard_s < LOST_AFTER_S}
        return not self.lost and (not self.peers or (self._connected and self.peers <= lately))

    def _settle(self, at_s: float) -> None:
        """Go on with the source of an earlier run, unless this one has uses of its own already."""
        if not self._is_settled and self._is_certain(at_s):
            self._is_settled = True
            have = self.store.have()
            own = [each for each in have if kiosk_of(each) == self.kiosk and not each.endswith(_TWIN)]
            if own and self.source not in own:
                self.source = max(own, key=lambda source: have[source])

    def _claimed(self, sender: str, key: bytes, at_s: float) -> None:
        """The first claim stands until it is void."""
        claim = self._claims.get(key)
        if claim is None or at_s - claim[1] >= CLAIM_S:
            self._claims = {each: mark for each, mark in self._claims.items() if at_s - mark[1] < CLAIM_S}
            self._claims[key] = (sender, at_s)
        if sender == self.kiosk and key in self._own:
            self._returned[key] = self._is_certain(at_s)

    def _merge(self, sender: str, uses: Sequence[Use], after: int) -> list[Use]:
        """Keep uses of the sender that follow what we have of it, and our own of an earlier run that we have lost;
        our own that turn out to be second ones.
        """
        have, doubles = self.store.have(), []
        for use in uses:
            last = have.get(use.source, 0)
            is_known = use.source in have or len(have) < MOST_SOURCES
            is_of_them = use.kiosk in (sender, self.kiosk) and use.source == uses[0].source != self.source
            if is_of_them and use.number <= last and is_known:
                self._add_of_twin(use, have)
            elif is_of_them and after <= last < use.number and is_known:
                self.store.add(use)
                have[use.source] = after = use.number
                doubles += self.doubles(use.key)
                if use.kiosk == self.kiosk:
                    self.recovered_end_utc = max(self.recovered_end_utc, use.ends_utc)
        return doubles

    def _add_of_twin(self, use: Use, have: dict[str, int]) -> None:
        """A second machine with a copy of a kiosk's card has the same numbers: none of its uses is lost."""
        kept = next(iter(self.store.since(use.source, use.number - 1, 1)), use)
        is_another = kept.number == use.number and kept.key != use.key
        if is_another and all(each.kiosk != use.kiosk for each in self.store.of(use.key)):
            source = f"{use.source}{_TWIN}"
            have[source] = have.get(source, 0) + 1
            self.store.add(replace(use, source=source, number=have[source]))

    def _have(self, at_s: float) -> Message:
        """What we know, and what we are about to admit. A claim that led to nothing is not told for ever."""
        self._own = {key: since_s for key, since_s in self._own.items() if at_s - since_s < CLAIM_S}
        self._count += 1
        nonce = f"{self._run}-{self._count}"
        self._nonces = {each: sent_s for each, sent_s in self._nonces.items() if at_s - sent_s < LOST_AFTER_S}
        self._nonces[nonce] = at_s
        said = {"have": self.store.have(), "nonce": nonce, "heard": dict(self._heard)}
        said["claims"] = [key.hex() for key in self._own]
        return {**said, "lost": True} if self.lost else said

    def _answers(self, peer: str, message: Mapping[str, Any], at_s: float) -> bool:
        """Whether the peer has said this after it heard of us lately."""
        match message:
            case {"nonce": str(nonce), "heard": dict(heard)} if len(nonce) <= _MOST_NONCE:
                self._heard[peer] = nonce
                return at_s - self._nonces.get(str(heard.get(self.kiosk)), -math.inf) < LOST_AFTER_S
        return "nonce" not in message and peer not in self._heard

    def _missing(self, peer: str, have: Mapping[str, Any]) -> list[Message]:
        """Uses that a peer lacks: our own, of this run and those before, and its own that it has lost."""
        found: list[Message] = []
        for source, last in self.store.have().items():
            known = have.get(source, 0)
            if kiosk_of(source) in (self.kiosk, peer) and type(known) is int and 0 <= known < last:
                rows = [_row(use) for use in self.store.since(source, known, MOST_USES)]
                if rows:
                    found.append({"uses": rows, "after": known})
        return found

    def _lacks(self, sender: str, have: Mapping[str, Any]) -> bool:
        """Whether the sender has uses of its own, or of ours, that we do not have."""
        own = self.store.have()
        return any(
            kiosk_of(source) in (sender, self.kiosk)
            and source != self.source
            and isinstance(last, int)
            and last > own.get(source, 0)
            for source, last in have.items()
        )


def kiosk_of(source: str) -> str:
    """Name of the kiosk in a source."""
    return source.rpartition("/")[0]


def _row(use: Use) -> list[Any]:
    return [use.key.hex(), use.source, use.number, use.utc, use.ends_utc]


def _use(row: object) -> Use | None:
    match row:
        case [str(text), str(source), int(number), int() | float() as utc, int() | float() as ends] if (
            (key := _key(text)) is not None
            and kiosk_of(source)
            and type(number) is int
            and 0 < number < _MOST_NUMBER
            and 0 <= utc < _MOST_UTC
            and 0 <= ends < _MOST_UTC
        ):
            return Use(float(utc), source, number, key, float(ends))
    return None


def _key(text: object) -> bytes | None:
    try:
        key = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        return None
    return key if len(key) == KEY_BYTES else None

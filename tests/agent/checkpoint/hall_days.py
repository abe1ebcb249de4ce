"""Random days of a hall: two kiosks with two entries each, cards, tickets for one entry, a room with a capacity.

The kiosks share tickets and places over a broker that is cut off at times; they are restarted, and power cuts take
the newest entry of a ledger with them. People come with a health code, a card, a ticket, or some of these; some
have a ticket that others have too. The truth is who stands where, how warm, with what, and how many are inside.

    python tests/agent/checkpoint/hall_days.py 3000 [FIRST]

runs so many days, and tells the wrong openings, and what the rules cost honest people.
"""

from __future__ import annotations

import json
import math
import random
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[3]))

from days import AGAIN_TICKS, long_run
from lane_bench import FEVER_C, NORMAL_C, ROOM_C

from agent import screening
from agent.checkpoint import Checkpoint, DecisionRules, Options
from agent.credentials.combine import combine
from agent.model import (
    ClockState,
    CodeStatus,
    Colour,
    Decision,
    DeviceDown,
    DeviceUp,
    Direction,
    Entitlement,
    LaneSpec,
    Observation,
    Outcome,
    Passage,
    Role,
    RoomState,
    Screening,
    TimeBounds,
    Tristate,
    Verdict,
)
from agent.model.effects import OpenGate
from agent.tickets.exchange import HAVE_EVERY_S, LOST_AFTER_S, Exchange, Use
from agent.venue import Venue, VenueInForce
from agent.venue.room import tally_content
from agent.venue.rules import RoomRules, VenueRules
from drivers.contract import CARD, Pressed, Reading, Sighting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.model import DecisionInput, Item

KIOSKS = ("gate-1", "gate-2")
LANES = {
    "left": LaneSpec(Direction.ENTRY, parts=frozenset({Role.SCANNER, Role.CARD, Role.THERMOMETER, Role.GATE})),
    "right": LaneSpec(Direction.ENTRY, parts=frozenset({Role.SCANNER, Role.CARD, Role.THERMOMETER, Role.GATE})),
    "out": LaneSpec(Direction.EXIT, parts=frozenset({Role.BUTTON, Role.GATE})),
}
ENTRIES = [(kiosk, lane) for kiosk in KIOSKS for lane in ("left", "right")]
TICK_S = 0.1
UTC = 1_800_000_000.0
UNSURE_S = LOST_AFTER_S + 2 * HAVE_EVERY_S
"""So long after a cut or a restart kiosks need not know of each other's tickets."""


def check_one(payload: bytes) -> Verdict:
    """`green:anna`; `card:anna:green`, also `red` and `unlisted`; `ticket:7`."""
    word, _, rest = payload.decode().partition(":")
    if word == "ticket":
        key = payload.ljust(16, b".")
        right = Entitlement(("hall",), single_use=True, key=key)
        return Verdict(CodeStatus.VALID, "ticket", code=key, kind="ticket", entitlement=right)
    name, _, colour = rest.partition(":")
    subject = name.encode().ljust(16, b".")
    if word == "card":
        number = f"card of {name}".encode().ljust(16, b".")
        named = Verdict(CodeStatus.UNDECIDED, "card", subject=number, code=number, adds="card", card=number)
        is_listed = colour != "unlisted"
        return replace(named, status=CodeStatus.VALID, colour=Colour(colour), adds="") if is_listed else named
    if word == "expired":
        return Verdict(CodeStatus.EXPIRED, "health", subject=subject)
    return Verdict(CodeStatus.VALID, "health", subject=subject, code=subject, colour=Colour(word), kind="health")


def check(payloads: Sequence[bytes], _now: TimeBounds) -> Verdict:
    return combine([check_one(each) for each in payloads])


def decide(case: DecisionInput) -> Decision:  # noqa: PLR0911 - one line for each rule
    """Green or a ticket, normal, with room inside; where it is not known whether a ticket was used, by notice."""
    verdict = case.verdict
    if case.lane.direction is Direction.EXIT:
        return Decision(Outcome.ADMIT, ("egress_free",))
    if verdict is None or verdict.status is not CodeStatus.VALID:
        return Decision(Outcome.REFER, ("undecided",))
    if verdict.colour is Colour.RED:
        return Decision(Outcome.REFUSE, ("code_red",))
    has_ticket = verdict.entitlement is not None
    if case.shown_again or verdict.colour is Colour.YELLOW or not (has_ticket or verdict.colour):
        return Decision(Outcome.REFER, ("no_right",))
    if case.temperature.outcome is not Screening.NORMAL:
        return Decision(Outcome.REFER, (str(case.temperature.outcome),))
    if case.facts.room not in (RoomState.FREE, RoomState.BUSY):
        return Decision(Outcome.REFER, ("room_full",))
    if has_ticket and case.used is not Tristate.NO:
        is_used = case.used is Tristate.YES
        return Decision(Outcome.REFER if is_used else Outcome.ADMIT_WITH_NOTICE, ("ticket_use",))
    return Decision(Outcome.ADMIT, ("admitted",))


def is_of_one(shown: set[bytes], own: set[bytes]) -> bool:
    """Whether what was shown may be one person's, of whom some of it is. Tickets and cards name nobody: whose code
    is beside them cannot be known. Two codes of different holders are two people.
    """
    codes = [code.split(b":") for code in shown]
    names = {name for word, name, *_ in codes if word not in (b"ticket", b"card")}
    return bool(shown & own) and len(names) <= 1


class Uses:
    """Used tickets on a disk."""

    def __init__(self) -> None:
        self.uses: list[Use] = []

    def add(self, use: Use) -> None:
        self.uses.append(use)

    def of(self, key: bytes) -> list[Use]:
        return [use for use in self.uses if use.key == key]

    def have(self) -> dict[str, int]:
        return {use.source: use.number for use in self.uses}

    def last(self, source: str) -> int:
        return self.have().get(source, 0)

    def since(self, source: str, number: int, most: int) -> list[Use]:
        return [use for use in self.uses if use.source == source and use.number > number][:most]


class Kiosk:
    """One kiosk, with a disk that outlives it."""

    def __init__(self, name: str, hall: HallDay) -> None:
        self.name, self.hall = name, hall
        self.uses, self.disk = Uses(), [b""]
        self.starts = 0
        self.linked = True
        self.start()

    def start(self) -> None:
        """The agent starts, by what is on the disk."""
        self.starts += 1
        self.exchange = Exchange(self.name, f"e{self.starts}", self.uses, KIOSKS)
        self.venue = Venue(self.name, LANES, lambda: self.hall.rules)
        kept = b"".join(self.disk)
        self.keep(self.venue.begin(self.hall.at_s))
        self.keep(self.venue.restore(kept, self.hall.at_s))
        rules = DecisionRules(check, decide, screening.Options(), tickets=self, venue=self.venue.facts_now)
        restarted_s = self.hall.at_s if self.starts > 1 else -math.inf
        self.checkpoint = Checkpoint(LANES, rules, Options(), restarted_s=restarted_s)
        self.passages: list[Passage] = []
        self.openings: list[str] = []
        for lane, spec in LANES.items():
            for role in spec.parts:
                self.put(lane, role, DeviceUp(self.hall.at_s, "fake"))
        self.hall.link(self, is_linked=self.linked)

    def cut_power(self, *, loses: bool) -> None:
        """The newest entry may not be on the disk yet."""
        if loses and len(self.disk) > 1:
            self.disk.pop()
        self.start()

    def keep(self, entries: bytes) -> None:
        if entries:
            self.disk.append(entries)

    def put(self, lane: str, role: Role, item: Item) -> None:
        self._follow(self.checkpoint.handle(Observation(lane, role, item), self.hall.now))

    def tick(self) -> None:
        self._follow(self.checkpoint.tick(self.hall.at_s))
        for written in self.venue.tick(self.hall.now, self.hall.at_s):
            self.keep(written.entries)

    def _follow(self, effects: Sequence[object]) -> None:
        for effect in effects:
            if isinstance(effect, OpenGate):
                self.openings.append(effect.lane)
            elif isinstance(effect, Passage):
                marked, entries = self.venue.passed(effect, self.hall.now, self.hall.at_s)
                self.keep(entries)
                self.passages.append(marked)

    # -- as the checkpoint asks of tickets

    @property
    def lost(self) -> bool:
        return self.exchange.lost

    def used(self, key: bytes) -> Tristate:
        return self.exchange.used(key, self.hall.at_s)

    def claim(self, key: bytes) -> Tristate:
        if (used := self.used(key)) is not Tristate.NO:
            return used
        self.hall.send(self, [self.exchange.claim(key, self.hall.at_s)])
        return self.exchange.claimed(key, self.hall.at_s)

    def record(self, key: bytes, _ends_utc: float | None, now: TimeBounds) -> bool:
        self.hall.send(self, [self.exchange.use(key, now.earliest_utc, UTC + 86_400)])
        return True


@dataclass(frozen=True)
class Guest:
    """Who somebody is, and what he has; empty: not that."""

    name: str
    fever: bool
    word: str
    card: str
    ticket: int | None

    @property
    def codes(self) -> list[tuple[Role, bytes]]:
        found = []
        if self.word:
            found.append((Role.SCANNER, f"{self.word}:{self.name}".encode()))
        if self.card:
            found.append((Role.CARD, f"card:{self.name}:{self.card}".encode()))
        if self.ticket is not None:
            found.append((Role.SCANNER, f"ticket:{self.ticket}".encode()))
        return found

    def may_come_in_with(self, shown: set[bytes]) -> bool:
        """By what he showed: something that gives a right, and nothing that takes it. Whether a ticket was used is
        another matter.
        """
        words = {code.decode().partition(":")[0] for code in shown}
        colours = {code.decode().rpartition(":")[2] for code in shown if code.startswith(b"card:")}
        gives = bool({"green", "ticket"} & words) or "green" in colours
        takes = words & {"red", "yellow", "expired"} or "red" in colours
        return gives and not self.fever and not takes

    @property
    def may_come_in(self) -> bool:
        """With all that he has."""
        return self.may_come_in_with({code for _, code in self.codes})


class HallDay:
    """One day; `wrong` has every opening that the truth forbids, `counts` what happened to honest people."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.at_s = 1000.0
        self.capacity = self.dice.randint(2, 6)
        self.rules = VenueInForce(VenueRules("hall", room=RoomRules(self.capacity, kiosks=KIOSKS)))
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()
        self.unsure_s = self.at_s + UNSURE_S
        self.kiosks: dict[str, Kiosk] = {}
        for name in KIOSKS:
            self.kiosks[name] = Kiosk(name, self)
        for kiosk in self.kiosks.values():
            self.link(kiosk, is_linked=True)
        self.outside = [self._guest(number) for number in range(self.dice.randint(6, 14))]
        self.body: dict[tuple[str, str], Guest | None] = dict.fromkeys(ENTRIES)
        self.taken_for_his: dict[tuple[str, str], set[bytes]] = {at: set() for at in ENTRIES}
        """Decided together with something of who stands there still: a kiosk cannot know that it is another's."""
        self.down: dict[tuple[str, str, Role], float] = {}
        self.disturbed_s: dict[tuple[str, str], float] = dict.fromkeys(ENTRIES, 0.0)
        self.inside: list[Guest] = []
        self.came: Counter[str] = Counter()
        """How often each was let in: who is in may have gone out again a moment later."""
        self.admitted: list[tuple[int, str, bool]] = []
        """Ticket, kiosk, whether it knew for certain."""
        self.ticked_s = 0.0

    @property
    def now(self) -> TimeBounds:
        return TimeBounds(UTC + self.at_s, UTC + self.at_s + 0.2, ClockState.SYNCED)

    def _guest(self, number: int) -> Guest:
        dice = self.dice
        word = dice.choice(["green", "green", "green", "", "red", "yellow", "expired"])
        card = dice.choice(["", "", "green", "unlisted", "red"])
        ticket = dice.choice([None, number, number, dice.randrange(2)])
        if not (word or card or ticket is not None):
            word = "green"
        return Guest(f"p{number}", dice.random() < 0.2, word, card, ticket)

    # -- the broker

    def send(self, sender: Kiosk, messages: Sequence[object]) -> None:
        """What is said comes to all that are linked, the sender too, in one order."""
        waiting = [(sender, message) for message in messages]
        while waiting:
            speaker, message = waiting.pop(0)
            if not speaker.linked:
                continue
            for kiosk in self.kiosks.values():
                if kiosk.linked:
                    text = json.loads(json.dumps(message))
                    replies, _ = kiosk.exchange.received(speaker.name, text, self.at_s)
                    waiting += [(kiosk, reply) for reply in replies]

    def link(self, kiosk: Kiosk, *, is_linked: bool) -> None:
        kiosk.linked = is_linked
        self.unsure_s = self.at_s + UNSURE_S if is_linked else float("inf")
        if is_linked and kiosk.name in self.kiosks:
            self.send(kiosk, kiosk.exchange.connected(self.at_s))
        elif not is_linked:
            kiosk.exchange.disconnected()
        if not all(each.linked for each in self.kiosks.values()):
            self.unsure_s = float("inf")

    def _share_places(self) -> None:
        for kiosk in self.kiosks.values():
            if kiosk.linked:
                kiosk.keep(kiosk.venue.share(self.at_s))
                for other in self.kiosks.values():
                    if other.linked:
                        other.keep(other.venue.on_peer_tally(kiosk.name, tally_content(kiosk.venue.tally)))

    # -- the day

    def run(self) -> None:
        traffic = {at: self._traffic(at) for at in ENTRIES}
        while traffic:
            for at in list(traffic):
                try:
                    self.body[at] = next(traffic[at])
                except StopIteration:
                    self.body[at] = None
                    del traffic[at]
                if self.body[at] is None:
                    self.taken_for_his[at].clear()
            self._chance()
            for (name, lane), body in self.body.items():
                if (name, lane, Role.THERMOMETER) not in self.down:
                    surface_c = ROOM_C if body is None else FEVER_C if body.fever else NORMAL_C
                    reading = Reading(surface_c + self.dice.gauss(0, 0.02), self.at_s, 0.4)
                    self.kiosks[name].put(lane, Role.THERMOMETER, reading)
            self.at_s += TICK_S
            for kiosk in self.kiosks.values():
                kiosk.tick()
            if self.at_s - self.ticked_s >= HAVE_EVERY_S:
                self.ticked_s = self.at_s
                for kiosk in self.kiosks.values():
                    self.send(kiosk, kiosk.exchange.tick(self.at_s))
                self._share_places()
            self._judge()

    def _chance(self) -> None:
        """What happens beside the traffic."""
        dice = self.dice
        for (name, lane, part), until_s in list(self.down.items()):
            if self.at_s >= until_s:
                del self.down[name, lane, part]
                self.disturbed_s[name, lane] = self.at_s
                self.kiosks[name].put(lane, part, DeviceUp(self.at_s, "fake"))
        if dice.random() < 0.01:
            (name, lane), part = dice.choice(ENTRIES), dice.choice(sorted(LANES["left"].parts))
            if (name, lane, part) not in self.down:
                self.down[name, lane, part] = self.at_s + dice.choice([0.1, 1.0, 5.0])
                self.kiosks[name].put(lane, part, DeviceDown(self.at_s, "fake", "gone"))
        kiosk = self.kiosks[dice.choice(KIOSKS)]
        what = dice.random()
        if what < 0.006:
            self.link(kiosk, is_linked=not kiosk.linked)
        elif what < 0.008:
            self._judge()
            kiosk.cut_power(loses=dice.random() < 0.5)
            for lane in ("left", "right"):
                self.disturbed_s[kiosk.name, lane] = self.at_s
            self.down = {at: until for at, until in self.down.items() if at[0] != kiosk.name}
        elif what < 0.011 and self.inside:
            self.inside.pop(dice.randrange(len(self.inside)))
            kiosk.put("out", Role.BUTTON, Pressed(self.at_s))
            self.counts["went out"] += 1
            if "out" not in kiosk.openings:
                self.wrong.append(f"somebody was kept in at {kiosk.name}")
        self._judge()

    def _judge(self) -> None:
        """Hold what was decided and opened since the last look against the truth."""
        for kiosk in self.kiosks.values():
            if not kiosk.passages and not kiosk.openings:
                continue
            passages, openings = kiosk.passages, Counter(kiosk.openings)
            kiosk.passages, kiosk.openings = [], []
            for passage in passages:
                if passage.direction is Direction.ENTRY and passage.gate_opened:
                    openings[passage.lane] -= 1
                    self._entry(kiosk, passage)
                at, shown = (kiosk.name, passage.lane), set(passage.payloads)
                if passage.direction is Direction.ENTRY and is_of_one(shown, self._own(at)):
                    self.taken_for_his[at] |= shown
            for lane in ("left", "right"):
                if openings[lane]:
                    self.wrong.append(f"{openings[lane]} openings without a passage at {kiosk.name} {lane}")

    def _own(self, at: tuple[str, str]) -> set[bytes]:
        """What is his who stands there, or was taken for his."""
        body = self.body[at]
        return set() if body is None else {code for _, code in body.codes} | self.taken_for_his[at]

    def _entry(self, kiosk: Kiosk, passage: Passage) -> None:
        at, body = (kiosk.name, passage.lane), self.body[kiosk.name, passage.lane]
        shown = set(passage.payloads)
        down = {part for (name, lane, part) in self.down if (name, lane) == at}
        down &= {Role.THERMOMETER, Role.GATE}
        if body is None or not is_of_one(shown, self._own(at)) or not body.may_come_in_with(shown) or down:
            self.wrong.append(f"{shown} opened for {body} at {at}, down: {down}")
            return
        self.inside.append(body)
        self.came[body.name] += 1
        if len(self.inside) > self.capacity:
            self.wrong.append(f"{len(self.inside)} inside, the capacity is {self.capacity}")
        for number in [int(code.partition(b":")[2]) for code in shown if code.startswith(b"ticket:")]:
            is_certain = passage.decision.outcome is Outcome.ADMIT
            before = [(where, sure) for ticket, where, sure in self.admitted if ticket == number]
            if any(where == kiosk.name or (sure and is_certain) for where, sure in before):
                self.wrong.append(f"ticket {number} let somebody in twice: {before}, now at {at}")
            if not is_certain and self.at_s > self.unsure_s:
                self.wrong.append(f"ticket {number} is not known at {at}, though all are linked")
            self.counts["tickets"] += 1
            self.counts["tickets, by notice"] += not is_certain
            self.admitted.append((number, kiosk.name, is_certain))

    # -- people

    def _traffic(self, at: tuple[str, str]) -> Iterator[Guest | None]:
        for _ in range(self.dice.randint(2, 6)):
            for _ in range(self.dice.randint(1, 30)):
                yield None
            if self.outside:
                guest = self.outside.pop(self.dice.randrange(len(self.outside)))
                yield from self._come_in(guest, at)
                if guest not in self.inside:
                    self.outside.append(guest)

    def _stand(self, body: Guest | None, ticks: int) -> Iterator[Guest | None]:
        for _ in range(ticks):
            yield body

    def _show(self, at: tuple[str, str], role: Role, code: bytes) -> bool:
        name, lane = at
        is_read = (name, lane, role) not in self.down
        if is_read:
            symbology = CARD if role is Role.CARD else "qr"
            self.kiosks[name].put(lane, role, Sighting(code, self.at_s, symbology=symbology))
            self._judge()
        return is_read

    def _come_in(self, guest: Guest, at: tuple[str, str]) -> Iterator[Guest | None]:
        dice, began_s = self.dice, self.at_s
        swaps, reaches_over = dice.random() < 0.2, False
        used = {ticket for ticket, _, _ in self.admitted}
        is_full, came = len(self.inside) >= self.capacity, self.came[guest.name]
        for role, code in dice.sample(guest.codes, len(guest.codes)):
            if self.came[guest.name] > came:
                break
            self.body[at] = guest
            is_read = self._show(at, role, code)
            yield from self._stand(guest, dice.randint(1, 3))
            if is_read and self.outside and dice.random() < 0.1:
                reaches_over = True
                yield from self._over_the_shoulder(guest, at)
        if swaps and self.came[guest.name] == came:
            yield from self._stand(None, dice.randint(10, 30))
            if self.outside:
                other = self.outside.pop(dice.randrange(len(self.outside)))
                yield from self._stand(other, 12)
                self.outside.append(other)
        else:
            yield from self._stand(guest, 15)
            is_disturbed = self.disturbed_s[at] >= began_s or any(where[:2] == at for where in self.down)
            is_fresh = guest.ticket is None or (guest.ticket not in used and self._is_only_his(guest))
            if guest.may_come_in and is_fresh and not (is_disturbed or is_full or reaches_over):
                self.counts["honest"] += 1
                if self.came[guest.name] == came:
                    facts = self.kiosks[at[0]].venue.room_state(self.at_s)
                    full = facts in (RoomState.FULL, RoomState.UNKNOWN)
                    self.counts["honest, no place of this kiosk" if full else "honest, in vain"] += 1
        yield from self._stand(None, 10)

    def _over_the_shoulder(self, guest: Guest, at: tuple[str, str]) -> Iterator[Guest | None]:
        """The next one shows a code, card or ticket while this one stands there, who has shown his own."""
        role, code = self.dice.choice(self.dice.choice(self.outside).codes)
        for _ in range(self.dice.choice([1, 1, 2])):
            self._show(at, role, code)
            yield from self._stand(guest, self.dice.choice([self.dice.randint(1, 30), AGAIN_TICKS]))

    def _is_only_his(self, guest: Guest) -> bool:
        everybody = [*self.outside, *self.inside, *filter(None, self.body.values())]
        return all(other.ticket != guest.ticket or other == guest for other in everybody)


if __name__ == "__main__":
    long_run(HallDay)

"""`gatepost demo --day concert`: an evening with real tickets, with a clock moved by hand and no devices.

Codes, keys, checkpoint, policy tables, used tickets on disk, and events are those of a kiosk; only people, clock
and network are played. The tickets were published for tests, or are long over (`config/tickets/`): each scene has
the date on which its tickets count.
"""

from __future__ import annotations

import tempfile
import tomllib
from base64 import b64decode
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent import credentials, policy, screening
from agent.checkpoint import Checkpoint, DecisionRules, Options
from agent.credentials import lists
from agent.credentials.trust import parse_keys
from agent.events import Encoder, Topics
from agent.model import (
    ChainPosition,
    ClockState,
    Decision,
    DecisionInput,
    DeviceUp,
    Direction,
    Event,
    LaneSpec,
    LaneTickets,
    Observation,
    Passage,
    Role,
    TimeBounds,
    Tristate,
)
from agent.model.effects import OpenGate
from agent.platform.packaged import packaged
from agent.policy.tickets import parse_service
from agent.ruleset.load import load_table
from agent.texts import sentence
from agent.tickets.exchange import HAVE_EVERY_S, LOST_AFTER_S, Exchange, Use
from agent.tickets.store import FOREVER_S, SqliteUses
from drivers.contract import Reading, Sighting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.tickets.exchange import Message

DAY = "concert"
ZONE = ZoneInfo("Europe/Berlin")
_DAY_S = 86_400.0
_LEAVE_S = 15.0
_SKIN_C, _ROOM_C = 34.4, 22.0
CONCERT = LaneTickets(frozenset({"concert@14"}), time_zone=ZONE)
TRAM = LaneTickets(frozenset({"vdv/9999"}), time_zone=ZONE)
TRAIN = LaneTickets(
    frozenset({"issuer/1080/8000244", "uic/7943100"}), (parse_service("ICE 973 11:58"),), 1800.0, ZONE
)
HALL = ("hall-1", "hall-2")


@dataclass
class Wire:
    """The broker of the site: all that is sent comes to all that are linked, in one order."""

    kiosks: dict[str, TicketKiosk] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)

    def send(self, sender: str, messages: list[Message], at_s: float) -> None:
        """Deliver, and what is answered."""
        if sender in self.cut:
            return
        for message in messages:
            for name, kiosk in self.kiosks.items():
                if name not in self.cut:
                    self.send(name, kiosk.received(sender, message, at_s), at_s)


class TicketKiosk:
    """One kiosk with one entry."""

    def __init__(
        self, name: str, table: str, tickets: LaneTickets, day: Evening, peers: tuple[str, ...] = ()
    ) -> None:
        """`tickets`: what its lane knows; `peers`: who admits on the same tickets."""
        self.name, self._day, self._table = name, day, load_table(policy.Options(table))
        store = SqliteUses(day.folder / f"{name}.sqlite")
        day.stores.append(store)
        self.exchange = Exchange(name, "demo", store, peers)
        self.doubles: list[Use] = []
        self._tickets = tickets
        rules = DecisionRules(
            lambda payloads, now: credentials.check_all(payloads, day.trust, now),
            self._decide,
            screening.Options(),
            tickets=self,
        )
        lane = LaneSpec(Direction.ENTRY, tickets=tickets)
        self._checkpoint = Checkpoint({"entry": lane}, rules, Options())
        self._encode, self._sequence = Encoder(Topics("demo", name)), 0
        for role in Role:
            self._see(role, DeviceUp(day.at_s, "simulated", simulated=True))

    def _see(self, role: Role, item: DeviceUp | Sighting | Reading) -> list[object]:
        return [*self._checkpoint.handle(Observation("entry", role, item), self._day.now)]

    def _decide(self, case: DecisionInput) -> Decision:
        facts = policy.facts_of(
            case.lane.direction,
            case.verdict,
            case.temperature.outcome,
            case.now,
            site=policy.SiteFacts(),
            tickets=case.lane.tickets,
            used=case.used,
        )
        return policy.decide(self._table, facts)

    def show(self, code: bytes) -> tuple[Passage, bool]:
        """Somebody warm shows a code: the passage, and whether the gate was opened."""
        day = self._day
        results = self._see(Role.SCANNER, Sighting(code, day.at_s))
        for _ in range(8):
            day.pass_time(0.1)
            results += self._see(Role.THERMOMETER, Reading(_SKIN_C, day.at_s, 0.2))
        (passage,) = [each for each in results if isinstance(each, Passage)]
        self._sequence += 1
        event = Event(replace(passage, payloads=()), day.at_s, day.now, "demo")
        record = self._encode(event, ChainPosition("demo", self._sequence, "0" * 64))
        day.events.append(record.payload.decode())
        self.wait(_LEAVE_S)
        return passage, any(isinstance(each, OpenGate) for each in results)

    def wait(self, seconds: float) -> None:
        """Time passes at the entry: people leave, and are forgotten."""
        self._day.pass_time(seconds)
        self._checkpoint.tick(self._day.at_s)

    def received(self, sender: str, message: Message, at_s: float) -> list[Message]:
        """What another kiosk, or this one, has sent; what to say to it."""
        replies, doubles = self.exchange.received(sender, message, at_s)
        self.doubles += doubles
        return replies

    @property
    def lost(self) -> bool:
        """See `checkpoint.register.TicketRegister`."""
        return self.exchange.lost

    def used(self, key: bytes) -> Tristate:
        """See `checkpoint.register.TicketRegister`."""
        return self.exchange.used(key, self._day.at_s)

    def claim(self, key: bytes) -> Tristate:
        """See `checkpoint.register.TicketRegister`."""
        self._day.wire.send(self.name, [self.exchange.claim(key, self._day.at_s)], self._day.at_s)
        return self.exchange.claimed(key, self._day.at_s)

    def record(self, key: bytes, ends_utc: float | None, now: TimeBounds) -> bool:
        """See `checkpoint.register.TicketRegister`."""
        utc = now.earliest_utc
        message = self.exchange.use(key, utc, utc + FOREVER_S if ends_utc is None else ends_utc)
        self._day.wire.send(self.name, [message], self._day.at_s)
        return True


class Evening:
    """What happens is told line by line."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where the kiosks keep what was used."""
        self.folder, self.at_s, self.utc = folder, 1000.0, 0.0
        self.stores: list[SqliteUses] = []
        self.events: list[str] = []
        """All passages, as they would be sent."""
        self.opened = 0
        found = tomllib.loads(packaged("tickets/demo.toml").read_text(encoding="utf-8"))["ticket"]
        self.codes = {ticket["name"]: b64decode(ticket["code"]) for ticket in found}
        keys = packaged("tickets/issuers.toml").read_text(encoding="utf-8")
        self.keys = parse_keys(keys, "tickets/issuers.toml")
        self.trust = self.keys
        self.wire = Wire()

    @property
    def now(self) -> TimeBounds:
        """The wall clock of all kiosks."""
        return TimeBounds(self.utc - 0.2, self.utc + 0.2, ClockState.SYNCED)

    def pass_time(self, seconds: float) -> None:
        """Move the clock; kiosks that are linked say what they have."""
        self.at_s += seconds
        self.utc += seconds
        if seconds >= HAVE_EVERY_S:
            for name, kiosk in self.wire.kiosks.items():
                self.wire.send(name, kiosk.exchange.tick(self.at_s), self.at_s)

    def play(self) -> Iterator[str]:
        """The whole evening."""
        yield from self._concert()
        yield from self._tram()
        yield from self._train()
        for store in self.stores:
            store.close()

    def _concert(self) -> Iterator[str]:
        yield self._at(
            "2023-03-15T19:00", "A concert hall: two entrances, tickets of pretix, no network to the shop"
        )
        hall = [TicketKiosk(name, "event", CONCERT, self, HALL) for name in HALL]
        self.wire.kiosks = {kiosk.name: kiosk for kiosk in hall}
        for kiosk in hall:
            self.wire.send(kiosk.name, kiosk.exchange.connected(self.at_s), self.at_s)
        yield from self._come(hall[0], "concert")
        yield from self._come(hall[1], "concert")
        yield from self._come(hall[0], "other-evening")
        yield from self._come(hall[0], "over")
        yield from self._come(hall[1], "forged")
        yield "        the cable of hall-2 is pulled out"
        self.wire.cut.add("hall-2")
        hall[1].exchange.disconnected()
        self.pass_time(LOST_AFTER_S + 1)
        yield from self._come(hall[0], "balcony")
        yield from self._come(hall[1], "balcony")
        yield "        the cable is in again: the kiosks compare what they have used"
        self.wire.cut.clear()
        self.wire.send("hall-2", hall[1].exchange.connected(self.at_s), self.at_s)
        self.pass_time(HAVE_EVERY_S)
        for kiosk in hall:
            for _ in kiosk.doubles:
                yield f"        {kiosk.name} reports: a ticket was used twice (ticket_used_twice)"

    def _tram(self) -> Iterator[str]:
        yield self._at("2023-03-15T22:40", "The tram stop outside: VDV-KA tickets, chain and all, offline")
        self.wire = Wire()
        stop = TicketKiosk("stop", "platform", TRAM, self)
        yield from self._come(stop, "deutschlandticket")
        yield "        a list of blocked tickets is loaded"
        self._block("vdv-ka")
        yield from self._come(stop, "deutschlandticket")
        yield from self._come(stop, "concert")

    def _train(self) -> Iterator[str]:
        yield self._at("2020-11-05T11:40", "A platform in Mannheim, another year: UIC tickets, static and small")
        self.trust = self.keys
        gate = TicketKiosk("platform-3", "platform", TRAIN, self)
        yield from self._come(gate, "train")
        yield "        a list of blocked tickets is loaded"
        self._block("uic/1080")
        yield from self._come(gate, "train")
        self._at("2020-11-05T15:00", "")
        yield from self._come(gate, "train")
        yield from self._come(gate, "small")

    def _block(self, issuer: str) -> None:
        """A fresh list of blocked tickets, in which none of ours is."""
        head = lists.ListHeader("revoked", issuer, 1, self.utc, _DAY_S, 3 * _DAY_S)
        found = lists.CodeList(lists.parse(b"".join(lists.build(head, b"\0" * 16).chunks)))
        self.trust = replace(self.keys, lists=lists.gather([found]), ages=(found.age,))

    def _at(self, local: str, title: str) -> str:
        moment = datetime.fromisoformat(local).replace(tzinfo=ZONE)
        self.utc = moment.astimezone(UTC).timestamp()
        self.at_s += _DAY_S
        return f"\n{local.replace('T', ' ')}  {title}"

    def _come(self, kiosk: TicketKiosk, ticket: str) -> Iterator[str]:
        clock = datetime.fromtimestamp(self.utc, ZONE).strftime("%H:%M")
        passage, opened = kiosk.show(self.codes[ticket])
        self.opened += opened
        why = " ".join(sentence("reason", reason) for reason in passage.decision.reasons[:1])
        more = f" ({passage.verdict.reason})" if passage.verdict is not None and passage.verdict.reason else ""
        yield f"{clock}   {kiosk.name}: ticket “{ticket}” → {passage.decision.outcome} – {why}{more}"


def show() -> int:
    """Tell the evening; 0."""
    print("An evening with real tickets, in fast motion: codes, keys, tables and events are those of a kiosk.")
    with tempfile.TemporaryDirectory(prefix="gatepost-demo-") as folder:
        evening = Evening(Path(folder))
        for line in evening.play():
            print(line)
    print(f"\n{len(evening.events)} events, {evening.opened} gates opened. The first event as it would be sent:")
    print(evening.events[0])
    return 0

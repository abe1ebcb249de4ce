"""Random days on which staff do things, at a kiosk with a venue, by the tables that come with the agent.

People show health codes, certificates of two other formats, cards and codes of an exercise, their own or over
somebody's shoulder; wear masks or not; are on the roster or not. Staff state masks, documents, records and risks,
measure, have people measured again, override, open once, close and reopen lanes, let all out, count; with a number
and without. Zones change, lists grow old, devices come and go, the agent is restarted and its disk answers late.
The truth is who stands where, how warm, with what, whom staff mean, and how many are inside: an opening is right if
the same table opens by the true facts of the person for whom it opens.

    python tests/agent/checkpoint/staff_days.py 3000 [FIRST]

runs so many days, and tells the wrong openings, and what the rules cost honest people.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[3]))

from days import AGAIN_TICKS, long_run
from lane_bench import AT_MARK_MM, FEVER_C, NORMAL_C, ROOM_C

from agent import policy, screening
from agent.checkpoint import Checkpoint, DecisionRules, Options
from agent.credentials.combine import combine
from agent.model import (
    Attestation,
    AttestationResult,
    ClockState,
    CodeStatus,
    Colour,
    DecisionInput,
    DeviceDown,
    DeviceUp,
    Direction,
    LabResult,
    LaneClosure,
    LaneCommand,
    LaneCommandRequest,
    LaneCommandResult,
    LaneSpec,
    ListAge,
    MaskState,
    Observation,
    OpenOnce,
    Outcome,
    Override,
    Passage,
    Permit,
    PermitKind,
    PersonRole,
    Recorded,
    RecordState,
    RemeasureResult,
    Role,
    RoomState,
    Screening,
    SentAway,
    Temperature,
    TimeBounds,
    TravelState,
    VenueFacts,
    Verdict,
)
from agent.model.effects import OpenGate
from agent.venue import Venue, VenueInForce
from agent.venue.permits import build_roster, parse_roster
from agent.venue.rules import parse_venue
from agent.venue.zones import parse_zones
from drivers.contract import CARD, Distance, Pressed, Reading, Sighting
from tests.profiles import profile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.model import Item

S, C, T, G, R = Role.SCANNER, Role.CARD, Role.THERMOMETER, Role.GATE, Role.RANGE
LANES = {
    "in": LaneSpec(Direction.ENTRY, parts=frozenset({S, C, T, G})),
    "marked": LaneSpec(Direction.ENTRY, ranged=True, parts=frozenset({S, C, T, G})),
    "out": LaneSpec(Direction.EXIT, parts=frozenset({S, T, G})),
    "door": LaneSpec(Direction.EXIT, parts=frozenset({G})),
}
ENTRIES, EXITS = ("in", "marked"), ("out", "door")
FLAPPING = {"in": (S, C, T, G), "marked": (S, C, T, G, R), "out": (S, T, G), "door": (G,)}
TABLES = ("care_home", "construction_site", "office", "public_place", "residential", "retail", "school")
COMBINATIONS = (
    *(("health",), ("named",), ("named", "test")) * 4,
    *(("health", "test"), ("test", "shot"), ("card",), ("health", "card"), ("named", "card")),
    *(("drill",), ("expired",), ("junk",), ()),
)
"""What people have to show."""
ZONES = ("low", "low", "medium", "high", "controlled", "locked")
TICK_S, LEAVES_TICKS, SOON_S = 0.1, 10, 1.0
SEEN_S = 0.3
"""A guard who means somebody without saying a number has seen him for so long."""
UTC = 1_800_000_000.0
SWAB_S = 10 * 3600.0
NEVER_S = -1e9


def key(text: str) -> bytes:
    return text.encode().ljust(16, b".")[:16]


def check_one(payload: bytes) -> Verdict:  # noqa: PLR0911 - a table in words
    """`health:NAME:COLOUR`, `named:NAME:COLOUR`, `test:NAME:neg`, `shot:NAME`, `card:NAME:COLOUR`, `drill:NAME`."""
    word, name, *more = payload.decode().split(":")
    who, person = key(name), key(f"person {name}")
    match word, more:
        case ("health" | "drill", [colour]):
            return Verdict(
                CodeStatus.VALID, "health", who, code=key(f"h{name}"), colour=Colour(colour), drill=word == "drill"
            )
        case "named", [colour]:
            return Verdict(
                CodeStatus.VALID, "health", who, code=key(f"n{name}"), colour=Colour(colour), person=person
            )
        case "test", [found]:
            result = LabResult("pcr", UTC - SWAB_S, positive=found == "pos")
            tests = () if found == "other" else (result,)
            return Verdict(
                CodeStatus.VALID, "eu", key(f"eu {name}"), code=key(f"t{name}"), kind="test", tests=tests,
                person=person,
            )  # fmt: skip
        case "shot", _:
            return Verdict(
                CodeStatus.VALID,
                "cards",
                key(f"us {name}"),
                code=key(f"s{name}"),
                kind="vaccination",
                person=person,
            )
        case "card", [colour]:
            named = Verdict(
                CodeStatus.UNDECIDED,
                "card",
                who,
                code=key(f"c{name}"),
                kind="other",
                adds="card",
                card=key(f"c{name}"),
            )
            if colour == "unlisted":
                return named
            return replace(named, status=CodeStatus.VALID, kind="health", colour=Colour(colour), adds="")
        case "expired", _:
            return Verdict(CodeStatus.EXPIRED, "health", who, code=key(f"h{name}"))
    return Verdict(CodeStatus.UNRECOGNISED, "")


def identity_of(payloads: Sequence[bytes]) -> str:
    """Under whom the kiosk knows who shows these: by names, or by the issuer's key."""
    words = {payload.decode().partition(":")[0] for payload in payloads if payload}
    return "names" if words & {"named", "test", "shot"} else "key" if words else ""


@dataclass
class Person:
    """Who somebody is; what staff have truly seen and done about him."""

    name: str
    codes: tuple[tuple[Role, bytes], ...]
    fever: bool
    masked: bool
    on_roster: bool
    documented: bool = False
    recorded: bool = False
    risk: bool = False
    objected: bool = False
    inside: bool = False
    objected_of: str = ""
    """Of which of his identities staff have objected to his mask; the kiosk cannot know that two are one person."""
    risk_of: str = ""
    """Likewise of the risk."""
    identity: str = ""
    """By which he was turned away last."""
    let_in_s: float = NEVER_S
    number: tuple[str, int] = ("", 0)
    """Lane and number that were called last."""
    waits: bool = False
    """He was turned away, and not let in since: what staff do without a number is about somebody who waits."""
    actions: int = 0
    """What staff have done about him."""
    read: tuple[bytes, ...] = ()
    """His codes that were read since he came last."""

    @property
    def payloads(self) -> set[bytes]:
        return {code for _, code in self.codes}


class StaffDay:
    """One day; `wrong` has every opening that the truth forbids, `counts` what happened to honest people."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(seed)
        self.at_s = 1000.0 + seed % 977
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()
        self.kind = dice.choice(TABLES)
        self.table = profile(self.kind)
        self.mask = dice.choice(["none", "object", "object", "confirm"])
        self.capacity = dice.choice([0, 3, 6, 12])
        room = f"room = {{capacity = {self.capacity}}}" if self.capacity else ""
        self.registers = dice.random() < 0.5
        text = f'name = "hall"\nmask = "{self.mask}"\nregister = {str(self.registers).lower()}\n{room}\n'
        self.rules = parse_venue(text)
        self.outside = [self._person(number) for number in range(dice.randint(5, 10))]
        roster = build_roster(
            Permit(key(each.name)[:8], PermitKind("staff"), "", number)
            for number, each in enumerate(self.outside, 1)
            if each.on_roster
        )
        self.roster = parse_roster(roster)
        self.everybody = list(self.outside)
        self.inside_extra = 0
        self.zone = ""
        self.stale = dice.random() < 0.05
        self.unrest = dice.choice([0.05, 0.2, 0.5, 1.0])
        """How much happens beside the traffic."""
        self.force = self._force()
        self.body: dict[str, Person | None] = dict.fromkeys(LANES)
        self.came_s: dict[str, float] = dict.fromkeys(LANES, 0.0)
        """When the body came, or left."""
        self.visitors: dict[str, Person] = {}
        """Who comes in by which lane, until he has walked on or away."""
        self.walkers: dict[str, Person] = {}
        """Who waited aside, was let in, and has not walked by yet."""
        self.down: dict[tuple[str, Role], float] = {}
        self.closed: set[str] = set()
        self.disk: list[bytes] = []
        self.restore_s = 0.0
        self.meant: Person | None = None
        """By what staff do now."""
        self.disturbed_s: dict[str, float] = dict.fromkeys(LANES, 0.0)
        self.moment_s = 0.0
        """When something for all lanes changed last."""
        self.openings: Counter[str] = Counter()
        self._start(restarted=False)

    def _force(self) -> VenueInForce:
        zones = parse_zones(f'[[zone]]\nregion = "53"\nlevel = "{self.zone}"\n' if self.zone else "")
        return VenueInForce(self.rules, self.roster, zones=zones, region=("53",))

    def _person(self, number: int) -> Person:
        dice, name = self.dice, f"p{number}"
        colour = dice.choice(["green"] * 10 + ["red", "yellow"])
        words = dice.choice(COMBINATIONS)
        codes = []
        for word in words:
            more = {
                "test": dice.choice(["neg"] * 5 + ["pos", "other"]),
                "card": dice.choice(["green", "green", "unlisted", "red"]),
            }.get(word, colour)
            codes.append((C if word == "card" else S, f"{word}:{name}:{more}".encode()))
        return Person(
            name,
            tuple(codes),
            fever=dice.random() < 0.15,
            masked=dice.random() < 0.8,
            on_roster=dice.random() < 0.5,
        )

    # -- the kiosk

    def _start(self, *, restarted: bool) -> None:
        self.venue = Venue("hall-1", LANES, lambda: self.force)
        self._keep(self.venue.begin(self.at_s))
        self.restore_s = self.at_s + self.dice.choice([0.0, 0.1, 1.0, 4.0])
        rules = DecisionRules(
            self._check,
            self._decide,
            screening.Options(),
            may_override=self._may_override,
            venue=self.venue.facts_now,
        )
        self.checkpoint = Checkpoint(
            LANES, rules, Options(), first_number=700, restarted_s=self.at_s if restarted else float("-inf")
        )
        self.shut = set(LANES)
        self.passages: list[Passage] = []
        for lane in LANES:
            self._put(lane, Role.CLINICAL, LaneClosure(self.at_s, closed=True))
        for lane in sorted(self.closed):
            self._put(lane, Role.CLINICAL, LaneClosure(self.at_s, closed=True, by="staff"))
        self.down = {}
        for lane, spec in LANES.items():
            for role in sorted({*spec.parts, *([R] if spec.ranged else [])}):
                self._put(lane, role, DeviceUp(self.at_s, "fake"))

    @property
    def now(self) -> TimeBounds:
        return TimeBounds(UTC + self.at_s, UTC + self.at_s + 0.2, ClockState.SYNCED)

    def _check(self, payloads: Sequence[bytes], _now: TimeBounds) -> Verdict:
        found = combine([check_one(each) for each in payloads])
        return replace(found, list_age=ListAge.EXPIRED) if self.stale else found

    def _facts(self, case: DecisionInput) -> policy.Facts:
        site = policy.SiteFacts(venue=policy.facts.VenueKind(self.kind))
        return policy.facts_of(
            case.lane.direction, case.verdict, case.temperature.outcome, case.now, site=site,
            scanner_works=case.scanner_works, venue=case.facts, has_scanner=case.lane.has_scanner,
            passback=policy.Passback.RECENT if case.shown_again else policy.Passback.NONE,
            venue_age=ListAge.EXPIRED if self.stale else ListAge.FRESH,
        )  # fmt: skip

    def _decide(self, case: DecisionInput) -> policy.Decision:
        return policy.decide(self.table, self._facts(case))

    def _may_override(self, case: DecisionInput) -> bool:
        return policy.permits(self.table, self._facts(case), Outcome.ADMIT)

    def _keep(self, entries: bytes) -> None:
        if entries:
            self.disk.append(entries)

    def _put(self, lane: str, role: Role, item: Item) -> list[object]:
        return self._follow(self.checkpoint.handle(Observation(lane, role, item), self.now))

    def _follow(self, effects: Sequence[object]) -> list[object]:
        for effect in effects:
            if isinstance(effect, OpenGate):
                self.openings[effect.lane] += 1
            elif isinstance(effect, Passage):
                marked, entries = self.venue.passed(effect, self.now, self.at_s)
                self._keep(entries)
                self._judge(marked)
        for lane in ENTRIES:
            if self.openings[lane]:
                self.wrong.append(f"{self.openings[lane]} openings without a passage at {lane} {self.at_s:.1f}")
                self.openings[lane] = 0
        return list(effects)

    def _tick(self) -> None:
        self.venue.set_time(self.at_s)
        if not self.venue.is_restored and self.at_s >= self.restore_s:
            self._keep(self.venue.restore(b"".join(self.disk), self.at_s))
        for written in self.venue.tick(self.now, self.at_s):
            self._keep(written.entries)
        shut = self.venue.shut_lanes(self.now)
        for lane in sorted(set(shut) ^ self.shut):
            self._put(lane, Role.CLINICAL, LaneClosure(self.at_s, lane in shut))
        self.shut = set(shut)
        self._follow(self.checkpoint.tick(self.at_s))

    # -- the truth

    def _true_facts(self, person: Person, payloads: Sequence[bytes], *, lane: str) -> policy.Facts:
        verdict = self._check(payloads, self.now) if payloads else None
        stated = ("", identity_of(payloads))
        mask = MaskState.UNASKED
        if not person.masked and (self.mask == "confirm" or (person.objected and person.objected_of in stated)):
            mask = MaskState.MISSING
        elif self.mask == "confirm":
            mask = MaskState.WORN
        record = RecordState.DONE if person.recorded else RecordState.NONE
        is_known = person.on_roster and verdict is not None and verdict.status is CodeStatus.VALID
        is_known = is_known or (person.on_roster and verdict is not None and bool(verdict.adds))
        role = PersonRole.STAFF if is_known else PersonRole.UNKNOWN if self.registers else PersonRole.VISITOR
        is_card = verdict is not None and verdict.status is CodeStatus.UNDECIDED and bool(verdict.adds)
        facts = VenueFacts(
            role=role,
            room=RoomState.FULL if self.capacity and self.inside >= self.capacity else RoomState.FREE,
            mask=mask,
            record=record,
            travel=TravelState.RISK if person.risk and person.risk_of in stated else TravelState.UNASKED,
            vouched=person.recorded and person.documented and (verdict is None or is_card),
            zone=self.zone,
        )
        warm = Temperature(Screening.ELEVATED if person.fever else Screening.NORMAL)
        again = self.at_s - person.let_in_s < Options().passback_window_s
        return self._facts(
            DecisionInput(
                LANES[lane], verdict, warm, scanner_works=True, shown_again=again, now=self.now, facts=facts
            )
        )

    @property
    def inside(self) -> int:
        return sum(each.inside for each in self.everybody) + self.inside_extra

    def _judge(self, passage: Passage) -> None:
        lane = passage.lane
        if passage.direction is Direction.EXIT:
            return
        if not passage.gate_opened:
            self._called(passage)
            return
        self.openings[lane] -= 1
        by_hand = self.meant is not None
        person = self.meant or self.body[lane]
        where = f"{passage.decision} {passage.payloads} for {person} at {lane} {self.at_s:.1f}"
        if person is None:
            self.wrong.append(f"for nobody: {where}")
            return
        if not set(passage.payloads) <= person.payloads:
            self.wrong.append(f"on another's code: {where}")
        facts = self._true_facts(person, passage.payloads, lane=lane)
        down = {part for (at, part) in self.down if at == lane} - {S, C}
        is_override = passage.decision.rule == "staff-override"
        drill = passage.verdict is not None and passage.verdict.drill
        if lane in self.closed or drill or (down & {G} if by_hand else down):
            self.wrong.append(f"closed {self.closed}, drill {drill}, down {down}: {where}")
        elif is_override and not (by_hand and policy.permits(self.table, facts, Outcome.ADMIT)):
            self.wrong.append(f"an override against an invariant: {where}, truly {facts}")
        elif not is_override and policy.decide(self.table, facts).outcome not in (
            Outcome.ADMIT,
            Outcome.ADMIT_WITH_NOTICE,
        ):
            self.wrong.append(f"{policy.decide(self.table, facts)}: {where}, truly {facts}")
        self.counts["let in, by staff" if by_hand else "let in"] += 1
        person.inside, person.let_in_s = True, self.at_s
        person.recorded = person.documented = person.objected = person.risk = False  # of that visit
        person.waits = False
        if person in self.outside:
            self.outside.remove(person)
            self.walkers[lane] = person

    def _called(self, passage: Passage) -> None:
        person = self.meant or self.body[passage.lane]
        if person is None or not passage.number:
            return
        is_his = set(passage.payloads) & person.payloads or not passage.payloads
        shown = {payload for payload in passage.payloads if payload}
        if self.meant is not None or (is_his and (shown or not person.codes)):
            person.number, person.waits = (passage.lane, passage.number), True
            person.identity = identity_of(passage.payloads) or person.identity

    # -- the day

    def run(self) -> None:
        traffic = {lane: self._traffic(lane) for lane in LANES}
        while traffic:
            for lane in list(traffic):
                before = self.body[lane]
                try:
                    self.body[lane] = next(traffic[lane])
                    if self.body[lane] is not before:
                        self.came_s[lane] = self.at_s
                except StopIteration:
                    self.body[lane] = None
                    del traffic[lane]
            self._chance()
            for lane, spec in LANES.items():
                if T in spec.parts:
                    self._measure(lane)
            self.at_s += TICK_S
            self._tick()

    def _measure(self, lane: str) -> None:
        body = self.body[lane]
        if LANES[lane].ranged and (lane, R) not in self.down:
            self._put(lane, R, Distance(AT_MARK_MM if body else None, self.at_s))
        if (lane, T) not in self.down:
            surface_c = ROOM_C if body is None else FEVER_C if body.fever else NORMAL_C
            self._put(lane, T, Reading(surface_c + self.dice.gauss(0, 0.02), self.at_s, 0.4))

    def _chance(self) -> None:  # noqa: C901 - one for each thing
        """What happens beside the traffic."""
        dice = self.dice
        for (lane, part), until_s in list(self.down.items()):
            if self.at_s >= until_s:
                del self.down[lane, part]
                self.disturbed_s[lane] = self.at_s
                self._put(lane, part, DeviceUp(self.at_s, "fake"))
        if dice.random() < self.unrest * 0.02:
            lane = dice.choice(sorted(LANES))
            part = dice.choice(FLAPPING[lane])
            if (lane, part) not in self.down:
                self.down[lane, part] = self.at_s + dice.choice([0.1, 0.5, 1.0, 3.0, 10.0])
                self._put(lane, part, DeviceDown(self.at_s, "fake", "gone"))
        if self.stale and dice.random() < 0.01:
            self.stale = False
            self._rules_changed()
        what = dice.random() / self.unrest
        if what < 0.001:
            self.stale = not self.stale
            self._rules_changed()
        elif what < 0.004:
            self.zone = dice.choice(ZONES)
            self.force = self._force()
            self._rules_changed()
        elif what < 0.006:
            self.counts["restarts"] += 1
            self.moment_s = self.at_s
            for each in self.everybody:  # what was stated is forgotten with him who waited, and who was let in
                each.objected = each.risk = each.recorded = each.documented = False
                each.let_in_s = NEVER_S
            self._start(restarted=True)
        elif what < 0.015:
            self._staff_at_lanes()
        elif what < 0.08:
            self._staff_about_somebody()
            self.meant = None

    def _rules_changed(self) -> None:
        self.moment_s = self.at_s
        self._follow(self.checkpoint.reevaluate(self.now))

    # -- staff

    def _staff_at_lanes(self) -> None:
        dice, lane = self.dice, self.dice.choice(ENTRIES)
        what = dice.choice(["close", "reopen", "reopen", "open", "all out", "count", "retest"])
        self.counts[what] += 1
        if what in ("close", "reopen"):
            is_closed = what == "close"
            (self.closed.add if is_closed else self.closed.discard)(lane)
            self.disturbed_s[lane] = self.at_s
            self._put(lane, Role.CLINICAL, LaneClosure(self.at_s, closed=is_closed, by="staff"))
        elif what == "open":
            self._open_once(lane)
        elif what == "all out":
            for each in EXITS:
                if not (self._within() or self.inside_extra):
                    break  # nobody would go out
                found = self.checkpoint.handle(Observation(each, Role.CLINICAL, OpenOnce(self.at_s)), self.now)
                self._keep(
                    self.venue.opened(each, self.at_s) if not _result(found, RemeasureResult).reason else b""
                )
                if leaves := self._within():
                    dice.choice(leaves).inside = False
                elif self.inside_extra:
                    self.inside_extra -= 1
        elif what == "count":
            stated = Attestation(self.at_s, "count", "", self.inside)
            _, written = self.venue.attest("", stated, self.at_s)
            self._keep(b"" if written is None else written.entries)
        else:
            self._put(lane, Role.CLINICAL, LaneCommandRequest(self.at_s, LaneCommand.RETEST))

    def _open_once(self, lane: str) -> None:
        waiting = self.checkpoint._lanes[lane].waiting
        pending = self.checkpoint._lanes[lane].pending
        found = self.checkpoint.handle(Observation(lane, Role.CLINICAL, OpenOnce(self.at_s)), self.now)
        opened = sum(isinstance(each, OpenGate) for each in found)
        if not opened:
            return
        self.counts["opened once"] += 1
        self._keep(self.venue.opened(lane, self.at_s))
        self.inside_extra += 1
        is_decided = pending is not None and pending.verdict is not None
        if lane in self.closed or (lane, G) in self.down or waiting or is_decided or opened > 1:
            self.wrong.append(
                f"opened by hand at {lane}: closed {self.closed}, down {self.down}, {waiting}, {pending}"
            )

    def _staff_about_somebody(self) -> None:  # noqa: C901 - one for each thing
        """A guard does something about one person, whom he means; he says his number, or nothing."""
        dice, lane = self.dice, self.dice.choice(ENTRIES)
        aside = [each for each in self.outside if each.number[0] == lane]
        standing = self.body[lane]
        is_seen = self.at_s - self.came_s[lane] >= SEEN_S
        if standing is not None and is_seen and not standing.inside and dice.random() < 0.4:
            person, number = standing, 0
        elif aside:
            person = dice.choice(aside)
            number = person.number[1] if dice.random() < 0.7 or not person.waits else 0
        else:
            return
        self.meant = person
        person.actions += 1
        what = dice.choice(
            ["mask", "mask", "record", "document", "travel", "measure", "measure", "retest", "override", "left"]
        )
        self.counts[what] += 1
        match what:
            case "mask":
                self._about_a_mask(lane, person, number)
            case "record" | "document":
                before = person.recorded, person.documented
                person.recorded |= what == "record"
                person.documented |= what == "document"
                if not self._state(lane, what, "done" if what == "record" else "seen", number):
                    person.recorded, person.documented = before
            case "travel":
                was, person.risk = person.risk, dice.random() < 0.5
                is_taken = self._state(lane, "travel", "risk" if person.risk else "clear", number)
                person.risk = person.risk if is_taken else was
                if is_taken:
                    person.risk_of = person.identity if number else identity_of(person.read)
            case "measure" if person is not standing:
                reading = Reading(38.5 if person.fever else 36.6, self.at_s, 0.2)
                found = self._put(lane, Role.CLINICAL, Recorded(reading, number) if number else reading)
                self.counts["readings refused"] += _result(found, RemeasureResult).passage is None
            case "retest":
                found = self._put(lane, Role.CLINICAL, LaneCommandRequest(self.at_s, LaneCommand.RETEST, number))
                self.counts["retests refused"] += bool(_result(found, LaneCommandResult).reason)
            case "override" if number:
                found = self._put(lane, Role.CLINICAL, Override(self.at_s, number))
                self.counts["overrides"] += _result(found, RemeasureResult).passage is not None
            case "left" if number and dice.random() < 0.3:
                self._put(lane, Role.CLINICAL, SentAway(self.at_s, number))

    def _about_a_mask(self, lane: str, person: Person, number: int) -> None:
        before = person.masked, person.objected
        if person.masked or self.dice.random() < 0.6:
            person.masked, person.objected, value = True, False, "worn"
        else:
            person.objected, value = True, "missing"
        is_taken = self._state(lane, "mask", value, number)
        if is_taken:
            person.objected_of = person.identity if number else identity_of(person.read)
        elif value == "missing":
            person.masked, person.objected = before  # it was not taken: the guard will say it again

    def _state(self, lane: str, what: str, value: str, number: int) -> bool:
        found = self._put(lane, Role.CLINICAL, Attestation(self.at_s, what, value, number))
        is_taken = _result(found, AttestationResult).reason is None
        self.counts["statements taken" if is_taken else "statements refused"] += 1
        return is_taken

    # -- people

    def _traffic(self, lane: str) -> Iterator[Person | None]:
        is_entry = lane in ENTRIES
        for _ in range(self.dice.randint(4, 10) if is_entry else self.dice.randint(2, 6)):
            for _ in range(self.dice.randint(1, 30)):
                yield from self._walk_by(lane)
            if not is_entry:
                yield from self._go_out(lane)
            elif self.outside:
                person = self.outside.pop(self.dice.randrange(len(self.outside)))
                visit = self._by_hand if self.dice.random() < 0.05 else self._come_in
                self.visitors[lane] = person
                yield from visit(person, lane)
                del self.visitors[lane]
                if not person.inside:
                    self.outside.append(person)

    def _walk_by(self, lane: str) -> Iterator[Person | None]:
        """Nobody comes, or somebody to whom staff have opened walks by, soon; the next one may follow closely."""
        person = self.walkers.pop(lane, None)
        if person is not None and self.at_s - person.let_in_s < SOON_S:
            yield from self._stand(person, self.dice.randint(1, 20))
            if self.dice.random() < 0.5:
                yield from self._over_the_shoulder(person, lane)
            yield from self._stand(None, LEAVES_TICKS)
        yield None

    def _stand(self, body: Person | None, ticks: int) -> Iterator[Person | None]:
        for _ in range(ticks):
            yield body

    def _show(self, lane: str, role: Role, code: bytes) -> bool:
        if (lane, role) in self.down:
            return False
        self._put(lane, role, Sighting(code, self.at_s, symbology=CARD if role is C else "qr"))
        return True

    def _come_in(self, person: Person, lane: str) -> Iterator[Person | None]:  # noqa: C901 - in the order of a visit
        dice, began_s = self.dice, self.at_s
        actions = person.actions
        self._come_again(person)
        swaps, wobbles = dice.random() < 0.15, dice.random() < 0.1
        stands = dice.random() < 0.3 or not person.codes
        reaches_over = False
        if stands:
            yield from self._stand(person, dice.randint(1, 3))
        shows = dice.sample(person.codes, len(person.codes))
        has_card = any(role is C for role, _ in shows)
        for role, code in shows:
            if person.inside:
                break
            if not stands:
                self.body[lane] = person
            read = self._show(lane, role, code)
            person.read += (code,) * read
            yield from self._stand(person, dice.randint(1, 3))
            if stands and read and not has_card and dice.random() < 0.2:
                reaches_over = True
                yield from self._over_the_shoulder(person, lane)
        if swaps and not person.inside and person.codes:
            yield from self._stand(None, dice.randint(LEAVES_TICKS, 40))
            if self.outside:
                other = self.outside.pop(dice.randrange(len(self.outside)))
                yield from self._stand(other, 12)
                self.outside.append(other)
        else:
            wobbles &= not person.inside  # who is in is not the first body again
            yield from self._stand(None, dice.randint(1, 6) if wobbles else 0)
            stands = not (wobbles and person.inside)  # by readings that came late: he walks on
            yield from self._stand(person if stands else None, 12 if person.codes else 105)
            if not person.inside and person.codes and dice.random() < 0.5:
                yield from self._stand(person, round(Options().rescan_after_refusal_s / TICK_S))
                for role, code in shows:
                    if not person.inside:
                        self._show(lane, role, code)
                        yield person
                yield from self._stand(person, 8)
            if stands:
                yield from self._walk_on(person, lane)
            self._count_honest(person, lane, began_s, is_left_alone=not reaches_over and person.actions == actions)
        yield from self._stand(None, LEAVES_TICKS)

    def _come_again(self, person: Person) -> None:
        """What staff have stated of somebody of whom the kiosk knew only the body went with it."""
        person.read = ()
        person.objected &= bool(person.objected_of)
        person.risk &= bool(person.risk_of)

    def _count_honest(self, person: Person, lane: str, began_s: float, *, is_left_alone: bool) -> None:
        """Of somebody whom nothing disturbed, and who may come in with all that he has."""
        is_calm = max(self.disturbed_s[lane], self.moment_s) < began_s - 1 and not any(
            at == lane for at, _ in self.down
        )
        if not (is_calm and is_left_alone) or lane in self.closed or lane in self.shut or not person.codes:
            return
        if not person.inside:
            facts = self._true_facts(person, sorted(person.payloads), lane=lane)
            if policy.decide(self.table, facts).outcome not in (Outcome.ADMIT, Outcome.ADMIT_WITH_NOTICE):
                return
            if self.mask == "confirm":  # nobody has confirmed it
                return
            if self.venue.room_state(self.at_s) in (RoomState.FULL, RoomState.UNKNOWN):
                self.counts["no place by the count"] += 1
                return
            verdicts = [check_one(each) for each in person.payloads]
            if any(each.drill for each in verdicts):
                return
        self.counts["honest"] += 1
        self.counts["honest, in vain"] += not person.inside

    def _over_the_shoulder(self, person: Person, lane: str) -> Iterator[Person | None]:
        """The next one in the queue holds his code to the scanner, once or again and again, while this one stands
        there, who has shown his own (else it cannot be known whose body it is) or was let in.
        """
        codes = self.dice.choice(self.outside).codes if self.outside else ()
        for _ in range(self.dice.choice([1, 1, 2, 3])):
            for role, code in codes:
                if role is S:
                    self._show(lane, role, code)
            yield from self._stand(person, self.dice.choice([self.dice.randint(1, 30), AGAIN_TICKS]))

    def _walk_on(self, person: Person, lane: str) -> Iterator[Person | None]:
        """Who was let in may stand there for a moment still, while the next one shows his code."""
        if person.inside and self.dice.random() < 0.2:
            yield from self._over_the_shoulder(person, lane)

    def _by_hand(self, person: Person, lane: str) -> Iterator[Person | None]:
        """Staff open for somebody who stands there without a code; the next one follows closely."""
        yield from self._stand(person, self.dice.randint(2, 12))
        before = self.counts["opened once"]
        self._open_once(lane)
        if self.counts["opened once"] > before:
            self.inside_extra -= 1
            person.inside = True
            yield from self._stand(person, self.dice.randint(0, 5))
            yield from self._over_the_shoulder(person, lane)
        yield from self._stand(None, LEAVES_TICKS)

    def _within(self) -> list[Person]:
        """Who may leave: who is inside, and has walked on from his lane."""
        still = (*self.visitors.values(), *self.walkers.values(), *self.body.values())
        return [each for each in self.everybody if each.inside and each not in still]

    def _go_out(self, lane: str) -> Iterator[Person | None]:  # noqa: C901 - in the order of a visit
        """Somebody leaves; he may press or show it more than once, and be the only one who has left."""
        leaves = self._within()
        if not leaves:
            return
        person = self.dice.choice(leaves)
        if lane == "out" and not any(role is S for role, _ in person.codes):
            return
        person.inside = False
        before, seen = self.openings[lane], False
        while (lane, G) in self.down:
            yield None
        for _ in range(self.dice.choice([1, 1, 2, 4])):
            if lane == "door":
                self._put(lane, Role.BUTTON, Pressed(self.at_s))
                seen = True
            else:
                seen |= self._show(lane, S, next(code for role, code in person.codes if role is S))
            yield from self._stand(person if lane == "out" else None, self.dice.randint(1, 20))
        if lane == "out":
            yield from self._stand(person, self.dice.randint(0, 60))
            if seen and self.dice.random() < 0.5:  # once more before he goes
                seen |= self._show(lane, S, next(code for role, code in person.codes if role is S))
            while (lane, G) in self.down:  # it opens when it is back, for who stands there still
                yield person
            yield from self._stand(None, LEAVES_TICKS)
        else:
            yield from self._stand(None, 40)
        while (lane, G) in self.down:
            yield None
        yield None
        if seen and self.openings[lane] == before:
            self.wrong.append(f"{person} was kept in at {lane}")
        self.counts["went out"] += 1
        self.outside.append(person)


def _result(found: Sequence[object], kind: type) -> object:
    return next(each for each in found if isinstance(each, kind))


if __name__ == "__main__":
    long_run(StaffDay)

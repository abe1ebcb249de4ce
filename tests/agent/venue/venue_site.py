"""A venue whole, with a clock moved by hand: real signed codes, a shipped table and venue.toml, the checkpoint, the
ledger, and the reports at the end. What staff do, they state.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent import credentials, policy, screening
from agent.checkpoint import Checkpoint, DecisionRules, Options
from agent.cli.roster import read_table
from agent.credentials.formats import card, gatepost, permit
from agent.crypto import digest, signing
from agent.model import (
    Attestation,
    AttestationResult,
    ClockState,
    Colour,
    DeviceUp,
    Direction,
    LabResult,
    LaneSpec,
    Observation,
    Passage,
    Report,
    Role,
    TimeBounds,
)
from agent.model.effects import OpenGate
from agent.ruleset import Ruleset, load
from agent.ruleset.venue_files import VenueOptions
from agent.venue import Vehicle, Venue, VenueInForce, Written
from agent.venue.attestations import ABOUT_A_PERSON
from agent.venue.permits import build_roster
from drivers.contract import CARD, Fix, Pressed, Reading, Sighting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[3]
DAY_S, HOUR_S, OFFSET_S = 86_400, 3_600, 8 * 3_600
MONDAY_UTC = 1_795_996_800 - OFFSET_S
"""Monday 2026-11-30, 00:00 in China."""
NORMAL_C, FEVER_C, ROOM_C = 34.4, 36.8, 22.0
LANES = {"in": LaneSpec(Direction.ENTRY), "out": LaneSpec(Direction.EXIT, parts=frozenset({Role.GATE}))}
KEYS = {"health": ["gatepost"], "venue": ["permit"], "exercise": ["drill"]}


class Site:
    def __init__(
        self,
        folder: Path,
        venue: str,
        table: str | None = None,
        *,
        people: Sequence[tuple[object, ...]] = (),
        lanes: Mapping[str, LaneSpec] | None = None,
        vehicle: Vehicle | None = None,
        lists: Mapping[str, Mapping[str, int]] | None = None,
        **settings: object,
    ) -> None:
        """`people`: holder, role, number, group; a holder that begins with `#` is a card's number. `lists`: kind,
        or `status:ISSUER` → holder → value.
        """
        self.folder, self.utc = folder, float(MONDAY_UTC + 5 * HOUR_S)
        self._boot_utc = self.utc - 30
        self.keys = {name: signing.new_private_key() for name in KEYS}
        texts = [gatepost_table(name, key, KEYS[name]) for name, key in self.keys.items()]
        (folder / "issuers.toml").write_text("\n".join([*texts, TRAVEL]))
        (folder / "roster.json").write_text(
            json.dumps(build_roster(read_table(csv.DictReader(io.StringIO(rows(people))))))
        )
        files = [self._list(kind, listed) for kind, listed in (lists or {}).items()]
        self.ruleset = Ruleset(
            credentials.Options(lists=tuple(files)),
            policy.Options(table or venue, **settings),  # type: ignore[arg-type]
            folder,
            venue=VenueOptions(str(ROOT / "config" / "venue" / f"{venue}.toml"), "roster.json" if people else ""),
        )
        self.lanes = dict(lanes or LANES)
        self.vehicle, self.remembers, self.can_seal = vehicle, True, True
        self.venue = Venue("gate-1", self.lanes, self._in_force)
        rules = DecisionRules(
            self.ruleset.check, self.ruleset.decide, screening.Options(), may_override=self.ruleset.may_override,
            venue=self.venue.facts_now,
        )  # fmt: skip
        self.checkpoint = Checkpoint(self.lanes, rules, Options())
        self.written: list[Written] = []
        self.passages: list[Passage] = []
        self.opened: list[str] = []
        self.keep(Written(self.venue.begin(self.at_s)))
        self.keep(Written(self.venue.restore(b"", self.at_s)))
        for lane, spec in self.lanes.items():
            for role in spec.parts:
                self.put(lane, role, DeviceUp(self.at_s, "fake"))
        self.tick()

    def _in_force(self) -> VenueInForce:
        here = self.ruleset.venue()
        assert here is not None
        here = replace(here, remembers=self.remembers, can_seal=self.can_seal, vehicle=self.vehicle)
        if self.vehicle is not None and self.vehicle.seats:
            room = replace(here.rules.room, capacity=self.vehicle.seats)
            here = replace(here, rules=replace(here.rules, room=room))
        return here

    def _list(self, kind: str, listed: Mapping[str, int]) -> str:
        kind, _, issuer = kind.partition(":")
        keys = {subject_of(holder, issuer or "health"): value for holder, value in listed.items()}
        head = credentials.lists.ListHeader(kind, issuer or "health", 1, MONDAY_UTC, 30 * DAY_S, 60 * DAY_S)
        name = f"{kind}-{issuer}.gpl"
        load.write_list(self.folder / name, head, b"".join(keys), bytes(keys.values()))
        return name

    # -- time

    @property
    def at_s(self) -> float:
        return self.utc - self._boot_utc

    @property
    def now(self) -> TimeBounds:
        return TimeBounds(self.utc - 0.2, self.utc + 0.2, ClockState.SYNCED)

    def tick(self) -> None:
        for written in self.venue.tick(self.now, self.at_s):
            self.keep(written)

    def at(self, clock: str) -> None:
        """Time passes until the next time of this local hour and minute."""
        hours, minutes = clock.split(":")
        wanted = int(hours) * HOUR_S + int(minutes) * 60
        end = self.utc + ((wanted - (self.utc + OFFSET_S) % DAY_S) % DAY_S or DAY_S)
        self.wait(1.0)
        while self.utc < end:
            self.utc = min(end, self.utc + 600)
            self.tick()
        self._take(self.checkpoint.tick(self.at_s))

    def wait(self, seconds: float) -> None:
        end = self.utc + seconds
        while (due_s := self.checkpoint.wait_s(self.at_s)) <= end - self.utc:
            self.utc += max(due_s, 1e-3)
            self._take(self.checkpoint.tick(self.at_s))
        self.utc = end
        self._take(self.checkpoint.tick(self.at_s))
        self.tick()

    # -- people

    def code(
        self, holder: str, colour: Colour = Colour.GREEN, *, pcr_h: float | None = None, drill: bool = False
    ) -> bytes:
        issuer = "exercise" if drill else "health"
        tests = () if pcr_h is None else (LabResult("pcr", int(self.utc - pcr_h * HOUR_S)),)
        claims = gatepost.claims(
            issuer, holder, colour, issued_utc=int(self.utc - 60), expires_utc=int(self.utc + DAY_S), tests=tests
        )
        return gatepost.issue(self.keys[issuer], claims).encode()

    def permit(self, number: str, role: str, **kind: object) -> bytes:
        content = {"kind": {"role": role, **kind}}
        ends = {"issued_utc": int(self.utc - 60), "expires_utc": int(self.utc + DAY_S)}
        return permit.issue(self.keys["venue"], "venue", number, content, **ends).encode()  # type: ignore[arg-type]

    def comes(self, *shown: bytes | str, lane: str = "in", celsius: float = NORMAL_C) -> Passage:
        """Somebody shows codes (`#…`: a card) and stands there until it is decided; then goes on."""
        count = len(self.passages)
        for each in shown:
            self.show(each, lane)
        if Role.THERMOMETER in self.lanes[lane].parts:
            for _ in range(110):  # until it is decided; without a code that takes ten seconds
                self.put(lane, Role.THERMOMETER, Reading(celsius, self.at_s, 0.4))
                self.wait(0.1)
                if len(self.passages) > count:
                    break
        if len(self.passages) == count:
            self.wait(12.0)
        for _ in range(3):
            if Role.THERMOMETER in self.lanes[lane].parts:
                self.put(lane, Role.THERMOMETER, Reading(ROOM_C, self.at_s, 0.4))
            self.wait(0.5)
        self.wait(6.0)
        assert len(self.passages) == count + 1, [each.decision for each in self.passages[count:]]
        return self.passages[-1]

    def show(self, what: bytes | str, lane: str = "in") -> None:
        is_card = isinstance(what, str)
        payload = f"card:em4100:{what.removeprefix('#')}".encode() if isinstance(what, str) else what
        role = Role.CARD if is_card and Role.CARD in self.lanes[lane].parts else Role.SCANNER
        self.put(lane, role, Sighting(payload, self.at_s, symbology=CARD if is_card else "qr"))

    def leaves(self, lane: str = "out") -> Passage:
        self.put(lane, Role.BUTTON, Pressed(self.at_s))
        self.wait(self.lanes[lane].release_s)
        return self.passages[-1]

    def drives(self, lat: float, lon: float) -> None:
        self.venue.fix = Fix(lat, lon, 4.2, self.at_s)

    # -- staff

    def state(self, what: str, value: str = "", lane: str = "in", **more: object) -> AttestationResult:
        if what in ABOUT_A_PERSON:
            more.setdefault("number", self.checkpoint._lanes[lane].last_number)
        stated = Attestation(self.at_s, what, value, **more)  # type: ignore[arg-type]
        if what not in ABOUT_A_PERSON:
            answer, written = self.venue.attest("", stated, self.at_s)
            if written is not None:
                self.keep(written)
            return answer
        found = self.put(lane, Role.CLINICAL, stated)
        (answer,) = [each for each in found if isinstance(each, AttestationResult)]
        return answer

    # -- what followed

    def put(self, lane: str, role: Role, item: object) -> list[object]:
        return self._take(self.checkpoint.handle(Observation(lane, role, item), self.now))  # type: ignore[arg-type]

    def _take(self, effects: list[object]) -> list[object]:
        for effect in effects:
            if isinstance(effect, OpenGate):
                self.opened.append(effect.lane)
            if isinstance(effect, Passage):
                passage, entries = self.venue.passed(effect, self.now, self.at_s)
                self.keep(Written(entries))
                for written in self.venue.pop_follow_ups():
                    self.keep(written)
                self.passages.append(passage)
        return effects

    def keep(self, written: Written) -> None:
        self.written.append(written)

    @property
    def reports(self) -> list[Report]:
        return [each.body for each in self.written if isinstance(each.body, Report)]

    def round(self, name: str) -> Report:
        return [each for each in self.reports if (each.type, each.name) == ("round", name)][-1]

    def day(self) -> Report:
        """The day ends; its report."""
        self.at("00:10")
        return [each for each in self.reports if each.type == "day"][-1]

    @property
    def inside(self) -> object:
        return self.venue.occupancy(self.at_s)["inside"]


TRAVEL = """[[opaque]]
issuer = "trip"
pattern = 'https://trip\\.example/(?P<id>[a-z0-9]{1,20})'
adds = "travel"
"""


def gatepost_table(name: str, key: signing.PrivateKey, formats: list[str]) -> str:
    from agent.cli.keys import key_table  # noqa: PLC0415 - of the command line

    return key_table(name, key.public, formats)


def rows(people: Sequence[tuple[object, ...]]) -> str:
    """The table of a roster, as `gatepost roster build` reads it."""
    lines = ["issuer,subject,card,role,number,group,from,until,uses,party"]
    for holder, role, number, group, *window in people:
        name = str(holder)
        who = f",,{name[1:]}" if name.startswith("#") else f"health,{name},"
        lines.append(",".join([who, str(role), str(number), str(group), *map(str, [*window, "", "", "", ""][:4])]))
    return "\n".join(lines) + "\n"


def subject_of(holder: str, issuer: str) -> bytes:
    if holder.startswith("#"):
        return card.card_key(holder[1:])
    return digest.of_subject(issuer, holder) if issuer == "trip" else gatepost.subject_key(issuer, holder)

"""The state of a venue between passages: who may come in, how many are inside, who is absent, which cases are open.

`Venue` is the third reader of the day's list of observations, beside the checkpoint (a person, seconds) and the
baseline (a lane, hours). It adds facts for the policy table, and entries for the ledger; it decides nothing. All it
knows is folded from ledger entries, which `agent.outbox` writes in the commit of the event that they belong to.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from agent.model import (
    NO_VENUE,
    OLDEST_COUNT_S,
    AttestationRecord,
    AttestationResult,
    CodeStatus,
    Direction,
    LaneSpec,
    MaskState,
    Outcome,
    PermitState,
    PersonRole,
    RecordState,
    RoomState,
    Screening,
    TravelState,
    VehiclePosition,
    VenueFacts,
    VenueMark,
)
from agent.model.lazy import dataclass
from agent.model.reasons import StatementRefusal
from agent.venue import attestations, reports, room
from agent.venue.cases import case_id, case_kind, case_name
from agent.venue.entries import (
    AFTER_POWER_CUT,
    CASE_KINDS,
    CLOSING,
    DECISIONS,
    DRILL,
    FOR_GOOD,
    LAYOUT,
    MEASURED,
    MEASURED_LATER,
    NO_LANE,
    PERMITS_FOLLOW,
    ROLES,
    SIZE,
    SYMPTOMS,
    UNMEASURED,
    Entry,
    What,
    pack,
    permit_tag,
    tag,
    tag16,
    tenths,
    unsigned,
)
from agent.venue.forms import Form
from agent.venue.ledger import DAY_S, MOST_CASES, UNDATED, Case, Ledger
from agent.venue.permits import Roster, permit_state
from agent.venue.rules import Round, VenueRules
from agent.venue.zones import Zones

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from agent.model import Attestation, Passage, Permit, Report, TimeBounds, Verdict
    from agent.venue.room import Tally
    from drivers.contract import Fix

ALIVE_S = 900.0
"""So often the ledger notes that there is power."""
LONGEST_TRIP_S = 12 * 3600.0
"""After a restart a trip that is older is over once a driver signs on."""
HEARD_LATELY_S = 6.0
"""What another kiosk of the room counts is known for so long after it has told it; it does so every two seconds."""
SETTLED_AFTER_S = 10.0
"""More have left than came, by all kiosks together, for so long: it is not that one is told late of the other."""
AFTER_CLOSING_S = 600.0
"""So long after closing time another kiosk may not have closed yet, by its clock."""
OLDEST_FIX_S = 600.0
"""A place that was told longer ago is none any more."""
CLOCK_OFF_S = 2.0
"""The ledger's clock may be off by so much against the agent's."""
MOST_UNDATED = 2000
"""So many who come before the time is known are kept for the round that they came in."""
MOST_NUMBERS_SHOWN = 200
"""Of those who are absent from a round."""
NUMBER_S = 900.0
"""After this the number of who waits may be somebody else's."""
MOST_UNPROVEN_CASES = 64
"""So many open cases are of people without a valid code: anybody can come again and again with something warm."""
_FEVERISH = 0
"""In place of a round, which has a tag of 1 or more."""
_NEVER = ((-math.inf, 0),)
_STOPPED = 1
"""Value of the last entry before a clean stop."""
_ROLE = {role: index for index, role in enumerate(ROLES)}
_DECISION = {"admit": 1, "admit_with_notice": 2, "refer": 3, "refuse": 4}
_MEASURED = (Screening.NORMAL, Screening.ELEVATED)
_CAME_BY_PERMIT = What.PERMIT, 1


@dataclass(frozen=True, slots=True)
class Vehicle:
    """That the kiosk stands in."""

    plate: str = field(default="", repr=False)
    seats: int = 0


@dataclass(frozen=True, slots=True)
class VenueInForce:
    """What the venue is run by at present."""

    rules: VenueRules = field(default_factory=VenueRules)
    roster: Roster | None = None
    """None: there is none, and everybody is a visitor."""
    roster_problem: str = ""
    """Why a roster that there should be is not used: then nobody's permit is known to be good."""
    zones: Zones = field(default_factory=Zones)
    region: tuple[str, ...] = ()
    remembers: bool = False
    """Whether roster numbers may be written into the ledger until the day's report."""
    forms: Mapping[str, Form] = field(default_factory=dict)
    can_seal: bool = False
    """Whether there is a key of the central server to seal private answers to."""
    vehicle: Vehicle | None = None
    is_served: bool = True
    """False: there is no venue here, neither by a file nor sent."""

    @property
    def plate(self) -> Mapping[str, str]:
        """The private answer that a trip is recorded with; none where it cannot be sealed."""
        if self.vehicle is None or not self.vehicle.plate or not self.can_seal:
            return {}
        return {"plate": self.vehicle.plate}


@dataclass(frozen=True, slots=True)
class Written:
    """What is to be stored: an event with its entries, or entries alone."""

    entries: bytes
    body: Report | AttestationRecord | None = None
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class _Came:
    """A roster member who was decided: what a round needs of it."""

    permit: Permit
    outcome: Screening
    lane: int
    role: int
    at: int


class Venue:
    """The ledger of this kiosk and the questions to it. Not thread-safe: the loop owns it."""

    def __init__(  # noqa: PLR0915 - an attribute and what it means are two statements
        self,
        kiosk: str,
        lanes: Mapping[str, LaneSpec],
        in_force: Callable[[], VenueInForce],
        parts: Mapping[tuple[str, str], int] | None = None,
    ) -> None:
        """`in_force`: the rules of this moment; `parts`: (lane, role of a device) → index within its lane."""
        self.kiosk = kiosk
        self._lanes = dict(lanes)
        self._counts = {name: spec.counts_as for name, spec in self._lanes.items()}
        self._lanes_in = sum(counts == "in" for counts in self._counts.values())
        """How many lanes count those who come in."""
        self._index = {name: index for index, name in enumerate(lanes)}
        self._in_force = in_force
        self._parts = dict(parts or {})
        self.ledger = Ledger(in_force().rules.offset_s, shared=bool(in_force().rules.room.kiosks))
        self.peers: dict[str, Tally] = {}
        """What other kiosks of the room have told last."""
        self._told: dict[str, deque[tuple[float, int]]] = {}
        """When each of them told that how many had come by it, the newest last."""
        self._not_below_s = -math.inf
        """When the room did not count less than nobody, or that was not known, last."""
        self.questions = room.Questions()
        """Between the kiosks of the room."""
        self._restored = False
        self._is_counted = False
        """Staff have counted in this run: a disk that does not answer is no reason to keep the room shut."""
        self.is_kept: Callable[[], bool] = lambda: True
        """Whether all entries are on disk: only then the other kiosks are told."""
        self.is_lag_known: Callable[[], bool] = lambda: True
        """Whether a run after this one would know of it when they are not."""
        self._unsaved = 0
        """Openings for those who come in that may not be."""
        self._early: list[Entry] = []
        self._cases_of: dict[tuple[bytes | int, bool], tuple[int, int]] = {}
        """Holder of a code, or the number of who waits, and whether it is an exercise → his open case, and when he
        was decided last, in tenths of a second since boot."""
        self._unproven_cases: set[int] = set()
        self._checked: dict[int, dict[bytes, bool]] = {}
        """Round → who was measured in it; `_FEVERISH` → who had a fever on this day. In memory only."""
        self._checked_on = -1
        self._rounds: tuple[Round, ...] | None = None
        """Of the rules as they were last; None before the first turn."""
        self._noted: dict[tuple[int, int], dict[int, int]] = {}
        """What kind of entry, and roster number → value → when it was noted. In memory only."""
        self._came_undated: list[_Came] = []
        """Who came before the time was known. In memory only."""
        self._alive_at = 0
        self._named = 0
        """Cases and trips, in this run."""
        self._opened_s: dict[tuple[str, bool], float] = {}
        """Lane, and whether on command → when it opened last for somebody who counted."""
        self._at_s = self._began_s = 0.0
        """Seconds since boot, as the latest turn has told; and when this run began."""
        self.badge = ""
        """Number of the person who has signed on."""
        self.fix: Fix | None = None
        """Where the vehicle is, as told last."""
        self._permit_known: tuple[Verdict | None, Roster | None, Permit | None] = None, None, None
        self._driver = b""
        """Who drives, by his permit; in memory only."""
        self._follow_ups: list[Written] = []

    # -- begin, restore, end

    def begin(self, at_s: float) -> bytes:
        """The agent has started; the entries for its first event."""
        self._began_s = at_s
        return self._apply([Entry(tenths(at_s), NO_LANE, What.BOOT)])

    def restore(self, data: bytes, at_s: float, *, damaged: bool = False) -> bytes:
        """What the disk has of the ledger; further entries to write."""
        if self._restored:
            return b""
        before = Ledger(self.rules.offset_s, shared=self.ledger.shared).fold_bytes(data)
        entries = self._early
        self.ledger, self._early, self._restored = before, [], True
        was_clean = not len(before) or (Entry(*_last(data)).what == What.ALIVE and _last(data)[4] == _STOPPED)
        for entry in entries:
            self.ledger.apply(entry)
        at = tenths(at_s)
        more = []
        if damaged:
            self.questions.unheard = frozenset(self.rules.room.kiosks) - {self.kiosk}
            more.append(Entry(at, NO_LANE, What.DAMAGED))
        elif not was_clean and (self.rules.room.capacity or self.rules.room.daily) and before.exact:
            # the last opening of each lane may not have reached the disk: rather one too many than one too few
            number = unsigned(self.ledger.inside + (self._lanes_in if self.rules.room.capacity else 0))
            more.append(Entry(at, NO_LANE, What.COUNT, 0, AFTER_POWER_CUT, self._lanes_in, number))
        return self._apply(more)

    def lose(self, at_s: float) -> bytes:
        """What was restored turns out to lack entries; the entry to write."""
        self._is_counted = False
        self.questions.unheard = frozenset(self.rules.room.kiosks) - {self.kiosk}
        return self._apply([Entry(tenths(at_s), NO_LANE, What.DAMAGED)])

    @property
    def is_served(self) -> bool:
        """Whether there is a venue here. One that is sent later counts from then on."""
        return self._in_force().is_served

    @property
    def is_restored(self) -> bool:
        """Whether what the disk has was folded in."""
        return self._restored

    def end(self, at_s: float) -> bytes:
        """The agent stops; the last entries."""
        return self._apply([Entry(tenths(at_s), NO_LANE, What.ALIVE, value=_STOPPED)])

    @property
    def lanes(self) -> Iterable[str]:
        """Names of the lanes."""
        return self._lanes

    @property
    def rules(self) -> VenueRules:
        """How the venue is run."""
        return self._in_force().rules

    @property
    def forms(self) -> Mapping[str, Form]:
        """What can be filled in."""
        return self._in_force().forms

    @property
    def roster(self) -> Roster | None:
        """Who belongs here."""
        return self._in_force().roster

    def _apply(self, entries: Iterable[Entry]) -> bytes:
        entries = list(entries)
        for entry in entries:
            self.ledger.apply(entry)
        self._unsaved += any(
            entry.what == What.IN or (entry.what, entry.value) == _CAME_BY_PERMIT for entry in entries
        )
        if not self._restored:
            self._early += entries
        return pack(entries)

    # -- facts

    def facts(
        self, lane: str, verdict: Verdict | None, attested: Mapping[str, str], now: TimeBounds, at_s: float
    ) -> VenueFacts:
        """What the venue adds to the facts of somebody on a lane. `attested`: what staff have stated of him."""
        here = self._in_force()
        if not here.is_served:
            return NO_VENUE
        spec = self._lanes[lane]
        is_exit = spec.direction is Direction.EXIT
        permit = None if is_exit else self._permit(verdict, here)
        record = RecordState(attested["record"]) if "record" in attested else RecordState.NONE
        return VenueFacts(
            role=NO_VENUE.role if is_exit else self._role(permit, here),
            permit=NO_VENUE.permit if is_exit else self._permit_state(permit, lane, here, now, at_s),
            room=self.room_state(at_s) if not is_exit and self._counts[lane] == "in" else NO_VENUE.room,
            mask=self._mask(here.rules, attested),
            record=record,
            travel=_travel(verdict, attested),
            vouched=record is not RecordState.NONE
            and attested.get("document") == "seen"
            and (verdict is None or _is_card(verdict)),
            zone=here.zones.level(here.region, now) if here.zones.zones else "",
            tests=NO_VENUE.tests if permit is None else permit.kind.tests,
        )

    def facts_now(
        self, lane: str, verdict: Verdict | None, attested: Mapping[str, str], now: TimeBounds, _at_s: float
    ) -> VenueFacts:
        """The same, for the checkpoint, whose clock does not count sleep: the time of the latest turn."""
        return self.facts(lane, verdict, attested, now, self._at_s)

    @staticmethod
    def _mask(rules: VenueRules, attested: Mapping[str, str]) -> MaskState:
        if "mask" in attested:
            return MaskState(attested["mask"])
        return MaskState.MISSING if rules.mask == "confirm" else MaskState.UNASKED

    def _permit(self, verdict: Verdict | None, here: VenueInForce) -> Permit | None:
        """As `_permit_of`; it is asked for more than once for each person."""
        known = self._permit_known
        if known[0] is not verdict or known[1] is not here.roster:
            self._permit_known = known = verdict, here.roster, self._permit_of(verdict, here)
        return known[2]

    @staticmethod
    def _permit_of(verdict: Verdict | None, here: VenueInForce) -> Permit | None:
        """That was shown, or stands on the roster by code or card; of a code that is not good, none."""
        if verdict is None or not (verdict.status is CodeStatus.VALID or _is_card(verdict)):
            return None
        if verdict.permit is not None:
            return verdict.permit
        if here.roster is None:
            return None
        found = here.roster.find(verdict.subject)
        return found or (here.roster.find(verdict.card) if verdict.card else None)

    @staticmethod
    def _role(permit: Permit | None, here: VenueInForce) -> PersonRole:
        if permit is not None:
            return PersonRole(permit.kind.role)
        return PersonRole.UNKNOWN if here.rules.register or here.roster_problem else PersonRole.VISITOR

    def _permit_state(
        self, permit: Permit | None, lane: str, here: VenueInForce, now: TimeBounds, at_s: float
    ) -> PermitState:
        if permit is None:
            asks = here.rules.permits == "required" or here.roster_problem
            return PermitState.MISSING if asks else PermitState.UNASKED
        places, kind, tag = (here.rules.name, lane), permit.kind, permit_tag(permit.key)
        counts = _counts_uses(permit) and self._lanes[lane].direction is not Direction.CHECK
        used = self.ledger.came_today_with(tag, tenths(at_s)) if counts and kind.uses else 0
        state = permit_state(permit, now, here.rules.offset_s, places, used)
        if state is not PermitState.VALID or not counts:
            return state
        is_known = (self._restored or self._is_counted) and self.ledger.exact and not self._is_behind()
        has_place = kind.party == 1 or self.ledger.with_permit[tag] < kind.party
        return PermitState.VALID if is_known and has_place else PermitState.USED

    def _is_counted_out(self, passage: Passage) -> bool:
        """Whether who shows this at an exit counts as gone already. A permit for several may be shown by the next
        of them, as long as one is inside with it.
        """
        verdict = passage.verdict
        if verdict is None or verdict.permit is None or not verdict.is_of_several:
            return passage.is_repeat
        return passage.is_repeat and not self.ledger.with_permit[permit_tag(verdict.permit.key)]

    def room_state(self, at_s: float) -> RoomState:
        """Whether one more may come in."""
        rules = self.rules.room
        if (rules.capacity or rules.daily) and not self._is_room_known():
            return RoomState.UNKNOWN
        came = self.ledger.came_today(tenths(at_s)) if rules.daily else 0
        return room.room_state(self.ledger, rules, self.kiosk, self.peers, came)

    def _is_room_known(self) -> bool:
        """Whether this kiosk knows the places that it has, apart from whether they are all counted."""
        is_known = (self._restored or self._is_counted) and not self._is_behind()
        return is_known and not self.asks_peers

    def _is_behind(self) -> bool:
        """Whether a power cut now could lose more openings than are counted for it at the next start: one for each
        lane that counts in. On a disk that answers that lasts milliseconds; on one that does not, staff count, and
        it goes on as soon as the next start would know that the ledger is not the one of now.
        """
        if self._unsaved and self.is_kept():
            self._unsaved = 0
        return self._unsaved >= max(1, self._lanes_in) and not (self._is_counted and self.is_lag_known())

    # -- what happens

    def passed(self, passage: Passage, now: TimeBounds, at_s: float) -> tuple[Passage, bytes]:
        """The passage with what the venue adds to it, and its ledger entries."""
        here, at = self._in_force(), tenths(at_s)
        lane, spec, facts = self._index[passage.lane], self._lanes[passage.lane], passage.facts
        verdict = passage.verdict
        drill = verdict is not None and verdict.drill
        is_exit = spec.direction is Direction.EXIT
        permit = self._permit(verdict, here)
        is_driver = permit is not None and permit.kind.role == "driver"
        role = 0 if is_exit else _ROLE[facts.role]
        entries: list[Entry] = []
        if not drill:
            decision = _DECISION[passage.decision.outcome]
            entries.append(Entry(at, lane, What.DECIDED, role, decision))
            if passage.gate_opened and not (spec.counts_as == "out" and self._is_counted_out(passage)):
                if not self._counts_by_command(passage, spec, at_s):
                    entries += self._count(at, lane, spec)
                entries += _permit_entries(at, lane, permit, spec)
            entries += self._checks(passage, permit, here, now, at, role)
        case = self._follow(passage, drill, facts, at, entries)
        if permit is not None and is_driver and not is_exit and not drill and _is_let_in(passage):
            entries += self._drives(permit, here, at)
        trip = _trip_after(self.ledger.trip, entries)
        mark = VenueMark(
            case=case_name(case) if case else "",
            role="" if is_exit else facts.role,
            permit="" if is_exit else facts.permit,
            drill=drill,
            trip=case_name(trip) if trip else "",
            seat=permit.number if permit is not None and trip and not is_driver else 0,
            place=self._position_at(passage.decided_s) if trip else None,
        )
        return replace(passage, venue=mark), self._apply(entries)

    def opened(self, lane: str, at_s: float) -> bytes:
        """The gate was opened on command, without a passage. Who leaves counts once for each time that it opens."""
        spec = self._lanes[lane]
        before_s = max(self._opened_s.get((lane, commanded), -math.inf) for commanded in (True, False))
        self._opened_s[lane, True] = at_s
        if spec.counts_as == "out" and at_s - before_s < spec.release_s:
            return b""
        return self._apply(self._count(tenths(at_s), self._index[lane], spec))

    def _counts_by_command(self, passage: Passage, spec: LaneSpec, at_s: float) -> bool:
        """Whether this exit's gate was open by a command already when it opened for this one, or was commanded to
        while it was open for him: who leaves so counts once.
        """
        if spec.counts_as != "out":
            return False
        opened_s = at_s - max(0.0, passage.decided_s - passage.began_s)
        self._opened_s[passage.lane, False] = opened_s
        return abs(opened_s - self._opened_s.get((passage.lane, True), -math.inf)) < spec.release_s

    def device(self, lane: str, role: str, at_s: float, *, up: bool) -> bytes:
        """A device came or went."""
        part = self._parts.get((lane, role))
        if part is None or lane not in self._index:
            return b""
        return self._apply([Entry(tenths(at_s), self._index[lane], What.UP if up else What.DOWN, value=part)])

    def link(self, at_s: float, *, online: bool) -> bytes:
        """The connection to the broker came or went."""
        return self._apply([Entry(tenths(at_s), NO_LANE, What.ONLINE if online else What.OFFLINE)])

    def _count(self, at: int, lane: int, spec: LaneSpec) -> list[Entry]:
        what = {"in": What.IN, "out": What.OUT}.get(spec.counts_as)
        if what is None:
            return []
        is_unseen = what is What.OUT and self._restored and self._inside_of_room(self._at_s) == 0
        return [*(self.ledger.unseen(at, 1) if is_unseen else ()), Entry(at, lane, what)]

    def _inside_of_room(self, at_s: float) -> int | None:
        """How many are inside, at all kiosks of the room; None while it is not known what the others count."""
        if not self.ledger.shared:
            return self.ledger.inside
        if self.not_heard_lately(at_s):
            return None
        return room.inside_of_all(self.tally, self.peers, self.rules.room)

    def not_heard_lately(self, at_s: float) -> list[str]:
        """Other kiosks of the room that may count meanwhile what is not known here."""
        others = [name for name in self.rules.room.kiosks if name != self.kiosk]
        return [name for name in others if at_s - self._told.get(name, _NEVER)[-1][0] > HEARD_LATELY_S]

    def _checks(
        self, passage: Passage, permit: Permit | None, here: VenueInForce, now: TimeBounds, at: int, role: int
    ) -> Iterator[Entry]:
        """A roster member who was here while a round goes on, measured or not; a raised temperature counts for
        clusters.
        """
        outcome = passage.temperature.outcome
        is_exit = self._lanes[passage.lane].direction is Direction.EXIT
        if permit is None or (is_exit and outcome not in _MEASURED):
            return
        came = _Came(permit, outcome, self._index[passage.lane], role, at)
        if self.ledger.knows_time and reports.knows(now):
            yield from self._check(came, here, now)
        elif len(self._came_undated) < MOST_UNDATED:
            self._came_undated.append(came)

    def _check_undated(self, now: TimeBounds) -> Iterator[Entry]:
        """Those who came before the time was known, now that it is."""
        waiting, self._came_undated = self._came_undated, []
        for came in waiting:
            utc = self.ledger.utc_of(came.at)
            if utc is not None:
                then = replace(now, earliest_utc=utc, latest_utc=utc + now.latest_utc - now.earliest_utc)
                yield from self._check(came, self._in_force(), then)

    def _check(self, came: _Came, here: VenueInForce, now: TimeBounds) -> Iterator[Entry]:
        permit, role, at, lane = came.permit, came.role, came.at, came.lane
        is_measured, group = came.outcome in _MEASURED, tag16(permit.group)
        number = permit.number if here.remembers else 0
        going_on = reports.open_round(self.ledger, here.rules, now)
        if going_on is None or (going_on.roles and permit.kind.role not in going_on.roles):
            return
        day = self.ledger.day_of(now.earliest_utc)
        if day != self._checked_on:
            self._checked, self._checked_on = {}, day
        seen = self._checked.setdefault(going_on.tag, {})
        before = seen.get(permit.key)
        if before or before is is_measured or self.ledger.reported.get(going_on.tag, -1) >= day:
            return
        seen[permit.key] = is_measured
        how = UNMEASURED if not is_measured else MEASURED if before is None else MEASURED_LATER
        yield Entry(at, lane, What.CHECKED, role, how, group, number, going_on.tag)
        feverish = self._checked.setdefault(_FEVERISH, {})
        if came.outcome is Screening.ELEVATED and permit.key not in feverish:
            feverish[permit.key] = True
            fever = Entry(at, lane, What.SYMPTOM, role, SYMPTOMS.index("fever"), group)
            if fever.value not in self.noted_today(What.SYMPTOM, permit.number, at):
                self._note(fever, permit.number)
                yield fever

    def noted_today(self, what: What, number: int, at: int) -> set[int]:
        """Absence or symptoms of a roster number that were noted on the day of this moment, in this run; of nobody
        without a number.
        """
        return {value for value, then in self._noted.get((what, number), {}).items() if self._is_one_day(then, at)}

    def _is_one_day(self, then: int, at: int) -> bool:
        then_utc, utc = self.ledger.utc_of(then), self.ledger.utc_of(at)
        if then_utc is None or utc is None:
            return at - then < DAY_S * 10
        return self.ledger.day_of(then_utc) == self.ledger.day_of(utc)

    def _note(self, entry: Entry, number: int) -> None:
        """Whom it is about, whose number the entry may not tell. Somebody may have several symptoms, and is absent
        for one reason.
        """
        if number:
            before = self._noted.get((entry.what, number), {}) if entry.what == What.SYMPTOM else {}
            self._noted[entry.what, number] = {**before, entry.value: entry.at}

    def _follow(self, passage: Passage, drill: bool, facts: VenueFacts, at: int, entries: list[Entry]) -> int:
        """The case of a passage: a new one, or that which is open for the same holder, or for who waits under the
        same number where no code names him: no exercise takes a real one in. 0: none.
        """
        kind = case_kind(passage, zone_locked=facts.zone == "locked")
        if not kind:
            return 0
        verdict = passage.verdict
        holder = b"" if verdict is None or verdict.is_of_several else verdict.subject or verdict.code
        whose = holder or passage.number, drill
        known, seen = self._cases_of.get(whose, (0, 0))
        if known in self.ledger.cases and (holder or at - seen < NUMBER_S * 10):
            self._cases_of[whose] = known, at
            return known
        unproven = {case for case in self._unproven_cases if case in self.ledger.cases}
        is_proven = kind not in ("fever", "zone_locked") or (
            verdict is not None and verdict.status is CodeStatus.VALID
        )
        if len(self.ledger.cases) >= MOST_CASES or (not is_proven and len(unproven) >= MOST_UNPROVEN_CASES):
            return 0
        self._named += 1
        number = case_id(f"{self.kiosk}:{at}:{self._named}:{self.ledger.version}", self.ledger.cases)
        value = CASE_KINDS.index(kind) | (DRILL if drill else 0)
        entries.append(Entry(at, self._index[passage.lane], What.CASE, value=value, case=number))
        self._unproven_cases = unproven if is_proven else {*unproven, number}
        self._cases_of = {key: told for key, told in self._cases_of.items() if told[0] in self.ledger.cases}
        if whose[0]:
            self._cases_of[whose] = number, at
        return number

    # -- trips of a vehicle

    def trip_entries(self, at: int, *, begins: bool) -> Iterator[Entry]:
        """A trip ends; another begins."""
        if self.ledger.trip:
            yield Entry(at, NO_LANE, What.TRIP, case=self.ledger.trip)
        if begins:
            self._named += 1
            seed = f"trip:{self.kiosk}:{at}:{self._named}:{self.ledger.version}"
            yield Entry(at, NO_LANE, What.TRIP, value=1, case=case_id(seed, (self.ledger.trip,)))

    def _drives(self, permit: Permit, here: VenueInForce, at: int) -> list[Entry]:
        """A driver was let in: that begins a trip, unless he drives already. After a restart the trip goes on that
        was begun a short time before.
        """
        if here.vehicle is None or (permit.key == self._driver and self.ledger.trip):
            return []
        is_known, self._driver = bool(self._driver), permit.key
        since_utc, utc = self.ledger.trip_since_utc, self.ledger.utc_of(at)
        is_recent = since_utc is None or utc is None or utc - since_utc < LONGEST_TRIP_S
        if self.ledger.trip and not is_known and is_recent:
            return []
        entries = list(self.trip_entries(at, begins=True))
        record = AttestationRecord("trip", value=case_name(entries[-1].case), by=self.badge, private=here.plate)
        self._follow_ups.append(Written(b"", record))
        return entries

    def pop_follow_ups(self) -> list[Written]:
        """What followed from the latest passage; once."""
        told, self._follow_ups = self._follow_ups, []
        return told

    def _position_at(self, at_s: float) -> VehiclePosition | None:
        """Where the vehicle was; None when that is too long ago."""
        fix = self.fix
        if fix is None or at_s - fix.at_s > OLDEST_FIX_S:
            return None
        age_s = round(max(0.0, at_s - fix.at_s), 1)
        return VehiclePosition(round(fix.lat, 6), round(fix.lon, 6), round(fix.u_m, 1), age_s)

    # -- places shared with other kiosks

    def on_peer_tally(self, kiosk: str, content: object) -> bytes:
        """A peer tells its tally; the entry to write where this kiosk has lost what it gave to that one."""
        told = room.parse_tally(content)
        if told is None or kiosk == self.kiosk or kiosk not in self.rules.room.kiosks:
            return b""
        self.peers[kiosk] = told.newer(self.peers.get(kiosk))
        history = self._told.setdefault(kiosk, deque())
        history.append((self._at_s, told.came))
        while len(history) > 1 and history[1][0] < self._at_s - OLDEST_COUNT_S:
            history.popleft()
        mark, gave = tag(kiosk), told.got.get(self.kiosk, 0)
        if not (self._restored and self.questions.is_answered_by(kiosk, told, self.kiosk)):
            return b""
        self.questions.unheard -= {kiosk}
        if gave <= self.ledger.gave.get(mark, 0):
            return b""
        return self._apply([Entry(tenths(self._at_s), NO_LANE, What.GAVE, number=gave, case=mark)])

    def came_after(self, at_s: float) -> int | None:
        """How many have come since a moment, by this kiosk and, as they told then and since, by the others of the
        room that are heard. None: that is not known, or the number was set since.
        """
        came = self.ledger.came_after(tenths(at_s))
        told = [history for kiosk, history in self._told.items() if kiosk in self.rules.room.kiosks]
        is_read = self._restored or at_s >= self._began_s
        if came is None or not is_read or any(history[0][0] > at_s for history in told):
            return None
        for history in told:
            counts = [count for told_s, count in history if told_s > at_s]
            then = next(count for told_s, count in reversed(history) if told_s <= at_s)
            came += sum(max(0, after - before) for before, after in pairwise((then, *counts)))
        return came

    @property
    def asks_peers(self) -> bool:
        """Whether this kiosk must hear from its peers what it gave them."""
        return not self.questions.unheard.isdisjoint(self.rules.room.kiosks)

    def on_peer_question(self, kiosk: str, content: object) -> None:
        """A peer asks: the next tally says that it was told after that."""
        question = room.parse_question(content)
        if question and kiosk in self.rules.room.kiosks:
            self.questions.of_peers[kiosk] = question

    def share(self, at_s: float) -> bytes:
        """Give places to a peer that is short of them; the entries, to be on disk before the tally is told."""
        return self._settle(at_s) + self._give(at_s)

    def _settle(self, at_s: float) -> bytes:
        """Who left without having been counted makes no place: when all kiosks know of each other again, and more
        left than came, the first of them takes those as having come.
        """
        rules, inside = self.rules.room, self._inside_of_room(at_s)
        if inside is None or inside >= 0 or not (self._restored and self._is_room_known()):
            self._not_below_s = max(self._not_below_s, at_s)
        is_for_sure = at_s - self._not_below_s >= SETTLED_AFTER_S
        if not is_for_sure or inside is None or not rules.kiosks or rules.kiosks[0] != self.kiosk:
            return b""
        self._not_below_s = at_s
        return self._apply(self.ledger.unseen(tenths(at_s), -inside))

    def _give(self, at_s: float) -> bytes:
        rules = self.rules.room
        is_known = self._restored and self.ledger.exact and self._is_room_known()
        given = room.to_give(self.tally, self.peers, rules, self.kiosk) if is_known else None
        if given is None:
            return b""
        peer, count = given
        mark = tag(peer)
        number = self.ledger.gave.get(mark, 0) + count
        return self._apply([Entry(tenths(at_s), NO_LANE, What.GAVE, number=number, case=mark)])

    def pay(self, at: int, own: Tally, peers: Mapping[str, Tally], freed: int) -> Iterator[Entry]:
        """Places that become free here go first to the kiosks of the room by which too many came in: else each of
        them and this one would let somebody in on the same place.
        """
        for peer, lacks in room.debts(own, peers, self.rules.room, self.kiosk):
            if (count := min(lacks, freed)) > 0:
                freed -= count
                mark = tag(peer)
                yield Entry(at, NO_LANE, What.GAVE, number=self.ledger.gave.get(mark, 0) + count, case=mark)

    def _pay_at_closing(self, at: int) -> Iterator[Entry]:
        """Who came in here and left by another kiosk frees a place only there; at closing time each of them takes
        back what it has so.
        """
        own = replace(self.tally, came=0, left=0)
        peers = {name: replace(told, came=0, left=0) for name, told in self.peers.items()}
        return self.pay(at, own, peers, room.rights(own, peers, self.rules.room, self.kiosk))

    @property
    def tally(self) -> Tally:
        """What this kiosk tells its peers."""
        told = room.own_tally(self.ledger, self.rules.room, self.kiosk, self.peers)
        return replace(told, heard=dict(self.questions.of_peers))

    # -- what staff state

    def attest(self, lane: str, stated: Attestation, at_s: float) -> tuple[AttestationResult, Written | None]:
        """A statement that concerns the venue, not a person who waits. What is wrong with it is one sentence.
        `stated.at_s`: of when it is, in seconds since boot.
        """
        here = self._in_force()
        at, by = tenths(at_s), stated.by or self.badge
        try:
            made = attestations.read(self, here, stated, at)
        except attestations.BadAttestation as error:
            return AttestationResult(error.reason, text=str(error)), None
        if stated.type == "shut":
            lane = stated.value
            if lane and lane not in self._index:
                known = ", ".join(self._index)
                text = f"There is no lane {lane!r}; there are {known}."
                return AttestationResult(StatementRefusal.BAD_VALUE, text=text), None
        index = self._index.get(lane, NO_LANE)
        entries = [entry._replace(lane=index) for entry in made.entries]
        record = AttestationRecord(
            stated.type,
            lane if lane in self._index else "",
            stated.case.upper() if stated.type == "feedback" else "",
            _stored_value(stated, made.value),
            stated.group if here.roster is not None and stated.group in here.roster.groups else "",
            stated.form if stated.type == "form" else "",
            dict(made.clear or {}),  # what was not asked for may be anything, a name too
            by,
            made.drill,
            dict(made.private or {}),
        )
        self._is_counted = self._is_counted or stated.type == "count"
        for entry in made.entries:
            self._note(entry, made.about)
        if made.badge is not None:
            self.badge = made.badge
        return AttestationResult(text=made.text), Written(self._apply(entries), record)

    def witnessed(self, lane: str, stated: Attestation, passage: Passage | None) -> Written:
        """A statement about somebody who waits or stands there, which the checkpoint has taken: to be kept beside
        the decision, or before there is one, and nothing that was not asked for.
        """
        case = passage.venue.case if passage is not None and passage.venue is not None else ""
        drill = passage is not None and passage.verdict is not None and passage.verdict.drill
        record = AttestationRecord(stated.type, lane, case, stated.value, by=stated.by or self.badge, drill=drill)
        return Written(b"", record)

    # -- time passes

    def set_time(self, at_s: float) -> None:
        """Seconds since boot, for `facts_now`."""
        self._at_s = at_s

    def tick(self, now: TimeBounds, at_s: float) -> Iterator[Written]:
        """What is due: the clock, signs of life, closing time, reports. Take each before the next is asked for."""
        self._at_s = at_s
        if not self._restored:
            return
        self._follow_rules()
        if self.ledger.has_numbers and not self._in_force().remembers:
            yield self._replaced(self.ledger.without_numbers())
        at, knows = tenths(at_s), reports.knows(now)
        if knows and self.ledger.was_wrong(at, now.earliest_utc, now.latest_utc):
            yield self._replaced(self.ledger.set_right(at, now.earliest_utc))
        if knows and self.ledger.clock_error_s(at, now.earliest_utc) > CLOCK_OFF_S:
            whole = int(now.earliest_utc)
            part = int((now.earliest_utc - whole) * 10)
            came = self.ledger.may_have_come(at, now.earliest_utc)
            yield self._alone([Entry(at, NO_LANE, What.CLOCK, value=part, number=whole), *came])
            if self.ledger.since_utc is None:
                yield self._alone([Entry(at, NO_LANE, What.SINCE, number=whole)])
        if knows and self.ledger.is_ahead_of(now.latest_utc):
            yield self._replaced(self.ledger.set_back(now.earliest_utc))
        if knows and self.ledger.knows_time and (checked := list(self._check_undated(now))):
            yield self._alone(checked)
        if at - self._alive_at >= ALIVE_S * 10:
            self._alive_at = at
            yield self._alone([Entry(at, NO_LANE, What.ALIVE)])
        if knows:
            yield from self._other_rounds(now, at)
            yield from self._closing(now, at)
            yield from self._due(now, at)
        else:
            yield from self._without_time(at)

    def _follow_rules(self) -> None:
        """Other rules may say another offset from UTC, or that the room is shared: the same entries, read so."""
        offset_s, shared = self.rules.offset_s, bool(self.rules.room.kiosks)
        if (offset_s, shared) != (self.ledger.offset_s, self.ledger.shared):
            self.ledger = Ledger(offset_s, shared=shared).fold_bytes(self.ledger.entries)

    def _other_rounds(self, now: TimeBounds, at: int) -> Iterator[Written]:
        """Other rules may bring rounds that have begun: who was here before them was not counted."""
        before, self._rounds = self._rounds, self.rules.rounds
        new = [each.tag for each in self._rounds if before is not None and each not in before]
        if new:
            since = int(now.earliest_utc)
            yield self._alone([Entry(at, NO_LANE, What.SINCE, number=since, case=tag) for tag in new])

    def _replaced(self, entries: bytes) -> Written:
        """Other entries take the place of all."""
        self.ledger = Ledger(self.rules.offset_s, shared=self.ledger.shared).fold_bytes(entries)
        return Written(entries, replaces=True)

    def _alone(self, entries: list[Entry]) -> Written:
        return Written(self._apply(entries))

    def _closing(self, now: TimeBounds, at: int) -> Iterator[Written]:
        closes_min = self.rules.room.closes_min
        if closes_min is None or not self.ledger.knows_time:
            return
        day = self.ledger.day_of(now.earliest_utc - closes_min * 60)
        """Of the last closing time, which there was perhaps no power for, or no clock."""
        closes_utc = self.ledger.day_began_utc(day) + closes_min * 60
        is_first = CLOSING not in self.ledger.reported
        if self.ledger.reported.get(CLOSING, -1) >= day:
            return
        entries = [Entry(at, NO_LANE, What.REPORTED, number=day, case=CLOSING)]
        is_today = day == self.ledger.day_of(now.earliest_utc)
        if closes_utc > (self.ledger.since_utc or 0.0) and (is_today or not is_first):
            gone = self.ledger.inside - self.ledger.came_since(closes_utc)
            closed = Entry(at, NO_LANE, What.CLOSED, value=PERMITS_FOLLOW, number=unsigned(gone))
            inside = self.ledger.with_permit_since(closes_utc)
            permits = [Entry(at, NO_LANE, What.PERMIT, number=count, case=tag) for tag, count in inside.items()]
            entries = [*self._pay_at_closing(at), closed, *permits, *entries]
            self._not_below_s = at / 10 + AFTER_CLOSING_S
        yield self._alone(entries)

    def _due(self, now: TimeBounds, at: int) -> Iterator[Written]:
        here = self._in_force()
        for made in reports.due(self.ledger, here.rules, now):
            report = reports.report_of(self.ledger, made, self._place(here), now.earliest_utc)
            entries = self._apply([Entry(at, NO_LANE, What.REPORTED, number=made.day, case=made.tag)])
            if made.round is None:
                entries = self.ledger.compacted(made.day)
                self.ledger = Ledger(here.rules.offset_s, shared=bool(here.rules.room.kiosks)).fold_bytes(entries)
            yield Written(entries, report, replaces=made.round is None)

    def _without_time(self, at: int) -> Iterator[Written]:
        since = self.ledger.undated_since
        if since is None or at - since < reports.UNDATED_AFTER_S * 10:
            return
        came, left = self.ledger.undated_counts()
        report = reports.undated_report(self.ledger, self._place(self._in_force()), came, left, (at - since) / 10)
        entries = self._apply([Entry(at, NO_LANE, What.REPORTED, number=UNDATED)])
        yield Written(entries, report)

    def _place(self, here: VenueInForce) -> reports.Place:
        names = {(self._index[lane], part): f"{lane}/{role}" for (lane, role), part in self._parts.items()}
        return reports.Place(here.rules, here.roster, names)

    def report_now(self, now: TimeBounds) -> Report | None:
        """What the day is like up to now; None while the time is not known. It is not the day's report."""
        if not reports.knows(now) or not self.ledger.knows_time:
            return None
        day = self.ledger.day_of(now.earliest_utc)
        made = reports.Due(day, self.ledger.day_began_utc(day), now.earliest_utc)
        return reports.day_report(self.ledger, made, self._place(self._in_force()), now.earliest_utc)

    def shut_lanes(self, now: TimeBounds) -> frozenset[str]:
        """Lanes that are shut to those who come in. Without a clock they stay shut; while it is not known whether
        staff have shut them, since the ledger was not read or has lost entries, until staff count or open them.
        """
        shut = self.ledger.shut
        is_known = NO_LANE in shut or self._is_counted or (self._restored and self.ledger.exact)
        for_all = shut.get(NO_LANE, 0) if is_known else FOR_GOOD
        until = {name: shut.get(index) for name, index in self._index.items()}
        return frozenset(
            name for name, own in until.items() if own != 0 and now.earliest_utc < max(own or 0, for_all)
        )

    def is_overdue(self, at_s: float) -> bool:
        """Whether a case, no drill, has been open for longer than the venue allows."""
        return any(
            self._is_too_old(self.age_s(case, at_s)) for case in self.ledger.cases.values() if not case.drill
        )

    def _is_too_old(self, age_s: float | None) -> bool:
        """Whether a case of this age should have been answered; None: it is not known."""
        return age_s is None or age_s > self.rules.answer_min * 60

    # -- questions of the guard's page and of commands

    def open_cases(self, at_s: float) -> list[dict[str, object]]:
        """Open cases, the oldest first."""
        found: list[dict[str, object]] = []
        for case in self.ledger.cases.values():
            age_s = self.age_s(case, at_s)
            found.append(
                {
                    "case": case_name(case.id),
                    "kind": case.kind,
                    "lane": next((name for name, index in self._index.items() if index == case.lane), ""),
                    "age_s": round(age_s) if age_s is not None else None,
                    "overdue": self._is_too_old(age_s),
                    "left_s": round(self.rules.answer_min * 60 - age_s) if age_s is not None else None,
                    "drill": case.drill,
                }
            )
        return found

    def age_s(self, case: Case, at_s: float) -> float | None:
        """For how long a case has been open."""
        utc = self.ledger.utc_of(tenths(at_s))
        if utc is None or case.since_utc is None:
            return at_s - case.at / 10 if case.since_utc is None and case.at >= 0 else None
        return max(0.0, utc - case.since_utc)

    def occupancy(self, at_s: float) -> dict[str, object]:
        """How many are inside, and whether there is room: not known once entries were lost, capacity or none."""
        rules = self.rules.room
        is_certain = self.ledger.exact and (self._restored or self._is_counted)
        own = room.own_tally(self.ledger, rules, self.kiosk)
        inside = max(0, room.inside_of_all(own, self.peers, rules)) if rules.kiosks else self.ledger.inside
        return {
            "inside": inside,
            "capacity": rules.capacity or None,
            "came": self.ledger.came_today(tenths(at_s)),
            "daily": rules.daily or None,
            "room": self.room_state(at_s) if is_certain else RoomState.UNKNOWN,
            "exact": self.ledger.exact and self._restored,
            "unheard": self.not_heard_lately(at_s),
        }

    def attendance(self, now: TimeBounds) -> dict[str, object]:
        """The round that goes on, by group; empty when there is none."""
        here = self._in_force()
        going_on = reports.open_round(self.ledger, here.rules, now)
        if going_on is None or not self.ledger.knows_time:
            return {}
        day = self.ledger.day_of(now.earliest_utc)
        begins = self.ledger.day_began_utc(day)
        made = reports.Due(day, begins + going_on.from_min * 60, begins + going_on.until_min * 60, going_on)
        report = reports.round_report(self.ledger, made, self._place(here), now.earliest_utc)
        return {
            "round": going_on.name, "expected": report.expected, "checked": report.checked, "absent": report.absent,
            "groups": {name: dict(counts) for name, counts in report.groups.items()},
            "absent_numbers": list(report.absent_numbers[:MOST_NUMBERS_SHOWN]),
        }  # fmt: skip

    def rounds_today(self, now: TimeBounds) -> list[dict[str, object]]:
        """Rounds of this day, each of which is reported when it has ended; none while the time is not known."""
        if not reports.knows(now) or not self.ledger.knows_time:
            return []
        day = self.ledger.day_of(now.earliest_utc)
        minute = (now.earliest_utc - self.ledger.day_began_utc(day)) / 60
        return [
            {
                "name": each.name, "from": hh_mm(each.from_min), "until": hh_mm(each.until_min),
                "state": "later" if minute < each.from_min else "open" if minute < each.until_min else "reported",
            }
            for each in self.rules.rounds
            if each.takes_place(day)
        ]  # fmt: skip

    def roster_groups(self, now: TimeBounds) -> dict[str, object] | None:
        """Group → how many belong to it, and for how many an absence was noted today; None without a roster."""
        here = self._in_force()
        if here.roster is None:
            return None
        excused: Counter[int] = Counter()
        if reports.knows(now) and self.ledger.knows_time:
            tally = self.ledger.tally(self.ledger.day_of(now.earliest_utc))
            excused.update(group for group, _ in tally.absent.values())
            for (group, _), count in tally.absences.items():
                excused[group] += count
        return {
            name: {"people": count, "excused": excused[tag16(name)]}
            for name, count in here.roster.expected(()).items()
        }

    def view(self, now: TimeBounds, at_s: float) -> dict[str, object]:
        """All of it at once, as JSON has it; of this moment."""
        report = self.report_now(now)
        return {
            "venue": self.rules.name,
            "occupancy": self.occupancy(at_s),
            "cases": self.open_cases(at_s),
            "attendance": self.attendance(now),
            "duties": {duty.name: self.duty_age_s(duty.tag, at_s) for duty in self.rules.duties},
            "duty_hours": {duty.name: duty.every_h for duty in self.rules.duties},
            "rounds": self.rounds_today(now),
            "roster": self.roster_groups(now),
            "badge": self.badge,
            "shut": sorted(self.shut_lanes(now)),
            "trip": case_name(self.ledger.trip) if self.ledger.trip else "",
            "report": None if report is None else report_view(report),
        }

    def duty_age_s(self, mark: int, at_s: float) -> int | None:
        """Seconds since a duty was done last; None when that is not known."""
        if (done_at := self.ledger.duty_done_at.get(mark)) is not None:
            return round(max(0.0, at_s - done_at / 10))
        done, utc = self.ledger.duty_done_utc.get(mark), self.ledger.utc_of(tenths(at_s))
        return None if done is None or utc is None else round(max(0.0, utc - done))


def _last(data: bytes) -> tuple[int, ...]:
    whole = len(data) - len(data) % SIZE
    return LAYOUT.unpack_from(data, whole - SIZE)


def hh_mm(minutes: int) -> str:
    """Minutes after midnight as a clock shows them."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


def report_view(report: Report) -> dict[str, object]:
    """A report as the guard's page and commands show it: without roster numbers."""
    return {
        "day": report.day, "came": report.came, "left": report.left, "most": report.most, "inside": report.inside,
        "drift": report.drift, "decisions": {role: dict(counts) for role, counts in report.decisions.items()},
        "rounds": {name: dict(counts) for name, counts in report.rounds.items()},
        "clusters": [dict(cluster) for cluster in report.clusters], "cases": dict(report.cases),
        "duties": {name: dict(counts) for name, counts in report.duties.items()}, "powered_s": report.powered_s,
        "exact": report.exact,
    }  # fmt: skip


def _is_card(verdict: Verdict) -> bool:
    """Whether a card was shown of which no list tells a colour, and no health code beside it."""
    return verdict.status is CodeStatus.UNDECIDED and bool(verdict.adds)


def _counts_uses(permit: Permit) -> bool:
    """Whether it is limited how often, or for how many at a time, a permit lets somebody in."""
    return bool(permit.kind.uses) or permit.kind.party > 1


def _permit_entries(at: int, lane: int, permit: Permit | None, spec: LaneSpec) -> list[Entry]:
    """That somebody comes or leaves with a permit, where that counts."""
    if permit is None or not _counts_uses(permit):
        return []
    comes = spec.counts_as == "in" or spec.direction is Direction.ENTRY
    return [Entry(at, lane, What.PERMIT, value=1 if comes else 2, case=permit_tag(permit.key))]


def _is_let_in(passage: Passage) -> bool:
    return passage.decision.outcome in (Outcome.ADMIT, Outcome.ADMIT_WITH_NOTICE)


def _stored_value(stated: Attestation, made: str | None) -> str:
    if made is not None:
        return made
    if stated.type == "count":
        return str(stated.number)
    return "" if stated.type == "form" else stated.value


def _trip_after(before: int, entries: list[Entry]) -> int:
    """The trip that goes on after some entries."""
    for entry in entries:
        if entry.what == What.TRIP:
            before = entry.case if entry.value else 0
    return before


def _travel(verdict: Verdict | None, attested: Mapping[str, str]) -> TravelState:
    """The worse of what was shown and what staff saw."""
    shown = verdict.travel if verdict is not None else TravelState.UNASKED
    stated = TravelState(attested["travel"]) if "travel" in attested else TravelState.UNASKED
    if TravelState.RISK in (shown, stated):
        return TravelState.RISK
    return stated if stated is not TravelState.UNASKED else shown


__all__ = ["DECISIONS", "Venue", "VenueInForce", "Written"]

"""The ledger (台账): a venue's day, folded from entries. Pure; time is in the entries.

`apply` takes one entry; folding the same entries again gives the same ledger. Counting never waits for the time of
day: entries of a boot whose clock is not known yet are counted at once, and dated when a CLOCK entry comes. Entries
are dated by the lower bound of the clock, so that a day never ends early.

`until` is the ledger as it was at the end of a day, `compacted` the entries that are needed after that day.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import field, replace
from typing import TYPE_CHECKING

from agent.model.lazy import dataclass
from agent.venue.entries import (
    AFTER_POWER_CUT,
    CARRIED,
    CARRIED_EXACT,
    CARRIED_INEXACT,
    CASE_KINDS,
    DRILL,
    LATEST,
    LAYOUT,
    MEASURED_LATER,
    NO_LANE,
    PERMITS_FOLLOW,
    SIZE,
    UNMEASURED,
    Entry,
    What,
    pack,
    signed,
    unpack,
    unsigned,
)
from agent.venue.redating import OFF_S, Redating

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DAY_S = 86_400
UNDATED = 0xFFFF_FFFF
"""Number of a day that was reported without a date."""
MOST_CASES = 256
_MOST_INTERVALS = 2000
_IN, _OUT, _DECIDED = int(What.IN), int(What.OUT), int(What.DECIDED)
_BOOT, _CLOCK = int(What.BOOT), int(What.CLOCK)
_STATE = frozenset(int(what) for what in What if what >= What.CASE)
_NUMBERED = frozenset((int(What.CHECKED), int(What.ABSENT)))


@dataclass(frozen=True, slots=True)
class Case:
    """Somebody whom staff must follow until there is feedback."""

    id: int
    kind: str
    lane: int
    since_utc: float | None
    """None: the clock was not known."""
    at: int
    """Tenths of a second since boot; negative: before this boot."""
    drill: bool = False


@dataclass(slots=True)
class DayTally:
    """What happened on one day."""

    came: int = 0
    left: int = 0
    most: int = 0
    may_have_come: int = 0
    """Whose entries a power cut may have taken, and who may have come on this day as the time was not known."""
    drift: int = 0
    """Corrections: by staff's counts and by checking out all at closing."""
    decided: Counter[tuple[int, int]] = field(default_factory=Counter)
    """By role and decision."""
    checked: dict[int, Counter[int]] = field(default_factory=dict)
    """Tag of a round → group → how many were measured, without those whose number is known."""
    numbers: dict[int, dict[int, int]] = field(default_factory=dict)
    """Tag of a round → roster number → group."""
    unmeasured: dict[int, Counter[int]] = field(default_factory=dict)
    """As `checked`: here, and referred or refused before a measurement."""
    unmeasured_numbers: dict[int, dict[int, int]] = field(default_factory=dict)
    """As `numbers`; who was measured later stands in both."""
    absent: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Roster number → group, reason."""
    absences: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Group, reason → how many without a number."""
    symptoms: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Group, symptom → how many."""
    duties: dict[int, list[float]] = field(default_factory=dict)
    """Tag → when each was done, POSIX seconds."""
    permits: Counter[int] = field(default_factory=Counter)
    """Tag of a permit → how many came in with it."""
    trips: int = 0
    opened: int = 0
    answered: int = 0
    longest_answer_s: float = 0.0
    answered_of: Counter[int] = field(default_factory=Counter)
    """Day on which the case was opened → how many were answered on this one."""
    drills: int = 0
    drill_answer_s: float | None = None
    exact: bool = True
    dated: bool = True


@dataclass(slots=True)
class _Interval:
    """From when to when something was so, POSIX seconds; `until_utc` is None while it is."""

    key: tuple[int, int]
    from_utc: float
    until_utc: float | None = None


class Ledger:
    """The state of a venue at one kiosk. Not thread-safe: the loop owns it."""

    def __init__(self, offset_s: int = 0, *, shared: bool = False) -> None:  # noqa: PLR0915 - as of a venue
        """`offset_s`: local time less UTC. `shared`: people may come in here and leave by another kiosk."""
        self.offset_s, self.shared = offset_s, shared
        self.inside = self.least_since_boot = 0
        self.exact = True
        """Whether `inside` can be relied on: no entries were lost since it was counted."""
        self.cases: dict[int, Case] = {}
        """Open cases, the oldest first."""
        self.reported: dict[int, int] = {}
        """Tag of a round (0: the day) → the last day reported."""
        self._reported_utc = 0.0
        """When something was reported last, by the clock of then."""
        self.days: dict[int, DayTally] = {}
        self.gave: dict[int, int] = {}
        """Tag of a peer → places given to it, in all."""
        self.with_permit: Counter[int] = Counter()
        """Tag of a permit → how many are inside with it."""
        self.total_in = self.total_out = 0
        """Since the ledger began; they only grow."""
        self.since_utc: float | None = None
        self.round_since_utc: dict[int, float] = {}
        """Tag of a round → since when it is in the rules, where they have changed today."""
        self.undated_since: int | None = None
        """Tenths of a second since boot from which on nothing was dated or reported."""
        self._answered: dict[int, Case] = {}
        """Answered, and the answer is not dated yet."""
        self.duty_done_utc: dict[int, float] = {}
        self.duty_done_at: dict[int, int] = {}
        """Tag → when it was done since this boot, in tenths of a second since then."""
        self.trip = 0
        """Id of the trip that goes on; 0: none."""
        self.trip_since_utc: float | None = None
        self.shut: dict[int, int] = {}
        """Lane, or `NO_LANE` for all → until when it is shut, POSIX seconds; 0: open, though all are shut."""
        self.version = 0
        """Rises with each entry."""
        self._raw = bytearray()
        self._clock: tuple[int, float] | None = None
        self._boot_at = self._set_at = 0
        """`_set_at`: from when on the entries here tell of each who came, in tenths of a second since boot."""
        self._latest_utc: float | None = None
        """Of the newest dated entry."""
        self._undated: list[Entry] = []
        self._undatable: list[Entry] = []
        self.has_numbers = False
        """Whether entries tell roster numbers."""
        self._told_undated: list[Entry] = []
        """What was reported without a date last: some of it may have been on this day."""
        self.of_unknown_day: list[Entry] = []
        """What came in boots that never learnt the time, since it was known last: perhaps on the day before, as it
        is dated, perhaps on a later one."""
        self._power: list[_Interval] = []
        self._offline: list[_Interval] = []
        self._down: list[_Interval] = []

    # -- folding

    def fold(self, entries: Iterable[Entry]) -> Ledger:
        """Apply all; itself."""
        for entry in entries:
            self.apply(entry)
        return self

    def fold_bytes(self, data: bytes) -> Ledger:
        """Apply all entries in some bytes; itself."""
        whole = len(data) - len(data) % SIZE
        self._raw += data[:whole]
        take, make = self._count, Entry._make
        for fields in LAYOUT.iter_unpack(memoryview(data)[:whole]):
            take(make(fields))
        return self

    def apply(self, entry: Entry) -> None:
        """Take one entry."""
        self._raw += LAYOUT.pack(*entry)
        self._count(entry)

    def _count(self, entry: Entry) -> None:
        self.version += 1
        what = entry.what
        if what == _IN:
            self.inside += 1
            self.total_in += 1
        elif what == _OUT:
            self.inside -= 1
            self.total_out += 1
            if self.inside < 0 and not self.shared:
                self.inside = 0
            self.least_since_boot = min(self.least_since_boot, self.inside)
        elif what == _BOOT:
            self._boot(entry)
            return
        elif what == _CLOCK:
            self._know_time(entry)
            return
        elif what in _STATE:
            self._fold_state(entry)
        if what in _NUMBERED and entry.number:
            self.has_numbers = True
        utc = self.utc_of(entry.at)
        if utc is None:
            self._undated.append(entry)
        else:
            self._date(entry, utc)

    def _fold_state(self, entry: Entry) -> None:  # noqa: C901, PLR0912 - one for each kind of entry
        """What does not wait for the time of day."""
        match entry.what:
            case What.CASE:
                utc = float(entry.number) if entry.number else self.utc_of(entry.at)
                kind = CASE_KINDS[entry.value & ~DRILL] if entry.value & ~DRILL < len(CASE_KINDS) else ""
                self.cases[entry.case] = Case(
                    entry.case, kind, entry.lane, utc, entry.at, drill=bool(entry.value & DRILL)
                )
            case What.ANSWERED:
                if (case := self.cases.pop(entry.case, None)) is not None:
                    self._answered[entry.case] = case
            case What.COUNT | What.CLOSED:
                self._recount(entry)
                if entry.what == What.CLOSED or entry.value not in (CARRIED_EXACT, AFTER_POWER_CUT):
                    self._set_at = entry.at
            case What.TOTAL:
                self._set_at = entry.at
                if entry.value == 1:
                    self.total_in = entry.number
                else:
                    self.total_out = entry.number
            case What.REPORTED:
                if entry.number == UNDATED:
                    self.undated_since = entry.at
                    self._told_undated = [*self._undatable, *self._undated]
                    self._undated.clear()
                    self._undatable.clear()
                else:
                    self.reported[entry.case] = max(entry.number, self.reported.get(entry.case, 0))
                    self._reported_utc = max(self._reported_utc, self.utc_of(entry.at) or 0.0)
            case What.DAMAGED:
                self.exact, self._set_at = False, entry.at
                # that a lane, or all, were opened again is not known any more
                self.shut = {lane: until for lane, until in self.shut.items() if until and lane != NO_LANE}
            case What.DUTY if not entry.number:
                self.duty_done_at[entry.case] = entry.at
            case What.SINCE if entry.case:
                self.round_since_utc[entry.case] = float(entry.number)
            case What.SINCE:
                self.since_utc = float(entry.number)
            case What.GAVE:
                self.gave[entry.case] = entry.number
            case What.SHUT:
                self._shut(entry)
            case What.PERMIT:
                change = {1: 1, 2: -1}.get(entry.value, entry.number)
                self.with_permit[entry.case] = max(0, self.with_permit[entry.case] + change)
            case What.TRIP:
                self.trip = entry.case if entry.value else 0
                self.trip_since_utc = float(entry.number) if entry.number else self.utc_of(entry.at)

    def _shut(self, entry: Entry) -> None:
        if entry.lane == NO_LANE:
            self.shut.clear()
        self.shut[entry.lane] = entry.number

    def _recount(self, entry: Entry) -> None:
        before, number = self.inside, signed(entry.number)
        self.inside = before - number if entry.what == What.CLOSED else number
        if entry.what == What.CLOSED:
            if entry.value == PERMITS_FOLLOW or self.inside <= 0:
                self.with_permit.clear()
        elif entry.value in CARRIED:
            self.exact = entry.value == CARRIED_EXACT
            return
        else:
            self.exact = True
        self.total_in += max(0, self.inside - before)
        self.total_out += max(0, before - self.inside)
        utc = self.utc_of(entry.at)
        if utc is not None:
            tally = self._tally(utc)
            tally.drift += self.inside - before
            tally.most = max(tally.most, self.inside)

    def unseen(self, at: int, more: int) -> Iterator[Entry]:
        """Some leave a room that counts as empty: they were not seen coming. Written down, so that the same entries
        say the same once the room is shared.
        """
        exact, inside = CARRIED_EXACT if self.exact else CARRIED_INEXACT, self.inside + more
        yield Entry(at, NO_LANE, What.COUNT, value=exact, number=unsigned(inside))

    def _boot(self, entry: Entry) -> None:
        if self._latest_utc is not None:
            for waiting in self._undated:
                self._date(waiting, self._latest_utc)
                self._tally(self._latest_utc).dated = False
            self.of_unknown_day += self._undated
            for interval in (*self._power[-1:], *self._offline[-1:], *self._down):
                if interval.until_utc is None:
                    interval.until_utc = self._latest_utc
        else:
            self._undatable += self._undated
        self._undated = []
        if entry.at < self._set_at:  # not only the agent was started
            self._set_at = 0
        self._clock, self._boot_at = None, entry.at
        self.least_since_boot = self.inside
        self.undated_since = entry.at
        self.duty_done_at.clear()

    def _know_time(self, entry: Entry) -> None:
        is_first = self._clock is None
        utc = entry.number + entry.value / 10
        self._clock = entry.at, utc
        self.undated_since = None
        if not is_first:
            self._note(utc)
            return
        self.of_unknown_day, self._told_undated = [], []
        boot_utc = self.utc_of(self._boot_at) or utc
        if self._power and self._power[-1].until_utc is not None:
            boot_utc = max(boot_utc, self._power[-1].until_utc)
        self._power.append(_Interval((0, 0), min(boot_utc, utc)))
        for waiting in self._undatable:
            self._date(waiting, utc)
            self._tally(utc).dated = False
        self._undatable = []
        waiting_for_date, self._undated = self._undated, []
        for waiting in waiting_for_date:
            self._date(waiting, self.utc_of(waiting.at) or utc)
        for case in [case for case in self.cases.values() if case.since_utc is None and case.at >= self._boot_at]:
            self.cases[case.id] = Case(case.id, case.kind, case.lane, self.utc_of(case.at), case.at, case.drill)
        self._note(utc)

    def _date(self, entry: Entry, utc: float) -> None:  # noqa: C901, PLR0912 - one for each kind of entry
        """Count an entry on its day."""
        self._note(utc)
        tally = self._tally(utc)
        what = entry.what
        if what == _DECIDED:  # these three first: nearly all entries are of them
            key = entry.role, entry.value
            tally.decided[key] = tally.decided.get(key, 0) + 1
            return
        if what == _IN:
            tally.came += 1
            tally.most = max(tally.most, self.inside)
            return
        if what == _OUT:
            tally.left += 1
            return
        match what:
            case What.COUNT | What.MAY_HAVE_COME if not entry.case:
                tally.may_have_come += _may_have_come(entry)
            case What.CHECKED:
                _check(tally, entry)
            case What.CASE if not entry.number:
                if entry.value & DRILL:
                    tally.drills += 1
                else:
                    tally.opened += 1
            case What.ANSWERED:
                self._answer(entry, utc, tally)
            case What.ABSENT:
                _excuse(tally, entry)
            case What.SYMPTOM:
                tally.symptoms[entry.group, entry.value] += 1
            case What.TRIP if entry.value and not entry.number:
                tally.trips += 1
            case What.PERMIT | What.MAY_HAVE_COME:
                _come_by_permit(tally, entry)
            case What.DUTY:
                tally.duties.setdefault(entry.case, []).extend([] if entry.number else [utc])
                self.duty_done_utc[entry.case] = float(entry.number) or utc
            case What.DAMAGED:
                tally.exact = False
            case What.DOWN:
                self._end(self._down, (entry.lane, entry.value), utc)
                self._down.append(_Interval((entry.lane, entry.value), utc))
            case What.UP:
                self._end(self._down, (entry.lane, entry.value), utc)
            case What.OFFLINE:
                self._end(self._offline, (0, 0), utc)
                self._offline.append(_Interval((0, 0), utc))
            case What.ONLINE:
                self._end(self._offline, (0, 0), utc)

    def _answer(self, entry: Entry, utc: float, tally: DayTally) -> None:
        case = self._answered.pop(entry.case, None)
        if case is None:
            return
        took_s = max(0.0, utc - case.since_utc) if case.since_utc is not None else 0.0
        if case.drill:
            tally.drill_answer_s = took_s
            return
        tally.answered += 1
        tally.longest_answer_s = max(tally.longest_answer_s, took_s)
        tally.answered_of[self.day_of(case.since_utc if case.since_utc is not None else utc)] += 1

    @staticmethod
    def _end(intervals: list[_Interval], key: tuple[int, int], utc: float) -> None:
        for interval in reversed(intervals):
            if interval.key == key and interval.until_utc is None:
                interval.until_utc = max(utc, interval.from_utc)
        del intervals[:-_MOST_INTERVALS]

    def _note(self, utc: float) -> None:
        if self._latest_utc is None or utc > self._latest_utc:
            self._latest_utc = utc

    def _tally(self, utc: float) -> DayTally:
        """Of the day of a time; of the next one when that day has been reported: a clock was set back."""
        day = max(self.day_of(utc), self.reported.get(0, -1) + 1)
        tally = self.days.get(day)
        if tally is None:
            tally = self.days[day] = DayTally(most=self.inside)
        return tally

    # -- time

    def utc_of(self, at: int) -> float | None:
        """POSIX seconds of a time since boot, as early as it may have been; None while the clock is not known."""
        if self._clock is None:
            return None
        then, utc = self._clock
        return utc + (at - then) / 10

    def day_of(self, utc: float) -> int:
        """Local days since 1970-01-01."""
        return int((utc + self.offset_s) // DAY_S)

    def day_began_utc(self, day: int) -> float:
        """When a local day begins."""
        return float(day * DAY_S - self.offset_s)

    @property
    def knows_time(self) -> bool:
        """Whether entries are dated now."""
        return self._clock is not None

    def clock_error_s(self, at: int, utc: float) -> float:
        """How far the clock of the ledger is from another opinion; infinite when it has none."""
        mine = self.utc_of(at)
        return float("inf") if mine is None else abs(utc - mine)

    # -- questions

    def tally(self, day: int) -> DayTally:
        """What happened on a day; nothing, when nothing did."""
        return self.days.get(day) or DayTally(most=0)

    def came_today(self, at: int) -> int:
        """How many came on the day of this moment; while the clock is not known, since the last known day began."""
        tally, undated = self._of_today(at)
        return tally.came + tally.may_have_come + sum(map(_may_have_come, undated))

    def came_today_with(self, permit: int, at: int) -> int:
        """The same with one permit, by its tag."""
        tally, undated = self._of_today(at)
        came = (What.PERMIT, permit, 1)
        return tally.permits[permit] + sum((entry.what, entry.case, entry.value) == came for entry in undated)

    def _of_today(self, at: int) -> tuple[DayTally, Sequence[Entry]]:
        utc = self.utc_of(at)
        if utc is not None:
            return self.tally(max(self.day_of(utc), self.reported.get(0, -1) + 1)), ()
        last = DayTally() if self._latest_utc is None else self.tally(self.day_of(self._latest_utc))
        return last, (*self._told_undated, *self._undatable, *self._undated)

    def came_since(self, from_utc: float) -> int:
        """How many are inside if everybody had left at a time: those who came since, or at a time not known."""
        dated = {index for index, utc in enumerate(self._times()) if utc is not None and utc < from_utc}
        walked, came = Ledger(self.offset_s, shared=self.shared), 0
        for index, fields in enumerate(LAYOUT.iter_unpack(self._raw)):
            entry, before = Entry._make(fields), walked.inside
            walked.apply(entry)
            if index in dated:
                continue
            is_counted = entry.what == What.COUNT and entry.value != AFTER_POWER_CUT
            came = walked.inside if is_counted else came + walked.inside - before
            came = came if self.shared else max(0, came)
        return came

    def came_after(self, at: int) -> int | None:
        """How many have come, or may have, after a moment, in tenths of a second since boot: also before the agent
        was started. None: it lies before this boot, or entries since then were lost or put together, or the number
        was set by a count or by closing time.
        """
        if at < max(0, self._set_at):
            return None
        came, began = 0, LATEST
        for index in range(len(self._raw) - SIZE, -1, -SIZE):
            entry = Entry._make(LAYOUT.unpack_from(self._raw, index))
            if entry.at <= at or entry.at > began:  # by the clock of the machine's boot before
                break
            began = entry.at if entry.what == What.BOOT else LATEST
            came += _may_have_come(entry) if entry.what in (What.IN, What.COUNT) else 0
        return came

    def with_permit_since(self, from_utc: float) -> dict[int, int]:
        """The same by permits that count: tag → how many."""
        found: Counter[int] = Counter()
        for entry, utc in zip(unpack(self.entries), self._times(), strict=True):
            if entry.what == What.PERMIT and entry.value and (utc is None or utc >= from_utc):
                found[entry.case] = max(0, found[entry.case] + (1 if entry.value == 1 else -1))
        return {tag: inside for tag, inside in sorted(found.items()) if inside}

    def _times(self) -> list[float | None]:
        """When each entry was written; None: its boot has not learnt the time."""
        found: list[float | None] = []
        clock: tuple[int, float] | None = None
        boot: list[tuple[int, int]] = []
        for fields in LAYOUT.iter_unpack(self._raw):
            entry = Entry._make(fields)
            if entry.what == What.BOOT:
                clock, boot = None, []
            elif entry.what == What.CLOCK:
                at, utc = entry.at, entry.number + entry.value / 10
                if clock is None:
                    for since, index in boot:
                        found[index] = utc + (since - at) / 10
                clock = at, utc
            boot.append((entry.at, len(found)))
            found.append(None if clock is None else clock[1] + (entry.at - clock[0]) / 10)
        return found

    def may_have_come(self, at: int, utc: float) -> Iterator[Entry]:
        """The time is learnt: who came in boots that never did counts for this day too."""
        is_counted = self._latest_utc is not None and self.day_of(self._latest_utc) == self.day_of(utc)
        may_be = [*self._told_undated, *(() if is_counted else self.of_unknown_day)]
        came = sum(map(_may_have_come, may_be))
        with_permit = Counter(each.case for each in may_be if (each.what, each.value) == (What.PERMIT, 1))
        if came:
            yield Entry(at, NO_LANE, What.MAY_HAVE_COME, number=came)
        for tag, count in sorted(with_permit.items()):
            yield Entry(at, NO_LANE, What.MAY_HAVE_COME, number=count, case=tag)

    def undated_counts(self) -> tuple[int, int]:
        """How many came and left in entries that have no date yet."""
        waiting = (*self._undatable, *self._undated)
        return sum(entry.what == What.IN for entry in waiting), sum(entry.what == What.OUT for entry in waiting)

    def powered_s(self, from_utc: float, until_utc: float, now_utc: float | None = None) -> float:
        """For how long the kiosk had power in an interval; `now_utc`: until when the present boot lasts."""
        latest = now_utc if now_utc is not None else self._latest_utc
        return _overlap_s(self._power, from_utc, until_utc, latest)

    def started_within(self, from_utc: float, until_utc: float) -> bool:
        """Whether the agent was started in an interval."""
        return any(from_utc < started.from_utc < until_utc for started in self._power)

    def offline_s(self, from_utc: float, until_utc: float, now_utc: float | None = None) -> float:
        """For how long there was power and no connection to the central server."""
        latest = now_utc if now_utc is not None else self._latest_utc
        return _overlap_s(self._offline, from_utc, until_utc, latest)

    def down_s(
        self, from_utc: float, until_utc: float, now_utc: float | None = None
    ) -> dict[tuple[int, int], float]:
        """(Lane, part) → for how long it was down."""
        latest = now_utc if now_utc is not None else self._latest_utc
        keys = {interval.key for interval in self._down}
        return {
            key: _overlap_s([each for each in self._down if each.key == key], from_utc, until_utc, latest)
            for key in sorted(keys)
        }

    def unanswered(self, day: int) -> int:
        """Cases of this day and before that had no feedback when it ended."""
        still = sum(
            not case.drill and (case.since_utc is None or self.day_of(case.since_utc) <= day)
            for case in self.cases.values()
        )
        later = sum(
            count
            for other, tally in self.days.items()
            if other > day
            for opened, count in tally.answered_of.items()
            if opened <= day
        )
        return still + later

    # -- the end of a day

    def until(self, day: int) -> Ledger:
        """The ledger as it was when a day ended: without the entries of later days."""
        return self._first(self._cut(day))

    def _first(self, count: int) -> Ledger:
        return Ledger(self.offset_s, shared=self.shared).fold_bytes(self.entries[: count * SIZE])

    def compacted(self, day: int) -> bytes:
        """The entries that are needed once a day was reported: what is carried over, and those of later days."""
        cut = self._cut(day)
        before, later = (self, []) if cut == len(self) else (self._first(cut), unpack(self.entries[cut * SIZE :]))
        if later and later[0].what != What.BOOT and not before.knows_time:
            learnt = next(entry for entry in later if entry.what in (What.CLOCK, What.REPORTED))
            if learnt.what == What.CLOCK:  # it dates these, too; what was reported without a date has none
                before.apply(learnt)
        return pack((*before.carried(day), *later))

    def was_wrong(self, at: int, earliest_utc: float, latest_utc: float) -> bool:
        """Whether the clock of this boot turns out to have been wrong: it is between these now."""
        mine = self.utc_of(at) if at < LATEST else None
        return mine is not None and not earliest_utc - OFF_S <= mine <= latest_utc + OFF_S

    def set_right(self, at: int, utc: float) -> bytes:
        """The entries as they would be had the clock of this boot been right: it is `utc` now. Where a day was
        reported within this one, entries are gone, and staff have to count.
        """
        entries, today = unpack(self.entries), self.day_of(utc)
        booted = max(index for index, entry in enumerate(entries) if entry.what == What.BOOT)
        redating = Redating(at, utc, today, self.day_began_utc(today))
        redating.date_again(entries[booted:])
        lost_utc = int(redating.lost_utc)
        kept = [
            each._replace(number=min(each.number, int(utc))) if each.what in (What.SINCE, What.DUTY) else each
            for each in (*entries[:booted], *redating.entries)
        ]
        if lost_utc:
            kept.append(Entry(at, NO_LANE, What.SINCE, number=lost_utc))
            kept += Ledger(self.offset_s, shared=self.shared).fold(kept).in_doubt(at)
        return pack(kept)

    def without_numbers(self) -> bytes:
        """The entries, and no roster number in them: from now on none may be kept."""
        entries = unpack(self.entries)
        return pack(each._replace(number=0) if each.what in _NUMBERED else each for each in entries)

    def in_doubt(self, at: int) -> Iterator[Entry]:
        """Entries were lost: staff have to count. Which lanes are shut is known as before."""
        if self.exact:
            self.shut.setdefault(NO_LANE, 0)
            yield from self._shut_lanes(at)
        yield Entry(at, NO_LANE, What.COUNT, value=CARRIED_INEXACT, number=unsigned(self.inside))

    def _shut_lanes(self, at: int) -> Iterator[Entry]:
        for lane, until in sorted(self.shut.items(), reverse=True):  # NO_LANE first, for it clears the others
            yield Entry(at, lane, What.SHUT, number=until)

    def is_ahead_of(self, utc: float) -> bool:
        """Whether anything was reported when the clock was later than it can be now: it was wrong."""
        return self._reported_utc - utc > OFF_S

    def set_back(self, utc: float) -> bytes:
        """The entries that are needed once the clock of an earlier boot has turned out to have been ahead. What has
        a date in the future goes; this day is reported from now on. As entries of this day are lost, staff have to
        count.
        """
        self.reported = {0: self.day_of(utc) - 1}
        self.since_utc = utc
        self.duty_done_utc = {tag: min(done_utc, utc) for tag, done_utc in self.duty_done_utc.items()}
        for case in self.cases.values():
            if case.since_utc is not None and case.since_utc > utc:
                self.cases[case.id] = replace(case, since_utc=utc)
        at = self._clock[0] if self._clock is not None else self._boot_at
        return pack((*self.carried(self.day_of(utc) - 1), *self.in_doubt(at)))

    def _cut(self, day: int) -> int:
        """Index of the first entry that is dated after a day, also by a clock that was learnt later; the number of
        entries when there is none.
        """
        end_utc = self.day_began_utc(day + 1)
        dated = (index for index, utc in enumerate(self._times()) if utc is not None and utc >= end_utc)
        return next(dated, len(self))

    def carried(self, day: int) -> Iterator[Entry]:  # noqa: C901, PLR0912 - one for each kind of entry
        """What is still true after a day, as entries."""
        if self.since_utc is not None:
            yield Entry(self._boot_at, NO_LANE, What.SINCE, number=int(self.since_utc))
        yield Entry(self._boot_at, NO_LANE, What.BOOT)
        if self._clock is not None:
            at, utc = self._clock
            whole = int(utc)
            yield Entry(at, NO_LANE, What.CLOCK, number=whole, value=int((utc - whole) * 10))
        at = self._clock[0] if self._clock is not None else self._boot_at
        for tag, reported in sorted(self.reported.items()):
            if tag == 0 or reported >= day - 31:
                yield Entry(at, NO_LANE, What.REPORTED, number=reported, case=tag)
        exact = CARRIED_EXACT if self.exact else CARRIED_INEXACT
        known = self.utc_of(at)
        ended = at if known is None else at + round((self.day_began_utc(day + 1) - known) * 10)
        counted = min(max(at, ended), LATEST)  # closing time may have come since the clock was set
        yield Entry(counted, NO_LANE, What.COUNT, value=exact, number=unsigned(self.inside))
        yield Entry(counted, NO_LANE, What.TOTAL, value=1, number=self.total_in)
        yield Entry(counted, NO_LANE, What.TOTAL, value=2, number=self.total_out)
        for tag, given in sorted(self.gave.items()):
            yield Entry(at, NO_LANE, What.GAVE, number=given, case=tag)
        for tag, inside in sorted(self.with_permit.items()):
            if inside:
                yield Entry(at, NO_LANE, What.PERMIT, number=inside, case=tag)
        for case in self.cases.values():
            value = CASE_KINDS.index(case.kind) | (DRILL if case.drill else 0)
            since = int(case.since_utc) if case.since_utc is not None else 0
            yield Entry(case.at, case.lane, What.CASE, value=value, number=since, case=case.id)
        for tag, utc in sorted(self.duty_done_utc.items()):
            yield Entry(at, NO_LANE, What.DUTY, number=int(utc), case=tag)
        yield from self._shut_lanes(at)
        if self.trip:
            since = int(self.trip_since_utc) if self.trip_since_utc is not None else 1
            yield Entry(at, NO_LANE, What.TRIP, value=1, number=since, case=self.trip)
        for down in self._down:
            if down.until_utc is None and self._clock is not None:
                lane, part = down.key
                yield Entry(at, lane, What.DOWN, value=part)
        if self._offline and self._offline[-1].until_utc is None and self._clock is not None:
            yield Entry(at, NO_LANE, What.OFFLINE)

    @property
    def entries(self) -> bytes:
        """All entries since the last compaction."""
        return bytes(self._raw)

    def __len__(self) -> int:
        return len(self._raw) // SIZE


def _may_have_come(entry: Entry) -> int:
    """How many came in, for certain or not."""
    if entry.what == What.MAY_HAVE_COME:
        return entry.number
    if entry.what == What.COUNT and entry.value == AFTER_POWER_CUT:
        return entry.group
    return int(entry.what == What.IN)


def _come_by_permit(tally: DayTally, entry: Entry) -> None:
    """Some came with a permit on this day, or may have."""
    if entry.what == What.MAY_HAVE_COME:
        tally.permits[entry.case] += entry.number
    elif entry.value == 1:
        tally.permits[entry.case] += 1


def _excuse(tally: DayTally, entry: Entry) -> None:
    """Somebody of the roster is absent."""
    if entry.number:
        tally.absent[entry.number] = entry.group, entry.value
        return
    tally.absences[entry.group, entry.value] += 1
    before = entry.group, entry.case
    tally.absences[before] = max(0, tally.absences[before] - 1)


def _check(tally: DayTally, entry: Entry) -> None:
    """Somebody of the roster was here in a round."""
    is_measured = entry.value != UNMEASURED
    if entry.number:
        numbers = tally.numbers if is_measured else tally.unmeasured_numbers
        numbers.setdefault(entry.case, {})[entry.number] = entry.group
        return
    counts = tally.checked if is_measured else tally.unmeasured
    counts.setdefault(entry.case, Counter())[entry.group] += 1
    if entry.value == MEASURED_LATER:
        tally.unmeasured.setdefault(entry.case, Counter())[entry.group] -= 1


def _overlap_s(intervals: list[_Interval], from_utc: float, until_utc: float, latest_utc: float | None) -> float:
    total = 0.0
    for interval in intervals:
        ends = interval.until_utc if interval.until_utc is not None else latest_utc
        if ends is not None:
            total += max(0.0, min(ends, until_utc) - max(interval.from_utc, from_utc))
    return total

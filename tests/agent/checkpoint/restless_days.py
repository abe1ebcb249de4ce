"""Days with staff on which more changes: the clock is set and comes into doubt, codes end, the venue's rules, the
table and the roster are others, and what devices have seen reaches the loop up to half a second late, each in its
own order.

    python tests/agent/checkpoint/restless_days.py 3000 [FIRST]

runs so many days, and tells the wrong openings, and what the rules cost honest people.
"""

from __future__ import annotations

import heapq
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[3]))

from days import long_run
from staff_days import LANES, TABLES, UTC, Person, StaffDay, key

from agent.model import ClockState, CodeStatus, Observation, Passage, Permit, PermitKind, Role, TimeBounds, Verdict
from agent.venue.permits import build_roster, parse_roster
from agent.venue.rules import parse_venue
from drivers.contract import Distance, Reading, Sighting
from tests.profiles import profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.model import Item

HOUR_S = 3600.0
CLOCK_S = (-26 * HOUR_S, -5 * HOUR_S, -2 * HOUR_S, 2 * HOUR_S, 5 * HOUR_S, 26 * HOUR_S)
"""By so much the clock is set."""
LATE_S = (0.0, 0.0, 0.0, 0.1, 0.3, 0.5)
"""Of one device, at most; mostly none."""
LEFT_S = 1.45
"""Who has left may be let in so long after: the devices are late, and the lane waits for his return."""


class RestlessDay(StaffDay):
    """One such day."""

    def __init__(self, seed: int) -> None:
        self.more = random.Random(seed ^ 0x5EED)
        self.off_s, self.clock = 0.0, ClockState.SYNCED
        self.late_s: dict[tuple[str, Role], float] = {}
        self.told: list[tuple[float, int, str, Role, Item]] = []
        """What devices have told and the loop has not heard: when it does, …"""
        self.heard_s: dict[tuple[str, Role], float] = {}
        self.count = 0
        self.last_body: dict[str, tuple[Person, float]] = {}
        """Who stood at a lane last, and until when."""
        super().__init__(seed)
        self._slow_down()

    def _slow_down(self) -> None:
        self.late_s = {(lane, role): self.more.choice(LATE_S) for lane in LANES for role in Role}

    def _person(self, number: int) -> Person:
        """Some codes of health end, in a few hours or a few hours ago."""
        person, more = super()._person(number), self.more
        ends = [f"{UTC + hours * HOUR_S:.0f}" for hours in (-3, 3, 30)]
        person.codes = tuple(
            (role, code + f":{more.choice(ends)}".encode())
            if code.startswith(b"health:") and more.random() < 0.4
            else (role, code)
            for role, code in person.codes
        )
        return person

    @property
    def now(self) -> TimeBounds:
        utc = UTC + self.at_s + self.off_s
        latest = float("inf") if self.clock is ClockState.SUSPECT else utc + 0.2
        return TimeBounds(utc, latest, self.clock)

    def _check(self, payloads: Sequence[bytes], now: TimeBounds) -> Verdict:
        ends = [code.split(b":") for code in payloads if code.startswith(b"health:") and code.count(b":") > 2]
        found = super()._check(
            [code if code.count(b":") < 3 else code.rpartition(b":")[0] for code in payloads], now
        )
        for end_utc in (float(end) for *_, end in ends):
            if now.latest_utc > end_utc:
                is_over = now.earliest_utc > end_utc
                found = replace(found, status=CodeStatus.EXPIRED if is_over else CodeStatus.TIME_UNKNOWN)
        return found

    # -- what comes late

    def _start(self, *, restarted: bool) -> None:
        self.told = []
        super()._start(restarted=restarted)

    def _put(self, lane: str, role: Role, item: Item) -> list[object]:
        limit_s = self.late_s.get((lane, role), 0.0)
        if not limit_s or role is Role.CLINICAL or not isinstance(item, Sighting | Reading | Distance):
            return self._hear(lane, role, item)
        due_s = max(self.at_s + self.more.uniform(0, limit_s), self.heard_s.get((lane, role), 0.0))
        self.heard_s[lane, role], self.count = due_s, self.count + 1
        heapq.heappush(self.told, (due_s, self.count, lane, role, item))
        return []

    def _hear(self, lane: str, role: Role, item: Item) -> list[object]:
        self._look_at_clock()
        return self._follow(self.checkpoint.handle(Observation(lane, role, item), self.now))

    def _look_at_clock(self) -> None:
        if self.checkpoint.was_clock_set(self.now):
            self._follow(self.checkpoint.reevaluate(self.now))

    def _tick(self) -> None:
        for lane, body in self.body.items():
            if body is not None:
                self.last_body[lane] = body, self.at_s
        while self.told and self.told[0][0] <= self.at_s:
            _, _, lane, role, item = heapq.heappop(self.told)
            self._hear(lane, role, item)
        self._look_at_clock()
        super()._tick()

    def _judge(self, passage: Passage) -> None:
        lane, (left, until_s) = passage.lane, self.last_body.get(passage.lane, (None, 0.0))
        is_vacant = self.body[lane] is None
        if is_vacant and self.meant is None and self.at_s - until_s <= LEFT_S and passage.gate_opened:
            self.body[lane] = left
        try:
            super()._judge(passage)
        finally:
            if is_vacant:
                self.body[lane] = None
                self.walkers.pop(lane, None)  # he is in, and does not walk by once more

    # -- what changes

    def _chance(self) -> None:
        super()._chance()
        more, what = self.more, self.more.random() / self.unrest
        if what < 0.002:
            self.clock = ClockState.SYNCED if self.clock is ClockState.SUSPECT else ClockState.SUSPECT
            self.moment_s = self.at_s
        elif what < 0.004:
            self.off_s += more.choice(CLOCK_S)
            self.moment_s = self.at_s
        elif what < 0.008:
            self.mask = more.choice(["none", "object", "object", "confirm"])
            self.registers = more.random() < 0.5
            self.capacity = self.capacity and more.choice([3, 6, 12])
            room = f"room = {{capacity = {self.capacity}}}" if self.capacity else ""
            text = f'name = "hall"\nmask = "{self.mask}"\nregister = {str(self.registers).lower()}\n{room}\n'
            self.rules = parse_venue(text)
            self._other_rules()
        elif what < 0.012:
            self.kind = more.choice(TABLES)
            self.table = profile(self.kind)
            self._other_rules()
        elif what < 0.015:
            for each in self.everybody:
                each.on_roster ^= more.random() < 0.3
            on_it = [
                Permit(key(each.name)[:8], PermitKind("staff"), "", number)
                for number, each in enumerate(self.everybody, 1)
                if each.on_roster
            ]
            self.roster = parse_roster(build_roster(on_it))
            self._other_rules()
        elif what < 0.017:
            self._slow_down()

    def _other_rules(self) -> None:
        self.counts["other rules"] += 1
        self.force = self._force()
        self._rules_changed()


if __name__ == "__main__":
    long_run(RestlessDay)

"""Random days of a venue's ledger: permits with uses, windows and parties, a daily number, closing time, lanes
that are shut; and a clock that is not known, wrong by hours, set right, over power cuts. The truth is who is
inside, and when.

    python tests/agent/venue/venue_days.py 3000 [FIRST]

runs so many days, and tells the wrong openings.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[3]))

from kiosk_bench import DAY_S, HOUR_S, MONDAY_UTC, OFFSET_S, SCHOOL, Kiosk, roster_of

from agent.model import PermitKind, PermitState, RoomState, Window

KINDS = {
    "once": PermitKind("visitor", uses=1),
    "booked": PermitKind("visitor", windows=(Window(from_min=9 * 60, until_min=12 * 60),), uses=2),
    "family": PermitKind("visitor", party=2),
    "group": PermitKind("visitor", uses=3, party=2),
}
OFF_S = (600, HOUR_S, 5 * HOUR_S, 14 * HOUR_S, 30 * HOUR_S)


class VenueDays:
    """Some days; `wrong` has each opening that the truth forbids, made by a clock that is right or not known."""

    def __init__(self, seed: int) -> None:
        dice = self.dice = random.Random(seed)
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()
        self.capacity, self.daily = dice.randint(2, 5), dice.choice([0, 4, 9])
        self.closes_min = dice.choice([None, 60, 12 * 60, 18 * 60, 21 * 60, 23 * 60])
        closes = "" if self.closes_min is None else f', closes = "{self.closes_min // 60:02}:00"'
        room = f"room = {{capacity = {self.capacity}, daily = {self.daily}{closes}}}"
        text = SCHOOL.replace('room = {capacity = 5, daily = 100, closes = "21:00"}', room)
        people = roster_of(dict.fromkeys(KINDS, ("visitor", "", 0)), KINDS)
        self.kiosk = Kiosk(text, people, utc=MONDAY_UTC + dice.uniform(0, DAY_S))
        self.off_s = 0.0
        """The clock less the truth."""
        self.inside: list[str] = []
        self.used: Counter[tuple[int, str]] = Counter()
        self.shut_until = 0.0
        self.lost_on = -1
        """On this day the ledger said that it lacks entries: what came before staff have counted is not known."""
        self._settle()

    @property
    def utc(self) -> float:
        return self.kiosk.utc - self.off_s

    @property
    def day(self) -> int:
        return int((self.utc + OFFSET_S) // DAY_S)

    def run(self, steps: int = 60) -> VenueDays:
        for _ in range(steps):
            self._step()
            if not self.kiosk.venue.ledger.exact:
                self.lost_on = self.day
        return self

    def _step(self) -> None:
        dice, kiosk = self.dice, self.kiosk
        match dice.randrange(20):
            case what if what < 9:
                self._come(dice.choice([*KINDS, "guest", "guest"]))
            case 9 | 10 | 11 if self.inside:
                kiosk.pass_by(self.inside.pop(dice.randrange(len(self.inside))), lane="out")
            case 12 | 13 | 14:
                self._wait(dice.choice([60, 1200, HOUR_S, 5 * HOUR_S]))
            case 15 if kiosk.knows_time:
                self._set_clock(0.0 if self.off_s else dice.choice([1, -1]) * dice.choice(OFF_S))
            case 16 if not self.off_s:
                kiosk.knows_time = not kiosk.knows_time
            case 17 if not self.off_s:
                self._cut(dice.choice([60, HOUR_S, 9 * HOUR_S, 26 * HOUR_S]))
            case 18:
                kiosk.tick()
                kiosk.state("count", number=len(self.inside))
            case 19:
                minutes = dice.choice([0, 0, 0, 30, 300])
                kiosk.tick()
                kiosk.state("shut", "in", number=minutes)
                self.shut_until = self.utc + minutes * 60

    def _come(self, name: str) -> None:
        kiosk, facts = self.kiosk, self.kiosk.facts(name)
        has_right = facts.permit in (PermitState.VALID, PermitState.UNASKED)
        is_open = "in" not in kiosk.venue.shut_lanes(kiosk.now)
        if not (has_right and is_open and facts.room in (RoomState.FREE, RoomState.BUSY)):
            self.counts["in vain" if not self._why_not(name) else "refused"] += 1
            return
        if not self.off_s and (why := self._why_not(name)):
            self.wrong.append(f"{name}: {why}")
        self.counts["admitted"] += 1
        kiosk.pass_by(name)
        self.inside.append(name)
        self.used[self.day, name] += 1

    def _why_not(self, name: str) -> str:
        """Why nobody of this name may come in now; `` if one may."""
        kind, day, is_known = KINDS.get(name, PermitKind("visitor")), self.day, self.lost_on < 0
        came = sum(count for (on, _), count in self.used.items() if on == day)
        why = {
            "full": len(self.inside) >= self.capacity,
            "shut": self.utc < self.shut_until,
            "too early or late": bool(kind.windows) and not 9 <= (self.utc + OFFSET_S) % DAY_S / HOUR_S < 12,
            "party": is_known and 1 < kind.party <= self.inside.count(name),
            "used": self.lost_on < day and 0 < kind.uses <= self.used[day, name],
            "daily": self.lost_on < day and 0 < self.daily <= came,
        }
        return ", ".join(reason for reason, holds in why.items() if holds)

    def _set_clock(self, off_s: float) -> None:
        self.kiosk.boot_utc += off_s - self.off_s
        self.kiosk.utc += off_s - self.off_s
        self.off_s = off_s
        self._settle()

    def _cut(self, seconds: float) -> None:
        before = self.utc
        self.kiosk.knows_time = self.dice.random() < 0.5
        self.kiosk.cut(seconds)
        self._close(before)
        if self.dice.random() < 0.3:
            self.kiosk.knows_time = True
            self._set_clock(self.dice.choice([1, -1]) * self.dice.choice(OFF_S[:-1]))
        self._settle()

    def _wait(self, seconds: float) -> None:
        end = self.utc + seconds
        while self.utc < end:
            before = self.utc
            self.kiosk.utc += min(end - before, self.dice.choice([60, 600, 1800]))
            self._close(before)
            self._settle()

    def _close(self, before: float) -> None:
        """At closing time all have gone, unseen."""
        if self.closes_min is not None:
            began, ended = ((utc + OFFSET_S - self.closes_min * 60) // DAY_S for utc in (before, self.utc))
            if ended > began:
                self.inside.clear()

    def _settle(self) -> None:
        self.kiosk.tick()
        self.kiosk.commit()


def wrong_openings(seeds: range) -> tuple[list[str], Counter[str]]:
    found: list[str] = []
    counts: Counter[str] = Counter()
    for seed in seeds:
        days = VenueDays(seed).run()
        counts += days.counts
        found += [f"{seed}: {each}" for each in days.wrong]
    return found, counts


if __name__ == "__main__":
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    told, sums = wrong_openings(range(first, first + int(sys.argv[1])))
    print("\n".join(told), dict(sums), len(told), "wrong", sep="\n")

"""Random days at two lanes with a ground truth: who stands where, how warm, with which code; who may be let in.

python tests/agent/checkpoint/days.py 100000          so many days, and what they cost honest people
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lane_bench import AT_MARK_MM, FEVER_C, NORMAL_C, ROOM_C, Bench, decide

from agent.checkpoint import Rules
from agent.model import Decision, DeviceDown, DeviceUp, Outcome, Part, Staleness, Verdict, Wish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.checkpoint.case import Case
    from agent.model import Now

LANES = ("in", "marked")


@dataclass(frozen=True)
class Person:
    """Who somebody is."""

    word: str
    name: str
    fever: bool

    @property
    def code(self) -> bytes:
        return f"{self.word}:{self.name}".encode()

    @property
    def surface_c(self) -> float:
        return FEVER_C if self.fever else NORMAL_C

    @property
    def healthy(self) -> bool:
        """Whether he may come in."""
        return self.word == "green" and not self.fever


class Day:
    """One day; `wrong` has every opening that the truth forbids, `counts` what happened to honest people."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.bench = Bench()
        self.stale = self.dice.random() < 0.1
        rules = self.bench.checkpoint._rules
        self.bench.checkpoint._rules = Rules(self._check, _decide, rules.screening, rules.site)
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()
        words = ["green", "green", "green", "green", "red", "expired", "yellow"]
        self.people = [
            Person(self.dice.choice(words), f"p{number}", self.dice.random() < 0.3)
            for number in range(self.dice.randint(3, 8))
        ]
        self.away: dict[str, list[Person]] = {lane: [] for lane in LANES}
        """Who was turned away, and stands aside."""
        self.gate_down: set[str] = set()

    def _check(self, payloads: Sequence[bytes], now: Now) -> Verdict:
        verdict = self.bench.check(payloads, now)
        return replace(verdict, staleness=Staleness.REFER) if self.stale else verdict

    def run(self) -> None:
        for person in self.people:
            lane = self.dice.choice(LANES)
            self._visit(person, lane)
            if self.dice.random() < 0.4:
                self._staff(lane)
            if self.dice.random() < 0.1:
                self.bench.ask(Wish.RETEST, lane)
            if self.away[lane] and self.dice.random() < 0.4:
                self._visit(self.dice.choice(self.away[lane]), lane)  # the second reading that was asked for
                self._staff(lane)

    def _stand(self, body: Person | None, lane: str, count: int) -> None:
        """A body, or nobody, before the thermometer: an opening is for whoever stands there."""
        for _ in range(count):
            self._look(body, lane, lambda: self.bench.measure(body.surface_c if body else ROOM_C, lane))

    def _look(self, body: Person | None, lane: str, act: object) -> None:
        before = len(self.bench.passages)
        act()  # type: ignore[operator]
        for passage in self.bench.passages[before:]:
            if not passage.opened:
                continue
            owner = passage.shown[0] if passage.shown else b""
            if body is None or owner != body.code or not body.healthy or self.stale or lane in self.gate_down:
                self.wrong.append(f"{owner!r} opened for {body} at {lane}")

    def _visit(self, person: Person, lane: str) -> None:  # noqa: C901 - a visit, told in order
        dice, bench = self.dice, self.bench
        bench.distances_mm["marked"] = AT_MARK_MM
        flap = dice.choice([*[None] * 8, Part.THERMOMETER, Part.GATE, Part.SCANNER])
        began, swap = len(bench.passages), dice.random() < 0.2
        if dice.random() < 0.3:
            self._stand(person, lane, dice.randint(1, 3))
        self._look(person, lane, lambda: bench.show(person.code, lane))
        self._stand(person, lane, dice.randint(1, 3))
        if flap is not None:
            self._flap(lane, flap, up=False)
        if swap:
            others = [each for each in self.people if each is not person]
            self._stand(None, lane, dice.randint(10, 40))
            self._stand(dice.choice(others), lane, 12)
        else:
            if dice.random() < 0.15:
                self._stand(None, lane, dice.randint(1, 12))  # a wobble, a child pulled by the hand
            self._stand(person, lane, 12)
            if not self._let_in(person, began) and bench.passages[began:] and dice.random() < 0.5:
                bench.wait(bench.options.again_s)
                self._look(person, lane, lambda: bench.show(person.code, lane))
                self._stand(person, lane, 8)
        honest = person.healthy and not (swap or self.stale or flap)
        if honest:
            self.counts["honest"] += 1
            self.counts["honest, in vain"] += not self._let_in(person, began)
        if flap is not None:
            self._flap(lane, flap, up=True)
        self._look(None, lane, lambda: bench.wait(12.0))
        if self._let_in(person, began):
            for each in self.away.values():
                each[:] = [other for other in each if other is not person]
        elif person not in self.away[lane]:
            self.away[lane].append(person)

    def _let_in(self, person: Person, began: int) -> bool:
        return any(p.opened and person.code in p.shown for p in self.bench.passages[began:])

    def _flap(self, lane: str, part: Part, *, up: bool) -> None:
        at_s = self.bench.at_s
        if part is Part.GATE:
            (self.gate_down.discard if up else self.gate_down.add)(lane)
        self.bench.put(lane, part, DeviceUp(at_s, "fake") if up else DeviceDown(at_s, "fake", "gone"))

    def _staff(self, lane: str) -> None:
        """Staff measures one of those who stand aside, and types it in."""
        if not self.away[lane]:
            return
        person = self.dice.choice(self.away[lane])
        passage = self.bench.second(38.5 if person.fever else 36.6, lane).passage
        self.counts["readings"] += 1
        if passage is None or not passage.opened:
            return
        self.counts["readings that opened"] += 1
        if passage.shown[:1] != (person.code,) or not person.healthy or self.stale:
            self.wrong.append(f"a reading of {person} opened for {passage.shown}")
        for each in self.away.values():
            each[:] = [other for other in each if other is not person]


def _decide(case: Case) -> Decision:
    if case.verdict is not None and case.verdict.staleness is Staleness.REFER:
        return Decision(Outcome.REFER, ("lists_too_old",))
    return decide(case)


def total(seeds: range) -> tuple[list[str], Counter[str]]:
    """All wrong openings with their day, and the sum of what was counted."""
    wrong, counts = [], Counter[str]()
    for seed in seeds:
        day = Day(seed)
        day.run()
        wrong += [f"day {seed}: {each}" for each in day.wrong]
        counts += day.counts
    return wrong, counts


if __name__ == "__main__":
    found, counted = total(range(int(sys.argv[1])))
    print(len(found), "wrong openings", *found[:5], dict(counted), sep="\n")

"""Random days with a ground truth: who stands where, how warm, with which code; who may be let in.

People are at two entries and two exits at the same time. Devices come and go, lists grow old and are renewed, staff
measures by hand, with a number and without, the central server commands retests, some lack the test that is
demanded of them.

    python tests/agent/checkpoint/days.py 20000 [FIRST]

runs so many days, and tells the wrong openings, who was kept in, and what the rules cost honest people.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[3]))

from lane_bench import AT_MARK_MM, ENTRIES, FEVER_C, NORMAL_C, NOW, ROOM_C, Bench, decide

from agent.checkpoint import DecisionRules
from agent.model import (
    Decision,
    DeviceDown,
    DeviceUp,
    Direction,
    LaneCommand,
    ListAge,
    Outcome,
    Passage,
    Role,
    Verdict,
)
from agent.model.effects import OpenGate
from drivers.contract import Distance, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from agent.model import DecisionInput, TimeBounds

EXITS = ("out", "out marked")
LANES = (*ENTRIES, *EXITS)
FLAPPING = (Role.SCANNER, Role.THERMOMETER, Role.GATE, Role.RANGE)
TICK_S = 0.1
AGAIN_TICKS = 90
"""After so long a code was decided, and is taken again."""
LEAVES_TICKS = 10
"""After somebody who was not decided yet, nobody stands there for at least so long: less cannot be known."""


class PlayedDay(Protocol):
    """A day that plays itself."""

    wrong: list[str]
    """Openings for somebody who may not come in, and people who were kept in."""
    counts: Counter[str]

    def run(self) -> None:
        """From morning to evening."""


@dataclass(frozen=True)
class Person:
    """Who somebody is."""

    word: str
    name: str
    fever: bool
    test: str = ""
    """A second code: `test`, or `none` for one that is no test (another kind, not final, not negative)."""

    @property
    def codes(self) -> tuple[bytes, ...]:
        return tuple(f"{word}:{self.name}".encode() for word in (self.word, self.test) if word)

    @property
    def surface_c(self) -> float:
        return FEVER_C if self.fever else NORMAL_C

    @property
    def healthy(self) -> bool:
        """Whether he may come in."""
        lacks = self.name.startswith("tess") and self.test != "test"
        return self.word == "green" and not self.fever and not lacks


class Day:
    """One day; `wrong` has every opening that the truth forbids, `counts` what happened to honest people."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.bench = Bench()
        self.stale = self.dice.random() < 0.1
        rules = self.bench.checkpoint._rules
        self.bench.checkpoint._rules = DecisionRules(self._check, _decide, rules.screening, rules.site)
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()
        self.outside = [self._person(number) for number in range(self.dice.randint(4, 9))]
        """Who still wants to come in, or was turned away and is at no lane now."""
        self.inside = [self._person(number) for number in range(20, 20 + self.dice.randint(1, 3))]
        self.body: dict[str, Person | None] = dict.fromkeys(LANES)
        self.down: dict[tuple[str, Role], float] = {}
        """Lane and part → until when."""
        self.flapped_s: dict[str, float] = dict.fromkeys(LANES, 0.0)
        self.judged: dict[tuple[str, str], tuple[int, float]] = {}
        """Lane and name → number and moment of the person who was turned away."""
        self.measured_by_staff: Person | None = None
        self.told = 0
        self.let_in: set[str] = set()
        self.opened: Counter[str] = Counter()

    def _person(self, number: int) -> Person:
        word = self.dice.choice(["green", "green", "green", "green", "red", "expired", "yellow"])
        needs_test = self.dice.random() < 0.3
        test = self.dice.choice(["", "none", "test"]) if needs_test else self.dice.choice(["", "", "", "none"])
        return Person(word, f"{'tess' if needs_test else 'p'}{number}", self.dice.random() < 0.3, test)

    def _check(self, payloads: Sequence[bytes], now: TimeBounds) -> Verdict:
        none = any(each.startswith(b"none:") for each in payloads)
        verdict = self.bench.check([each.replace(b"none:", b"test:") for each in payloads], now)
        verdict = replace(verdict, tests=()) if none else verdict
        return replace(verdict, list_age=ListAge.EXPIRED) if self.stale else verdict

    def run(self) -> None:
        traffic = {lane: self._traffic(lane) for lane in LANES}
        while traffic:
            for lane in list(traffic):
                try:
                    self.body[lane] = next(traffic[lane])
                except StopIteration:
                    self.body[lane] = None
                    del traffic[lane]
            self._chance()
            for lane in LANES:
                self._measure(lane)
            self.bench.wait(TICK_S)
            self._judge()

    def _chance(self) -> None:
        """What happens beside the traffic."""
        dice, at_s = self.dice, self.bench.at_s
        for (lane, part), until_s in list(self.down.items()):
            if at_s >= until_s:
                del self.down[lane, part]
                self.flapped_s[lane] = at_s
                self.bench.put(lane, part, DeviceUp(at_s, "fake"))
        if dice.random() < 0.02:
            lane, part = dice.choice(LANES), dice.choice(FLAPPING)
            if (lane, part) not in self.down and (part is not Role.RANGE or "marked" in lane):
                self.down[lane, part] = at_s + dice.choice([0.1, 0.5, 1.0, 3.0, 10.0])
                self.bench.put(lane, part, DeviceDown(at_s, "fake", "gone"))
        self._judge()
        if dice.random() < 0.001:
            self.stale = not self.stale
            self.bench.checkpoint.reevaluate(NOW)
        if dice.random() < 0.005:
            self.bench.ask(LaneCommand.RETEST, dice.choice(ENTRIES))
        self._judge()
        if dice.random() < 0.02:
            self._staff(dice.choice(ENTRIES))

    def _measure(self, lane: str) -> None:
        body, at_s = self.body[lane], self.bench.at_s
        if "marked" in lane and (lane, Role.RANGE) not in self.down:
            self.bench.put(lane, Role.RANGE, Distance(AT_MARK_MM if body else None, at_s))
        if (lane, Role.THERMOMETER) not in self.down:
            surface_c = body.surface_c if body else ROOM_C
            self.bench.put(lane, Role.THERMOMETER, Reading(surface_c + self.dice.gauss(0, 0.02), at_s, 0.4))
        self._judge()

    def _judge(self) -> None:
        """Hold what was decided and opened since the last look against the truth."""
        if self.told == len(self.bench.results):
            return
        results, self.told = self.bench.results[self.told :], len(self.bench.results)
        commands = Counter(each.lane for each in results if isinstance(each, OpenGate))
        self.opened += commands
        for passage in [each for each in results if isinstance(each, Passage)]:
            if passage.direction is Direction.ENTRY:
                self._entry(passage)
                commands[passage.lane] -= passage.gate_opened
        for lane in ENTRIES:
            if commands[lane]:
                self.wrong.append(f"{commands[lane]} openings without a passage at {lane}")

    def _entry(self, passage: Passage) -> None:
        lane = passage.lane
        names = {code.decode().partition(":")[2] for code in passage.payloads}
        if not passage.gate_opened:
            if len(names) == 1 and (waits := self.bench.waiting(lane)):
                self.told = len(self.bench.results)
                self.judged[lane, names.pop()] = (waits[0].number, self.bench.at_s)
            return
        body = self.measured_by_staff or self.body[lane]
        down = {part for (at, part) in self.down if at == lane} - {Role.SCANNER}
        if self.measured_by_staff:
            down &= {Role.GATE}
        if body is None or names != {body.name} or not body.healthy or self.stale or down:
            self.wrong.append(f"{names} opened for {body} at {lane}, down: {down}, stale: {self.stale}")
        if names & self.let_in:
            self.wrong.append(f"{names} opened twice")
        self.let_in |= names
        self.judged = {key: value for key, value in self.judged.items() if key[1] not in names}

    def _staff(self, lane: str) -> None:
        """Staff measures one of those who were turned away here, and types it in, with his number or without."""
        aside = {person.name: person for person in self.outside}
        waits = [name for at, name in self.judged if at == lane and name in aside]
        if not waits:
            return
        person = aside[self.dice.choice(waits)]
        number = self.judged[lane, person.name][0] if self.dice.random() < 0.6 else 0
        self.measured_by_staff = person
        settled = self.bench.second(38.5 if person.fever else 36.6, lane, number)
        self._judge()
        self.measured_by_staff = None
        self.counts["readings"] += 1
        self.counts["readings that opened"] += settled.passage is not None and settled.passage.gate_opened
        self.counts["readings refused"] += settled.passage is None

    def _traffic(self, lane: str) -> Iterator[Person | None]:
        """One after the other at this lane; who stands there, tick by tick."""
        entry = lane in ENTRIES
        for _ in range(self.dice.randint(3, 8) if entry else self.dice.randint(1, 2)):
            for _ in range(self.dice.randint(1, 30)):
                yield None
            crowd = self.outside if entry else self.inside
            if not crowd:
                continue
            person = crowd.pop(self.dice.randrange(len(crowd)))
            yield from self._come_in(person, lane) if entry else self._go_out(person, lane)
            if entry:
                (self.inside if person.name in self.let_in else self.outside).append(person)

    def _show(self, code: bytes, lane: str) -> bool:
        if (lane, Role.SCANNER) in self.down:
            return False
        self.bench.show(code, lane)
        self._judge()
        return True

    def _stand(self, body: Person | None, ticks: int) -> Iterator[Person | None]:
        for _ in range(ticks):
            yield body

    def _come_in(self, person: Person, lane: str) -> Iterator[Person | None]:
        dice, bench = self.dice, self.bench
        began_s, stale = bench.at_s, self.stale
        swap, wobble = dice.random() < 0.2, dice.random() < 0.15
        if stands := dice.random() < 0.3:
            yield from self._stand(person, dice.randint(1, 3))
        reaches_over = stands and dice.random() < 0.2
        read = False
        for code in dice.sample(person.codes, len(person.codes)):
            read |= self._show(code, lane)
            yield from self._stand(person, dice.randint(1, 3))
            if reaches_over and read:
                read = yield from self._over_the_shoulder(person, lane)
        if swap:
            yield from self._stand(None, dice.randint(LEAVES_TICKS, 40))
            if self.outside:
                other = self.outside.pop(dice.randrange(len(self.outside)))
                yield from self._stand(other, 12)
                self.outside.append(other)
        else:
            if wobble and not (
                reaches_over and person.name in self.let_in
            ):  # who is in is not the first body again
                yield from self._stand(None, dice.randint(1, 12))  # a child pulled by the hand
            yield from self._stand(person, 12)
            if person.name not in self.let_in and dice.random() < 0.5:
                yield from self._stand(person, round(bench.options.rescan_after_refusal_s / TICK_S))
                for code in person.codes:
                    self._show(code, lane)
                    yield person
                yield from self._stand(person, 8)
            disturbed = (
                stale or self.stale or self.flapped_s[lane] >= began_s or any(at == lane for at, _ in self.down)
            )
            if person.healthy and not disturbed and not reaches_over:
                self.counts["honest"] += 1
                self.counts["honest, in vain"] += person.name not in self.let_in
        yield from self._stand(None, LEAVES_TICKS)

    def _over_the_shoulder(self, person: Person, lane: str) -> Generator[Person | None, None, bool]:
        """The next one in the queue holds his code to the scanner, once or again and again, while this one stands
        there, who has shown his own (else it cannot be known whose body it is). Then this one may step back for a
        moment. Returns whether he did not.
        """
        codes = self.dice.choice(self.outside).codes if self.outside else ()
        for _ in range(self.dice.choice([1, 1, 2, 3])):
            for code in codes:
                self._show(code, lane)
            yield from self._stand(person, self.dice.choice([self.dice.randint(1, 30), AGAIN_TICKS]))
        steps_back = person.name not in self.let_in and self.dice.random() < 0.3
        if steps_back:
            yield from self._stand(None, self.dice.randint(1, 5))
            yield from self._stand(person, self.dice.randint(3, 12))
        return not steps_back

    def _go_out(self, person: Person, lane: str) -> Iterator[Person | None]:
        dice, before = self.dice, self.opened[lane]
        shown = self._show(person.codes[0], lane)
        if dice.random() < 0.5:
            yield from self._stand(person, dice.randint(1, 40))
        else:
            yield from self._stand(None, dice.randint(1, 5))  # past the thermometer, before the gate
        while (lane, Role.GATE) in self.down:
            yield person
        yield person
        if shown:
            self.counts["went out"] += 1
            if self.opened[lane] == before:
                self.wrong.append(f"{person} was kept in at {lane}")
        yield from self._stand(None, LEAVES_TICKS)


def _decide(case: DecisionInput) -> Decision:
    if case.verdict is not None and case.verdict.list_age is ListAge.EXPIRED:
        return Decision(Outcome.REFER, ("lists_too_old",))
    return decide(case)


def total(seeds: range, make: Callable[[int], PlayedDay] = Day) -> tuple[list[str], Counter[str]]:
    """All wrong openings with their day, and the sum of what was counted; `make`: a day from its number."""
    wrong, counts = [], Counter[str]()
    for seed in seeds:
        day = make(seed)
        day.run()
        wrong += [f"day {seed}: {each}" for each in day.wrong]
        counts += day.counts
    return wrong, counts


def long_run(make: Callable[[int], PlayedDay]) -> None:
    """As many days as the command line says, from a first one on."""
    days, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    found, counted = total(range(first, first + days), make)
    print(f"{days} days, {len(found)} wrong openings or people kept in", *found[:5], dict(counted), sep="\n")


if __name__ == "__main__":
    long_run(Day)

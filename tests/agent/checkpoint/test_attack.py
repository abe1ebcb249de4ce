"""A rule-based machine tries to get a wrong green out of the checkpoint."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from lane_bench import (
    AT_MARK_MM,
    COLD_C,
    ENTRIES,
    FEVER_C,
    LANES,
    NORMAL_C,
    ROOM_C,
    TOO_FAR_MM,
    TOO_NEAR_MM,
    Bench,
)

from agent import screening
from agent.model import (
    CodeStatus,
    Colour,
    DeviceDown,
    DeviceUp,
    LaneCommand,
    Outcome,
    Passage,
    Role,
    Screening,
)
from agent.model.effects import GREEN_CUES, Cue, OpenGate, ShowCue
from drivers.contract import Departure


class Attack(RuleBasedStateMachine):
    """Anything may happen in any order; the invariants of the gate must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.shown: dict[str, list[bytes]] = {lane: [] for lane in LANES}
        self.sightings = 0
        self.marked: dict[str, list[float]] = {lane: [] for lane in LANES}
        """When somebody was measured at the mark."""
        self.commanded: list[str] = []
        """Lanes that the central server has opened."""
        self.recorded: list[Passage] = []
        """What staff's own thermometer has decided."""

    lanes = st.sampled_from(sorted(LANES))

    @rule(lane=lanes, code=st.sampled_from([b"green:anna", b"green:bob", b"yellow:yan", b"red:bert", b"junk", b""]))
    def show(self, lane: str, code: bytes) -> None:
        self.sightings += 1
        self.bench.show(code, lane)

    @rule(lane=lanes, surface_c=st.sampled_from([NORMAL_C, FEVER_C, COLD_C, ROOM_C, 80.0]), count=st.integers(1, 8))
    def measure(self, lane: str, surface_c: float, count: int) -> None:
        for _ in range(count):
            distance_mm = self.bench.distances_mm.get(lane)
            if distance_mm == AT_MARK_MM:
                self.marked[lane].append(self.bench.at_s)
            self.bench.measure(surface_c, lane)

    @rule(lane=lanes, distance_mm=st.sampled_from([AT_MARK_MM, TOO_FAR_MM, TOO_NEAR_MM, None]))
    def step(self, lane: str, distance_mm: float | None) -> None:
        self.bench.distances_mm[lane] = distance_mm

    @rule(lane=lanes)
    def say_no_distance(self, lane: str) -> None:
        self.bench.distances_mm.pop(lane, None)

    @rule(lane=lanes, part=st.sampled_from(sorted(Role)), up=st.booleans())
    def device(self, lane: str, part: Role, up: bool) -> None:
        at_s = self.bench.at_s
        self.bench.put(lane, part, DeviceUp(at_s, "fake") if up else DeviceDown(at_s, "fake", "unplugged"))

    @rule(seconds=st.sampled_from([0.05, 0.5, 1.0, 3.0, 7.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self.bench.wait(seconds)

    @rule(lane=lanes)
    def leave(self, lane: str) -> None:
        self.bench.put(lane, Role.SCANNER, Departure(self.bench.at_s))

    @rule(lane=lanes, command=st.sampled_from(LaneCommand))
    def ask(self, lane: str, command: LaneCommand) -> None:
        before = len(self.bench.openings)
        answer = self.bench.ask(command, lane)
        opened = self.bench.openings[before:]
        assert opened == ([lane] if command is LaneCommand.OPEN and not answer.reason else [])
        self.commanded += opened

    @rule(lane=lanes, celsius=st.sampled_from([36.6, 38.5, 12.0]))
    def record(self, lane: str, celsius: float) -> None:
        before = len(self.bench.passages)
        settled = self.bench.second(celsius, lane)
        made = self.bench.passages[before:]
        assert made == ([] if settled.passage is None else [settled.passage])
        for passage in made:
            assert passage.lane == lane
            assert passage.temperature.attempt > 1
            assert not (passage.gate_opened and celsius == 38.5)
            self.recorded.append(passage)

    @invariant()
    def never_a_wrong_green(self) -> None:
        for passage in self.bench.passages:
            if passage.decision.outcome is Outcome.ADMIT:
                assert passage.verdict is not None
                assert passage.verdict.status is CodeStatus.VALID
                assert passage.verdict.colour is Colour.GREEN
                assert passage.temperature.outcome is Screening.NORMAL
                by_staff = passage in self.recorded
                assert by_staff or passage.temperature.samples >= screening.Options().samples

    @invariant()
    def nobody_is_admitted_who_was_not_measured_at_the_mark(self) -> None:
        options = screening.Options()
        for passage in self.bench.passages:
            if passage in self.recorded:
                continue
            if passage.lane == "marked" and passage.decision.outcome is Outcome.ADMIT:
                # a last distance counts for a moment, so the first of the samples' marks may be that much older
                since_s = passage.decided_s - options.window_s - options.range_age_s
                assert any(since_s <= at_s <= passage.decided_s for at_s in self.marked["marked"])

    @invariant()
    def an_entry_opens_exactly_when_it_admits(self) -> None:
        for lane in ENTRIES:
            passages = [p for p in self.bench.passages if p.lane == lane]
            admitted = [p for p in passages if p.decision.outcome is Outcome.ADMIT]
            assert self.bench.openings.count(lane) - self.commanded.count(lane) == len(admitted)
            assert all(p.gate_opened == (p in admitted) for p in passages)

    @invariant()
    def green_is_told_exactly_when_a_gate_opens(self) -> None:
        for result, following in pairwise([*self.bench.results, None]):
            if isinstance(result, OpenGate):
                assert following in [ShowCue(result.lane, cue) for cue in GREEN_CUES]
        greens = [r for r in self.bench.results if isinstance(r, ShowCue) and r.cue in GREEN_CUES]
        assert len(greens) == len(self.bench.openings)

    @invariant()
    def everybody_at_an_entry_is_told_what_was_decided(self) -> None:
        told = [(r.lane, r.cue) for r in self.bench.results if isinstance(r, ShowCue)]
        for lane in ENTRIES:
            outcomes = [p.decision.outcome for p in self.bench.passages if p.lane == lane]
            for outcome in (Outcome.ADMIT, Outcome.REFUSE):
                extra = self.commanded.count(lane) if outcome is Outcome.ADMIT else 0
                assert told.count((lane, Cue(outcome))) == outcomes.count(outcome) + extra

    @invariant()
    def one_decision_per_passage(self) -> None:
        with_code = [p for p in self.bench.passages if p.verdict is not None and p not in self.recorded]
        assert len(with_code) <= self.sightings

    @invariant()
    def it_never_asks_to_be_woken_in_the_past_for_ever(self) -> None:
        assert self.bench.checkpoint.wait_s(self.bench.at_s) > 0

    def teardown(self) -> None:
        """Everything pending is decided in the end."""
        self.bench.wait(30)
        assert math.isinf(self.bench.checkpoint.wait_s(self.bench.at_s))


TestAttack = Attack.TestCase


TestAttack.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)

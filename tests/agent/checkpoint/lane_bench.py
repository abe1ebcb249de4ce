"""A checkpoint with a clock moved by hand, codes in words, a policy in a few lines: for the tests beside this."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from agent import screening
from agent.checkpoint import Checkpoint, DecisionRules, Options
from agent.model import (
    ClockState,
    CodeStatus,
    Colour,
    Decision,
    DecisionInput,
    DeviceDown,
    DeviceUp,
    Direction,
    Item,
    LabResult,
    LaneClosure,
    LaneCommand,
    LaneCommandRequest,
    LaneCommandResult,
    LaneSpec,
    Observation,
    Outcome,
    Override,
    Passage,
    Recorded,
    RemeasureResult,
    Role,
    Screening,
    TimeBounds,
    Verdict,
    Waits,
    WhoWaits,
)
from agent.model.effects import Effect, OpenGate
from drivers.contract import Distance, Reading, Sighting

NOW = TimeBounds(1_800_000_000.0, 1_800_000_001.0, ClockState.SYNCED)


LANES = {
    "in": LaneSpec(Direction.ENTRY),
    "marked": LaneSpec(Direction.ENTRY, ranged=True),
    "out": LaneSpec(Direction.EXIT),
    "out marked": LaneSpec(Direction.EXIT, ranged=True),
    "seen out": LaneSpec(Direction.EXIT, parts=frozenset({Role.THERMOMETER, Role.GATE})),
}


ENTRIES = ("in", "marked")


AT_MARK_MM, TOO_FAR_MM, TOO_NEAR_MM = 60.0, 400.0, 10.0


NORMAL_C, FEVER_C, COLD_C, ROOM_C = 34.4, 36.8, 31.0, 22.0


def check(payloads: Sequence[bytes], now: TimeBounds) -> Verdict:  # noqa: PLR0911 - a table in words
    """Codes of this test: `green:anna`, `red:bert`, `expired:carl`, `test:anna`, `half1:anna` and `half2:anna`;
    `proof:anna` decides nothing by itself; all else is not recognised.
    """
    if len(payloads) > 1:
        verdicts = [check((payload,), now) for payload in payloads]
        holders = {verdict.subject for verdict in verdicts}
        if len(holders) > 1:
            return replace(verdicts[0], status=CodeStatus.UNDECIDED)
        if {payload[:5] for payload in payloads} == {b"half1", b"half2"}:
            return replace(verdicts[0], status=CodeStatus.VALID, colour=Colour.GREEN, code=verdicts[0].subject)
        first = min(verdicts, key=lambda verdict: verdict.colour is None)
        return replace(first, tests=tuple(test for verdict in verdicts for test in verdict.tests))
    word, _, holder = payloads[0].partition(b":")
    subject = holder.ljust(16, b".")[:16]
    if word in (b"half1", b"half2"):
        return Verdict(CodeStatus.INCOMPLETE, "test", subject=subject)
    if word == b"test":
        return Verdict(
            CodeStatus.VALID, "test", subject=subject, kind="test", tests=(LabResult("pcr", NOW.earliest_utc),)
        )
    if word in (b"green", b"red", b"yellow"):
        return Verdict(CodeStatus.VALID, "test", subject=subject, code=subject, colour=Colour(word.decode()))
    if word == b"proof":
        return Verdict(CodeStatus.UNDECIDED, "card", subject=subject, code=subject, adds="card")
    if word == b"expired":
        return Verdict(CodeStatus.EXPIRED, "test", subject=subject)
    return Verdict(CodeStatus.UNRECOGNISED, "")


def decide(case: DecisionInput) -> Decision:
    """A policy in a few lines; `green:tess` needs a test."""
    verdict = case.verdict
    if verdict is None:
        return Decision(Outcome.REFER, ("no_code" if case.scanner_works else "scanner_fault",))
    if verdict.status is not CodeStatus.VALID or verdict.colour is Colour.RED:
        return Decision(Outcome.REFUSE, (str(verdict.colour or verdict.status),))
    if case.shown_again:
        return Decision(Outcome.REFER, ("again", str(case.temperature.outcome)))
    if verdict.subject.startswith(b"tess") and not verdict.tests:
        return Decision(Outcome.REFER, ("no_test",))
    if case.temperature.outcome is Screening.NORMAL and verdict.colour is Colour.GREEN:
        return Decision(Outcome.ADMIT, ("green",))
    return Decision(Outcome.REFER, (str(case.temperature.outcome),))


class Bench:
    """A checkpoint with a clock moved by hand."""

    def __init__(
        self,
        options: Options | None = None,
        sites: dict[str, screening.ThermometerSite] | None = None,
        may_override: Callable[[DecisionInput], bool] = lambda _: False,
    ) -> None:
        self.at_s = 100.0
        self.options = options or Options()
        self.expired: set[bytes] = set()
        """Codes that have expired in the meantime."""
        rules = DecisionRules(
            self.check,
            decide,
            screening.Options(),
            lambda lane: (sites or {}).get(lane, screening.ThermometerSite()),
            may_override=may_override,
        )
        self.checkpoint = Checkpoint(LANES, rules, self.options)
        self.results: list[Effect] = []
        self.distances_mm: dict[str, float | None] = {}
        """What the range sensor of a lane says before each reading; silent for a lane that is not here."""
        for lane in LANES:
            for part in Role:
                self.put(lane, part, DeviceUp(self.at_s, "fake"))
        self.results.clear()

    def check(self, payloads: Sequence[bytes], now: TimeBounds) -> Verdict:
        verdict = check(payloads, now)
        return replace(verdict, status=CodeStatus.EXPIRED) if self.expired & set(payloads) else verdict

    def second(self, celsius: float, lane: str = "in", number: int = 0) -> RemeasureResult:
        """Staff's own thermometer says so of the person who was decided last, or waits under this number."""
        reading = Reading(celsius, self.at_s, 0.2)
        return self._told(lane, Recorded(reading, number) if number else reading)

    def waiting(self, lane: str = "in") -> tuple[Waits, ...]:
        """Who waits for staff's own thermometer."""
        return self._told(lane, WhoWaits(self.at_s)).waiting

    def override(self, number: int, lane: str = "in", seen: tuple[str, ...] | None = None) -> RemeasureResult:
        """Staff let in who waits under this number."""
        return self._told(lane, Override(self.at_s, number, seen))

    def close(self, lane: str = "in", *, closed: bool = True) -> None:
        """Staff close a lane, or reopen it."""
        self.put(lane, Role.GATE, LaneClosure(self.at_s, closed))

    def _told(self, lane: str, item: Item) -> RemeasureResult:
        before = len(self.results)
        self.put(lane, Role.CLINICAL, item)
        (settled,) = [result for result in self.results[before:] if isinstance(result, RemeasureResult)]
        return settled

    def put(self, lane: str, part: Role, item: Item) -> None:
        self.results += self.checkpoint.handle(Observation(lane, part, item), NOW)

    def show(self, code: bytes, lane: str = "in") -> None:
        self.put(lane, Role.SCANNER, Sighting(code, self.at_s))

    def measure(
        self, surface_c: float, lane: str = "in", count: int = 1, simulated: bool = False, u_c: float = 0.4
    ) -> None:
        for _ in range(count):
            if lane in self.distances_mm:
                self.put(lane, Role.RANGE, Distance(self.distances_mm[lane], self.at_s))
            self.put(lane, Role.THERMOMETER, Reading(surface_c, self.at_s, u_c, simulated=simulated))
            self.wait(0.1)

    @contextmanager
    def without(self, part: Role, lane: str = "in") -> Iterator[None]:
        """A device is gone meanwhile."""
        self.put(lane, part, DeviceDown(self.at_s, "fake", "gone"))
        yield
        self.put(lane, part, DeviceUp(self.at_s, "fake"))

    def come_after_a_gap(self, code: bytes, lane: str) -> None:
        """Nobody stands there for a second; then somebody steps up, shows a code and is measured."""
        self.distances_mm["marked"] = None
        self.measure(ROOM_C, lane, count=10)
        self.distances_mm["marked"] = AT_MARK_MM
        self.show(code, lane)
        self.measure(NORMAL_C, lane, count=8)

    def wait(self, seconds: float) -> None:
        """Time passes, with every wake-up that the checkpoint asked for."""
        end_s = self.at_s + seconds
        while (wait_s := self.checkpoint.wait_s(self.at_s)) <= end_s - self.at_s:
            self.at_s += max(wait_s, 1e-6)
            self.results += self.checkpoint.tick(self.at_s)
        self.at_s = end_s

    @property
    def passages(self) -> list[Passage]:
        return [result for result in self.results if isinstance(result, Passage)]

    @property
    def openings(self) -> list[str]:
        return [result.lane for result in self.results if isinstance(result, OpenGate)]

    def ask(self, command: LaneCommand, lane: str = "in") -> LaneCommandResult:
        """What the checkpoint answers to a command of the central server."""
        before = len(self.results)
        self.put(lane, Role.GATE, LaneCommandRequest(self.at_s, command))
        (answer,) = [result for result in self.results[before:] if isinstance(result, LaneCommandResult)]
        return answer

    def only(self) -> Passage:
        assert len(self.passages) == 1
        return self.passages[0]


def raised(bench: Bench, code: bytes = b"green:anna") -> None:
    """Somebody with a code is found hot, and steps aside."""
    bench.show(code)
    bench.measure(FEVER_C, count=5)
    bench.measure(ROOM_C, count=10)

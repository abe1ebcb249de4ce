"""`gatepost demo --day school`: a day of a school in fast motion, with a clock moved by hand and no devices.

The ledger, the policy table and the venue profile are those of a kiosk; only people, clock and disk are played.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent import policy
from agent.model import (
    Attestation,
    CodeStatus,
    Colour,
    Direction,
    LaneSpec,
    Passage,
    Permit,
    PermitKind,
    Report,
    Screening,
    Temperature,
    TimeBounds,
    Verdict,
    WatchClass,
)
from agent.model import ClockState as Clock
from agent.platform.packaged import packaged
from agent.ruleset.load import load_table
from agent.texts import sentence
from agent.venue import Venue, VenueInForce
from agent.venue.permits import build_roster, parse_roster
from agent.venue.rules import parse_venue

if TYPE_CHECKING:
    from collections.abc import Iterator

DAYS = ("school",)
MIDNIGHT_UTC = 1_795_968_000.0
"""Monday 2026-11-30, 00:00 in China."""
_HOUR_S, _DAY_S = 3600.0, 86_400.0
LANES = {
    "gate": LaneSpec(Direction.ENTRY),
    "way-out": LaneSpec(Direction.EXIT),
    "canteen": LaneSpec(Direction.CHECK),
}


@dataclass
class Day:
    """One day: what happens is told line by line."""

    hour: float = 6.0
    reports: list[Report] = field(default_factory=list)

    def __post_init__(self) -> None:
        """A school of four classes."""
        self._pupils = [f"pupil-{number}" for number in range(1, 81)]
        roster = parse_roster(
            build_roster(
                Permit(_subject(name)[:8], PermitKind("pupil"), f"class-{1 + number // 20}", number + 1)
                for number, name in enumerate(self._pupils)
            )
        )
        rules = parse_venue(packaged("venue/school.toml").read_text(encoding="utf-8"))
        self._force = VenueInForce(rules, roster, remembers=True)
        self.venue = Venue("school-gate", LANES, lambda: self._force)
        self._table = load_table(policy.Options("school"))
        self._site = policy.site_of(policy.Options("school"))
        self.venue.begin(self._at_s)
        self.venue.restore(b"", self._at_s)

    @property
    def _at_s(self) -> float:
        return 60.0 + self.hour * _HOUR_S

    @property
    def _now(self) -> TimeBounds:
        utc = MIDNIGHT_UTC + self.hour * _HOUR_S
        return TimeBounds(utc - 0.2, utc + 0.2, Clock.SYNCED)

    def play(self) -> Iterator[str]:
        """The whole day."""
        yield self._line("the school opens; morning round (晨检) from 7 to half past 8")
        self.hour = 7.0
        for name in self._pupils[:76]:
            self.hour += 1.0 / 60
            if name == "pupil-33":
                yield from self._come(name, screening=Screening.ELEVATED)
            else:
                yield from self._come(name, quiet=True)
        yield self._line(f"75 pupils passed; inside: {self.venue.ledger.inside}")
        yield self._state("absence", "ill", number=77)
        yield self._state("symptom", "cough", number=77)
        yield from self._until(8.6)
        yield from self._come("visitor", stated={})
        yield from self._come("visitor", stated={"record": "done"})
        yield from self._come("wanda", watch=WatchClass.CONTACT)
        for case in self.venue.open_cases(self._at_s):
            yield self._line(f"case {case['case']} ({case['kind']}) waits for feedback")
        self.hour += 0.1
        for number, case in enumerate(self.venue.open_cases(self._at_s)):
            feedback = ("sent_home", "handed_over")[number % 2]
            yield self._state("feedback", feedback, case=str(case["case"]), by="G07")
        yield from self._until(10.0)
        yield from self._come("drill", colour=Colour.RED, drill=True)
        drill = str(self.venue.open_cases(self._at_s)[-1]["case"])
        self.hour += 0.05
        yield self._state("feedback", "handed_over", case=drill, by="G07")
        yield self._state("duty", "disinfect", by="G07")
        yield self._line("open day: somebody counts, and the house is full")
        yield self._state("count", number=self._force.rules.room.capacity)
        yield from self._come("visitor", stated={"record": "done"})
        yield self._leave(1, "one out, one in (出一进一)")
        yield from self._come("visitor", stated={"record": "done"})
        yield self._state("count", number=75)
        yield from self._until(12.2)
        for lane_name, name in (("canteen", each) for each in self._pupils[:76] if each != "pupil-33"):
            self.hour += 0.5 / 60
            yield from self._come(name, lane=lane_name, quiet=True)
        yield self._line("75 pupils were measured at the canteen: noon round (午检)")
        yield from self._until(17.5)
        for name in self._pupils[:70]:
            if name != "pupil-33":
                yield from self._come(name, lane="canteen", quiet=True)
        yield self._line("the evening round (晚检): who is still here was measured")
        yield from self._until(18.75)
        yield self._leave(self.venue.ledger.inside or 0, "the last go home")
        yield from self._until(24.05)

    def _until(self, hour: float) -> Iterator[str]:
        while self.hour < hour:
            self.hour = min(hour, self.hour + 1 / 12)
            yield from self._tick()

    def _tick(self) -> Iterator[str]:
        for written in self.venue.tick(self._now, self._at_s):
            if isinstance(written.body, Report):
                self.reports.append(written.body)
                yield from map(self._line, report_lines(written.body))

    def _come(
        self,
        name: str,
        *,
        lane: str = "gate",
        screening: Screening = Screening.NORMAL,
        colour: Colour = Colour.GREEN,
        watch: WatchClass = WatchClass.CLEAR,
        drill: bool = False,
        stated: dict[str, str] | None = None,
        quiet: bool = False,
    ) -> Iterator[str]:
        yield from self._tick()
        verdict = Verdict(
            CodeStatus.VALID, "gatepost", subject=_subject(name), colour=colour, drill=drill, watch=watch,
            watched=watch is not WatchClass.CLEAR,
        )  # fmt: skip
        added = self.venue.facts(lane, verdict, stated or {}, self._now, self._at_s)
        facts = policy.facts_of(LANES[lane].direction, verdict, screening, self._now, site=self._site, venue=added)
        decision = policy.decide(self._table, facts)
        opens = decision.outcome.startswith("admit") and not drill and lane == "gate"
        passage = Passage(
            lane, LANES[lane].direction, verdict, Temperature(screening, 34.6, 0.4), decision, opens,
            self._at_s - 2, self._at_s, simulated=True, facts=added,
        )  # fmt: skip
        passage, _ = self.venue.passed(passage, self._now, self._at_s)
        if not quiet:
            case = f" – case {passage.venue.case}" if passage.venue is not None and passage.venue.case else ""
            mark = " [drill]" if drill else ""
            why = " ".join(sentence("reason", reason) for reason in decision.reasons[:1])
            yield self._line(f"{name}: {decision.outcome}{mark} – {why}{case}")

    def _leave(self, count: int, what: str) -> str:
        for _ in range(count):
            self.venue.opened("way-out", self._at_s)
            self.hour += 5 / _HOUR_S  # an opening within `release_s` of another one counts nobody
        return self._line(f"{count} left: {what}; inside: {self.venue.ledger.inside}")

    def _state(self, what: str, value: str = "", **more: object) -> str:
        stated = Attestation(self._at_s, what, value, **more)  # type: ignore[arg-type]
        answer, _ = self.venue.attest("gate", stated, self._at_s)
        return self._line(f"staff: {answer.text}")

    def _line(self, text: str) -> str:
        hour = self.hour % 24
        return f"{int(hour):02}:{int(hour % 1 * 60):02}  {text}"


def report_lines(report: Report) -> list[str]:
    """A report in a few lines."""
    if report.type == "round":
        head = f"REPORT round {report.name}: {report.checked} of {report.expected} checked"
        absent = f"{report.unmeasured} to staff unmeasured, {report.absent} absent, {report.absent_ill} of them ill"
        groups = ", ".join(
            f"{name} {counts['absent']}" for name, counts in report.groups.items() if counts["absent"]
        )
        return [f"{head}, {absent}" + (f" (by class: {groups})" if groups else "")]
    cases = report.cases
    told = ", ".join(f"{cases[name]} {name}" for name in ("opened", "answered", "unanswered"))
    hours = f"{report.powered_s / 3600:.0f} h of 24"
    whole = "a whole day" if report.complete else "not a whole day"
    return [
        f"REPORT day {report.day}: {report.came} came, {report.left} left, at most {report.most} inside",
        f"  cases: {told}; besides, of drills: {cases['drills']}",
        f"  corrections by counts and at closing: {report.drift:+d}; with power for {hours}: {whole}",
    ]


def _subject(name: str) -> bytes:
    return name.encode().ljust(16, b".")[:16]


def show(day: str) -> int:
    """Tell a day; 0."""
    print(f"A day of a {day}, in fast motion. All people are made up.")
    for line in Day().play():
        print(line)
    return 0

"""A venue's ledger with a clock moved by hand, and a disk that loses what was not committed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.model import (
    NO_VENUE,
    Attestation,
    AttestationRecord,
    AttestationResult,
    ClockState,
    CodeStatus,
    Colour,
    Decision,
    Direction,
    LaneSpec,
    Outcome,
    Passage,
    Permit,
    PermitKind,
    Report,
    Screening,
    Temperature,
    TimeBounds,
    Verdict,
)
from agent.venue import Venue, VenueInForce, Written
from agent.venue.permits import Roster, build_roster, parse_roster
from agent.venue.rules import parse_venue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DAY_S, HOUR_S = 86_400, 3_600
OFFSET_S = 8 * HOUR_S
MONDAY_UTC = 1_795_996_800 - OFFSET_S
"""Monday 2026-11-30, 00:00 in China."""
SCHOOL = """
name = "first-school"
utc_offset_min = 480
register = true
room = {capacity = 5, daily = 100, closes = "21:00"}
round = [{name = "morning", from = "07:00", until = "08:30", roles = ["pupil"]},
         {name = "noon", from = "12:00", until = "13:00", roles = ["pupil"]}]
duty = [{name = "disinfect", every_h = 4}]
case = {answer_min = 10, cluster = 3}
"""
LANES = {
    "in": LaneSpec(Direction.ENTRY),
    "out": LaneSpec(Direction.EXIT),
    "ward": LaneSpec(Direction.CHECK),
}
PARTS = {("in", "scanner"): 0, ("in", "gate"): 2}


def subject(name: str) -> bytes:
    return name.encode().ljust(16, b".")[:16]


def roster_of(people: Mapping[str, tuple[str, str, int]], kinds: Mapping[str, PermitKind] | None = None) -> Roster:
    """Name → role, group, number."""
    return parse_roster(
        build_roster(
            Permit(subject(name)[:8], (kinds or {}).get(name, PermitKind(role)), group, number)
            for name, (role, group, number) in people.items()
        )
    )


PUPILS = {f"pupil{n}": ("pupil", "class-1" if n < 4 else "class-2", n) for n in range(1, 7)}


class Kiosk:
    """One kiosk: `pending` is written and not yet on the disk."""

    def __init__(
        self,
        text: str = SCHOOL,
        roster: Roster | None = None,
        *,
        utc: float = MONDAY_UTC + 6 * HOUR_S,
        remembers: bool = True,
        kiosk: str = "gate-1",
        knows_time: bool = True,
    ) -> None:
        self.force = VenueInForce(parse_venue(text), roster, remembers=remembers, can_seal=True)
        self.name, self.utc, self.knows_time = kiosk, utc, knows_time
        self.disk: list[Written] = []
        self.pending: list[Written] = []
        self.boot()

    # -- power

    def boot(self, *, machine: bool = True) -> None:
        self.boot_utc = self.utc - 20.0 if machine else self.boot_utc
        self.venue = Venue(self.name, LANES, lambda: self.force, PARTS)
        self.write(Written(self.venue.begin(self.at_s)))
        self.write(Written(self.venue.restore(self.saved(), self.at_s)))

    def saved(self) -> bytes:
        data = b""
        for written in self.disk:
            data = written.entries if written.replaces else data + written.entries
        return data

    def write(self, written: Written) -> None:
        self.pending.append(written)

    def commit(self) -> None:
        self.disk += self.pending
        self.pending = []

    def cut(self, off_s: float = 60.0, lost: int = 0) -> None:
        """The power fails: the newest `lost` writes are gone; later it is back."""
        kept = max(0, len(self.pending) - lost)
        self.disk += self.pending[:kept]
        self.pending = []
        self.utc += off_s
        self.boot()

    def stop(self, off_s: float = 60.0, *, machine: bool = True) -> None:
        """Stopped as it should be; not `machine`: only the agent."""
        self.write(Written(self.venue.end(self.at_s)))
        self.commit()
        self.utc += off_s
        self.boot(machine=machine)

    # -- time

    @property
    def at_s(self) -> float:
        return self.utc - self.boot_utc

    @property
    def now(self) -> TimeBounds:
        if self.knows_time:
            return TimeBounds(self.utc - 0.2, self.utc + 0.2, ClockState.SYNCED)
        return TimeBounds(self.utc - 90 * DAY_S, float("inf"), ClockState.FLOOR)

    def tick(self) -> None:
        for written in self.venue.tick(self.now, self.at_s):
            self.write(written)

    def wait(self, seconds: float, step_s: float = 600.0) -> None:
        end = self.utc + seconds
        while self.utc < end:
            self.utc = min(end, self.utc + step_s)
            self.tick()
        self.commit()

    def until(self, hour: float) -> None:
        """Time passes until the next time of this local hour."""
        local = (self.utc + OFFSET_S) % DAY_S
        self.wait((hour * HOUR_S - local) % DAY_S or DAY_S)

    # -- people

    def pass_by(
        self,
        name: str | None = "",
        lane: str = "in",
        outcome: Outcome = Outcome.ADMIT,
        screening: Screening = Screening.NORMAL,
        reasons: tuple[str, ...] = ("code_green",),
        number: int = 0,
        **of_code: object,
    ) -> Passage:
        """Somebody is decided about; None: without a code. `number`: under which he waits."""
        self.tick()
        verdict = None
        if name is not None:
            verdict = Verdict(
                CodeStatus.VALID,
                "test",
                subject=subject(name) if name else b"",
                code=b"c" * 16,
                colour=Colour.GREEN,
            )
            verdict = replace(verdict, **of_code)  # type: ignore[arg-type]
        opens = outcome in (Outcome.ADMIT, Outcome.ADMIT_WITH_NOTICE) and lane != "ward"
        passage = Passage(
            lane, LANES[lane].direction, verdict, Temperature(screening, 34.5, 0.4), Decision(outcome, reasons),
            opens, self.at_s - 1, self.at_s, False,
            facts=self.venue.facts(lane, verdict, {}, self.now, self.at_s), number=number,
        )  # fmt: skip
        marked, entries = self.venue.passed(passage, self.now, self.at_s)
        self.write(Written(entries))
        self.commit()
        return marked

    def facts(self, name: str | None = "", lane: str = "in", **stated: str):
        verdict = (
            None
            if name is None
            else Verdict(CodeStatus.VALID, "test", subject=subject(name) if name else b"", colour=Colour.GREEN)
        )
        self.tick()
        return self.venue.facts(lane, verdict, stated, self.now, self.at_s)

    def state(self, what: str, value: str = "", **more: object) -> AttestationResult:
        stated = Attestation(self.at_s, what, value, **more)  # type: ignore[arg-type]
        answer, written = self.venue.attest("", stated, self.at_s)
        if written is not None:
            self.write(written)
            self.commit()
        return answer

    # -- what was told

    @property
    def reports(self) -> list[Report]:
        return [written.body for written in self.told() if isinstance(written.body, Report)]

    @property
    def records(self) -> list[AttestationRecord]:
        return [written.body for written in self.told() if isinstance(written.body, AttestationRecord)]

    def told(self) -> Iterable[Written]:
        return (*self.disk, *self.pending)


__all__ = ["NO_VENUE", "Kiosk"]

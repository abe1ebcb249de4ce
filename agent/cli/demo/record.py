"""What happened in the demonstration: who came, what was decided, what a subscriber received; and whether the
counts agree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.cli.demo.scenario import Person


@dataclass(slots=True)
class DemoPassage:
    """One passage, from the person to the broker."""

    at: float
    """Seconds from the start, when it was decided."""
    who: str
    """Name in the scenario; only the demonstration knows it."""
    facts: Mapping[str, Any]
    """The agent's log line."""
    expect: str | None
    """Outcome that the scenario foretells; None when nothing can be foretold."""
    arrived: str = ""
    """Id of the event at the subscriber."""


@dataclass(slots=True)
class DemoTally:
    """Fed with what is heard; asked by the views and the recap."""

    rows: list[DemoPassage] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    """Ids of all events that the subscriber got, repeats included."""
    not_marked: int = 0
    """Events that arrived without the mark of simulation: must stay 0."""
    commanded: int = 0
    """Openings that the central server commanded and that were done."""
    interrupted: int = 0
    """People who stood at a lane while the agent was restarted: what becomes of them cannot be foretold."""
    failed: int = 0
    """Devices that the agent lost although nobody had unplugged them: their simulation was too slow."""
    _came: dict[str, Person] = field(default_factory=dict)
    _undecided: set[str] = field(default_factory=set)
    """Lanes whose latest person has no decision yet."""
    _early: list[str] = field(default_factory=list)
    """Ids of passages that arrived before their log line was read."""
    _interrupted: set[str] = field(default_factory=set)
    """Lanes whose latest person was interrupted."""

    def came(self, person: Person) -> None:
        """Remember who stands at the lane."""
        self._came[person.lane] = person
        self._undecided.add(person.lane)
        self._interrupted.discard(person.lane)

    def awaits_decision(self, person: Person) -> bool:
        """Whether the person stands there without an answer, and an agent that has run all the time owes it."""
        is_last = self._came.get(person.lane) is person
        return is_last and person.lane in self._undecided and person.lane not in self._interrupted

    def interrupt(self, lane: str) -> None:
        """No agent runs while somebody stands at this lane; may be told again and again."""
        if lane not in self._interrupted:
            self._interrupted.add(lane)
            self.interrupted += 1

    def decided(self, at: float, facts: Mapping[str, Any]) -> DemoPassage:
        """A passage in the agent's log."""
        person = self._came.get(facts["lane"])
        self._undecided.discard(facts["lane"])
        expect = None if facts["lane"] in self._interrupted else person.expect if person else ""
        row = DemoPassage(at, person.who if person else "?", facts, expect)
        if self._early:
            row.arrived = self._early.pop(0)
        self.rows.append(row)
        return row

    def received(self, event: Mapping[str, Any]) -> DemoPassage | None:
        """An event at the subscriber; the row it belongs to, if it is a passage not seen before."""
        known = event["id"] in self.ids
        self.ids.append(event["id"])
        data = event["data"]
        if not data["simulated"]:
            self.not_marked += 1
        if not known and data.get("command") == "open" and data["status"] == "succeeded" and not data["duplicate"]:
            self.commanded += 1
        if known or not event["type"].startswith("gatepost.passage"):
            return None
        row = next((row for row in self.rows if not row.arrived), None)  # events come in the order of decisions
        if row is None:
            self._early.append(event["id"])
        else:
            row.arrived = event["id"]
        return row

    def wrong(self) -> list[DemoPassage]:
        """Passages that did not end as the scenario says."""
        return [row for row in self.rows if row.expect is not None and row.facts["decision"] != row.expect]

    def let_in_wrongly(self) -> int:
        """For how many of them a gate opened that had to stay shut: no device that fails is an excuse."""
        return sum(row.facts["gate_opened"] and not (row.expect or "").startswith("admit") for row in self.wrong())


@dataclass(frozen=True, slots=True)
class Recap:
    """The counts that must agree."""

    decided: int
    stored: int
    delivered: int
    arrived: int
    """Different events at the subscriber."""
    repeats: int
    people: int
    passages: int
    wrong: int
    opened: int
    commanded: int
    """Openings by command; the other ones follow from a decision."""
    pulses: int
    """What the relay boards really did."""
    greens: int
    """How often lamps turned green."""
    not_marked: int
    interrupted: int = 0
    """People who may have passed never, once or twice, since the agent was restarted before them."""
    failed: int = 0
    """Devices that failed by themselves."""
    let_in_wrongly: int = 0

    @property
    def is_counted(self) -> bool:
        """Whether every event that was decided is stored, delivered and here."""
        return self.decided == self.stored == self.delivered == self.arrived

    @property
    def is_settled(self) -> bool:
        """Whether everybody is decided upon, and every gate and lamp has done what it was told, to its end."""
        return (
            self.is_counted
            and abs(self.people - self.passages) <= self.interrupted
            and self.opened + self.commanded == self.pulses == self.greens
        )

    @property
    def agrees(self) -> bool:
        """Whether nothing was lost, invented, decided wrongly or passed off as real."""
        return self.is_settled and self.wrong == self.not_marked == 0

    @property
    def is_held(self) -> bool:
        """Whether it can be told if everything agrees. Not when people met devices that failed by themselves: the
        events are as they must be then, and nobody was let in wrongly, but other things may be different.
        """
        is_excused = self.failed > 0 and self.is_counted and self.not_marked == self.let_in_wrongly == 0
        return self.agrees or not is_excused

    def lines(self) -> list[str]:
        """For a terminal."""
        same = "=" if self.is_counted else "≠"
        counts = zip(
            ("decided", "stored", "delivered", "arrived"),
            (self.decided, self.stored, self.delivered, self.arrived),
            strict=True,
        )
        events = f" {same} ".join(f"{name} {count}" for name, count in counts)
        gates = f"relay pulses {self.pulses}, lamps turned green {self.greens}"
        interrupted = f", interrupted by a restart {self.interrupted}" if self.interrupted else ""
        people = f"people {self.people}, passages {self.passages}{interrupted}"
        return [
            f"{events}   (events; {self.repeats} repeats dropped)",
            f"{people}, not as the scenario expects {self.wrong}",
            f"gates told to open {self.opened} + {self.commanded} by command, {gates}",
            f"events not marked as simulated {self.not_marked}",
            *([f"devices that failed though nobody unplugged them {self.failed}"] if self.failed else []),
            "everything agrees"
            if self.agrees
            else "THE COUNTS DO NOT AGREE"
            if self.is_held
            else "not held: this machine was too slow for the simulated devices",
        ]

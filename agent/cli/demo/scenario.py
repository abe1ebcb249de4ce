"""The demonstration's script: who comes when, and what breaks. Read from a TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from agent.cli.demo.issuer import KINDS
from agent.model import Colour, Direction, Outcome, Role

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


_HEARD_S = 1.0
"""After the central server's last word: time to hear it and to answer."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who comes to a lane."""

    at: float
    """Seconds from the start."""
    lane: str
    who: str
    """For the watcher only: the kiosk never learns it."""
    code: str
    skin_c: float
    expect: str
    """The outcome that must follow."""
    distance_mm: float = 50.0
    stay_s: float = 2.5
    fill: float = 1.0

    def __post_init__(self) -> None:
        """Raises ValueError for words the demonstration does not know."""
        Direction(self.lane)
        Outcome(self.expect)
        if self.code not in KINDS:
            raise ValueError(f"{self.who}: code {self.code!r} is none of {', '.join(KINDS)}")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that breaks for a while."""

    at: float
    for_s: float
    what: str
    """`stop broker`, or `unplug LANE PART`."""

    def __post_init__(self) -> None:
        """Raises ValueError for words the demonstration does not know."""
        match self.what.split():
            case ["stop", "broker"]:
                pass
            case ["unplug", lane, part]:
                Direction(lane)
                Role(part)
            case _:
                raise ValueError(f"trouble {self.what!r}: say 'stop broker' or 'unplug LANE PART'")


@dataclass(frozen=True, slots=True)
class Word:
    """What the central server says to the kiosk."""

    at: float
    says: str
    """`turn WHO COLOUR`: a signed change of the list of colours; `open LANE` and `restart agent`: a signed command;
    `withhold details`: a signed bundle on privacy.
    """

    def __post_init__(self) -> None:
        """Raises ValueError for words the demonstration does not know."""
        match self.says.split():
            case ["turn", _, colour]:
                Colour(colour)
            case ["open", lane]:
                Direction(lane)
            case ["restart", "agent"] | ["withhold", "details"]:
                pass
            case _:
                raise ValueError(
                    f"the central server says {self.says!r}:"
                    " say 'turn WHO COLOUR', 'open LANE', 'restart agent' or 'withhold details'"
                )


@dataclass(frozen=True, slots=True)
class Scenario:
    """The whole script, in order of time."""

    people: tuple[Person, ...]
    troubles: tuple[Trouble, ...]
    words: tuple[Word, ...] = ()
    checkpoint: Mapping[str, float] = field(default_factory=dict)
    """Settings of the agent's section `[checkpoint]`: how long it waits."""

    @property
    def end(self) -> float:
        """When the last person has left and the last thing works again, seconds."""
        ends = [*(p.at + p.stay_s for p in self.people), *(t.at + t.for_s for t in self.troubles)]
        return max((*ends, *(word.at + _HEARD_S for word in self.words)), default=0.0)


def read(file: Path) -> Scenario:
    """Read a scenario. Raises ValueError with a sentence, or OSError."""
    tree = tomllib.loads(file.read_text(encoding="utf-8"))
    if unknown := tree.keys() - {"checkpoint", "person", "trouble", "server"}:
        raise ValueError(
            f"unknown section {', '.join(sorted(unknown))}; there are checkpoint, person, trouble and server"
        )
    people = [_entry(Person, entry) for entry in tree.get("person", [])]
    troubles = [_entry(Trouble, entry) for entry in tree.get("trouble", [])]
    words = [_entry(Word, entry) for entry in tree.get("server", [])]
    return Scenario(
        tuple(sorted(people, key=lambda person: person.at)),
        tuple(sorted(troubles, key=lambda trouble: trouble.at)),
        tuple(sorted(words, key=lambda word: word.at)),
        tree.get("checkpoint", {}),
    )


_Entry = TypeVar("_Entry")


def _entry(cls: type[_Entry], values: dict[str, Any]) -> _Entry:
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type] # both are dataclasses
    if unknown := values.keys() - known:
        raise ValueError(f"unknown key {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    try:
        return cls(**values)
    except TypeError as error:
        raise ValueError(f"{values.get('who', values.get('what', '?'))}: {error}") from None

"""What a decision is about, and what may follow from an observation. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from agent.checkpoint.lanes import Showing, Waits
from agent.model import Answer, DeviceChange, Passage

if TYPE_CHECKING:
    from agent.model import Now, Temperature, Verdict, Way


@dataclass(frozen=True, slots=True)
class Case:
    """What a decision is about."""

    way: Way
    verdict: Verdict | None
    """None: no code was shown."""
    temperature: Temperature
    scanner_works: bool
    shown_again: bool
    """The holder was let in by this kiosk a moment ago."""
    now: Now


@dataclass(frozen=True, slots=True)
class Opening:
    """The gate of this lane is to open now."""

    lane: str


@dataclass(frozen=True, slots=True)
class Trying:
    """The exit's gate is known to be down: it is ordered to open all the same, and nobody is told that it does."""

    lane: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a reading of staff's own thermometer."""

    lane: str
    passage: Passage | None = None
    """None: it decided nothing."""
    reason: str = ""
    """Why not: `somebody_else`, `nobody_waits`, `several_wait`, `no_such_number`, `implausible`, `lapsed`."""
    waiting: tuple[Waits, ...] = ()
    """Who waits on this lane, the latest first: told when it was refused, or asked for."""


Result: TypeAlias = Opening | Trying | Showing | Passage | DeviceChange | Answer | Settled

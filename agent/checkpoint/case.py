"""What a decision is about, and what may follow from an observation. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from agent.checkpoint.lanes import ShowCue, Waits
from agent.model import DeviceChange, LaneCommandResult, Passage, Tristate

if TYPE_CHECKING:
    from agent.model import LaneSpec, Temperature, TimeBounds, Verdict
    from agent.reasons import LocalRefusal


@dataclass(frozen=True, slots=True)
class DecisionInput:
    """What a decision is about."""

    lane: LaneSpec
    verdict: Verdict | None
    """None: no code was shown."""
    temperature: Temperature
    scanner_works: bool
    shown_again: bool
    """The holder was let in by this kiosk a moment ago."""
    now: TimeBounds
    used: Tristate = Tristate.UNKNOWN
    """Whether the ticket has let somebody in already."""


class TicketRegister(Protocol):
    """What the checkpoint asks about a ticket that lets somebody in once. Keys are 16 bytes."""

    def used(self, key: bytes) -> Tristate:
        """Whether it has let somebody in. Quick."""

    def claim(self, key: bytes) -> Tristate:
        """The same, for certain, and nobody else admits on it from now on if the answer is NO. May take a
        quarter of a second.
        """

    def record(self, key: bytes, ends_utc: float | None, now: TimeBounds) -> bool:
        """Somebody is let in: whether that is on the disk now. If not, nobody may be."""


class NoRegister:
    """Where no lane has tickets: nothing is known, nothing can be kept."""

    def used(self, _key: bytes) -> Tristate:
        """UNKNOWN."""
        return Tristate.UNKNOWN

    def claim(self, _key: bytes) -> Tristate:
        """UNKNOWN."""
        return Tristate.UNKNOWN

    def record(self, _key: bytes, _ends_utc: float | None, _now: TimeBounds) -> bool:
        """Never."""
        return False


@dataclass(frozen=True, slots=True)
class OpenGate:
    """The gate of this lane is to open now."""

    lane: str


@dataclass(frozen=True, slots=True)
class Trying:
    """The exit's gate is known to be down: it is ordered to open all the same, and nobody is told that it does."""

    lane: str


@dataclass(frozen=True, slots=True)
class RemeasureResult:
    """What became of a reading of staff's own thermometer."""

    lane: str
    passage: Passage | None = None
    """None: it decided nothing."""
    reason: LocalRefusal | Literal[""] = ""
    """Why not."""
    waiting: tuple[Waits, ...] = ()
    """Who waits on this lane, the latest first: told when it was refused, or asked for."""


Effect: TypeAlias = OpenGate | Trying | ShowCue | Passage | DeviceChange | LaneCommandResult | RemeasureResult

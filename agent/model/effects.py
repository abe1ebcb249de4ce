"""What may follow from an observation, in the order in which it is carried out. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from agent.model import AttestationResult, DeviceChange, LaneCommandResult, Passage, RemeasureResult
from agent.model.lazy import dataclass


class Cue(StrEnum):
    """What a lane tells the person who stands at it; `agent.indicators` says how that looks and sounds."""

    READY = "ready"
    """Show your code."""
    FAULT = "fault"
    """Out of service, or partly: go to the staff."""
    MEASURE = "measure"
    """The code was read: now step up to the thermometer."""
    WAIT = "wait"
    """Being measured: stand still."""
    RETRY = "again"
    """Once more: a second reading, or the other part of the code."""
    ADMIT = "admit"
    ADMIT_WITH_NOTICE = "admit_with_notice"
    REFER = "refer"
    REFUSE = "refuse"
    """The last four are the words of `Outcome`."""

    @property
    def discreet(self) -> Cue:
        """As the queue may see it: who is refused waits for the staff like anybody who is referred."""
        return Cue.REFER if self is Cue.REFUSE else self


GREEN_CUES = (Cue.ADMIT, Cue.ADMIT_WITH_NOTICE)


@dataclass(frozen=True, slots=True)
class ShowCue:
    """What lamp, buzzer and screen of this lane show and sound."""

    lane: str
    cue: Cue
    hint: str = ""
    """More for the screen: a code of the texts on `hint` or `picture`, which anybody may read."""
    rest_s: float = 0.0
    """How long the person is still to rest before the next reading: for a screen that may say so."""


@dataclass(frozen=True, slots=True)
class OpenGate:
    """The gate of this lane is to open now."""

    lane: str


@dataclass(frozen=True, slots=True)
class Trying:
    """The exit's gate is known to be down: it is commanded to open all the same, and nobody is told that it
    does.
    """

    lane: str


Effect: TypeAlias = (
    OpenGate | Trying | ShowCue | Passage | DeviceChange | LaneCommandResult | RemeasureResult | AttestationResult
)

"""What may follow from an observation, in the order in which it is carried out. Pure."""

from __future__ import annotations

from typing import TypeAlias

from agent.indicators import Cue
from agent.model import AttestationResult, DeviceChange, LaneCommandResult, Passage, RemeasureResult
from agent.model.lazy import dataclass


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

"""What a lamp shows and a buzzer sounds: cue → pattern, as data. Pure; time is an argument.

Nothing rests on colour. The lights stand in a column as in the street (red above, green below); among what a person
is told after showing a code no two have the same rhythm, and no two the same sound. Blinking keeps to IEC 60073
(slow 24–48, normal 84–168 a minute), and below the three flashes a second that WCAG 2.3.1 allows.

Green is in two patterns only, and ends by itself. What has no end is renewed every second, so that it goes
dark when nobody renews it.
"""

from __future__ import annotations

import math
from enum import StrEnum
from itertools import cycle
from typing import TYPE_CHECKING, Protocol, TypeAlias

from agent.model.effects import GREEN_CUES, Cue
from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator


class Light(StrEnum):
    """An output that is part of a pattern: the lights of the column from above, and the buzzer."""

    RED = "red"
    AMBER = "amber"
    GREEN = "green"
    SOUND = "sound"


COLUMN = (Light.RED, Light.AMBER, Light.GREEN)

Rhythm: TypeAlias = tuple[float, ...]
"""Seconds on, off, on, off …, again and again."""
Flash: TypeAlias = tuple[float, float]
"""On from, on to."""

STEADY: Rhythm = (math.inf,)
SLOW: Rhythm = (0.8, 0.8)
FAST: Rhythm = (0.3, 0.2)
TWICE: Rhythm = (0.2, 0.2, 0.2, 0.8)
WINKING: Rhythm = (0.8, 0.2)
_SHORT_S, _LONG_S, _GAP_S = 0.2, 0.6, 0.2

_LATE_S = 1.0
"""A sound that could not begin within this is not played any more."""
HOLD_S, _RENEW_S = 2.0, 1.0
"""For how long a light without an end is switched on, and how often that is repeated."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """How one cue looks and sounds."""

    lights: tuple[Light, ...]
    rhythm: Rhythm
    sound: Rhythm = ()
    """Played once, when the cue is given."""


PATTERNS = {
    Cue.READY: Pattern((Light.AMBER,), STEADY),
    Cue.MEASURE: Pattern((Light.AMBER,), SLOW),
    Cue.WAIT: Pattern((Light.AMBER,), FAST),
    Cue.RETRY: Pattern((Light.AMBER,), TWICE, (_LONG_S,)),
    Cue.ADMIT: Pattern((Light.GREEN,), STEADY, (_SHORT_S,)),
    Cue.ADMIT_WITH_NOTICE: Pattern((Light.GREEN,), WINKING, (_SHORT_S, _GAP_S, _LONG_S)),
    Cue.REFER: Pattern((Light.RED,), SLOW, (_SHORT_S, _GAP_S, _SHORT_S)),
    Cue.REFUSE: Pattern((Light.RED,), FAST, (_LONG_S, _GAP_S, _LONG_S, _GAP_S, _LONG_S)),
    Cue.FAULT: Pattern((Light.RED, Light.AMBER), STEADY),
}
ATTENTION = Pattern((Light.RED, Light.AMBER), WINKING)
"""In place of READY while the staff are asked for: a case of the venue has been open for too long."""
_ATTEND = "attend"
_STANDING = (Cue.READY, Cue.FAULT)
"""How a lane stands when nobody is being answered."""
_STEPS = (Cue.MEASURE, Cue.WAIT)
"""Shown until something else follows."""


@dataclass(frozen=True, slots=True)
class CueChange:
    """A cue in its time, monotonic seconds."""

    cue: Cue
    since_s: float
    until_s: float
    hint: str = ""


class Panel(Protocol):
    """What one part of a lane shows: of which cue, in its own way."""

    keeps_time: bool
    """A flash that begins late ends in time. If not, it has its length, and all after it come as late."""

    def show(self, cue: Cue, at_s: float) -> None:
        """A new cue."""

    def showing(self, at_s: float) -> CueChange:
        """What is to be shown now."""

    def play(self, shown: CueChange, at_s: float) -> tuple[tuple[Light, ...], Iterator[Flash]]:
        """The outputs that it needs, and when they are on from `at_s` on."""


class LampPanel:
    """Shows the latest step or answer for its time, else how the lane stands."""

    keeps_time = True

    def __init__(self, green_s: float, indication_s: float, *, in_service: bool = True) -> None:
        """How long green lasts, and any other answer; a lane that is not in service is never ready."""
        self._green_s, self._indication_s = green_s, indication_s
        self._ready = Cue.READY if in_service else Cue.FAULT
        self._standing = self._latest = CueChange(Cue.FAULT, 0.0, math.inf)
        self._attending: CueChange | None = None

    def call_staff(self, at_s: float, *, is_on: bool) -> None:
        """Ask for the staff while nobody is being answered, or no longer."""
        self._attending = CueChange(Cue.READY, at_s, math.inf, _ATTEND) if is_on else None

    def show(self, cue: Cue, at_s: float, hint: str = "") -> None:
        """A new cue. How the lane stands does not cut an answer short; anything else does."""
        if cue in _STANDING:
            self._standing = CueChange(self._ready if cue is Cue.READY else cue, at_s, math.inf, hint)
            if self._latest.until_s == math.inf:
                self._latest = self._standing
        else:
            self._latest = CueChange(cue, at_s, at_s + self._lasts_s(cue), hint)

    def showing(self, at_s: float) -> CueChange:
        """What is to be seen now."""
        latest, attending = self._latest, self._attending  # another thread may tell meanwhile
        shown = latest if at_s < latest.until_s else self._standing
        return attending if attending is not None and shown.cue is Cue.READY else shown

    def play(self, shown: CueChange, at_s: float) -> tuple[tuple[Light, ...], Iterator[Flash]]:
        """The lights of a cue."""
        pattern = ATTENTION if shown.hint == _ATTEND else PATTERNS[shown.cue]
        return pattern.lights, flashes(pattern.rhythm, shown.since_s, shown.until_s, at_s)

    def _lasts_s(self, cue: Cue) -> float:
        if cue in _STEPS:
            return math.inf
        return self._green_s if cue in GREEN_CUES else self._indication_s


class BuzzerPanel:
    """Sounds a cue once and to its end, unless the next one sounds as well.

    Half of a sound would mean something else: two short notes less one are "go". So it is played whole or not at
    all.
    """

    keeps_time = False

    def __init__(self) -> None:
        self._latest = CueChange(Cue.FAULT, 0.0, math.inf)

    def show(self, cue: Cue, at_s: float) -> None:
        """A new cue; those without a sound are nothing to a buzzer."""
        if PATTERNS[cue].sound:
            self._latest = CueChange(cue, at_s, math.inf)

    def showing(self, at_s: float) -> CueChange:  # noqa: ARG002 - the sound itself ends
        """What was to be heard last."""
        return self._latest

    def play(self, shown: CueChange, at_s: float) -> tuple[tuple[Light, ...], Iterator[Flash]]:
        """The sound of a cue; none when it is too late for it."""
        sound = PATTERNS[shown.cue].sound if at_s - shown.since_s <= _LATE_S else ()
        return (Light.SOUND,), flashes(sound, shown.since_s, shown.since_s + sum(sound), shown.since_s)


def flashes(rhythm: Rhythm, since_s: float, until_s: float, at_s: float) -> Iterator[Flash]:
    """Each time the output is on, in order, without those that are over at `at_s`."""
    if not rhythm:
        return
    round_s = sum(rhythm)
    from_s = since_s + max(0.0, at_s - since_s) // round_s * round_s if round_s < math.inf else max(since_s, at_s)
    for turn, length_s in enumerate(cycle(rhythm)):
        to_s = min(from_s + length_s, until_s)
        if from_s >= until_s:
            return
        while to_s == math.inf:
            yield from_s, from_s + HOLD_S
            from_s += _RENEW_S
        if turn % 2 == 0 and to_s > at_s:
            yield from_s, to_s
        from_s = to_s


class CuePlayer:
    """Turns what is shown into commands to the outputs. One for each time that the device is opened."""

    def __init__(self, panel: Panel) -> None:
        self.shown: CueChange | None = None
        self._panel = panel
        self._lights: tuple[Light, ...] = ()
        self._flashes: Iterator[Flash] = iter(())
        self._next: Flash | None = None
        self._late_s = 0.0
        self._on_until_s: dict[Light, float] = {}

    def is_due(self, at_s: float) -> bool:
        """Whether `commands` has something to say: another cue was given, or its time has come."""
        return self._panel.showing(at_s) != self.shown or self.due_s <= at_s

    @property
    def due_s(self) -> float:
        """When `commands` has something to say again, unless another cue is given before."""
        until_s = math.inf if self.shown is None else self.shown.until_s
        return until_s if self._next is None else min(self._next[0] + self._late_s, until_s)

    def commands(self, at_s: float) -> Iterator[tuple[Light, float]]:
        """(output, how many seconds it is to be on from now; 0: off at once). What is new comes first."""
        shown = self._panel.showing(at_s)
        if shown == self.shown:
            yield from self._due(at_s)
            return
        still_on = [light for light, until_s in self._on_until_s.items() if until_s > at_s]
        self._on_until_s.clear()
        self.shown, self._late_s = shown, 0.0
        self._lights, self._flashes = self._panel.play(shown, at_s)
        self._next = next(self._flashes, None)
        yield from ((light, 0.0) for light in still_on if light in self._lights)
        yield from self._due(at_s)
        yield from ((light, 0.0) for light in still_on if light not in self._lights)

    def _due(self, at_s: float) -> Iterator[tuple[Light, float]]:
        while self._next is not None and self._next[0] + self._late_s <= at_s:
            from_s, to_s = self._next
            self._next = next(self._flashes, None)
            if not self._panel.keeps_time:
                self._late_s = at_s - from_s
                to_s += self._late_s
            seconds = round(to_s - at_s, 6)  # what the sum of a clock and a length adds, a bounded output refuses
            if seconds > 0:
                for light in self._lights:
                    self._on_until_s[light] = to_s
                    yield light, seconds

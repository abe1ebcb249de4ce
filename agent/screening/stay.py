"""Whether somebody new stands before a thermometer, or something warm stays there. Pure; time is an argument.

A body that leaves shows it: the spot gets cool, or jumps by a degree within a moment; with a range sensor, nobody
is at the mark. Until then the readings are of the body before, and count for no other holder. A sensor that was
gone has seen nobody leave: who was turned away before or meanwhile may stand there still. What shows none of it for
`stay_s` is taken for a thing: a pad, a lamp, a wall in the sun, an object at the mark.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from agent.screening.options import Options

GAP_S = 0.8
"""Without a word of the sensor for so long, what it sees now is something else."""
SILENT_S = 5.0
"""After a silence this long of a sensor that was not reported down, what it sees is another person."""
FROZEN_S = 3.0
"""A thermometer whose last digit has not moved for so long, since somebody else stood there, hangs."""
STEPS_UP_S = 2.0
"""The body that appears so soon after somebody was decided whose body was not seen yet is his."""
ANYBODY = b"?"
"""Holder of a body of which nothing is known, not even whether it was turned away."""
JUMP_C, JUMP_S = 1.0, 2.0
"""A change by so much within this is another body, or one that moves: a thing warms and cools more slowly."""


@dataclass(slots=True)
class Unbroken:
    """Since when a sensor has seen one and the same."""

    since_s: float = -math.inf
    """When it was last seen to change: what it saw before is of somebody else."""
    last_s: float = -math.inf
    present: bool = False

    def see(self, at_s: float, *, present: bool, changed: bool = False) -> bool:
        """What the sensor says; whether that breaks what was before."""
        broken = not present or not self.present or changed or at_s - self.last_s >= GAP_S
        if broken:
            self.since_s = at_s
        self.present, self.last_s = present, at_s
        return broken

    def is_there(self, at_s: float) -> bool:
        """Whether somebody or something is there, be it seen only once."""
        return self.present and at_s - self.last_s < GAP_S

    def lasts_s(self, at_s: float) -> float:
        """For so long somebody or something has been there; 0 when it is not."""
        return self.last_s - self.since_s if self.is_there(at_s) else 0.0


class Expected(NamedTuple):
    """Who was decided and has not been seen yet: he steps up soon, or was let in and walks by."""

    holder: bytes
    let_in: bool
    until_s: float
    """Of the first reading of a body that may be his."""
    behind: bool = False
    """After a body that stood there when he was decided, and has not left since."""


_NOBODY = Expected(b"", let_in=False, until_s=-math.inf)


@dataclass(slots=True)
class Stay:
    """What one lane's thermometer, and its range sensor, have seen since they last saw nobody."""

    ranged: bool = False
    warm: Unbroken = field(default_factory=Unbroken)
    mark: Unbroken = field(default_factory=Unbroken)
    holder: bytes = b""
    """Who was decided with what stands there now; empty: nobody."""
    let_in: bool = False
    """Whether that one was: he walks on, and the next one steps up."""
    assumed: bool = False
    """The body came after he was decided: it may be another's."""
    fresh_s: float = -math.inf
    """What was read before is of that holder's body, or what a thermometer repeated that hung."""
    surface_c: float = math.nan
    """Of the last reading."""
    moved_s: float = -math.inf
    """Since when the thermometer says so, to the bit."""
    emptied_s: float = -math.inf
    """When the range sensor saw somebody go."""
    blocked: str = ""
    """Why the lane was last seen to be blocked."""
    expected: Expected = field(default=_NOBODY)
    """Who was decided last before he stood there."""
    blind: bool = False
    """The sensor that sees somebody leave was gone, and has not seen since that nobody is there."""
    _recent: deque[tuple[float, float]] = field(default_factory=deque)

    def reading(self, surface_c: float, at_s: float, options: Options) -> None:
        """A reading of the thermometer."""
        if surface_c != self.surface_c:
            if self.is_frozen:
                self.fresh_s = at_s  # it hangs no more
            self.surface_c, self.moved_s = surface_c, at_s
        while self._recent and at_s - self._recent[0][0] > JUMP_S:
            self._recent.popleft()
        changed = any(abs(surface_c - before_c) >= JUMP_C for _, before_c in self._recent)
        is_there = surface_c >= options.presence_c
        if not self.ranged:
            if changed or self._has_left(self.warm, at_s, is_there=is_there):
                self._left(at_s)
            self._steps_up(at_s, is_there=is_there)
        if self.warm.see(at_s, present=is_there, changed=changed):
            self._recent.clear()
        self._recent.append((at_s, surface_c))

    def distance(self, at_s: float, *, at_mark: bool) -> None:
        """A distance from the range sensor."""
        if self.mark.present and not at_mark:
            self.emptied_s = at_s
        if self._has_left(self.mark, at_s, is_there=at_mark):
            self._left(at_s)
        self._steps_up(at_s, is_there=at_mark)
        self.mark.see(at_s, present=at_mark)

    def lost_sight(self, at_s: float, *, of: bytes = b"") -> None:
        """The sensor that sees somebody leave is gone; `of`: who stands there, where that is to be changed. Who was
        expected may have stepped up.
        """
        self._steps_up(at_s, is_there=True)
        self.blind = True
        self._recent.clear()  # warmer than before that: it may have come meanwhile
        if of:
            self.holder, self.let_in = of, False

    def decided(
        self,
        holder: bytes,
        at_s: float,
        *,
        let_in: bool,
        steps_up_s: float | None = None,
        aside: bool = False,
    ) -> None:
        """A passage is over; who stands there now was there for it, unless for another's before: that body has not
        left since. After a sensor was gone it may be either. If nobody stands there, who was let in walks by now,
        and who was turned away may step up within `steps_up_s`; 0: he may stand there by a reading that is still to
        come. If another may do so too, the body that comes is nobody's. `aside`: he may wait elsewhere, and walk by
        when a body of which nothing is known has left. Who is turned away while another's body stands there may be
        that body: it does not walk on then, and if it was that other's only as it stepped up, it counts for nobody.
        """
        is_there = self._is_there(at_s)
        if (self.blind or is_there) and not self.is_of_another(holder):
            if aside and let_in and not self.holder:
                self.expected = Expected(holder, let_in, at_s + STEPS_UP_S, behind=True)
            self.holder, self.let_in, self.assumed = holder, let_in, False
        elif self.blind:
            if aside and let_in:
                self.expected = Expected(holder, let_in, at_s + STEPS_UP_S, behind=True)
            self.holder, self.let_in = ANYBODY, False
        elif let_in:
            self.expected = Expected(holder, let_in, at_s + STEPS_UP_S, behind=is_there)
        elif is_there:
            self.holder, self.let_in = ANYBODY if self.assumed else self.holder, False
        elif steps_up_s is not None:
            before = self.expected
            is_one = not before.holder or before.holder == holder or before.behind or before.until_s < at_s
            self.expected = Expected(holder if is_one else ANYBODY, False, at_s + steps_up_s)

    def let_in_aside(self, holder: bytes, at_s: float) -> None:
        """Somebody is let in who need not be who stands there: he walks by now, or once that one has left."""
        is_there = self._is_there(at_s) or (self.blind and bool(self.holder))
        if not (is_there and self.holder == holder):
            self.expected = Expected(holder, True, at_s + STEPS_UP_S, behind=is_there)

    def _is_there(self, at_s: float) -> bool:
        return (self.mark if self.ranged else self.warm).is_there(at_s)

    def _steps_up(self, at_s: float, *, is_there: bool) -> None:
        """A body that is there now may be that of who was decided a moment ago."""
        who = self.expected
        if not who.holder or not is_there or who.behind:
            return
        self.expected = _NOBODY
        if at_s < who.until_s and not self.holder:
            self.holder, self.let_in, self.assumed = who.holder, who.let_in, True

    def _has_left(self, seen: Unbroken, at_s: float, *, is_there: bool) -> bool:
        """Whether the sensor's next word shows that who stood there has left."""
        return not is_there or (not self.blind and at_s - seen.last_s >= SILENT_S)

    def _left(self, at_s: float) -> None:
        self.blind = False
        if self.expected.behind:
            self.expected = self.expected._replace(behind=False)
        if self.holder:
            self.holder, self.fresh_s = b"", at_s

    def is_of_another(self, holder: bytes) -> bool:
        """Whether what stands there was measured for another holder."""
        return bool(self.holder) and holder != self.holder

    @property
    def is_frozen(self) -> bool:
        """Whether the thermometer says to the bit what it said of who stood at the mark before: it hangs."""
        return self.moved_s < self.emptied_s

    def why_blocked(self, at_s: float, options: Options) -> str:
        """Reason code; empty when the lane can measure."""
        if self.warm.lasts_s(at_s) >= options.stay_s:
            return "warm_object"
        if self.is_frozen and self.mark.lasts_s(at_s) >= FROZEN_S:
            return "frozen"
        return "mark_blocked" if self.ranged and self.mark.lasts_s(at_s) >= options.stay_s else ""

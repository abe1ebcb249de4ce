"""What the checkpoint remembers of a lane between observations. Pure; the checkpoint owns it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.model import CodeStatus, Part
from agent.signals import Cue

if TYPE_CHECKING:
    from agent.model import Now, Verdict, Way
    from drivers.contract import Reading


_NEEDED = {Part.SCANNER, Part.THERMOMETER, Part.RANGE, Part.GATE}
"""While one of these is down the lane is out of service, at least in part."""
_SHOWN_S = 60.0
"""Where several wait for staff's thermometer, it is about whose code was shown again within this."""


@dataclass(frozen=True, slots=True)
class Showing:
    """What the lamp and the buzzer of this lane are to say."""

    lane: str
    cue: Cue


@dataclass(slots=True)
class Pending:
    """A passage that waits for its decision."""

    began_s: float
    deadline_s: float
    now: Now
    """The wall clock when it began: code and policy are judged at one time."""
    verdict: Verdict | None = None
    shown: dict[bytes, bytes] = field(default_factory=dict)
    """What stands for each code → its bytes, in the order of showing."""
    again: bool = False
    simulated: bool = False
    opened: bool = False
    attempt: int = 1
    """Which reading of this person it was decided by."""
    seen_s: float = -math.inf
    """When a code of it was shown last."""

    @property
    def holder(self) -> bytes:
        """Who is measured, as far as can be told; empty without a code."""
        subject = self.verdict.subject if self.verdict is not None else b""
        return subject or next(iter(self.shown), b"")


@dataclass(slots=True)
class Closed:
    """Who was decided last."""

    codes: frozenset[bytes]
    """What stands for the codes that were shown: in sight they are no new ones. Forgotten once `is_over`."""
    opened: bool
    hold_s: float
    """Out of sight for so long, a code may be shown again."""
    seen_s: float

    def is_over(self, at_s: float) -> bool:
        """Whether the codes would be new ones again."""
        return at_s - self.seen_s >= self.hold_s


@dataclass(slots=True)
class Lane:
    """One lane."""

    way: Way
    down: set[Part] = field(default_factory=set)
    simulated_parts: set[Part] = field(default_factory=set)
    samples: deque[Reading] = field(default_factory=deque)
    present_since_s: float | None = None
    warm_s: float = -math.inf
    spent: bool = False
    """The presence, or the one about to begin, belongs to a decision already taken."""
    decided_s: float = -math.inf
    pending: Pending | None = None
    closed: Closed | None = None
    doubtful: Pending | None = None
    """The passage decided last, if its temperature was not normal: staff may measure anew."""
    aside: list[tuple[int, float]] = field(default_factory=list)
    """Who may wait for that, too: the holder's mark and the moment of each such decision of late."""
    cue: Cue | None = None
    """The step that was told last."""

    def news(self, name: str) -> list[Showing]:
        """What the lane asks for now, if that is something else than when this was called last."""
        before, self.cue = self.cue, self._step()
        return [] if self.cue is before else [Showing(name, self.cue)]

    def _step(self) -> Cue:
        pending = self.pending
        if pending is None or pending.verdict is None or pending.opened:
            return Cue.FAULT if self.down & _NEEDED else Cue.READY
        if pending.verdict.status is CodeStatus.INCOMPLETE:
            return Cue.AGAIN
        return Cue.MEASURE if self.present_since_s is None else Cue.WAIT

    def forget(self, at_s: float, second_wait_s: float) -> None:
        """Let go of the codes of those who have left."""
        if self.closed is not None and self.closed.is_over(at_s):
            self.closed.codes = frozenset()
        if at_s - self.decided_s > second_wait_s:
            self.doubtful = None
        self.aside = [(mark, since_s) for mark, since_s in self.aside if at_s - since_s <= second_wait_s]

    def decide(self, pending: Pending, at_s: float, *, doubtful: bool) -> None:
        """The passage is over; `doubtful`: staff may measure anew."""
        self.pending, self.spent, self.decided_s = None, True, at_s
        self.doubtful = pending if doubtful else None
        if doubtful:
            self.aside.append((_mark(pending.holder), at_s))
        else:
            self.aside = [each for each in self.aside if each[0] != _mark(pending.holder)]
        self.samples.clear()

    def is_plain(self, doubtful: Pending, at_s: float) -> bool:
        """Whether staff can only have measured this one: nobody else waits, or he has just shown his code again."""
        own = _mark(doubtful.holder)
        if all(mark == own for mark, _ in self.aside):
            return True
        again = any(mark == own and since_s < doubtful.seen_s for mark, since_s in self.aside)
        return again and at_s - doubtful.seen_s <= _SHOWN_S

    def begin_anew(self, at_s: float, deadline_s: float, moment_s: float) -> bytes | None:
        """Let whoever waits here, or was not let in a moment ago, be measured again: the holder whose readings no
        longer count, empty for one who is not known; None when there was nobody.

        A passage that is being decided stays one: it gets a new deadline.
        """
        waits = self.pending is not None
        turned_away = self.closed is not None and not self.closed.opened
        if not (waits or (turned_away and at_s - self.decided_s <= moment_s)):
            return None
        whose = self.pending if self.pending is not None and self.pending.shown else self.doubtful
        self.samples.clear()
        self.closed, self.spent = None, False
        if self.pending is not None:
            self.pending.deadline_s = max(self.pending.deadline_s, deadline_s)
        return b"" if whose is None else whose.holder


def _mark(holder: bytes) -> int:
    """Tells people apart and names nobody: Python keys this hash anew for each process. It outlives their codes."""
    return hash(holder)

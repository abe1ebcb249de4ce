"""How old something is, and whether a code was here a moment ago. Pure: now is an argument."""

from __future__ import annotations

import math
from collections import OrderedDict, defaultdict
from typing import TYPE_CHECKING, Annotated

from agent.model import ListAge, TimeBounds
from agent.model.bounds import Ge, Gt
from agent.model.lazy import dataclass
from agent.model.problems import Finding, ProblemCode, found

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_REMEMBERED = 10_000
_STALENESS = tuple(ListAge)
_HOUR_S = 3600.0
MAX_AHEAD_S = 86_400.0
"""How far ahead of this gate's clock something may be dated: two clocks differ, and zones are mistaken."""


@dataclass(frozen=True, slots=True)
class Age:
    """When a list or a set of keys was issued, and how old it may become."""

    name: str
    issued_utc: float
    warn_age_s: float
    """Older than this: a notice."""
    max_age_s: float
    """Older than this: staff, whatever the codes say."""
    awaited: str = ""
    """What newer one is awaited, in words: staff are told, and this one counts until it is too old."""
    why: str = ""
    """Of one that is too old at any time: for what reason."""

    def staleness(self, now: TimeBounds) -> ListAge:
        """By the oldest that it can be: an unsure clock makes it old, never young. What is dated ahead would never
        grow old: it is no better.
        """
        age_s = now.latest_utc - self.issued_utc
        if age_s > self.max_age_s or age_s < -MAX_AHEAD_S:
            return ListAge.EXPIRED
        return ListAge.STALE if age_s > self.warn_age_s or self.awaited else ListAge.FRESH

    def age_s(self, now: TimeBounds) -> float | None:
        """How old it is at most; None when nobody can tell."""
        age_s = now.latest_utc - self.issued_utc
        return age_s if math.isfinite(age_s) else None

    def fault(self, now: TimeBounds) -> str:
        """What is wrong with its age and what follows, as a sentence; `` while it is fresh."""
        staleness = self.staleness(now)
        if staleness is ListAge.FRESH:
            return ""
        age_s = self.age_s(now)
        what = self.why or "missing, or of unknown age" if age_s is None else f"{age_s / _HOUR_S:.0f} hours old"
        if age_s is not None and age_s < 0:
            what = "dated ahead of this gate's clock"
        if self.awaited:
            what = f"{what}, {self.awaited}"
        follows = "people are admitted with a notice" if staleness is ListAge.STALE else "everybody goes to staff"
        return f"{what}: {follows} until a newer one comes"

    def findings(self, now: TimeBounds) -> tuple[Finding, ...]:
        """The same for health."""
        code = ProblemCode.LIST_STALE if self.staleness(now) is ListAge.STALE else ProblemCode.LIST_EXPIRED
        if self.age_s(now) is None:
            code = ProblemCode.LIST_MISSING
        return found(code, self.fault(now))


def missing(name: str, why: str = "") -> Age:
    """Age of something that should be there and is not: too old at any time."""
    return Age(name, float("-inf"), 0.0, 0.0, why=why)


def oldest(ages: Iterable[Age], now: TimeBounds) -> ListAge:
    """The worst that any of them is; fresh when there are none."""
    return max((age.staleness(now) for age in ages), key=_STALENESS.index, default=ListAge.FRESH)


@dataclass(frozen=True, slots=True)
class PassbackOptions:
    """When the same code is one too many."""

    window_s: Annotated[float, Ge(0)] = 600.0
    """The person who was let in is a repeat for so long; 0: never."""
    most: Annotated[int, Gt(0)] = _MOST_REMEMBERED
    """How many keys are remembered at most of each way; the oldest are forgotten first."""


class AntiPassback:
    """Who was let in lately, by all lanes of a kiosk. In memory only, by 16 bytes for a holder or a code.

    `way` keeps those apart who came in and who went out: the two say nothing of each other.
    """

    def __init__(self, options: PassbackOptions) -> None:
        self._options = options
        self._seen: defaultdict[str, OrderedDict[bytes, float]] = defaultdict(OrderedDict)
        """Way → key → when, the oldest first: at an exit any text opens, and pushes out nobody who came in."""

    def is_repeat(self, way: str, keys: Iterable[bytes], at_s: float) -> bool:
        """Whether one of these let somebody through this way within the window before `at_s` (monotonic)."""
        times = map(self._seen[way].get, keys)
        return any(seen_s is not None and at_s - seen_s < self._options.window_s for seen_s in times)

    def admitted(self, way: str, keys: Iterable[bytes], at_s: float) -> None:
        """Remember that these have let somebody through; an empty key stands for nobody."""
        if self._options.window_s == 0:
            return
        seen = self._seen[way]
        for key in filter(None, keys):
            seen[key] = at_s
            seen.move_to_end(key)
        while len(seen) > self._options.most:
            seen.popitem(last=False)
        self.expire(at_s)

    def forget(self, way: str, keys: Iterable[bytes]) -> None:
        """These are no repeats this way any more."""
        for key in keys:
            self._seen[way].pop(key, None)

    def expire(self, at_s: float) -> None:
        """Let go of those whose window is over."""
        for seen in self._seen.values():
            while seen and at_s - next(iter(seen.values())) >= self._options.window_s:
                seen.popitem(last=False)

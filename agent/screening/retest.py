"""After an elevated reading: second reading, rest, second instrument. Pure; time is an argument.

Each attempt is an event of its own, and none is changed afterwards. A person is known by the keys of
all that was shown together, 16 bytes each and in memory only: who shows less the next time is still at the same
attempt.

| attempt | is | afterwards |
|---|---|---|
| 1 | the reading | elevated: `second_reading`, at once |
| 2 | elevated, or the mean of both is, each against its own limit, or calibrated between | elevated: `rest` |
| 3, before the rest is over | no better than RETEST | `rest` |
| 3, after it | the reading alone | elevated: `clinical_reading` |
| 4 and more | no better than RETEST: a person decides, with another instrument | `clinical_reading` |
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.model import Screening, Temperature
from agent.model.lazy import dataclass
from agent.screening.calibration import JudgedBy

if TYPE_CHECKING:
    from collections.abc import Collection

    from agent.model import NextStep
    from agent.screening.options import Options

MOST_HOLDERS = 3000
_AGAIN, _RESTED, _INSTRUMENT = 2, 3, 4


@dataclass(frozen=True, slots=True)
class _Episode:
    """What one holder's readings gave so far: elevated so many times."""

    elevated: int
    excess_c: float
    """Last reading above its limit by so much."""
    at_s: float
    judged_by: object = None


class Retests:
    """The people whose last reading was elevated, each by all keys that stand for one. Owned by one thread."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._episodes: dict[bytes, _Episode] = {}

    def next_step(self, keys: Collection[bytes], temperature: Temperature, at_s: float) -> Temperature:
        """`temperature` in the light of the person's earlier ones; changes nothing here."""
        episode = self._current(keys, at_s)
        if temperature.outcome not in (Screening.NORMAL, Screening.ELEVATED):
            return temperature
        attempt = 1 if episode is None else episode.elevated + 1
        outcome: Screening = temperature.outcome
        why = ""
        if episode is not None and attempt == _AGAIN:
            before = episode.judged_by
            calibrated = isinstance(before, JudgedBy) and before.differs(temperature.judged_by)
            mean = episode.excess_c + _excess_c(temperature) >= 0
            both = outcome is Screening.ELEVATED or calibrated or mean
            outcome, why = (Screening.ELEVATED if both else Screening.NORMAL), "mean_of_two"
        elif episode is not None and outcome is Screening.NORMAL:
            if attempt == _RESTED and at_s - episode.at_s < self._options.retest_wait_s:
                outcome, why = Screening.RETEST, "rest_not_over"
            elif attempt >= _INSTRUMENT:
                outcome, why = Screening.RETEST, "clinical_decides"
        return replace(
            temperature, outcome=outcome, reason=why, attempt=attempt, next_step=_then(outcome, attempt, why)
        )

    def record(self, keys: Collection[bytes], temperature: Temperature, at_s: float) -> None:
        """The attempt is over and has become an event with this temperature."""
        if temperature.outcome is Screening.NORMAL:
            self.restart(keys)
        if temperature.outcome is not Screening.ELEVATED:
            return
        elevated = temperature.attempt - 1 if self._is_early(keys, at_s) else temperature.attempt
        self.restart(keys)
        for each in keys:
            self._episodes[each] = _Episode(elevated, _excess_c(temperature), at_s, temperature.judged_by)
        while len(self._episodes) > MOST_HOLDERS:
            del self._episodes[next(iter(self._episodes))]

    def rest_left_s(self, keys: Collection[bytes], at_s: float) -> float:
        """How long this person is still to rest; none is owed before a second elevated reading."""
        episode = self._current(keys, at_s)
        if episode is None or episode.elevated < _AGAIN:
            return 0.0
        return max(0.0, episode.at_s + self._options.retest_wait_s - at_s)

    def restart(self, keys: Collection[bytes]) -> None:
        """Forget the readings of this person."""
        for each in keys:
            self._episodes.pop(each, None)

    def expire(self, at_s: float) -> None:
        """Let go of the holders whose last reading was too long ago to count."""
        for holder in list(self._episodes):  # the one that was settled first comes first
            if self._current((holder,), at_s) is not None:
                break
            del self._episodes[holder]

    def _current(self, keys: Collection[bytes], at_s: float) -> _Episode | None:
        """That which has come furthest of those that still count."""
        known = [self._episodes[each] for each in keys if each in self._episodes]
        fresh = [each for each in known if at_s - each.at_s <= self._options.retest_memory_s]
        return max(fresh, key=lambda each: (each.elevated, each.at_s), default=None)

    def _is_early(self, keys: Collection[bytes], at_s: float) -> bool:
        """Elevated again before the rest was over: that was no third reading, and the rest starts over."""
        episode = self._current(keys, at_s)
        return (
            episode is not None and episode.elevated == _AGAIN and at_s - episode.at_s < self._options.retest_wait_s
        )


def _then(outcome: Screening, attempt: int, why: str) -> NextStep:
    if outcome is Screening.NORMAL:
        return ""
    if why == "rest_not_over":
        return "rest"
    steps: dict[int, NextStep] = {1: "second_reading", _AGAIN: "rest"}
    return steps.get(attempt, "clinical_reading")


def _excess_c(temperature: Temperature) -> float:
    value = temperature.surface_c if temperature.estimate_c is None else temperature.estimate_c
    return (value or 0.0) - (temperature.threshold_c or 0.0)

"""Where a limit must lie so that a given share of the people without fever stays below it. Pure.

A counted limit depends on the dozen hottest of a few hundred people, so it differs by a tenth of a degree from one
half of the people to the other. A second estimate uses all of them: a person's skin temperature is what the body
temperature predicts, plus a deviation. It combines every body temperature with every deviation, and counts the
share among these n² people. It is steadier, but a little wrong where the deviations of warm bodies are different.
The limit is the mean of both. `docs/screening.md` has the figures.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

STEP_C = 0.001
"""A limit is told in steps of this."""


def choose(well: Sequence[tuple[float, float]], rise: float, specificity: float) -> float:
    """The limit, in thousandths; `well`: of each person without a fever the temperature here and the reference;
    `rise`: °C here per °C of reference.
    """
    return _up((empirical([here for here, _ in well], specificity) + smeared(well, rise, specificity)) / 2)


def empirical(values: Sequence[float], specificity: float) -> float:
    """The lowest limit below which the next value lies with this probability, whatever the values are like."""
    ordered = sorted(values)
    rank = min(math.ceil((len(ordered) + 1) * specificity), len(ordered))
    return _up(ordered[rank - 1])


def smeared(well: Sequence[tuple[float, float]], rise: float, specificity: float) -> float:
    """The lowest limit below which this share lies of every person's body with every person's scatter."""
    bodies = [rise * reference for _, reference in well]
    scatters = sorted(here - body for (here, _), body in zip(well, bodies, strict=True))
    wanted = specificity * len(well) ** 2
    low, high = min(bodies) + scatters[0], max(bodies) + scatters[-1] + STEP_C
    while high - low > STEP_C:
        middle = (low + high) / 2
        if sum(bisect_left(scatters, middle - body) for body in bodies) < wanted:
            low = middle
        else:
            high = middle
    return _up(high)


def _up(value: float) -> float:
    """The next step above."""
    return math.floor(value / STEP_C + 1) * STEP_C

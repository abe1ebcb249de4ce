"""The names of the pipeline's steps in the order that reads most for its cost; no library, so that a config can.

What each does stands in `steps`. The order was measured on real photographs: what reads most of what the steps
before it leave, for its CPU time, comes first.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HUNT = "hunt"
"""The search for codes that no decoder reads (`hunt`). It takes the budgets of many frames."""

NEURAL = "neural"
"""The reader in a process of its own, where there is one (`neural`)."""

CHEAP = ("half", "full")
"""Taken on every frame in which something moved."""

HARD = (
    "half-gamma-down",
    "histogram",
    "gamma-up",
    "quarter",
    "erode",
    "zbar-third",
    NEURAL,
    HUNT,
    "adaptive-wide",
    "adaptive",
    "half-unsharp",
    "median",
    "erode-wide",
    "soften",
    "zbar-half",
    "gamma-down",
    "third",
    "level",
    "unsharp",
    "soften-wide",
    "double",
)
"""Taken in this order, as many a frame as the budget allows, for as long as nothing is read."""

ALL = CHEAP + HARD


def check(names: Sequence[str]) -> None:
    """Raises ValueError with one sentence when `names` is no order of steps, each at most once."""
    if not names:
        raise ValueError(f"steps is empty: name at least {CHEAP[0]!r}")
    for place, name in enumerate(names):
        if name not in ALL:
            near = difflib.get_close_matches(name, ALL, 1, cutoff=0.0)
            raise ValueError(f"there is no step {name!r}; did you mean {near[0]!r}?")
        if name in names[:place]:
            raise ValueError(f"the step {name!r} stands twice in the order")

"""Durations, counted in a few classes: a Prometheus histogram. Pure."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Histogram:
    """Counts of durations. One thread adds; any thread may read, and be one behind."""

    def __init__(self, bounds_s: tuple[float, ...] = BOUNDS_S) -> None:
        """`bounds_s`: the highest duration of each class, rising; longer ones are counted in a last class."""
        self.bounds_s = bounds_s
        self.sum_s = 0.0
        self._counts = [0] * (len(bounds_s) + 1)

    def add(self, seconds: float) -> None:
        """One more."""
        self._counts[bisect_left(self.bounds_s, seconds)] += 1
        self.sum_s += seconds

    def quantile_s(self, share: float) -> float | None:
        """The bound that this share of all does not exceed; None before the first, infinite beyond all."""
        counted = list(self.up_to())
        total = counted[-1][1]
        return next((bound for bound, count in counted if count >= share * total), None) if total else None

    def up_to(self) -> Iterator[tuple[float, int]]:
        """Each bound with the number of durations up to it; at last infinity with all of them."""
        return zip((*self.bounds_s, float("inf")), accumulate(list(self._counts)), strict=True)

"""The samples of one person before the thermometer → one temperature of the skin with its uncertainty. Pure.

A look counts when there are enough samples, when they lie together, and when they do not rise: a person who steps
up must not be measured half-way. One wild sample of five or more does not count (a blink, a lock of hair).
"""

from __future__ import annotations

import math
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING

from agent.model.lazy import dataclass
from agent.screening.options import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.screening.options import Options
    from drivers.contract import Reading

_ENOUGH_TO_TRIM = 5
_PEAK = 0.9
"""Share of the samples below the peak: the very highest is as often noise as skin."""


@dataclass(frozen=True, slots=True)
class WindowEstimate:
    """What the samples say."""

    samples: int
    surface_c: float | None = None
    """None: too few samples."""
    u_c: float = 0.0
    """Expanded uncertainty, k = 2: the device's, and the scatter of the samples."""
    device_u_c: float = 0.0
    """The device's alone."""
    steady: bool = False
    simulated: bool = False


def estimate(readings: Sequence[Reading], options: Options) -> WindowEstimate:
    """The look that `readings` (oldest first) make."""
    simulated = any(reading.simulated for reading in readings)
    if len(readings) < options.samples:
        return WindowEstimate(len(readings), simulated=simulated)
    values = [reading.surface_c for reading in readings]
    kept = _without_extremes(values)
    surface_c = median(kept) if options.estimate is Estimate.MEDIAN else kept[math.ceil(_PEAK * len(kept)) - 1]
    scatter_u_c = 2 * (stdev(kept) if len(kept) > 1 else 0.0) / math.sqrt(len(kept))
    device_u_c = max(reading.u_c for reading in readings)
    return WindowEstimate(
        len(readings),
        surface_c=surface_c,
        u_c=math.hypot(device_u_c, scatter_u_c),
        device_u_c=device_u_c,
        steady=kept[-1] - kept[0] <= options.spread_c and _rise_c(values) <= options.rise_c,
        simulated=simulated,
    )


def _rise_c(values: list[float]) -> float:
    """By how much the later half is warmer than the earlier one."""
    half = len(values) // 2
    return fmean(values[-half:]) - fmean(values[:half])


def _without_extremes(values: list[float]) -> list[float]:
    """Sorted; of five or more, the lowest and the highest are left out."""
    ordered = sorted(values)
    return ordered[1:-1] if len(ordered) >= _ENOUGH_TO_TRIM else ordered

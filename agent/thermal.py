"""Readings of one person → a temperature with its uncertainty, and a screening outcome. Pure.

Nothing is converted into a "body temperature": without a site calibration the skin is compared on the skin scale,
and the event says so. What cannot be told is INDETERMINATE or RETEST, never NORMAL.

Sources for the defaults: skin limit 35.6 °C at the forehead (Ng 2005); healthy foreheads indoors average 34.4 °C
with a standard deviation of 0.6 °C at 23 °C ambient, so below 33.0 °C the skin is cold, or the aim is off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt

from agent.model import Screening, Temperature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.contract import Reading


@dataclass(frozen=True, slots=True)
class Options:
    """How readings are judged. All temperatures are of the skin, as measured, in °C."""

    presence_c: float = 30.0
    """A surface warmer than this is a person; must lie above the warmest background of the spot."""
    cold_c: float = 33.0
    """Below this the skin is too cold, or the aim or distance is wrong: no outcome, staff looks."""
    elevated_c: float = 35.6
    """From here on the temperature is elevated."""
    hot_c: float = 43.0
    """Above this it is no skin (a cup, a lamp): no outcome."""
    samples: Annotated[int, Ge(2)] = 5
    """Samples needed before a temperature is given."""
    window_s: Annotated[float, Gt(0)] = 2.0
    """Samples older than this are not of the same look, seconds."""
    spread_c: Annotated[float, Gt(0)] = 0.5
    """Samples of one look that differ by more than this ask for another look, °C."""
    rise_c: Annotated[float, Gt(0)] = 0.25
    """When the later half of the samples is warmer by more than this, the person is still coming closer, °C."""

    def __post_init__(self) -> None:
        """The four limits must stand in order."""
        if not self.presence_c <= self.cold_c < self.elevated_c < self.hot_c:
            raise ValueError("presence_c ≤ cold_c < elevated_c < hot_c must hold")


def screen(readings: Sequence[Reading], options: Options) -> Temperature:
    """The temperature of one person from the samples of one look, oldest first."""
    if len(readings) < options.samples:
        return Temperature(Screening.INDETERMINATE, samples=len(readings), limit_c=options.elevated_c)
    values = [reading.surface_c for reading in readings]
    kept = _without_extremes(values)
    surface_c = median(kept)
    device_u_c = max(reading.u_c for reading in readings)
    scatter_u_c = 2 * _deviation(kept) / math.sqrt(len(kept))
    return Temperature(
        _outcome(surface_c, options) if _settled(values, kept, options) else Screening.RETEST,
        surface_c=round(surface_c, 2),
        u_c=round(math.hypot(device_u_c, scatter_u_c), 2),
        samples=len(readings),
        limit_c=options.elevated_c,
    )


def fault() -> Temperature:
    """What is known of a person's temperature when the thermometer is down."""
    return Temperature(Screening.DEVICE_FAULT)


def _outcome(surface_c: float, options: Options) -> Screening:
    if not options.cold_c <= surface_c <= options.hot_c:
        return Screening.INDETERMINATE
    return Screening.ELEVATED if surface_c >= options.elevated_c else Screening.NORMAL


def _settled(values: list[float], kept: list[float], options: Options) -> bool:
    """Flat within `spread_c`, and not rising: a person who steps up must not be measured half-way."""
    half = len(values) // 2
    rise_c = _mean(values[-half:]) - _mean(values[:half])
    return kept[-1] - kept[0] <= options.spread_c and rise_c <= options.rise_c


def _without_extremes(values: list[float]) -> list[float]:
    """Sorted; of five or more, the lowest and the highest are left out (a blink, a lock of hair)."""
    ordered = sorted(values)
    return ordered[1:-1] if len(ordered) >= 5 else ordered  # noqa: PLR2004 - stated above


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _deviation(values: list[float]) -> float:
    mean = _mean(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1))

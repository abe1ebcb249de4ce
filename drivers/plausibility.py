"""Whether a temperature is plausible: within the part's range, and not frozen. Pure."""

from __future__ import annotations

import math
from typing import Generic, TypeVar

T = TypeVar("T")

ZERO_K = 273.15

FROZEN_S = 60.0
"""A real sensor's last digit moves with its noise; raw values that stay the same to the bit for a minute come from
a hung converter or a module that repeats its last frame, and would screen everyone as the last person."""


class FreezeDetector(Generic[T]):
    """Tells a living source from one that repeats itself."""

    def __init__(self, frozen_s: float) -> None:
        """`frozen_s`: 0 turns the check off."""
        self._frozen_s = frozen_s
        self._last: T | None = None
        self._since_s = 0.0

    def is_frozen(self, raw: T, at_s: float) -> bool:
        """True when `raw` (object and sensor value together) has not changed for `frozen_s`."""
        if raw != self._last:
            self._last, self._since_s = raw, at_s
            return False
        return 0 < self._frozen_s <= at_s - self._since_s

    def reset(self) -> None:
        """Start again, as after opening."""
        self._last = None


def radiometric_c(seen_c: float, emissivity: float, surroundings_c: float) -> float:
    """The surface's own temperature, when `seen_c` is what a black body would have to be to look the same.

    Stefan and Boltzmann: seen⁴ = emissivity · surface⁴ + (1 - emissivity) · surroundings⁴, in kelvin.
    """
    if emissivity >= 1:
        return seen_c
    seen, around = (seen_c + ZERO_K) ** 4, (surroundings_c + ZERO_K) ** 4
    surface = max(0.0, (seen - (1 - emissivity) * around) / emissivity)
    return math.sqrt(math.sqrt(surface)) - ZERO_K

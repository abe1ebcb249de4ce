"""A code found in a picture: its bytes as coded, and where it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

from drivers.vision.text import text_of

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Code:
    """One decoded code."""

    payload: bytes
    """As coded, nothing stripped, nothing guessed."""
    corners: tuple[Point, Point, Point, Point]
    """Pixels of the picture given to the decoder: top left of the code, then around."""
    declared: str | None = None
    """The text, where the code itself declares its character set (ECI)."""
    step: str = ""
    """Which step of the pipeline read it."""
    modules: int = 0
    """Modules along a side; 0 when the decoder does not tell."""
    is_negative: bool = False
    """White on black, where the reader tells."""
    symbology: str = "qr"
    """As in `symbologies`."""
    is_guess: bool = False
    """Read with bytes left out as too doubtful, or by the neural reader: a second look has to agree."""

    def text(self) -> str:
        """The payload as text; see `text_of`."""
        return text_of(self.payload, self.declared)

    def area(self) -> float:
        """Square pixels within the corners."""
        total = 0.0
        for (x0, y0), (x1, y1) in zip(self.corners, self.corners[1:] + self.corners[:1], strict=True):
            total += x0 * y1 - x1 * y0
        return abs(total) / 2

    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom, pixels."""
        xs, ys = [x for x, _ in self.corners], [y for _, y in self.corners]
        return min(xs), min(ys), max(xs), max(ys)

    def side(self) -> float:
        """Mean length of a side, pixels."""
        ends = zip(self.corners, self.corners[1:] + self.corners[:1], strict=True)
        return sum(math.dist(a, b) for a, b in ends) / 4

    def moved(self, scale: float, left: float = 0.0, top: float = 0.0, step: str | None = None) -> Code:
        """The same code in a picture of which this one was a part: multiplied by `scale`, then shifted."""
        a, b, c, d = [(x * scale + left, y * scale + top) for x, y in self.corners]
        return replace(self, corners=(a, b, c, d), step=self.step if step is None else step)

"""The steps of the pipeline: each a small pure function, picture → codes. The configuration can order them by name
(`steps_order`).

What each is for was measured on real photographs: `half` alone reads most of what can be read, at a quarter of the
cost of the full picture, and removes the moiré of screens.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from drivers.vision import decoders
from drivers.vision.opencv import Picture, cv2

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.vision.code import Code

Step: TypeAlias = "Callable[[Picture], list[Code]]"

LARGEST_PX = 12_000_000
SMALLEST_PX = 21
"""Below this no QR code fits, at a pixel a module."""


def scaled(picture: Picture, factor: float) -> Picture:
    """The picture with its sides times `factor`."""
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=way)


def bounded(picture: Picture) -> Picture:
    """The picture itself, or a smaller one when it has more than 12 megapixels."""
    if picture.size <= LARGEST_PX:
        return picture
    factor = (LARGEST_PX / picture.size) ** 0.5
    size = tuple(max(1, int(side * factor)) for side in picture.shape[::-1])
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def gamma(picture: Picture, power: float) -> Picture:
    """Below 1 opens the shadows, above 1 brings back what is nearly burnt out."""
    return cv2.LUT(picture, _curve(power))


@lru_cache(maxsize=8)
def _curve(power: float) -> Picture:
    return (np.linspace(0, 1, 256) ** power * 255).astype(np.uint8)


def adaptive(picture: Picture, window_px: int) -> Picture:
    """Black and white against the mean of the neighbourhood."""
    return cv2.adaptiveThreshold(picture, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, window_px | 1, 4)


def eroded(picture: Picture) -> Picture:
    """Black grows by a pixel: joins modules drawn as dots, or broken by cracks."""
    return cv2.erode(picture, np.ones((3, 3), np.uint8))


def sharpened(picture: Picture, sigma_px: float, amount: float) -> Picture:
    """Unsharp mask: against defocus."""
    return cv2.addWeighted(picture, 1 + amount, cv2.GaussianBlur(picture, (0, 0), sigma_px), -amount, 0)


def softened(picture: Picture, sigma_px: float) -> Picture:
    """Against noise and moiré."""
    return cv2.GaussianBlur(picture, (0, 0), sigma_px)


def levelled(picture: Picture, tiles: int) -> Picture:
    """Contrast-limited local equalisation: against shadows and low light."""
    return cv2.createCLAHE(3.0, (tiles, tiles)).apply(picture)


def _plain(change: Callable[[Picture], Picture], *, histogram: bool = False) -> Step:
    """A step that changes the picture, not its size."""

    def step(picture: Picture) -> list[Code]:
        return decoders.first(change(picture), histogram=histogram)

    return step


def _at_scale(factor: float, change: Callable[[Picture], Picture] | None = None, *, wide: bool = False) -> Step:
    """A step on the picture with its sides times `factor`, changed after that."""

    def step(picture: Picture) -> list[Code]:
        if min(picture.shape) * factor < SMALLEST_PX:
            return []
        view = scaled(picture, factor)
        codes = decoders.first(change(view) if change else view, wide=wide)
        return [code.moved(1 / factor) for code in codes]

    return step


def _second_at_scale(factor: float) -> Step:
    def step(picture: Picture) -> list[Code]:
        if min(picture.shape) * factor < SMALLEST_PX:
            return []
        return [code.moved(1 / factor) for code in decoders.second(scaled(picture, factor))]

    return step


def _doubled(picture: Picture) -> list[Code]:
    """For far and dense codes; only where it does not make a giant of the picture."""
    return _at_scale(2.0)(picture) if picture.size < _DOUBLE_UP_TO_PX else []


def _full(picture: Picture) -> list[Code]:
    return decoders.first(picture, wide=True)


_DOUBLE_UP_TO_PX = 3_000_000

STEPS: dict[str, Step] = {
    "half": _at_scale(0.5),
    "full": _full,
    "histogram": lambda picture: decoders.first(picture, histogram=True),
    "half-gamma-down": _at_scale(0.5, lambda picture: gamma(picture, 3.0)),
    "gamma-up": _plain(lambda picture: gamma(picture, 0.4)),
    "gamma-down": _plain(lambda picture: gamma(picture, 3.0)),
    "quarter": _at_scale(0.25),
    "third": _at_scale(1 / 3),
    "erode": _plain(eroded),
    "erode-wide": lambda picture: decoders.first(eroded(picture), wide=True),
    "adaptive": _plain(lambda picture: adaptive(picture, 31)),
    "adaptive-wide": _plain(lambda picture: adaptive(picture, 121)),
    "half-unsharp": _at_scale(0.5, lambda picture: sharpened(picture, 2.0, 1.5)),
    "unsharp": _plain(lambda picture: sharpened(picture, 3.0, 1.5)),
    "median": _plain(lambda picture: cv2.medianBlur(picture, 5)),
    "soften": _plain(lambda picture: softened(picture, 1.0)),
    "soften-wide": lambda picture: decoders.first(softened(picture, 1.0), wide=True),
    "level": _plain(lambda picture: levelled(picture, 16)),
    "double": _doubled,
    "zbar-third": _second_at_scale(1 / 3),
    "zbar-half": _second_at_scale(0.5),
}
"""Every step by its name."""

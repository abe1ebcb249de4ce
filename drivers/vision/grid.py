"""From three finder patterns to the gray value of every module: the grid, pulled straight and bent to the paper.

The plane is fitted on all that is known beforehand (finders, timing, alignment patterns): their black and
white is compared with the picture while the corners are moved. What a plane cannot follow (cloth, bottles, folds) is
followed locally: a grid that sits right reads clear black and white, one that is off reads the gray of the edges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from drivers.vision import symbol
from drivers.vision.opencv import Picture, cv2

if TYPE_CHECKING:
    import numpy.typing as npt

    from drivers.vision.finders import Finder

PX = 6
"""Pixels a module in the picture pulled straight."""
_MARGIN = 1
"""Modules around the symbol that are kept there, so that the grid can be bent outwards."""
_BEND_MODULES = 0.75
_BEND_STEPS = 4
_BLUR_MODULES = 0.3
_COARSE = np.array([(right, down) for down in range(-4, 5) for right in range(-4, 5)]) * 0.05
"""Where the fourth corner is sought at first, in sides of the code around the parallelogram's corner."""
_REACH = 0.22
_FINE_MODULES = 0.7
"""Then so far and in such steps, by the alignment and timing patterns, which a coarser search would jump over."""
_TRUST = 0.35
"""Fit (-1 to 1) below which there is no code of this version."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Where a symbol lies: the homography from modules to pixels, and how well the known modules fit (-1 to 1)."""

    version: int
    to_picture: npt.NDArray[np.float64]
    fit: float

    def corners(self) -> tuple[tuple[float, float], ...]:
        """The symbol's corners in pixels, top left of the code first."""
        side = float(symbol.side_of(self.version))
        ends = np.array([[[0, 0], [side, 0], [side, side], [0, side]]], np.float64)
        return tuple((float(x), float(y)) for x, y in cv2.perspectiveTransform(ends, self.to_picture)[0])


def planes(picture: Picture, three: tuple[Finder, Finder, Finder], most: int = 2) -> list[Plane]:
    """The planes on which the three may be the finders of a code, best first."""
    module_px = sum(finder.module_px for finder in three) / 3
    even = _evened(picture, module_px)
    corner, right, down = (np.array([finder.x, finder.y]) for finder in three)
    rough = []
    for version in _versions(three, module_px):
        fourths = right + down - corner + _COARSE @ np.array([right - corner, down - corner])
        far = symbol.side_of(version) - 3.5
        best = max(
            (_fit(even, version, to_picture), at)
            for at, fourth in enumerate(fourths)
            if (to_picture := _spanned(far, np.array([corner, right, fourth, down]))) is not None
        )
        rough.append((*best, version, fourths[best[1]]))
    rough.sort(key=lambda each: -each[0])
    found = []
    for fit, _, version, fourth in rough[:most]:
        if fit > 0.5 * _TRUST:
            corners = _with_fourth(even, version, np.array([corner, right, fourth, down]))
            plane = _fitted(even, version, corners)
            if plane.fit > _TRUST:
                found.append(plane)
    return sorted(found, key=lambda plane: -plane.fit)


def straightened(picture: Picture, plane: Plane) -> Picture:
    """The symbol as float32, PX pixels a module, with a margin of one module on each side."""
    side = (symbol.side_of(plane.version) + 2 * _MARGIN) * PX
    shrink = np.array([[1 / PX, 0, 0.5 / PX - _MARGIN], [0, 1 / PX, 0.5 / PX - _MARGIN], [0, 0, 1]])
    shift = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    matrix = shift @ plane.to_picture @ shrink
    straight = cv2.warpPerspective(picture, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return straight.astype(np.float32)


def cells(straight: Picture, bend: tuple[Picture, Picture] | None = None) -> Picture:
    """The mean gray of the middle of every module, float32; `bend`: the shift of each, right and down, modules."""
    smooth = cv2.blur(straight, (PX - 2, PX - 2))
    side = len(straight) // PX - 2 * _MARGIN
    middle = (np.arange(side, dtype=np.float32) + _MARGIN + 0.5) * PX - 0.5
    columns, rows = np.meshgrid(middle, middle)
    if bend is not None:
        columns, rows = columns + bend[0] * PX, rows + bend[1] * PX
    return cv2.remap(smooth, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def bent(straight: Picture) -> tuple[Picture, Picture]:
    """How far to shift the grid at each module, right and down, so that modules read clear black or white."""
    side = len(straight) // PX - 2 * _MARGIN
    steps = np.linspace(-_BEND_MODULES, _BEND_MODULES, 2 * _BEND_STEPS + 1)
    window = max(5, min(11, side // 4)) | 1
    smooth = cv2.blur(straight, (PX - 2, PX - 2))
    local = cv2.blur(smooth, (7 * PX, 7 * PX))
    contrast = np.abs(smooth - local)
    middle = (np.arange(side, dtype=np.float32) + _MARGIN + 0.5) * PX - 0.5
    columns, rows = np.meshgrid(middle, middle)
    clear = np.empty((len(steps), len(steps), side, side), np.float32)
    for i, down in enumerate(steps):
        for j, right in enumerate(steps):
            at = cv2.remap(
                contrast, columns + np.float32(right * PX), rows + np.float32(down * PX), cv2.INTER_LINEAR
            )
            clear[i, j] = cv2.blur(at, (window, window)) * (1 - 0.05 * (right * right + down * down))
    flat = clear.reshape(-1, side, side)
    weight = flat - flat.min(axis=0)
    weight = (weight / np.maximum(weight.max(axis=0), 1e-6)) ** 12
    total = weight.sum(axis=0)
    right = (weight.reshape(clear.shape) * steps[None, :, None, None]).sum(axis=(0, 1)) / total
    down = (weight.reshape(clear.shape) * steps[:, None, None, None]).sum(axis=(0, 1)) / total
    sigma = window / 3
    return (
        cv2.GaussianBlur(right.astype(np.float32), (0, 0), sigma),
        cv2.GaussianBlur(down.astype(np.float32), (0, 0), sigma),
    )


def _versions(three: tuple[Finder, Finder, Finder], module_px: float) -> range:
    corner, right, down = three
    apart = (
        math.dist((corner.x, corner.y), (right.x, right.y)) + math.dist((corner.x, corner.y), (down.x, down.y))
    ) / 2
    guess = (apart / module_px + 7 - 17) / 4
    slack = 1 + 0.15 * guess
    first = max(symbol.LOWEST, math.floor(guess - slack + 0.5))
    return range(first, max(first, min(symbol.HIGHEST, math.ceil(guess + slack - 0.5))) + 1)


def _evened(picture: Picture, module_px: float) -> Picture:
    """Black and white about zero, light and shade taken out: float32, mostly within -1 (black) to 1."""
    gray = cv2.GaussianBlur(picture, (0, 0), max(0.5, _BLUR_MODULES * module_px)).astype(np.float32)
    window = int(9 * module_px) | 1
    mean = cv2.blur(gray, (window, window))
    spread = np.sqrt(np.maximum(cv2.blur(gray * gray, (window, window)) - mean * mean, 0))
    even: Picture = np.clip((gray - mean) / (spread + 4), -1.5, 1.5)
    return even


_known: dict[int, tuple[Picture, Picture]] = {}


def _signs(version: int) -> tuple[Picture, Picture]:
    """Middles (n, 1, 2) of the known modules, column first, and -1 for black, 1 for white."""
    if version not in _known:
        shape = symbol.anatomy(version)
        rows, columns = np.nonzero(shape.known)
        points = np.stack([columns + 0.5, rows + 0.5], axis=-1)[:, None, :]
        _known[version] = points, np.where(shape.black[rows, columns], -1, 1).astype(np.float32)
    return _known[version]


def _fit(even: Picture, version: int, to_picture: npt.NDArray[np.float64]) -> float:
    points, signs = _signs(version)
    at = cv2.perspectiveTransform(points, to_picture) - 0.5
    columns, rows = at[:, :, 0].astype(np.float32), at[:, :, 1].astype(np.float32)
    values = cv2.remap(even, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return float(values.ravel() @ signs) / len(signs)


def _spanned(far: float, corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    """The homography from the finders' middles and the fourth point to these pixels; None when folded over."""
    near = 3.5
    ends = np.array([[near, near], [far, near], [far, far], [near, far]], np.float32)
    if not cv2.isContourConvex(corners.astype(np.float32)):
        return None
    return cv2.getPerspectiveTransform(ends, corners.astype(np.float32)).astype(np.float64)


def _with_fourth(even: Picture, version: int, corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The corners with the fourth where alignment and timing patterns fit best."""
    corner, right, fourth, down = corners
    far = symbol.side_of(version) - 3.5
    step = _FINE_MODULES / (far - 3.5)
    count = int(_REACH / step)
    best, best_fit = fourth, -1.0
    for i in range(-count, count + 1):
        for j in range(-count, count + 1):
            moved = right + down - corner + (right - corner) * i * step + (down - corner) * j * step
            spanned = _spanned(far, np.array([corner, right, moved, down]))
            if spanned is not None and (fit := _fit(even, version, spanned)) > best_fit:
                best, best_fit = moved, fit
    return np.array([corner, right, best, down])


def _fitted(even: Picture, version: int, corners: npt.NDArray[np.float64]) -> Plane:
    """Moves the corners, one coordinate at a time in ever smaller steps, to where the known modules fit best."""
    far = symbol.side_of(version) - 3.5
    module_px = float(np.linalg.norm(corners[1] - corners[0])) / (far - 3.5)
    spanned = _spanned(far, corners)
    best = _fit(even, version, spanned) if spanned is not None else -1.0
    for step in (2.0, 1.0, 0.5, 0.25, 0.12):
        for _ in range(2):
            before = best
            for at in (5, 4, 7, 6, 3, 2, 1, 0):
                for change in (-step, step):
                    moved = corners.copy()
                    moved.flat[at] += change * module_px
                    tried = _spanned(far, moved)
                    if tried is not None and (fit := _fit(even, version, tried)) > best:
                        best, corners, spanned = fit, moved, tried
            if best - before < 1e-4:  # noqa: PLR2004 - nothing more to gain at this step
                break
    return Plane(version, spanned if spanned is not None else np.eye(3), best)

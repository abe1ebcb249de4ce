"""From three finder patterns to the gray value of every module: the grid, pulled straight and bent to the paper.

The plane is fitted on all that is known beforehand (finders, timing, alignment patterns): their black and
white is compared with the picture while the corners are moved. What a plane cannot follow (cloth, bottles, folds)
is followed locally: a grid that sits right reads clear black and white, one that is off the gray of the edges.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from drivers.vision import symbol
from drivers.vision.opencv import Picture, cv2

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from drivers.vision.finders import Finder

Quads: TypeAlias = "npt.NDArray[np.float64]"
"""Points in pixels, (..., 2)."""

Bend: TypeAlias = "tuple[Picture, Picture]"
"""How far the grid is shifted at each module, right and down, in modules: float32, (side, side)."""

PX = 6
"""Pixels a module in the picture pulled straight."""
_MARGIN = 1
"""Modules around the symbol that are kept there, so that the grid can be bent outwards."""
_BEND_MODULES = 0.75
_BEND_STEPS = 4
_BLUR_MODULES = 0.3
_COARSE = np.array([(right, down) for down in range(-4, 5) for right in range(-4, 5)]) * 0.05
"""Where the fourth corner is sought at first, in sides of the code around the parallelogram's corner."""
_FLAT = np.array([(0.0, 0.0), (-0.08, -0.08), (0.08, 0.08)])
_FLAT_PX = 2.0
"""About so many pixels of a module are enough to rank threes: larger views are shrunk for it."""
_REACH = 0.22
_FINE_MODULES = 0.7
"""Then so far and in such steps: a coarser search would jump over the alignment and timing patterns."""
_TINY = 1e-9
_KNOWN_WEIGHT = 2.0
_BATCH = 128
_MOVES = 5
_TRUST = 0.35
"""Fit (-1 to 1) below which there is no code of this version."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Where a symbol lies: the homography from modules to pixels, and how well the known modules fit (-1 to 1)."""

    version: int
    to_picture: npt.NDArray[np.float64]
    fit: float

    def moved(self, matrix: npt.NDArray[np.float64]) -> Plane:
        """The same plane in another picture, to which `matrix` leads."""
        return Plane(self.version, matrix @ self.to_picture, self.fit)

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
    tries = _with_fourths(np.array([corner, right, down]), _COARSE)
    versions = _versions(three, module_px)
    fits = _fits(even, versions, tries)
    rough = [(float(fits[at].max()), version, tries[fits[at].argmax()]) for at, version in enumerate(versions)]
    rough.sort(key=lambda each: -each[0])
    found = []
    for fit, version, corners in rough[:most]:
        if fit > 0.5 * _TRUST:
            plane = _fitted(even, version, corners)
            if plane.fit > _TRUST:
                found.append(plane)
    return sorted(found, key=lambda plane: -plane.fit)


def fits_flat(picture: Picture, threes: Sequence[tuple[Finder, Finder, Finder]]) -> list[float]:
    """How much of a code can be seen between each three when it is taken to lie flat (-1 to 1)."""
    if not threes:
        return []
    sizes_px = [sum(finder.module_px for finder in three) / 3 for three in threes]
    octaves = [round(math.log2(module_px)) for module_px in sizes_px]
    scales = {octave: min(1.0, _FLAT_PX / 2.0**octave) for octave in octaves}
    evened = {octave: _evened(_shrunk(picture, scale), scale * 2.0**octave) for octave, scale in scales.items()}
    flat = [
        scales[octave] * _with_fourths(np.array([[finder.x, finder.y] for finder in three]), _FLAT)
        for octave, three in zip(octaves, threes, strict=True)
    ]
    homographies = _from_unit(np.concatenate(flat)).reshape(len(threes), -1, 3, 3)
    views = zip(threes, sizes_px, octaves, homographies, strict=True)
    return [
        float(_fits_of(evened[octave], _versions(three, module_px), places).max())
        for three, module_px, octave, places in views
    ]


def _shrunk(picture: Picture, scale: float) -> Picture:
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture


def straightened(picture: Picture, plane: Plane) -> Picture:
    """The symbol as float32, PX pixels a module, with a margin of one module on each side."""
    side = (symbol.side_of(plane.version) + 2 * _MARGIN) * PX
    shrink = np.array([[1 / PX, 0, 0.5 / PX - _MARGIN], [0, 1 / PX, 0.5 / PX - _MARGIN], [0, 0, 1]])
    shift = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    matrix = shift @ plane.to_picture @ shrink
    straight = cv2.warpPerspective(picture, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return straight.astype(np.float32)


def cells(straight: Picture, bend: Bend | None = None) -> Picture:
    """The mean gray of the middle of every module, float32 (side, side)."""
    return _sampled(cv2.blur(straight, (PX - 2, PX - 2)), *_middles(straight, bend))


def surroundings(straight: Picture, bend: Bend | None = None) -> Picture:
    """Gray at and around the middle of every module, in steps of half a module: float32 (25, side, side)."""
    smooth = cv2.blur(straight, (PX // 2, PX // 2))
    columns, rows = _middles(straight, bend)
    steps = [np.float32(step * PX / 2) for step in range(-2, 3)]
    return np.stack([_sampled(smooth, columns + right, rows + down) for down in steps for right in steps])


def _middles(straight: Picture, bend: Bend | None) -> tuple[Picture, Picture]:
    """Columns and rows of the modules' middles in the straightened picture."""
    side = len(straight) // PX - 2 * _MARGIN
    middle = (np.arange(side, dtype=np.float32) + _MARGIN + 0.5) * PX - 0.5
    columns, rows = np.meshgrid(middle, middle)
    return (columns, rows) if bend is None else (columns + bend[0] * PX, rows + bend[1] * PX)


def _sampled(picture: Picture, columns: Picture, rows: Picture) -> Picture:
    values: Picture = cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return values


def bent(straight: Picture, start: Bend | None = None) -> Bend:
    """How far to shift the grid at each module, right and down, so that modules read clear black or white."""
    side = len(straight) // PX - 2 * _MARGIN
    steps = np.linspace(-_BEND_MODULES, _BEND_MODULES, 2 * _BEND_STEPS + 1)
    window = max(5, min(11, side // 4)) | 1
    smooth = cv2.blur(straight, (PX - 2, PX - 2))
    local = cv2.blur(smooth, (7 * PX, 7 * PX))
    contrast = smooth - local
    shape = symbol.anatomy((side - 17) // 4)
    wanted = np.where(shape.black, -_KNOWN_WEIGHT, _KNOWN_WEIGHT)
    columns, rows = _middles(straight, start)
    clear = np.empty((len(steps), len(steps), side, side), np.float32)
    for i, down in enumerate(steps):
        for j, right in enumerate(steps):
            moved = columns + np.float32(right * PX), rows + np.float32(down * PX)
            at = cv2.remap(contrast, *moved, cv2.INTER_LINEAR)
            at = np.where(shape.known, at * wanted, np.abs(at)).astype(np.float32)
            clear[i, j] = cv2.blur(at, (window, window)) * (1 - 0.05 * (right * right + down * down))
    flat = clear.reshape(-1, side, side)
    weight = flat - flat.min(axis=0)
    weight = (weight / np.maximum(weight.max(axis=0), 1e-6)) ** 12
    total = np.maximum(weight.sum(axis=0), _TINY)  # where all is flat no place is better than another
    right = (weight.reshape(clear.shape) * steps[None, :, None, None]).sum(axis=(0, 1)) / total
    down = (weight.reshape(clear.shape) * steps[:, None, None, None]).sum(axis=(0, 1)) / total
    sigma = window / 3
    shifts = [cv2.GaussianBlur(shift.astype(np.float32), (0, 0), sigma) for shift in (right, down)]
    return (shifts[0], shifts[1]) if start is None else (shifts[0] + start[0], shifts[1] + start[1])


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
    gray = cv2.GaussianBlur(picture, (0, 0), max(0.5, _BLUR_MODULES * module_px))
    window = int(9 * module_px) | 1
    mean = cv2.blur(gray.astype(np.float32), (window, window))
    spread: Picture = cv2.sqrBoxFilter(gray, cv2.CV_32F, (window, window))
    spread -= mean * mean
    np.sqrt(np.maximum(spread, 0, out=spread), out=spread)
    spread += 4
    even: Picture = np.subtract(
        gray, mean, out=mean
    )  # in place: memory for a whole picture costs more than the sums
    even /= spread
    np.clip(even, -1.5, 1.5, out=even)
    return even


@lru_cache(maxsize=symbol.HIGHEST)
def _signs(version: int) -> tuple[Picture, Picture]:
    """Middles (3, n) of the known modules, homogeneous, column first, where the finders and the fourth point are
    the corners of the unit square; and -1 for black, 1 for white, divided by n. Both float32.
    """
    shape = symbol.anatomy(version)
    rows, columns = np.nonzero(shape.known)
    points = _to_unit(version) @ np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
    signs = np.where(shape.black[rows, columns], -1.0, 1.0) / len(rows)
    return points.astype(np.float32), signs.astype(np.float32)


def _signs_of(versions: range) -> tuple[Picture, Picture, list[int]]:
    """The same of several versions side by side, and where each begins."""
    points, signs = zip(*map(_signs, versions), strict=True)
    begins = [0, *itertools.accumulate(len(each) for each in signs[:-1])]
    return np.concatenate(points, axis=1), np.concatenate(signs), begins


def _with_fourths(three: Quads, shares: Quads) -> Quads:
    """(k, 4, 2) corners in turn: the three, and between the last two where the parallelogram's corner is, shifted
    by each of the `shares` of its two sides.
    """
    corner, right, down = three
    fourths = right + down - corner + shares @ np.array([right - corner, down - corner])
    tries = np.empty((len(shares), 4, 2))
    tries[:, 0], tries[:, 1], tries[:, 2], tries[:, 3] = corner, right, fourths, down
    return tries


def _fits(even: Picture, versions: range, quads: Quads) -> Picture:
    """How well the known modules of each version fit (-1 to 1), for each of (k, 4, 2) places of finders and fourth
    point: (versions, k).
    """
    return _fits_of(even, versions, _from_unit(quads))


def _fits_of(even: Picture, versions: range, homographies: npt.NDArray[np.float64]) -> Picture:
    """The same for each of (k, 3, 3) homographies."""
    points, signs, begins = _signs_of(versions)
    x, y, w = places = homographies.astype(np.float32).transpose(1, 0, 2).reshape(3, -1, 3) @ points
    w[np.abs(w) < _TINY] = _TINY
    places[:2] /= w
    places[:2] -= 0.5
    values = cv2.remap(even, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    values *= signs
    fits: Picture = np.add.reduceat(values, begins, axis=1).T
    return fits


def _to_unit(version: int) -> npt.NDArray[np.float64]:
    """From modules to the unit square between the middles of the finders and the fourth point."""
    span = symbol.side_of(version) - 7.0
    return np.array([[1 / span, 0, -3.5 / span], [0, 1 / span, -3.5 / span], [0, 0, 1]])


def _from_unit(quads: Quads) -> npt.NDArray[np.float64]:
    """(k, 3, 3) homographies to pixels, by the places of the finders and of the fourth point.

    The unit square onto four points in closed form: Heckbert, Fundamentals of Texture Mapping (1989), 2.2.3.
    """
    first, second, third, fourth = np.moveaxis(quads, 1, 0)
    total = first - second + third - fourth
    ahead, beyond = second - third, fourth - third
    area = ahead[:, 0] * beyond[:, 1] - ahead[:, 1] * beyond[:, 0]
    area = np.where(np.abs(area) < _TINY, _TINY, area)
    g = (total[:, 0] * beyond[:, 1] - total[:, 1] * beyond[:, 0]) / area
    h = (ahead[:, 0] * total[:, 1] - ahead[:, 1] * total[:, 0]) / area
    from_unit = np.empty((len(quads), 3, 3))
    from_unit[:, :2, 0] = second - first + g[:, None] * second
    from_unit[:, :2, 1] = fourth - first + h[:, None] * fourth
    from_unit[:, :2, 2] = first
    from_unit[:, 2, 0], from_unit[:, 2, 1], from_unit[:, 2, 2] = g, h, 1
    return from_unit


def _fitted(even: Picture, version: int, corners: Quads) -> Plane:
    """Seeks the fourth corner in fine steps, then moves all corners in ever smaller ones, to the best fit."""
    side = symbol.side_of(version)
    reach = np.arange(-_REACH, _REACH, _FINE_MODULES / (side - 7))
    tries = _with_fourths(corners[[0, 1, 3]], np.stack(np.meshgrid(reach, reach), axis=-1).reshape(-1, 2))
    only = range(version, version + 1)
    fits = np.concatenate([_fits(even, only, tries[at : at + _BATCH])[0] for at in range(0, len(tries), _BATCH)])
    corners, best = tries[fits.argmax()], float(fits.max())
    module_px = float(np.linalg.norm(corners[1] - corners[0])) / (side - 7)
    moves = np.concatenate([np.eye(8), -np.eye(8)]).reshape(-1, 4, 2) * module_px
    for step in (2.0, 1.0, 0.5, 0.25, 0.12):
        for _ in range(_MOVES):
            tries = corners + step * moves
            (fits,) = _fits(even, only, tries)
            if fits.max() <= best + 1e-4:
                break
            # the best single move, or all that help taken together
            helping = corners + step * (moves * np.maximum(fits - best, 0)[:, None, None]).sum(axis=0) / (
                fits.max() - best
            )
            together = float(_fits(even, only, helping[None])[0, 0])
            if together > fits.max():
                corners, best = helping, together
            else:
                corners, best = tries[fits.argmax()], float(fits.max())
    return Plane(version, _from_unit(corners[None])[0] @ _to_unit(version), best)

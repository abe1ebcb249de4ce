"""Where finder patterns are, also in pictures in which no decoder sees a code.

Two ways, in black and white against windows of several sizes: runs of 1:1:3:1:1 that cross in both directions
(needs no closed outline), and a black blob in a white ring in a black ring (needs no straight cut). Candidates of
all are merged.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from drivers.vision.opencv import Picture, cv2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MOST = 18
_MOST_A_WAY = 200
"""More in one view is a texture; to sort it out would hold up the next frame."""
SHARES = 0.025, 0.07, 0.2
"""Windows in which black is told from white, of the picture's longer side: for small codes and large ones."""
_NEAR, _ALIKE = 1.5, 1.6
"""Candidates are one when they are nearer than so many modules, and one's modules less than so much larger."""
_MOST_TRIPLES = 16
_TINY = 1e-9
_SURE_VOTES, _MOST_SURE, _MOST_COMPLETED = 4, 3, 12
_SMALLEST_PX = 1.0
"""A module below this many pixels cannot be told from its neighbours."""


@dataclass(slots=True)
class Finder:
    """One candidate: its middle and the size of a module there, pixels; how many ways found it, sure ones twice."""

    x: float
    y: float
    module_px: float
    votes: int = 1


def search(picture: Picture, merged: list[Finder], shares: Sequence[float] = SHARES) -> Iterator[None]:
    """Adds the candidates for black finder patterns to `merged`, in pieces of work; `shares`: of SHARES."""
    known = _Merged()
    for binary in _binarised(picture, shares):
        for way in (_by_runs, _by_outlines):
            for found in itertools.islice(way(binary), _MOST_A_WAY):
                known.add(found)
            yield
    merged += known.finders()


def likeliest(merged: list[Finder]) -> list[Finder]:
    """Those seen in most ways first, and no more than can be followed up."""
    return sorted(merged, key=lambda finder: (-finder.votes, -finder.module_px))[:_MOST]


def triples(found: list[Finder]) -> list[tuple[Finder, Finder, Finder]]:
    """Threes that may belong to one code: its top left, top right, bottom left; the likeliest first."""
    if len(found) < 3:  # noqa: PLR2004 - a code has three
        return []
    each = np.array([(finder.x, finder.y, finder.module_px, min(finder.votes, 6)) for finder in found])
    three = np.array(list(itertools.combinations(range(len(found)), 3)))
    three = np.concatenate([three, three[:, [1, 0, 2]], three[:, [2, 0, 1]]])  # each of them at the corner
    a, b, c = each[three].transpose(1, 2, 0)
    score = _misfits(a, b, c) - 0.03 * (a[3] + b[3] + c[3])
    order = np.argsort(score, kind="stable")[:_MOST_TRIPLES]
    turned = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > 0
    likeliest_first = []
    for at in order[np.isfinite(score[order])].tolist():
        corner, one, other = (found[index] for index in three[at])
        likeliest_first.append((corner, one, other) if turned[at] else (corner, other, one))
    return likeliest_first


def completed(found: list[Finder]) -> list[tuple[Finder, Finder, Finder]]:
    """Threes of which one is hidden (by glare, a finger): two sure ones, the third where it should be."""
    sure = [finder for finder in found if finder.votes >= _SURE_VOTES][:_MOST_SURE]
    threes = []
    for first, second in itertools.permutations(sure, 2):
        if max(first.module_px, second.module_px) > 1.5 * min(first.module_px, second.module_px):
            continue
        module_px = (first.module_px + second.module_px) / 2
        right, down = second.x - first.x, second.y - first.y
        if not 12 * module_px < math.hypot(right, down) < 60 * module_px:
            continue
        # first, second are top left and top right, or bottom left and top left, or top right and bottom left
        below = Finder(first.x - down, first.y + right, module_px)
        beside = Finder(second.x - down, second.y + right, module_px)
        corner = Finder((first.x + second.x + down) / 2, (first.y + second.y - right) / 2, module_px)
        threes += [(first, second, below), (second, beside, first), (corner, first, second)]
    return threes[:_MOST_COMPLETED]


def _misfits(a: Picture, b: Picture, c: Picture) -> Picture:
    """How far candidates (x, y, pixels of a module) are from two equal sides at a right angle; infinite where that
    is too far.
    """
    sizes = np.stack([a[2], b[2], c[2]])
    module_px, unlike = sizes.mean(axis=0), sizes.max(axis=0) / sizes.min(axis=0)
    ab, ac = b[:2] - a[:2], c[:2] - a[:2]
    long_b, long_c = np.maximum(np.hypot(*ab), _TINY), np.maximum(np.hypot(*ac), _TINY)
    cosine = np.abs((ab * ac).sum(axis=0)) / (long_b * long_c)
    stretch = np.abs(np.log(long_b / long_c))
    fits = (unlike <= 2.0) & (np.minimum(long_b, long_c) >= 9 * module_px)  # noqa: PLR2004 - a code's least side
    fits &= np.maximum(long_b, long_c) <= 190 * module_px
    fits &= (cosine <= 0.55) & (stretch <= 0.7)  # noqa: PLR2004 - 57 degrees; one side twice the other: no camera stands so
    return np.where(fits, cosine + stretch + 0.5 * np.log(unlike), np.inf)


def _binarised(picture: Picture, shares: Sequence[float]) -> Iterator[Picture]:
    """Black and white (black is 1) against the mean of windows of several sizes."""
    width = max(picture.shape)
    smooth = cv2.GaussianBlur(picture, (3, 3), 0)
    for share in shares:
        window = max(9, int(width * share)) | 1
        yield cv2.adaptiveThreshold(smooth, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, window, 4)


class _Merged:
    """Candidates, of which those at one place are one."""

    def __init__(self) -> None:
        self._rows = np.empty((2 * len(SHARES) * _MOST_A_WAY, 4))
        """x, y, pixels of a module, votes."""
        self._count = 0

    def add(self, found: Finder) -> None:
        """A candidate of its own, or more votes for one that is there."""
        rows = self._rows[: self._count]
        right, down, module_px = rows[:, 0] - found.x, rows[:, 1] - found.y, rows[:, 2]
        smaller = np.minimum(module_px, found.module_px)
        near = right * right + down * down < (_NEAR * smaller) ** 2
        near &= np.maximum(module_px, found.module_px) < _ALIKE * smaller
        new = found.x, found.y, found.module_px
        if not near.any():
            self._rows[self._count] = (*new, found.votes)
            self._count += 1
            return
        row = rows[near.argmax()]
        row[3] += found.votes
        row[:3] += (new - row[:3]) * (found.votes / row[3])

    def finders(self) -> list[Finder]:
        """All of them, in the order in which they were found."""
        rows = self._rows[: self._count].tolist()
        return [Finder(x, y, module_px, int(votes)) for x, y, module_px, votes in rows]


def _by_runs(binary: Picture) -> Iterator[Finder]:
    """Where runs of 1:1:3:1:1 across cross such runs down."""
    across, down = np.zeros(binary.shape, np.uint8), np.zeros(binary.shape, np.uint8)
    across_px, down_px = np.zeros(binary.shape, np.float32), np.zeros(binary.shape, np.float32)
    rows, columns, votes, sizes = _runs(binary)
    across[rows, columns], across_px[rows, columns] = votes, sizes
    columns, rows, votes, sizes = _runs(cv2.transpose(binary))
    down[rows, columns], down_px[rows, columns] = votes, sizes
    wide_across = cv2.dilate(across, np.ones((1, 3), np.uint8))
    wide_down = cv2.dilate(down, np.ones((3, 1), np.uint8))
    both = np.minimum(wide_across, wide_down)
    crossings, _ = cv2.findContours(both, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if len(crossings) >= 400:  # noqa: PLR2004 - a texture, not finder patterns
        return
    for left, top, wide, high in map(cv2.boundingRect, reversed(crossings)):
        cut = np.s_[max(0, top - 3) : top + high + 3, max(0, left - 3) : left + wide + 3]
        first, second = (_median(part[part > 0]) for part in (across_px[cut], down_px[cut]))
        if max(first, second) < 2.2 * min(first, second):
            ys, xs = both[top : top + high, left : left + wide].nonzero()
            x, y = left + sum(xs.tolist()) / len(xs), top + sum(ys.tolist()) / len(ys)
            yield Finder(x + 0.5, y + 0.5, math.sqrt(first * second), 2 if both[cut].max() > 1 else 1)


def _median(values: Picture) -> float:
    """Of a few, 0 of none: NumPy's own takes ten times as long for them."""
    ordered: list[float] = sorted(values.tolist()) or [0.0]
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _runs(binary: Picture) -> tuple[Picture, Picture, Picture, Picture]:
    """Rows and columns of the middles of the 1:1:3:1:1 runs along rows, the votes of each (1 where an end is open,
    else 2) and its pixels a module.
    """
    across = binary.shape[1] - 1
    ends = np.flatnonzero(binary[:, 1:] != binary[:, :-1])
    runs = np.diff(ends)
    # what fits below has no shorter core than white: most is sorted out by that
    middle = runs[2:-2]
    at = np.flatnonzero((middle >= runs[1 : len(runs) - 3]) & (middle >= runs[3 : len(runs) - 1]))
    rows, first = np.divmod(ends[at], across)
    within = (ends[at + 5] // across == rows) & (binary[rows, first + 1] == 1)
    at, rows = at[within], rows[within]
    left, white, core, whiter, right = (runs[at + step] for step in range(5))
    unit = (white + core + whiter) / 5.0
    fits = unit >= _SMALLEST_PX
    for run, wanted in ((white, 1), (core, 3), (whiter, 1)):
        fits &= np.abs(run - wanted * unit) <= (0.35 * wanted + 0.25) * unit + 0.6
    # without a white margin one side of the ring runs on into the dark around the code
    narrow, wide = np.minimum(left, right), np.maximum(left, right)
    fits &= (np.abs(narrow - unit) <= 0.6 * unit + 0.6) & (wide >= 0.4 * unit)
    closed = wide <= 1.6 * unit + 0.6
    at, rows, unit, closed = at[fits], rows[fits], unit[fits], closed[fits]
    columns = (ends[at + 2] + ends[at + 3] + 1) // 2 - rows * across
    return rows, columns, 1 + closed, unit


def _by_outlines(binary: Picture) -> Iterator[Finder]:
    """A black blob in a white one in a black one; the last need not be closed, or may run on into the dark."""
    outlines, family = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    parents = family[0][:, 3] if outlines else []
    for inner, hole in enumerate(parents):
        if hole < 0 or len(outlines[hole]) < 4 or parents[hole] < 0:  # noqa: PLR2004 - a line has no inside
            continue
        core, white = cv2.contourArea(outlines[inner]), cv2.contourArea(outlines[hole])
        if core < 2 or not 0.08 * white < core < 0.55 * white:  # noqa: PLR2004 - nine modules of 25, give or take
            continue
        _, (wide, high), _ = cv2.minAreaRect(outlines[hole])
        if min(wide, high) < 4 or max(wide, high) > 2.4 * min(wide, high) or white < 0.55 * wide * high:  # noqa: PLR2004
            continue
        middle, around = cv2.moments(outlines[inner]), cv2.moments(outlines[hole])
        x, y = middle["m10"] / middle["m00"], middle["m01"] / middle["m00"]
        apart = math.hypot(x - around["m10"] / around["m00"], y - around["m01"] / around["m00"])
        if apart < 0.15 * math.sqrt(white):
            ring = cv2.contourArea(outlines[parents[hole]])
            yield Finder(x + 0.5, y + 0.5, math.sqrt(white) / 5, 2 if ring < 3 * white else 1)

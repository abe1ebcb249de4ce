"""Where finder patterns are, also in pictures in which no decoder sees a code.

Two ways, in black and white against windows of several sizes: runs of 1:1:3:1:1 that cross in both directions
(needs no closed outline), and a black blob in a white ring in a black ring (needs no straight cut). Candidates of
all are merged.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
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

    def merge_with(self, other: Finder) -> None:
        """Be one with another, each weighed by its votes."""
        self.votes += other.votes
        share = other.votes / self.votes
        self.x += (other.x - self.x) * share
        self.y += (other.y - self.y) * share
        self.module_px += (other.module_px - self.module_px) * share


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
    three = _threes(len(found))
    a, b, c = each[three].transpose(1, 2, 0)
    score = _misfits(a, b, c) - 0.03 * (a[3] + b[3] + c[3])
    order = np.argsort(score, kind="stable")[:_MOST_TRIPLES]
    turned = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > 0
    likeliest_first = []
    for at in order[np.isfinite(score[order])].tolist():
        corner, one, other = (found[index] for index in three[at])
        likeliest_first.append((corner, one, other) if turned[at] else (corner, other, one))
    return likeliest_first


@lru_cache(maxsize=_MOST)
def _threes(count: int) -> Picture:
    """Places of all threes among so many, each of them at the corner."""
    three = np.array(list(itertools.combinations(range(count), 3)))
    return np.concatenate([three, three[:, [1, 0, 2]], three[:, [2, 0, 1]]])


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
        self._found: list[Finder] = []
        self._xs = np.empty(2 * len(SHARES) * _MOST_A_WAY)

    def add(self, found: Finder) -> None:
        """A candidate of its own, or more votes for one that is there."""
        apart = np.abs(self._xs[: len(self._found)] - found.x)
        for at in (apart < _NEAR * found.module_px).nonzero()[0].tolist():
            known = self._found[at]
            smaller, larger = sorted((known.module_px, found.module_px))
            near = (known.x - found.x) ** 2 + (known.y - found.y) ** 2 < (_NEAR * smaller) ** 2
            if near and larger < _ALIKE * smaller:
                known.merge_with(found)
                self._xs[at] = known.x
                return
        self._xs[len(self._found)] = found.x
        self._found.append(found)

    def finders(self) -> list[Finder]:
        """All of them, in the order in which they were found."""
        return self._found


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
    boxes = np.array([cv2.boundingRect(each) for each in reversed(crossings)], np.int64).reshape(-1, 4)
    boxes = boxes[np.cumsum(boxes[:, 2] * boxes[:, 3]) <= both.size // 8]  # what crosses all over is stripes
    which, rows, columns = _pixels(boxes, 0, both.shape)
    crossed = both[rows, columns] > 0
    which, rows, columns = which[crossed], rows[crossed], columns[crossed]
    count = np.bincount(which)
    xs, ys = (np.bincount(which, places) / count + 0.5 for places in (columns, rows))
    which, rows, columns = _pixels(boxes, 3, both.shape)
    first, second = (_medians(sizes[rows, columns], which) for sizes in (across_px, down_px))
    votes = 1 + (np.bincount(which, both[rows, columns] > 1) > 0)
    fits = np.maximum(first, second) < 2.2 * np.minimum(first, second)
    found = (xs, ys, np.sqrt(first * second), votes)
    yield from itertools.starmap(Finder, zip(*(each[fits].tolist() for each in found), strict=True))


def _pixels(boxes: Picture, margin: int, shape: tuple[int, ...]) -> tuple[Picture, Picture, Picture]:
    """All pixels of several boxes (left, top, width, height) with so much around them: which box, row, column."""
    first = np.maximum(boxes[:, :2] - margin, 0)
    wide, high = (np.minimum(boxes[:, :2] + boxes[:, 2:] + margin, shape[::-1]) - first).T
    which = np.repeat(np.arange(len(boxes)), wide * high)
    down, across = np.divmod(np.arange(len(which)) - (np.cumsum(wide * high) - wide * high)[which], wide[which])
    return which, first[which, 1] + down, first[which, 0] + across


def _medians(values: Picture, which: Picture) -> Picture:
    """Of each box, the median of its values that are not 0; each has one."""
    which, values = which[values > 0], values[values > 0].astype(np.float64)
    ordered = values[np.lexsort((values, which))]
    count = np.bincount(which)
    start = np.cumsum(count) - count
    medians: Picture = (ordered[start + (count - 1) // 2] + ordered[start + count // 2]) / 2
    return medians


def _runs(binary: Picture) -> tuple[Picture, Picture, Picture, Picture]:
    """Rows and columns of the middles of the 1:1:3:1:1 runs along rows, the votes of each (1 where an end is open,
    else 2) and its pixels a module.
    """
    flat, width = binary.ravel(), binary.shape[1]
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(ends)
    # white and black take turns, and what fits below has no shorter core than white: most is sorted out by that
    begin = int(flat[0])
    white, core = runs[begin + 1 :: 2], runs[begin + 2 :: 2]
    count = max(0, min(len(core), len(white) - 1, (len(runs) - begin - 3) // 2))
    at = begin + 2 * np.flatnonzero((core[:count] >= white[:count]) & (core[:count] >= white[1 : count + 1]))
    left, white, core, whiter, right = (runs[at + step] for step in range(5))
    unit = (white + core + whiter) / 5.0
    fits = unit >= _SMALLEST_PX
    for run, wanted in ((white, 1), (core, 3), (whiter, 1)):
        fits &= np.abs(run - wanted * unit) <= (0.35 * wanted + 0.25) * unit + 0.6
    # without a white margin one side of the ring runs on into the dark around the code
    narrow, wide = np.minimum(left, right), np.maximum(left, right)
    fits &= (np.abs(narrow - unit) <= 0.6 * unit + 0.6) & (wide >= 0.4 * unit)
    closed = wide <= 1.6 * unit + 0.6
    rows = ends[at] // width
    fits &= ends[at + 5] < (rows + 1) * width - 1
    at, rows, unit, closed = at[fits], rows[fits], unit[fits], closed[fits]
    return rows, (ends[at + 2] + ends[at + 3] + 1) // 2 - rows * width, 1 + closed, unit


def _by_outlines(binary: Picture) -> Iterator[Finder]:
    """A black blob in a white one in a black one; the last need not be closed, or may run on into the dark."""
    outlines, family = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    parents = family[0][:, 3].tolist() if outlines else []
    for inner, hole in enumerate(parents):
        if hole < 0 or (ring := parents[hole]) < 0 or len(outlines[hole]) < 4:  # noqa: PLR2004 - a line has no inside
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
            is_ring = cv2.contourArea(outlines[ring]) < 3 * white
            yield Finder(x + 0.5, y + 0.5, math.sqrt(white) / 5, 1 + is_ring)

"""Where finder patterns are, also in pictures in which no decoder sees a code.

Two ways, over several binarisations: runs of 1:1:3:1:1 that cross in both directions (needs no closed outline), and
a black blob in a white ring in a black ring (needs no straight cut). Candidates of all are merged.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from drivers.vision.opencv import Picture, cv2

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST = 18
_MOST_A_WAY = 200
"""More in one view is a texture; to sort it out would hold up the next frame."""
_MOST_TRIPLES = 40
_SURE_VOTES, _MOST_SURE, _MOST_COMPLETED = 7, 3, 12
_SMALLEST_PX = 1.0
"""A module below this many pixels cannot be told from its neighbours."""


@dataclass(slots=True)
class Finder:
    """One candidate: its middle and the size of a module there, pixels; how many ways found it, sure ones twice."""

    x: float
    y: float
    module_px: float
    votes: int = 1


def search(picture: Picture, merged: list[Finder]) -> Iterator[None]:
    """Adds the candidates for black finder patterns to `merged`, in pieces of work."""
    for binary in _binarised(picture):
        for way in (_by_runs, _by_outlines):
            for found in itertools.islice(way(binary), _MOST_A_WAY):
                _merge(merged, found)
            yield


def likeliest(merged: list[Finder]) -> list[Finder]:
    """Those seen in most ways first, and no more than can be followed up."""
    return sorted(merged, key=lambda finder: (-finder.votes, -finder.module_px))[:_MOST]


def triples(found: list[Finder]) -> list[tuple[Finder, Finder, Finder]]:
    """Threes that may belong to one code: its top left, top right, bottom left; the likeliest first."""
    scored = []
    for three in itertools.combinations(found, 3):
        sizes = [finder.module_px for finder in three]
        if max(sizes) > 2.0 * min(sizes):
            continue
        for corner in range(3):
            a, (b, c) = three[corner], [three[at] for at in range(3) if at != corner]
            score = _misfit(a, b, c, sum(sizes) / 3)
            if score is not None:
                turned = (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)
                scored.append(
                    (score - 0.03 * sum(min(f.votes, 6) for f in three), (a, b, c) if turned > 0 else (a, c, b))
                )
    scored.sort(key=lambda each: each[0])
    return [three for _, three in scored[:_MOST_TRIPLES]]


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


def _misfit(a: Finder, b: Finder, c: Finder, module_px: float) -> float | None:
    """How far three candidates are from two equal sides at a right angle; None when too far."""
    ab, ac = (b.x - a.x, b.y - a.y), (c.x - a.x, c.y - a.y)
    long_b, long_c = math.hypot(*ab), math.hypot(*ac)
    if min(long_b, long_c) < 9 * module_px or max(long_b, long_c) > 190 * module_px:
        return None
    cosine = abs(ab[0] * ac[0] + ab[1] * ac[1]) / (long_b * long_c)
    stretch = abs(math.log(long_b / long_c))
    sizes = max(f.module_px for f in (a, b, c)) / min(f.module_px for f in (a, b, c))
    if cosine > 0.55 or stretch > 0.7:  # noqa: PLR2004 - 57 degrees; one side twice the other: no camera stands so
        return None
    return cosine + stretch + 0.5 * math.log(sizes)


def _binarised(picture: Picture) -> Iterator[Picture]:
    """Black and white (black is 1) in several ways, for small and large codes, shadow and glare."""
    width = max(picture.shape)
    smooth = cv2.GaussianBlur(picture, (3, 3), 0)
    for share, offset in ((0.025, 4), (0.07, 4), (0.2, 4)):
        window = max(9, int(width * share)) | 1
        yield cv2.adaptiveThreshold(smooth, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, window, offset)
    yield cv2.threshold(smooth, 0, 1, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)[1]


def _merge(merged: list[Finder], found: Finder) -> None:
    for known in merged:
        near = math.hypot(known.x - found.x, known.y - found.y) < 1.5 * min(known.module_px, found.module_px)
        if near and max(known.module_px, found.module_px) < 1.6 * min(known.module_px, found.module_px):
            share = found.votes / (known.votes + found.votes)
            known.x += (found.x - known.x) * share
            known.y += (found.y - known.y) * share
            known.module_px += (found.module_px - known.module_px) * share
            known.votes += found.votes
            return
    merged.append(found)


def _by_runs(binary: Picture) -> Iterator[Finder]:
    """Where runs of 1:1:3:1:1 across cross such runs down."""
    across, across_px = _run_map(binary)
    down, down_px = (each.T for each in _run_map(np.ascontiguousarray(binary.T)))
    wide_across = cv2.dilate(across, np.ones((1, 3), np.uint8))
    wide_down = cv2.dilate(np.ascontiguousarray(down), np.ones((3, 1), np.uint8))
    both = np.minimum(wide_across, wide_down)
    count, _, boxes, middles = cv2.connectedComponentsWithStats(both)
    if count > 400:  # noqa: PLR2004 - a texture, not finder patterns
        return
    for label in range(1, count):
        left, top, wide, high = (int(value) for value in boxes[label][:4])
        cut = np.s_[max(0, top - 3) : top + high + 3, max(0, left - 3) : left + wide + 3]
        sizes = [part[part > 0] for part in (across_px[cut], down_px[cut])]
        if not (len(sizes[0]) and len(sizes[1])):
            continue
        first, second = float(np.median(sizes[0])), float(np.median(sizes[1]))
        if max(first, second) < 2.2 * min(first, second):
            x, y = middles[label]
            votes = 2 if both[cut].max() > 1 else 1
            yield Finder(float(x) + 0.5, float(y) + 0.5, math.sqrt(first * second), votes)


def _run_map(binary: Picture) -> tuple[Picture, Picture]:
    """Marks (uint8) at the middle of each 1:1:3:1:1 run of a row, 1 where an end is open, and module sizes."""
    marks = np.zeros(binary.shape, np.uint8)
    sizes = np.zeros(binary.shape, np.float32)
    rows, columns = np.nonzero(np.diff(binary, axis=1))
    if len(rows) < 6:  # noqa: PLR2004 - five runs have six ends
        return marks, sizes
    runs = np.diff(columns)
    left, white, core, whiter, right = (runs[at : len(runs) - 4 + at] for at in range(5))
    unit = (white + core + whiter) / 5.0
    fits = (rows[5:] == rows[:-5]) & (unit >= _SMALLEST_PX) & (binary[rows[:-5], columns[:-5] + 1] == 1)
    for run, wanted in ((white, 1), (core, 3), (whiter, 1)):
        fits &= np.abs(run - wanted * unit) <= (0.35 * wanted + 0.25) * unit + 0.6
    # without a white margin one side of the ring runs on into the dark around the code
    narrow, wide = np.minimum(left, right), np.maximum(left, right)
    fits &= (np.abs(narrow - unit) <= 0.6 * unit + 0.6) & (wide >= 0.4 * unit)
    closed = wide <= 1.6 * unit + 0.6
    at = np.flatnonzero(fits)
    middle = (columns[at + 2] + columns[at + 3] + 1) // 2
    marks[rows[at], middle] = 1 + closed[at]
    sizes[rows[at], middle] = unit[at]
    return marks, sizes


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

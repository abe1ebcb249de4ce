"""Whether two codes stand on one sheet of paper or one screen: then one person holds both.

Two phones side by side differ in how they are held, and between them is an edge, a hand or the room. So two codes
are on one sheet only when they stand alike and near, are as bright as one another, and the space between them is as
bright as their own white, all the way.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drivers.vision.code import Code
    from drivers.vision.opencv import Picture

Pairs: TypeAlias = "frozenset[frozenset[bytes]]"
"""Payloads of codes that stand on one sheet, two by two."""

_ALIKE_DEGREES = 4.0
_ALIKE_SIDES = 2.0
_NEAR = 2.0
"""Space between them, in sides of the larger one."""
_WHITE = 0.7
"""Where between black and white of the codes the space between them has to lie at least."""
_AS_BRIGHT = 0.2
"""How much the white of one may differ from the other's, of the way from black to white."""
_LINES, _CLEAR_LINES = 9, 6
_WIDTH = 0.8
"""The lines cover so much of the smaller code's side."""
_SAMPLES = 200
_FEW_SAMPLES = 4
_RIM = 0.04
"""What lies within so much of a side around a code is part of it."""


def pairs(picture: Picture, codes: Iterable[Code]) -> Pairs:
    """Those of `codes`, two by two, that stand on one sheet."""
    different = {code.payload: code for code in codes}.values()
    return frozenset(
        frozenset((a.payload, b.payload)) for a, b in combinations(different, 2) if are_together(picture, a, b)
    )


def are_together(picture: Picture, a: Code, b: Code) -> bool:
    """Whether two codes in `picture` stand on one sheet."""
    sides = sorted((a.side(), b.side()))
    if not sides[0] or sides[1] > _ALIKE_SIDES * sides[0] or _turn_between(a, b) > _ALIKE_DEGREES:
        return False
    if min(math.dist(p, q) for p in a.corners for q in b.corners) > _NEAR * sides[1]:
        return False
    (black_a, white_a), (black_b, white_b) = _levels(picture, a), _levels(picture, b)
    black, white = max(black_a, black_b), min(white_a, white_b)
    if white <= black or abs(white_a - white_b) > _AS_BRIGHT * (white - black):
        return False
    level = black + _WHITE * (white - black)
    return sum(_is_clear(picture, line, level, (a, b)) for line in _lines(a, b, sides[0])) >= _CLEAR_LINES


def _turn_between(a: Code, b: Code) -> float:
    """Degrees between their upper edges."""
    first, second = (
        math.atan2(code.corners[1][1] - code.corners[0][1], code.corners[1][0] - code.corners[0][0])
        for code in (a, b)
    )
    return abs((math.degrees(first - second) + 180) % 360 - 180)


def _levels(picture: Picture, code: Code) -> tuple[float, float]:
    """Gray of its black and of its white."""
    left, top, right, bottom = (int(each) for each in code.box())
    part = picture[max(0, top) : bottom + 1, max(0, left) : right + 1]
    black, white = np.percentile(part, (10, 90)) if part.size else (0.0, 0.0)
    return float(black), float(white)


def _centre(code: Code) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    centre: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = np.mean(np.array(code.corners, float), axis=0)
    return centre


def _lines(a: Code, b: Code, side: float) -> Iterable[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Points (x, y) on lines from one to the other, side by side."""
    start, end = _centre(a), _centre(b)
    along = end - start
    across = np.array((-along[1], along[0])) / (float(np.hypot(*along)) or 1.0)
    steps = np.linspace(0, 1, _SAMPLES)[:, None]
    for offset in np.linspace(-_WIDTH / 2, _WIDTH / 2, _LINES):
        yield start + across * (offset * side) + steps * along


def _is_clear(
    picture: Picture,
    line: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    level: float,
    codes: tuple[Code, Code],
) -> bool:
    """Whether all that lies on a line outside of the codes is brighter than `level`."""
    height, width = picture.shape
    inside = np.zeros(len(line), bool)
    for code in codes:
        left, top, right, bottom = code.box()
        rim = _RIM * code.side()
        x, y = line[:, 0], line[:, 1]
        inside |= (x >= left - rim) & (x <= right + rim) & (y >= top - rim) & (y <= bottom + rim)
    between = np.rint(line[~inside]).astype(int)
    if len(between) < _FEW_SAMPLES:
        return False
    columns, rows = np.clip(between[:, 0], 0, width - 1), np.clip(between[:, 1], 0, height - 1)
    return bool((picture[rows, columns] >= level).all())

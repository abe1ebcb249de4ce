"""Gray modules → the bytes of a code, where the light is uneven, the print broken, parts hidden. Pure.

An equaliser is fitted on the modules that are known beforehand; every bit keeps its doubt; the most doubtful bytes
are erased, and some parity is always left unspent, so that nothing is read into a picture that is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from drivers.vision import reedsolomon, symbol
from drivers.vision.opencv import Picture, cv2

if TYPE_CHECKING:
    import numpy.typing as npt

UNSPENT = 4
"""Parity bytes of every block that are never spent: a random block passes with 1 in 4 thousand million."""
_FLAT = 12
"""Gray levels between black and white below which a neighbourhood tells nothing."""
_FORMAT_FIT = 0.45
_RIDGE = 0.02
"""Pull of the weights towards `the module alone`."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A code as decoded: its modules, drawn again without a fault."""

    modules: npt.NDArray[np.bool_]
    erased: int
    """Bytes erased in the block that needed most."""
    spare: int
    """Parity bytes unspent in the block that had least."""


def leaning(gray: Picture, version: int, around: Picture | None = None) -> Picture:
    """How far each of the gray modules leans to black (above 0) or white (below), weighed with its trust.

    `around`: the gray around each as well, (n, side, side), the module itself in the middle: through an equaliser.
    """
    kernel = np.ones((9, 9), np.uint8)
    high = cv2.GaussianBlur(cv2.dilate(gray, kernel), (0, 0), 3)
    low = cv2.GaussianBlur(cv2.erode(gray, kernel), (0, 0), 3)
    spread = high - low
    trust = np.clip(spread / max(1.0, float(np.percentile(spread, 75))), 0, 1)
    if around is None:
        lean = (high + low - 2 * gray) / np.maximum(spread, _FLAT)
    else:
        lean = _equalised((high + low - 2 * around) / np.maximum(spread, _FLAT), trust, version)
    weighed: Picture = (np.clip(lean, -1.5, 1.5) * trust).astype(np.float32)
    return weighed


def _equalised(leans: Picture, trust: Picture, version: int) -> Picture:
    """Undoes what the neighbourhood bleeds into a module, and a grid that is half a module off: weights of all that
    is around it, by least squares on the known modules.
    """
    shape = symbol.anatomy(version)
    inputs = np.concatenate([leans, np.ones_like(leans[:1])])
    known = inputs[:, shape.known].T
    wanted = np.where(shape.black[shape.known], 1.0, -1.0)
    weighed = known * trust[shape.known][:, None]
    ridge = np.diag([_RIDGE * len(wanted)] * len(leans) + [1e-3])
    start = np.zeros(len(inputs))
    start[len(leans) // 2] = 1.0
    weights = np.linalg.solve(weighed.T @ known + ridge, weighed.T @ wanted + ridge @ start)
    equal: Picture = np.tensordot(weights, inputs, axes=1)
    return equal


def decoded(lean: Picture, version: int, unspent: int = UNSPENT) -> Symbol | None:
    """The code that the modules lean to, or None when they do not surely lean to any."""
    side = symbol.side_of(version)
    word = sum(np.array([lean[place] for place in copy]) for copy in symbol.format_places(side))
    strength = float(np.abs(word).sum()) or 1.0
    fits = (symbol.FORMATS * 2 - 1) @ word / strength
    for form in np.argsort(-fits)[:2]:
        if fits[form] < _FORMAT_FIT:
            break
        found = _with_format(lean, version, int(form), unspent)
        if found is not None:
            return found
    return None


def _with_format(lean: Picture, version: int, form: int, unspent: int) -> Symbol | None:
    rows, columns = symbol.path(version).T
    length = len(rows) // 8
    bits = lean[rows, columns][: length * 8].reshape(length, 8)
    turned = symbol.mask(version, form & 7)[rows, columns][: length * 8].reshape(length, 8)
    codewords = np.packbits((bits > 0) ^ turned, axis=1)[:, 0]
    doubt = -np.abs(bits).min(axis=1)
    erased, spare = 0, 255
    for block in symbol.blocks(version, symbol.LEVELS[form >> 3]):
        before = codewords[block.places]
        mended, count = reedsolomon.decoded(before, doubt[block.places], block.parity, unspent)
        if mended is None:
            return None
        kept = np.argsort(-doubt[block.places])[
            count:
        ]  # not those that `decoded` has erased, equal doubts as there
        wrong = int(np.count_nonzero((mended != before)[kept]))
        codewords[block.places] = mended
        erased, spare = max(erased, count), min(spare, block.parity - count - 2 * wrong)
    return Symbol(symbol.drawn(version, form, codewords), erased, spare)

"""The anatomy of a QR symbol (ISO/IEC 18004:2015): what is where, for every version. Pure.

Matrices are [row, column], the module at the top left being [0, 0]; black is 1. Format word: section 7.9; version
word: 7.10; alignment positions: annex E; blocks: table 9; masks: table 10; placement of codewords: 7.7.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

LOWEST, HIGHEST = 1, 40
LEVELS = "MLHQ"
"""Error correction levels in the order of their two bits in the format word."""

_PARITY = {
    "L": "7 10 15 20 26 18 20 24 30 18 20 24 26 30 22 24 28 30 28 28 28 28 30 30 26 28" + " 30" * 14,
    "M": "10 16 26 18 24 16 18 22 22 26 30 22 22 24 24 28 28 26 26 26 26" + " 28" * 19,
    "Q": "13 22 18 26 18 24 18 22 20 24 28 26 24 20 30 24 28 28 26 30 28 30 30 30 30 28" + " 30" * 14,
    "H": "17 28 22 16 22 28 26 26 24 28 24 28 22 24 24 30 28 28 26 28 30 24" + " 30" * 18,
}
"""Parity bytes of each block, by version."""
_BLOCKS = {
    "L": "1 1 1 1 1 2 2 2 2 4 4 4 4 4 6 6 6 6 7 8 8 9 9 10 12 12 12 13 14 15 16 17 18 19 19 20 21 22 24 25",
    "M": "1 1 1 2 2 4 4 4 5 5 5 8 9 9 10 10 11 13 14 16 17 17 18 20 21 23 25 26 28 29 31 33 35 37 38 40 43 45"
    " 47 49",
    "Q": "1 1 2 2 4 4 6 6 8 8 8 10 12 16 12 17 16 18 21 20 23 23 25 27 29 34 34 35 38 40 43 45 48 51 53 56 59"
    " 62 65 68",
    "H": "1 1 2 4 4 4 5 6 8 8 11 11 16 16 18 16 19 21 25 25 25 34 30 32 35 37 40 42 45 48 51 54 57 60 63 66 70 74"
    " 77 81",
}
"""Number of blocks, by version."""

_RINGS = np.maximum(*np.abs(np.indices((9, 9)) - 4))
FINDER = (_RINGS < 4) & (_RINGS != 2)  # noqa: PLR2004 - the white border and the white ring
"""A finder pattern with its white border: 9 x 9."""
ALIGNMENT = np.array([[max(abs(r), abs(c)) != 1 for c in range(-2, 3)] for r in range(-2, 3)])


@dataclass(frozen=True)
class Block:
    """One Reed-Solomon block: where its bytes stand among all codewords, data first."""

    places: npt.NDArray[np.int64]
    parity: int


@dataclass(frozen=True)
class Anatomy:
    """One version of the symbol."""

    version: int
    side: int
    known: npt.NDArray[np.bool_]
    """Modules that are the same in every symbol of this version: finders, timing, alignment, version word."""
    black: npt.NDArray[np.bool_]
    """The known ones that are black."""
    centres: tuple[tuple[int, int], ...]
    """Row and column of each alignment pattern's middle."""


def side_of(version: int) -> int:
    """Modules along a side."""
    return 17 + 4 * version


@lru_cache(maxsize=HIGHEST)
def anatomy(version: int) -> Anatomy:
    """What is where in this version."""
    side = side_of(version)
    known = np.zeros((side, side), bool)
    black = np.zeros((side, side), bool)
    known[6, :] = known[:, 6] = True
    black[6, ::2] = black[::2, 6] = True
    centres = _alignment_centres(version)
    for row, column in centres:
        known[row - 2 : row + 3, column - 2 : column + 3] = True
        black[row - 2 : row + 3, column - 2 : column + 3] = ALIGNMENT
    for row, column in ((3, 3), (3, side - 4), (side - 4, 3)):
        rows = slice(max(0, row - 4), row + 5)
        columns = slice(max(0, column - 4), column + 5)
        known[rows, columns] = True
        black[rows, columns] = FINDER[4 - min(4, row) : 4 + side - row, 4 - min(4, column) : 4 + side - column][
            : known[rows, columns].shape[0], : known[rows, columns].shape[1]
        ]
    known[side - 8, 8] = black[side - 8, 8] = True
    if version >= 7:  # noqa: PLR2004 - the first with a version word
        word = version_word(version)
        for bit in range(18):
            row, column = divmod(bit, 3)
            for place in ((row, side - 11 + column), (side - 11 + column, row)):
                known[place] = True
                black[place] = word >> bit & 1
    return Anatomy(version, side, known, black, centres)


def _alignment_centres(version: int) -> tuple[tuple[int, int], ...]:
    if version == LOWEST:
        return ()
    last, count = side_of(version) - 7, version // 7 + 2
    step = 26 if version == 32 else (version * 4 + count * 2 + 1) // (count * 2 - 2) * 2  # noqa: PLR2004 - as annex E has it
    at = [6, *sorted(last - step * i for i in range(count - 1))]
    corners = {(6, 6), (6, last), (last, 6)}
    return tuple((row, column) for row in at for column in at if (row, column) not in corners)


@lru_cache(maxsize=HIGHEST)
def path(version: int) -> npt.NDArray[np.uint8]:
    """(n, 2) row and column of each data bit, in the order of reading: two columns at a time from the right, up and
    down in turn, passing over the upright timing column. Only of versions that are read: of all, it would be long.
    """
    side = side_of(version)
    taken = anatomy(version).known.copy()
    for place in (*format_places(side)[0], *format_places(side)[1]):
        taken[place] = True
    places = []
    for turn, right in enumerate([*range(side - 1, 6, -2), 5, 3, 1]):
        rows = range(side - 1, -1, -1) if turn % 2 == 0 else range(side)
        places += [(row, column) for row in rows for column in (right, right - 1) if not taken[row, column]]
    return np.array(places, np.uint8)


@lru_cache(maxsize=2 * HIGHEST)
def blocks(version: int, level: str) -> tuple[Block, ...]:
    """The blocks of a version at a level. Data bytes are dealt out in turn, then parity bytes."""
    count = int(_BLOCKS[level].split()[version - 1])
    parity = int(_PARITY[level].split()[version - 1])
    total = len(path(version)) // 8
    short, longer = divmod(total - count * parity, count)
    lengths = [short + (block >= count - longer) for block in range(count)]
    places: list[list[int]] = [[] for _ in range(count)]
    at = 0
    for turn in range(max(lengths)):
        for block in range(count):
            if turn < lengths[block]:
                places[block].append(at)
                at += 1
    for _ in range(parity):
        for block in range(count):
            places[block].append(at)
            at += 1
    return tuple(Block(np.array(each), parity) for each in places)


@lru_cache(maxsize=64)
def mask(version: int, pattern: int) -> npt.NDArray[np.bool_]:
    """Which modules a mask pattern turns over."""
    row, column = np.indices((side_of(version),) * 2)
    product = row * column
    rule = (
        (row + column) % 2,
        row % 2,
        column % 3,
        (row + column) % 3,
        (row // 2 + column // 3) % 2,
        product % 2 + product % 3,
        (product % 2 + product % 3) % 2,
        ((row + column) % 2 + product % 3) % 2,
    )[pattern]
    turned: npt.NDArray[np.bool_] = np.asarray(rule) == 0
    return turned


def version_word(version: int) -> int:
    """18 bits: the version and its Golay check."""
    rest = version << 12
    for bit in range(17, 11, -1):
        if rest >> bit & 1:
            rest ^= 0x1F25 << (bit - 12)
    return version << 12 | rest


def _format_word(data: int) -> int:
    """15 bits: level and mask, their BCH check, all turned over by the fixed mask."""
    rest = data << 10
    for bit in range(14, 9, -1):
        if rest >> bit & 1:
            rest ^= 0x537 << (bit - 10)
    return (data << 10 | rest) ^ 0x5412


FORMATS = np.array([[_format_word(data) >> bit & 1 for bit in range(14, -1, -1)] for data in range(32)])
"""(32, 15) bits, most significant first, of each format word; the row number is level << 3 | mask."""


def format_places(side: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Where the two copies of the format word stand, most significant bit first."""
    rows = [0, 1, 2, 3, 4, 5, 7, 8]
    first = [(8, at) for at in rows] + [(at, 8) for at in reversed(rows[:-1])]
    second = [(side - 1 - at, 8) for at in range(7)] + [(8, side - 8 + at) for at in range(8)]
    return first, second


def drawn(version: int, form: int, codewords: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """The whole symbol from its format (level << 3 | mask) and its codewords as they stand in the path."""
    shape = anatomy(version)
    modules = shape.black.copy()
    rows, columns = path(version).T
    bits = np.zeros(len(rows), bool)
    bits[: len(codewords) * 8] = np.unpackbits(codewords)
    modules[rows, columns] = bits ^ mask(version, form & 7)[rows, columns]
    for copy in format_places(shape.side):
        for place, bit in zip(copy, FORMATS[form], strict=True):
            modules[place] = bool(bit)
    modules[shape.side - 8, 8] = True
    return modules

"""The anatomy against codes drawn by another library."""

import numpy as np
import pytest
import segno
from segno import consts

from drivers.vision import symbol


@pytest.mark.parametrize("version", range(symbol.LOWEST, symbol.HIGHEST + 1))
def test_blocks_are_those_of_the_standard(version):
    for level, theirs in zip("LMQH", (consts.ERROR_LEVEL_L, consts.ERROR_LEVEL_M, consts.ERROR_LEVEL_Q,
                                      consts.ERROR_LEVEL_H), strict=True):  # fmt: skip
        wanted = [
            (block.num_total, block.num_total - block.num_data)
            for block in consts.ECC[version][theirs]
            for _ in range(block.num_blocks)
        ]
        blocks = symbol.blocks(version, level)
        assert sorted((len(block.places), block.parity) for block in blocks) == sorted(wanted)
        places = np.concatenate([block.places for block in blocks])
        assert sorted(places) == list(range(len(symbol.path(version)) // 8))


@pytest.mark.parametrize("version", [1, 2, 6, 7, 14, 21, 32, 40])
@pytest.mark.parametrize("level", ["l", "m", "q", "h"])
@pytest.mark.parametrize("mask", [0, 3, 5, 7])
def test_a_code_taken_apart_and_drawn_again_is_the_same(version, level, mask):
    code = segno.make_qr(b"anatomy" if version < 2 else b"an anatomy", version=version, error=level, mask=mask,
                         boost_error=False)  # fmt: skip
    theirs = np.array([list(row) for row in code.matrix], bool)
    shape = symbol.anatomy(version)
    assert (theirs[shape.known] == shape.black[shape.known]).all()
    form = symbol.LEVELS.index(level.upper()) << 3 | mask
    for copy in symbol.format_places(shape.side):
        assert [int(theirs[place]) for place in copy] == list(symbol.FORMATS[form])

    rows, columns = symbol.path(version).T
    bits = theirs[rows, columns] ^ symbol.mask(version, mask)[rows, columns]
    codewords = np.packbits(bits[: len(bits) // 8 * 8])
    assert (symbol.drawn(version, form, codewords) == theirs).all()

"""Errors and erasures are mended as far as the parity goes, less what is kept unspent; never into another word."""

import numpy as np
import segno
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.vision import reedsolomon, symbol


def codeword(seed):
    """The one block of a code drawn by another library: version 3-L, 70 bytes, 15 of them parity."""
    payload = np.random.default_rng(seed).integers(0, 256, 40).astype(np.uint8).tobytes()
    code = segno.make_qr(payload, version=3, error="l", mask=0, mode="byte", boost_error=False)
    modules = np.array([list(row) for row in code.matrix], bool)
    rows, columns = symbol.path(3).T
    bits = modules[rows, columns] ^ symbol.mask(3, 0)[rows, columns]
    (block,) = symbol.blocks(3, "L")
    return np.packbits(bits[: len(bits) // 8 * 8])[block.places], block.parity


def test_a_codeword_of_another_library_has_no_syndromes():
    word, parity = codeword(1)
    assert not any(reedsolomon.syndromes(word, parity))


@given(st.integers(0, 1000), st.integers(0, 15), st.integers(0, 7), st.integers(0, 6), st.randoms())
@settings(max_examples=300, deadline=None)
def test_what_is_within_reach_is_mended_and_what_is_beyond_is_refused(seed, erasures, errors, unspent, random):
    word, parity = codeword(seed % 5)
    places = random.sample(range(len(word)), erasures + errors)
    broken = word.copy()
    for place in places[:erasures]:
        broken[place] = random.randrange(256)
    for place in places[erasures:]:
        broken[place] ^= random.randrange(1, 256)

    mended = reedsolomon.corrected(broken, parity, places[:erasures], unspent)

    if erasures + 2 * errors <= parity - unspent:
        assert mended is not None
        assert (mended == word).all()
    elif mended is not None and unspent >= 6:
        assert (mended == word).all() or erasures + 2 * errors > parity


@given(st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_noise_is_never_taken_for_a_block(seed):
    random = np.random.default_rng(seed)
    noise = random.integers(0, 256, 70).astype(np.uint8)

    assert reedsolomon.decoded(noise, random.random(70), 15, unspent=4) == (None, 0)


@given(st.integers(0, 100), st.integers(0, 11))
@settings(max_examples=100, deadline=None)
def test_doubt_finds_the_bytes_to_erase(seed, broken_bytes):
    word, parity = codeword(seed % 5)
    random = np.random.default_rng(seed)
    places = random.choice(len(word), broken_bytes, replace=False)
    broken, doubt = word.copy(), random.random(len(word))
    broken[places] ^= random.integers(1, 256, broken_bytes).astype(np.uint8)
    doubt[places] += 1

    mended, erased = reedsolomon.decoded(broken, doubt, parity, unspent=4)

    assert mended is not None
    assert (mended == word).all()
    assert erased <= broken_bytes + 1

"""Reed-Solomon with errors and erasures over GF(256), as QR codes use it (polynomial 0x11D, first root 1).

What makes it more than a library's: it takes the doubt about each byte, erases the most doubtful ones step by
step (generalised minimum distance decoding, Forney 1966), and keeps some parity unspent, so that a block which is
not what it seems is refused instead of corrected into something false.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_FIELD = 255


def _tables() -> tuple[list[int], list[int]]:
    powers, value = [], 1
    for _ in range(_FIELD):
        powers.append(value)
        value = value << 1 ^ (0x11D if value & 0x80 else 0)
    logs = [0] * 256
    for power, each in enumerate(powers):
        logs[each] = power
    return powers + powers, logs


POWERS, LOGS = _tables()
_POWERS, _LOGS = np.array(POWERS), np.array(LOGS)


def _times(a: int, b: int) -> int:
    return POWERS[LOGS[a] + LOGS[b]] if a and b else 0


def syndromes(word: npt.NDArray[np.uint8], parity: int) -> list[int]:
    """All zero when the word is a codeword."""
    filled = np.flatnonzero(word)
    if not len(filled):
        return [0] * parity
    exponents = _LOGS[word[filled]] + np.outer(np.arange(parity), len(word) - 1 - filled)
    return [int(value) for value in np.bitwise_xor.reduce(_POWERS[exponents % _FIELD], axis=1)]


def corrected(
    word: npt.NDArray[np.uint8], parity: int, erased: list[int], unspent: int
) -> npt.NDArray[np.uint8] | None:
    """The codeword near `word`, or None. `erased`: indices whose bytes do not count.

    Spends a parity byte on each erasure and two on each error, and leaves at least `unspent`.
    """
    found = syndromes(word, parity)
    if not any(found):
        return word.copy()
    length = len(word)
    locator = _locator(found, [length - 1 - at for at in erased])
    degree = len(locator) - 1
    errors = degree - len(erased)
    if errors < 0 or len(erased) + 2 * errors > parity - unspent:
        return None
    places = _roots(locator, length)
    if len(places) != degree:
        return None
    mended = word.copy()
    for place, value in zip(places, _magnitudes(found, locator, places), strict=True):
        mended[length - 1 - place] ^= value
    return mended if not any(syndromes(mended, parity)) else None


def decoded(
    word: npt.NDArray[np.uint8], doubt: npt.NDArray[np.floating], parity: int, unspent: int
) -> tuple[npt.NDArray[np.uint8] | None, int]:
    """The codeword, with as few of the most doubtful bytes erased as will do; and how many those were.

    `doubt`: larger for a byte that is less sure.
    """
    order = [int(at) for at in np.argsort(-doubt)]
    most = max(0, parity - unspent)
    for count in sorted({*range(0, most + 1, 2), most}):
        mended = corrected(word, parity, order[:count], unspent)
        if mended is not None:
            return mended, count
    return None, 0


def _locator(found: list[int], erased: list[int]) -> list[int]:
    """Berlekamp-Massey, begun with the erasures: coefficients, lowest power first."""
    gamma = [1]
    for place in erased:
        root = POWERS[place % _FIELD]
        gamma = [
            (gamma[i] if i < len(gamma) else 0) ^ (_times(gamma[i - 1], root) if i else 0)
            for i in range(len(gamma) + 1)
        ]
    now, before, length, gap, scale = gamma, gamma, len(erased), 1, 1
    for step in range(len(erased), len(found)):
        discrepancy = 0
        for i in range(min(len(now), step + 1)):
            discrepancy ^= _times(now[i], found[step - i])
        if not discrepancy:
            gap += 1
            continue
        factor = POWERS[LOGS[discrepancy] + _FIELD - LOGS[scale]]
        shifted = [0] * gap + [_times(each, factor) for each in before]
        fresh = [
            (now[i] if i < len(now) else 0) ^ (shifted[i] if i < len(shifted) else 0)
            for i in range(max(len(now), len(shifted)))
        ]
        if 2 * length <= step + len(erased):
            before, length, scale, gap = now, step + 1 + len(erased) - length, discrepancy, 1
        else:
            gap += 1
        now = fresh
    while len(now) > 1 and not now[-1]:
        now = now[:-1]
    return now


def _roots(locator: list[int], length: int) -> list[int]:
    """The places (powers of the byte's position) at which the locator vanishes."""
    places = np.arange(length)
    total = np.zeros(length, np.int64)
    for power, coefficient in enumerate(locator):
        if coefficient:
            total ^= _POWERS[(LOGS[coefficient] + power * (_FIELD - places)) % _FIELD]
    return [int(place) for place in np.flatnonzero(total == 0)]


def _magnitudes(found: list[int], locator: list[int], places: list[int]) -> list[int]:
    """Forney's formula, first root 1: value = X * omega(1/X) / locator'(1/X)."""
    omega = [0] * len(found)
    for i, coefficient in enumerate(locator):
        for j in range(len(found) - i):
            omega[i + j] ^= _times(coefficient, found[j])
    values = []
    for place in places:
        inverse = (_FIELD - place) % _FIELD
        top = bottom = 0
        for power, coefficient in enumerate(omega):
            if coefficient:
                top ^= POWERS[(LOGS[coefficient] + power * inverse) % _FIELD]
        for power in range(1, len(locator), 2):
            if locator[power]:
                bottom ^= POWERS[(LOGS[locator[power]] + (power - 1) * inverse) % _FIELD]
        if not bottom:
            return [0] * len(places)
        values.append(POWERS[(LOGS[top] + place + _FIELD - LOGS[bottom]) % _FIELD] if top else 0)
    return values

"""May the hunt read a text that is not there? What passes its error correction by chance, and what it is offered.

A block passes when its Reed-Solomon code can be satisfied with some parity bytes unspent. With none unspent chance
passes often; each byte kept back should make it 256 times rarer. That is measured where it can be (0 to 2 kept
back) on random modules within a perfect frame of finders, timing and alignment, in versions of one block (where it
is likeliest), and carried on to the four that are kept back. Then hostile pictures: how many such trials the hunt
makes of each, and how many false texts come out. That a guess has to come out twice is not counted on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rows import Row

from drivers.simulators import qr
from drivers.vision import hunt, soft, symbol
from drivers.vision.hunt.accumulator import Evidence
from drivers.vision.opencv import cv2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.vision.opencv import Picture

TRIALS = 3000
PICTURES = 40
VERSIONS = (1, 2, 3, 4)
KEPT_BACK = (0, 1, 2)
ENOUGH = 10


def run() -> Iterator[Row]:
    """The law of chance, then hostile pictures."""
    passed = by_chance(TRIALS)
    said = ", ".join(f"{passed[kept]} with {kept}" for kept in KEPT_BACK)
    yield Row(f"random modules that pass, of {TRIALS}, by parity bytes kept back", said)
    chance = carried_on(passed, TRIALS)
    yield Row("a random candidate passes with four kept back (95 % bound)", f"< {chance:.0e}")
    worst = 0.0
    for name, draw in HOSTILE.items():
        trials, false = offered(draw, PICTURES)
        worst = max(worst, trials / PICTURES)
        yield Row(
            f"{name}: false texts of {PICTURES} pictures", str(false), f"{trials} candidates", "0", false == 0
        )
    yield Row(
        "a false text in a hostile picture (bound)", f"< {worst * chance:.0e}", f"{worst:.0f} candidates each"
    )


def by_chance(trials: int) -> dict[int, int]:
    """How many of so many drawings of random modules are decoded, for each number of bytes kept back."""
    random = np.random.default_rng(5)
    passed = dict.fromkeys(KEPT_BACK, 0)
    for trial in range(trials):
        version = VERSIONS[trial % len(VERSIONS)]
        lean = noise(version, random)
        for kept in KEPT_BACK:  # what does not pass with fewer does not with more
            if soft.decoded(lean, version, kept) is None:
                break
            passed[kept] += 1
    return passed


def carried_on(passed: dict[int, int], trials: int) -> float:
    """The chance with four kept back: of the last that passed often enough to tell, 95 % above; then 256."""
    kept = max(each for each in KEPT_BACK if passed[each] >= ENOUGH)
    most = passed[kept] + 1.96 * passed[kept] ** 0.5 + 3
    return min(1.0, most / trials) / 256.0 ** (soft.UNSPENT - kept)


def noise(version: int, random: np.random.Generator) -> Picture:
    """Modules that lean anywhere, but for those known beforehand and a format of level M or L, mask at random."""
    shape = symbol.anatomy(version)
    lean = random.normal(0, 1, (shape.side, shape.side)).astype(np.float32)
    lean[shape.known] = np.where(shape.black[shape.known], 1, -1)
    word = symbol.FORMATS[int(random.integers(16))] * 2.0 - 1
    for copy in symbol.format_places(shape.side):
        for place, bit in zip(copy, word, strict=True):
            lean[place] = bit
    return lean


def offered(draw: Callable[[np.random.Generator], tuple[Picture, set[bytes]]], pictures: int) -> tuple[int, int]:
    """Candidates that the hunt put to the error correction in so many pictures, and false texts."""
    trials, false, real = 0, 0, soft.decoded

    def counted(lean: Picture, version: int) -> soft.Symbol | None:
        nonlocal trials
        trials += 1
        return real(lean, version)

    soft.decoded = counted  # type: ignore[assignment] # counts, changes nothing
    try:
        for seed in range(pictures):
            picture, true = draw(np.random.default_rng(seed))
            false += sum(code is not None and code.payload not in true for code in hunt.hunt(picture, Evidence()))
    finally:
        soft.decoded = real
    return trials, false


def _rendered(modules: Picture, random: np.random.Generator) -> Picture:
    """Modules (1 is black) as a camera would see them, 640 x 480."""
    flat = np.kron(np.where(np.pad(modules, 4), 30, 220).astype(np.uint8), np.ones((8, 8), np.uint8))
    side = float(len(flat))
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    held = np.array([[150, 70], [490, 70], [490, 410], [150, 410]]) + random.uniform(-30, 30, (4, 2))
    matrix = cv2.getPerspectiveTransform(corners, held.astype(np.float32))
    seen = cv2.warpPerspective(flat, matrix, (640, 480), flags=cv2.INTER_AREA, borderValue=90)
    noisy: Picture = np.clip(cv2.GaussianBlur(seen, (0, 0), 1.0) + random.normal(0, 4, seen.shape), 0, 255)
    return noisy.astype(np.uint8)


def _random_modules(random: np.random.Generator) -> tuple[Picture, set[bytes]]:
    return _rendered((noise(int(random.integers(1, 7)), random) > 0).astype(np.uint8), random), set()


def _torn(random: np.random.Generator) -> tuple[Picture, set[bytes]]:
    """The left part of one code and the right part of another."""
    payloads = random.bytes(30), random.bytes(30)
    left, right = (qr.modules(each) for each in payloads)
    cut = int(random.integers(len(left) // 4, 3 * len(left) // 4))
    return _rendered(np.hstack([left[:, :cut], right[:, cut:]]), random), set(payloads)


def _overlaid(random: np.random.Generator) -> tuple[Picture, set[bytes]]:
    """Two codes seen through one another, as a reflection in the glass."""
    payloads = random.bytes(30), random.bytes(30)
    one, other = (_rendered(qr.modules(each), random) for each in payloads)
    share = float(random.uniform(0.35, 0.65))
    return cv2.addWeighted(one, share, other, 1 - share, 0), set(payloads)


def _shuffled(random: np.random.Generator) -> tuple[Picture, set[bytes]]:
    """A code whose rows below the finders stand in another order."""
    modules = qr.modules(random.bytes(40))
    rows = np.arange(9, len(modules) - 8)
    modules[rows] = modules[random.permutation(rows)]
    return _rendered(modules, random), set()


HOSTILE = {
    "random modules in a true frame": _random_modules,
    "halves of two codes": _torn,
    "two codes over one another": _overlaid,
    "a code with its rows shuffled": _shuffled,
}

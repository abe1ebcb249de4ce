"""Codes that no decoder library reads: their finders are visible, but their modules are not certain.

Finder candidates → planes → grids, straight and bent → leaning modules → bytes. The work is cut into small pieces,
so that a camera's loop can do one between two frames. A symbol that is found is drawn again without a fault and
read by an ordinary decoder, so that its payload means what it always means.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from drivers.vision import decoders, finders, grid, soft, steps
from drivers.vision.code import Code
from drivers.vision.finders import Finder
from drivers.vision.hunt.accumulator import Evidence, Look
from drivers.vision.opencv import Picture, cv2
from drivers.vision.steps_order import HUNT

if TYPE_CHECKING:
    from collections.abc import Iterator

Three: TypeAlias = "tuple[Finder, Finder, Finder]"
"""Top left, top right, bottom left."""

_SMALL, _LARGE = finders.SHARES[:2], finders.SHARES[1:]
_VIEWS = (
    (0.5, False, _SMALL),
    (1.0, False, _SMALL),
    (0.25, False, _LARGE),
    (2.0, False, _SMALL[1:]),
    (0.5, True, _SMALL),
    (1.0, True, _SMALL),
)
"""Scale, whether black and white are changed over, and windows in which finders are looked for. Of 87 photographs
that are hard for the libraries the hunt reads 51 so; with more windows in each view it reads no more.
"""
_MOST_THREES = 10
LARGEST_PX = 6_000_000
_LIKELY, _HOPELESS = 0.3, 0.15
"""Of 107 threes of real codes 98 are above the first, none below 0.1; of 1333 others 90 % are below the
first. No photograph is read by one below the second."""
_WORK_PX = 7.0
"""Larger modules are shrunk to this: noise averages out, and time is saved."""
_PROMISING = 0.6
"""A plane that fits so well is worth bending, and worth keeping."""
_BENDS = 2
_DRAW_PX = 4
_QUIET = 4
_RENDERED = (0.9, 0.8, 1.25)


def hunt(picture: Picture, evidence: Evidence, largest_px: int = LARGEST_PX) -> Iterator[Code | None]:
    """Piece by piece through everything that can be tried on one picture: a code, or None for `nothing yet`.

    `evidence`: of earlier frames; what this one shows is added. `largest_px`: no larger view than this is made,
    which bounds the pieces.
    """
    for scale, is_negative, shares in _VIEWS:
        if min(picture.shape) * scale < steps.SMALLEST_PX or (scale > 1 and picture.size * scale**2 > largest_px):
            continue
        if (scale > 1 or is_negative) and evidence.has_offer:
            break  # there is a code, large enough and black on white
        view = picture if scale == 1 else steps.scaled(picture, scale)
        view = 255 - view if is_negative else view
        merged: list[Finder] = []
        for _ in finders.search(view, merged, shares):
            yield None
        found = finders.likeliest(merged)
        whole, completed = finders.triples(found), finders.completed(found)
        fits = grid.fits_flat(view, [*whole, *completed])
        yield None
        ranked = sorted(zip(fits, whole, strict=False), key=_by_fit)[:_MOST_THREES]
        likely = [three for fit, three in ranked if fit >= _LIKELY]
        unlikely = [three for fit, three in ranked if _HOPELESS <= fit < _LIKELY]
        last = sorted(zip(fits[len(whole) :], completed, strict=True), key=_by_fit)
        hidden = [three for fit, three in last if fit >= _HOPELESS]
        for three in (*likely, *hidden, *unlikely):
            for code in _tries(view, three, evidence, scale):
                if code is not None:
                    yield replace(code, is_negative=is_negative)
                    return
                yield None
            yield None
    if (concluded := evidence.conclude()) is not None:
        yield _read(*concluded)


def _by_fit(ranked: tuple[float, Three]) -> float:
    return -ranked[0]


def follow(picture: Picture, code: Code) -> Code | None:
    """The code again, about where it was a frame ago."""
    if not code.modules:
        return None
    ends = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    matrix = cv2.getPerspectiveTransform(ends, np.array(code.corners, np.float32))
    near, far = 3.5 / code.modules, 1 - 3.5 / code.modules
    middles = cv2.perspectiveTransform(np.array([[[near, near], [far, near], [near, far]]], np.float64), matrix)[0]
    module_px = code.side() / code.modules
    one, two, three = (Finder(float(x), float(y), module_px) for x, y in middles)
    view = 255 - picture if code.is_negative else picture
    again = from_finders(view, _moved_on(view, (one, two, three)), Evidence())
    return again and replace(again, is_negative=code.is_negative)


def _moved_on(picture: Picture, three: Three) -> Three:
    """Where the three are by now, to half a module, if they have moved together and by no more than one."""
    halves = [(right / 2, down / 2) for down in range(-2, 3) for right in range(-2, 3)]
    moved = [_moved(three, right, down) for right, down in halves]
    cut, left, top, shrink = _cut_out(picture, three)
    fits = grid.fits_flat(cut, [_within(each, left, top, shrink) for each in moved])
    return moved[int(np.argmax(fits))]


def _moved(three: Three, right: float, down: float) -> Three:
    """All three by so many modules."""
    one, two, last = (replace(f, x=f.x + right * f.module_px, y=f.y + down * f.module_px) for f in three)
    return one, two, last


def _within(three: Three, left: float, top: float, shrink: float) -> Three:
    """The three in a part of the picture, as `_cut_out` has it."""
    one, two, last = (
        Finder((f.x - left) * shrink, (f.y - top) * shrink, f.module_px * shrink, f.votes) for f in three
    )
    return one, two, last


def find_again(picture: Picture, code: Code) -> Code:
    """The code where it is by now, if it is still about where it was; when two frames agree, no guess is left."""
    again = follow(picture, code)
    if again is not None and again.payload == code.payload:
        return replace(again, is_guess=False)
    left, top, right, bottom = code.box()
    margin = 0.5 * code.side()
    left, top = max(0, int(left - margin)), max(0, int(top - margin))
    cut = picture[top : int(bottom + margin), left : int(right + margin)]
    for again in hunt(cut, Evidence()):
        if again is not None and again.payload == code.payload:
            return replace(again.moved(1.0, left, top), is_guess=False)
    return code


def agrees(picture: Picture, code: Code) -> bool:
    """The same is read in another rendering of the picture, whose every pixel is mixed of others."""
    views = ((factor, steps.scaled(picture, factor)) for factor in _RENDERED)
    return any(
        again is not None and again.payload == code.payload
        for factor, view in views
        for again in [follow(view, code.moved(factor))]
    )


def from_finders(picture: Picture, three: Three, evidence: Evidence, scale: float = 1.0) -> Code | None:
    """The code that has these three finders, if there is one. `scale`: of `picture` to the one corners are for."""
    return next((code for code in _tries(picture, three, evidence, scale) if code is not None), None)


def _tries(picture: Picture, three: Three, evidence: Evidence, scale: float) -> Iterator[Code | None]:
    """As `from_finders`, in pieces of work: a dense code takes many frames' time."""
    cut, left, top, shrink = _cut_out(picture, three)
    back = np.array([[1 / shrink, 0, left], [0, 1 / shrink, top], [0, 0, scale]])
    for plane in grid.planes(cut, _within(three, left, top, shrink)):
        yield None
        for found in _symbols(cut, plane):
            if isinstance(found, soft.Symbol):
                yield _read(found, plane.moved(back))
                return
            lean = found
            yield None
        if plane.fit >= _PROMISING:
            evidence.offer(Look(plane.moved(back), lean))


def _symbols(picture: Picture, plane: grid.Plane) -> Iterator[soft.Symbol | Picture]:
    """The symbol on a plane, straight first, then bent, then bent again, through the equaliser and without; after
    each turn in which it cannot be read, what its modules lean to.
    """
    straight = grid.straightened(picture, plane)
    bend: grid.Bend | None = None
    for turn in range(_BENDS + 1):
        if turn:
            bend = grid.bent(straight, bend)
        gray = grid.cells(straight, bend)
        for around in (None, grid.surroundings(straight, bend)):
            lean = soft.leaning(gray, plane.version, around)
            found = soft.decoded(lean, plane.version)
            if found is not None:
                yield found
                return
        yield lean
        if plane.fit < _PROMISING:
            return


def _read(symbol: soft.Symbol, plane: grid.Plane) -> Code | None:
    """What an ordinary decoder reads from the symbol drawn again; nothing when it is empty."""
    black = np.kron(np.pad(symbol.modules, _QUIET), np.ones((_DRAW_PX, _DRAW_PX), bool))
    codes = decoders.first(np.where(black, 0, 255).astype(np.uint8))
    if len(codes) != 1 or not codes[0].payload:
        return None
    a, b, c, d = plane.corners()
    side = len(symbol.modules)
    return Code(codes[0].payload, (a, b, c, d), codes[0].declared, HUNT, side, symbol.erased > 0)


def _cut_out(picture: Picture, three: Three) -> tuple[Picture, float, float, float]:
    """The part of the picture that can hold the code, at a size fit to work on: with its left, top and scale."""
    corner, right, down = three
    module_px = sum(finder.module_px for finder in three) / 3
    xs = [corner.x, right.x, down.x, 1.25 * (right.x + down.x - corner.x) - 0.25 * corner.x]
    ys = [corner.y, right.y, down.y, 1.25 * (right.y + down.y - corner.y) - 0.25 * corner.y]
    margin = 10 * module_px
    height, width = picture.shape
    left, top = max(0, int(min(xs) - margin)), max(0, int(min(ys) - margin))
    part = picture[top : min(height, int(max(ys) + margin)), left : min(width, int(max(xs) + margin))]
    scale = min(1.0, _WORK_PX / module_px)
    if scale < 0.9:  # noqa: PLR2004 - not worth the work
        return cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), left, top, scale
    return part, left, top, 1.0

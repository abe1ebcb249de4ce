"""Advice for a technician about a picture: how sharp and bright it is, how large the code is, what to do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from drivers.vision import decoders, finders, grid, sheet, steps, symbol, symbologies
from drivers.vision.opencv import Picture, cv2
from drivers.vision.pipeline import Pipeline
from drivers.vision.tracker import NEARER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.vision.code import Code, Point

ENOUGH_PX = 3.0
"""Pixels a module that every step can read; below 2 only clean pictures are read."""
_FIT = 0.55
_DARK, _BRIGHT = 35, 215
_WASHED, _WASHED_SHARE = 0.45, 0.03
_FLAT_PX = 4
_FLAT = 50
_BLUR_MODULES = 1.1
_BLUR_PX = 5.0
_RIM_PX = 2


@dataclass(frozen=True, slots=True)
class Aim:
    """One picture, judged."""

    step: str
    """Which step of the pipeline read a code; empty when none did."""
    payload_bytes: int
    corners: tuple[Point, ...]
    """Of the code, read or only found; empty when there is none."""
    modules: int
    """Along a side; 0 when unknown."""
    module_px: float
    brightness: float
    """Mean gray, of the code where there is one, else of the picture."""
    contrast: float
    """Gray levels between the darkest and the brightest twentieth there."""
    edge_px: float
    """Pixels that an edge between black and white takes."""
    burnt: tuple[float, float, float]
    """Share of the upper, middle and lower third of the code, as it is printed, in which light hides the black."""
    size: tuple[int, int]
    """Width and height of the picture."""
    others: tuple[str, ...] = ()
    """Symbols in view that are no QR codes, by name; looked for only when no code was read."""
    rivals: int = 0
    """Other codes of like size: while they are in view, the agent tells none of them."""


def measured(picture: Picture, symbols: Sequence[str] = symbologies.OTHERS) -> Aim:
    """Read the picture by the whole pipeline and measure it. `symbols`: what is read beside QR codes."""
    codes = Pipeline(float("inf"), symbols=symbols).read(picture)
    code = max(codes, key=lambda each: each.area(), default=None)
    corners, modules = (code.corners, code.modules) if code else _found(picture)
    if code and not modules and code.symbology == symbologies.QR:
        modules = _modules_of(picture, code)
    part = _part(picture, corners)
    flat = _flat(picture, corners, modules) if corners and modules else part
    module_px = math.dist(corners[0], corners[1]) / modules if corners and modules else 0.0
    low, high = (float(level) for level in np.percentile(flat, (5, 95)))
    burnt = _washed(flat, low + _WASHED * (high - low)) if corners and modules else (0.0, 0.0, 0.0)
    return Aim(
        code.step if code else "",
        len(code.payload) if code else 0,
        corners,
        modules,
        module_px,
        float(flat.mean()),
        high - low,
        _edge_px(part, high - low),
        burnt,
        (picture.shape[1], picture.shape[0]),
        () if code else tuple(decoders.others(steps.bounded(picture))),
        _rivals(picture, code, codes) if code else 0,
    )


def _rivals(picture: Picture, code: Code, codes: list[Code]) -> int:
    alike = {each.payload: each for each in codes if each.area() * NEARER > code.area()}
    return sum(
        not sheet.are_together(picture, code, each) for each in alike.values() if each.payload != code.payload
    )


def advice(aim: Aim, *, code_cm: float = 5.0, view_degrees: float = 60.0) -> list[str]:
    """What to do, the most important first; empty when all is well.

    `code_cm`: side of the code that is shown; `view_degrees`: horizontal field of view of the camera. Both only
    serve to turn pixels into centimetres.
    """
    said = _light(aim)
    if aim.others:
        names = " and ".join(aim.others)
        return [f"{names} in view, which this camera does not read: show another code, or see its symbologies"]
    if not aim.corners:
        return [*said, "no code in view: hold one before the camera, flat, sharp and large enough"]
    if aim.rivals:
        return ["more than one code of like size in view: show one at a time, or set region to this lane's part"]
    said = [*_place(aim, code_cm, view_degrees), *_reflection(aim), *_focus(aim), *said]
    if not aim.step and not said:
        return ["a code is there but cannot be read: hold it flat and still, wipe the lens and the glass"]
    return said


def _light(aim: Aim) -> list[str]:
    if aim.brightness < _DARK:
        return ["too dark: add light, or let the camera expose longer"]
    if aim.brightness > _BRIGHT:
        return ["too bright: set a shorter exposure"]
    if aim.corners and aim.contrast < _FLAT:
        return ["black and white are too near together: brighter screen, or no light behind the camera's back"]
    return []


def _place(aim: Aim, code_cm: float, view_degrees: float) -> list[str]:
    width, height = aim.size
    xs, ys = [x for x, _ in aim.corners], [y for _, y in aim.corners]
    past = {
        "left": min(xs) < _RIM_PX,
        "right": max(xs) > width - 1 - _RIM_PX,
        "top": min(ys) < _RIM_PX,
        "bottom": max(ys) > height - 1 - _RIM_PX,
    }
    sides = [side for side, is_past in past.items() if is_past]
    if sides:
        return [f"the code is cut off at the {' and '.join(sides)}: turn the camera, or step back"]
    if 0 < aim.module_px < 0.95 * ENOUGH_PX:
        side_px = aim.module_px * aim.modules
        focal_px = width / 2 / math.tan(math.radians(view_degrees / 2))
        now_cm = code_cm * focal_px / side_px
        nearer_cm = now_cm * (1 - aim.module_px / ENOUGH_PX)
        return [f"too small, {aim.module_px:.1f} pixels a module: move about {max(1, round(nearer_cm))} cm closer"]
    return []


def _reflection(aim: Aim) -> list[str]:
    share = max(aim.burnt)
    if share < _WASHED_SHARE or aim.contrast < _FLAT:
        return []
    third = ("upper", "middle", "lower")[aim.burnt.index(share)]
    return [f"reflection in the {third} third of the code: tilt the camera, or shade the lamp"]


def _focus(aim: Aim) -> list[str]:
    if aim.contrast < _FLAT or not aim.edge_px:
        return []
    limit_px = max(2.5, _BLUR_MODULES * aim.module_px) if aim.module_px else _BLUR_PX
    if aim.edge_px > limit_px:
        return [f"out of focus or moving: an edge takes {aim.edge_px:.1f} pixels; set the focus to this distance"]
    return []


def _part(picture: Picture, corners: tuple[Point, ...]) -> Picture:
    """The picture within the corners' box; all of it without corners."""
    if not corners:
        return picture
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    part = picture[max(0, int(min(ys))) : int(max(ys)) + 1, max(0, int(min(xs))) : int(max(xs)) + 1]
    return part if part.size else picture


def _flat(picture: Picture, corners: tuple[Point, ...], modules: int) -> Picture:
    """The code pulled straight, upright as it is printed."""
    side = modules * _FLAT_PX
    square = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    matrix = cv2.getPerspectiveTransform(np.array(corners, np.float32), square)
    flat: Picture = cv2.warpPerspective(picture, matrix, (side, side), flags=cv2.INTER_AREA)
    return flat


def _washed(flat: Picture, level: float) -> tuple[float, float, float]:
    """Share of each third in which all is brighter than `level`: few three by three modules are all white."""
    darkest = cv2.erode(flat, np.ones((3 * _FLAT_PX, 3 * _FLAT_PX), np.uint8))
    upper, middle, lower = (float(np.mean(third > level)) for third in np.array_split(darkest, 3))
    return upper, middle, lower


def _edge_px(part: Picture, contrast: float) -> float:
    """Contrast by steepness: how wide an edge is."""
    if min(part.shape) < 3 or contrast < 1:  # noqa: PLR2004 - too small to have an edge
        return 0.0
    gray = part.astype(np.float32)
    slope = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)) / 8
    steep = float(np.percentile(slope, 97))
    return contrast / steep if steep > 0 else 0.0


def _found(picture: Picture) -> tuple[tuple[Point, ...], int]:
    """Corners and modules of a code that can be seen but not read."""
    if min(picture.shape) < steps.SMALLEST_PX:
        return (), 0
    merged: list[finders.Finder] = []
    for _ in finders.search(picture, merged):
        pass
    best: grid.Plane | None = None
    for three in finders.triples(finders.likeliest(merged)):
        for plane in grid.planes(picture, three, most=1):
            if plane.fit > _FIT and (best is None or plane.fit > best.fit):
                best = plane
    return (best.corners(), symbol.side_of(best.version)) if best else ((), 0)


def _modules_of(picture: Picture, code: Code) -> int:
    """For decoders that do not tell: how many modules the code has, by looking for its grid."""
    left, top, right, bottom = code.box()
    margin = 0.2 * code.side()
    around = picture[
        max(0, int(top - margin)) : int(bottom + margin), max(0, int(left - margin)) : int(right + margin)
    ]
    return _found(around)[1]

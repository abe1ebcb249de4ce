"""Two codes on one sheet are one person's and both told; two phones are two persons and neither is."""

import numpy as np
import pytest

from drivers.contract import Sighting
from drivers.simulators import qr
from drivers.vision import decoders, framing_advice, sheet
from drivers.vision.opencv import cv2
from drivers.vision.pipeline import Pipeline
from drivers.vision.watcher import Watcher

WALL, WHITE = 120, 235


def paper(picture, left, top, right, bottom, level=WHITE):
    picture[top:bottom, left:right] = level


def put(picture, payload, x, y, module_px=6, level=WHITE):
    drawn = qr.drawn(payload, module_px).astype(int) * level // 255
    picture[y : y + len(drawn), x : x + len(drawn)] = drawn


def one_sheet(beside=(330, 0), level=WHITE):
    picture = np.full((720, 1280), WALL, np.uint8)
    paper(picture, 80, 60, 1100, 660, level)
    put(picture, b"vaccination", 150, 120, level=level)
    put(picture, b"test", 150 + beside[0], 120 + beside[1], level=level)
    return picture


def two_phones(edge_px=8, edge=20):
    picture = np.full((720, 1280), WALL, np.uint8)
    for left, payload in ((100, b"mine"), (100 + 330 + edge_px, b"yours")):
        paper(picture, left - edge_px, 60, left + 330 + edge_px, 660, edge)
        paper(picture, left, 60, left + 330, 660)
        put(picture, payload, left + 80, 200)
    return picture


def turned(picture, degrees):
    matrix = cv2.getRotationMatrix2D((640, 360), degrees, 0.9)
    return cv2.warpAffine(picture, matrix, (1280, 720), borderValue=WALL)


def codes_in(picture):
    return decoders.first(picture, wide=True)


def told(picture, seconds=1.0):
    watcher = Watcher(Pipeline(0.0), away_s=0.5)
    items = [item for turn in range(int(30 * seconds)) for item in watcher.see(picture, turn / 30)]
    return sorted(item.payload for item in items if isinstance(item, Sighting))


@pytest.mark.parametrize("beside", [(330, 0), (250, 0), (0, 260), (260, 120)])
@pytest.mark.parametrize("degrees", [0, 7, -20, 180])
def test_both_codes_of_one_sheet_are_told_once(beside, degrees):
    assert told(turned(one_sheet(beside), degrees)) == [b"test", b"vaccination"]


def test_both_are_told_in_dim_light_and_noise():
    noise = np.random.default_rng(1).normal(0, 4, (720, 1280))
    picture = np.clip(one_sheet(level=150) + noise, 0, 255).astype(np.uint8)
    assert told(picture) == [b"test", b"vaccination"]


@pytest.mark.parametrize(("edge_px", "edge"), [(8, 20), (4, 20), (8, WALL), (3, 150)])
def test_of_two_phones_side_by_side_neither_is_told(edge_px, edge):
    assert told(two_phones(edge_px, edge)) == []


def test_two_sheets_that_are_held_otherwise_are_two():
    picture = np.full((720, 1280), WHITE, np.uint8)
    put(picture, b"mine", 150, 120)
    tilted = np.full((720, 1280), WHITE, np.uint8)
    put(tilted, b"yours", 560, 120)
    matrix = cv2.getRotationMatrix2D((650, 230), 9, 1.0)
    tilted = cv2.warpAffine(tilted, matrix, (1280, 720), borderValue=WHITE)
    assert told(np.minimum(picture, tilted)) == []


@pytest.mark.parametrize("far", [700])
def test_what_is_far_apart_is_not_one_sheet(far):
    picture = np.full((720, 1280), WHITE, np.uint8)
    put(picture, b"mine", 100, 120)
    put(picture, b"yours", 100 + far, 120)
    assert not sheet.pairs(picture, codes_in(picture))


def test_whoever_aims_the_camera_is_told_of_two_phones_but_not_of_one_sheet():
    assert not framing_advice.measured(one_sheet()).rivals
    assert framing_advice.measured(two_phones()).rivals == 1

"""What is said to anyone who mounts the camera, for pictures whose fault is known."""

import numpy as np
import pytest

from drivers.simulators import qr
from drivers.vision import framing_advice, terminal_preview
from drivers.vision.opencv import cv2, from_bytes, to_png


def shown(module_px=8, level=235, x=300, y=120):
    picture = np.full((720, 1280), 70, np.uint8)
    code = np.minimum(qr.drawn(b"GP1:" + b"a kiosk's code " * 3, module_px), level)
    part = picture[max(0, y) : y + len(code), max(0, x) : x + len(code)]
    part[:] = code[max(0, -y) :, max(0, -x) :][: part.shape[0], : part.shape[1]]
    return picture


def said(picture):
    return " / ".join(framing_advice.advice(framing_advice.measured(picture)))


def test_a_good_picture_needs_no_advice():
    judged = framing_advice.measured(shown())

    assert framing_advice.advice(judged) == []
    assert judged.step
    assert judged.modules == len(qr.modules(b"GP1:" + b"a kiosk's code " * 3))
    assert judged.module_px == pytest.approx(8, abs=0.3)


@pytest.mark.parametrize(
    ("picture", "word"),
    [
        (np.full((720, 1280), 90, np.uint8), "no code in view"),
        (np.full((720, 1280), 9, np.uint8), "too dark"),
        (np.full((720, 1280), 250, np.uint8), "too bright"),
        (shown(module_px=2), "closer"),
        (cv2.GaussianBlur(shown(), (0, 0), 4), "out of focus"),
        ((shown().astype(np.float32) * 0.12 + 80).astype(np.uint8), "too near together"),
        (shown(x=-36), "cut off at the left"),
        (np.ones((1, 1), np.uint8), "too dark"),
    ],
)
def test_each_fault_has_its_sentence(picture, word):
    assert word in said(picture)


@pytest.mark.parametrize(("y", "third"), [(0.2, "upper"), (0.5, "middle"), (0.8, "lower")])
def test_a_reflection_is_placed(y, third):
    picture = shown()
    side = len(qr.drawn(b"GP1:" + b"a kiosk's code " * 3, 8))
    cv2.ellipse(picture, (300 + side // 2, 120 + int(y * side)), (50, 25), 0, 0, 360, 255, -1)

    assert f"reflection in the {third} third" in said(picture)


def test_pictures_for_terminals():
    marked = terminal_preview.marked(shown(), ((300.0, 120.0), (600.0, 120.0), (600.0, 420.0), (300.0, 420.0)))
    small = terminal_preview.fitted(marked, 96, 54)

    assert small.shape == (54, 96, 3)
    assert terminal_preview.half_blocks(small).count("▀") == 27 * 96
    assert terminal_preview.half_blocks(small).count("\n") == 26
    assert terminal_preview.kitty(small).startswith("\x1b_Ga=T,f=100,")
    sixel = terminal_preview.sixel(small)
    assert sixel.startswith("\x1bPq")
    assert sixel.endswith("\x1b\\")
    assert sixel.count("-") == 8
    assert from_bytes(to_png(marked)).shape == (720, 1280)


def test_two_codes_of_like_size_are_said():
    picture = np.full((720, 1280), 70, np.uint8)
    for payload, x in ((b"mine", 100), (b"yours", 700)):
        code = np.minimum(qr.drawn(payload, 10), 235)
        picture[200 : 200 + len(code), x : x + len(code)] = code

    assert framing_advice.measured(picture).rivals == 1
    assert "one at a time" in said(picture)
    picture[:, 640:] = 70
    assert said(picture) == ""

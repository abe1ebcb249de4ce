"""What a USB camera is asked for and what it gives."""

from dataclasses import replace

import pytest

from drivers.wire.v4l2 import CaptureSettings, shortfalls

ASKED = CaptureSettings(1280, 720, 30.0, "MJPG", 50.0, 10.0)


def test_a_camera_that_does_as_asked_is_not_spoken_of():
    assert shortfalls(ASKED, ASKED) == []
    assert shortfalls(replace(ASKED, exposure=None, focus=None), replace(ASKED, fps=60.0)) == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (replace(ASKED, width=640, height=480), "gives 640x480 MJPG for 1280x720 MJPG"),
        (replace(ASKED, fourcc="YUYV", fps=10.0), "gives 1280x720 YUYV for 1280x720 MJPG"),
        (replace(ASKED, fps=10.0), "gives 10 frames a second for 30"),
        (replace(ASKED, exposure=None), "has no exposure that can be set"),
        (replace(ASKED, focus=30.0), "has its focus at 30 for 10"),
    ],
)
def test_what_it_does_otherwise_is_one_sentence(given, says):
    (sentence,) = shortfalls(ASKED, given)
    assert sentence.startswith(says)

"""A frame's small picture: the same scene, at an eighth of the sides, from the same bytes."""

import numpy as np
import pytest

from drivers.simulators import qr
from drivers.vision import opencv
from drivers.wire.frames import Frame


def test_the_small_picture_of_a_jpeg_is_the_mean_of_its_blocks():
    picture = np.full((720, 1280), 90, np.uint8)
    code = qr.drawn(b"GP1:somebody", 8)
    picture[104 : 104 + len(code), 400 : 400 + len(code)] = code
    frame = Frame(0.0, jpeg=opencv.to_jpeg(picture))

    small = frame.small()
    blocks = frame.gray().reshape(90, 8, 160, 8).mean((1, 3))
    assert small.shape == blocks.shape
    assert np.abs(small - blocks).max() <= 2


def test_the_small_picture_of_what_is_no_jpeg_is_all_of_it():
    picture = np.full((30, 40), 90, np.uint8)

    assert Frame(0.0, picture=picture).small() is picture


@pytest.mark.parametrize("jpeg", [b"", b"\xff\xd8\xff\xe0", b"no picture"])
def test_a_broken_jpeg_is_broken_in_both_sizes(jpeg):
    with pytest.raises(opencv.UnreadablePicture):
        Frame(0.0, jpeg=jpeg).small()
    with pytest.raises(opencv.UnreadablePicture):
        Frame(0.0, jpeg=jpeg).gray()

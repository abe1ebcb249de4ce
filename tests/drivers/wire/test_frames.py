"""A frame's small picture: the same scene, at an eighth of the sides, from the same bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.simulators import qr
from drivers.vision import opencv
from drivers.wire.frames import CaptureTimes, Frame


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


STAMPS_AHEAD_S = 9000.0


def ages(taken_and_read):
    """(taken, read) each, seconds → by how much each picture counts as older than when it was read."""
    times = CaptureTimes()
    return [read_s - times.of(taken_s + STAMPS_AHEAD_S, read_s) for taken_s, read_s in taken_and_read]


def test_a_picture_that_waited_is_older_than_one_that_was_awaited():
    awaited = [(k / 30, k / 30 + 0.02) for k in range(30)]
    waited = [(1 + k / 30, 11 + k / 100) for k in range(300)]
    found = ages(awaited + waited)
    assert max(found[:30]) < 0.01
    assert found[30] == pytest.approx(10, rel=0.05)
    assert all(
        age >= 0.9 * (read_s - taken_s) - 0.2 for age, (taken_s, read_s) in zip(found[30:], waited, strict=True)
    )


@pytest.mark.parametrize("stamp", [lambda _: 0.0, lambda k: -k / 30.0], ids=["none", "backwards"])
def test_a_picture_without_a_stamp_that_advances_is_of_now(stamp):
    times = CaptureTimes()
    assert [times.of(stamp(k), k / 30) for k in range(100)] == pytest.approx([k / 30 for k in range(100)])


def test_a_way_that_became_longer_is_soon_known():
    found = ages([(k / 30, k / 30 + (0.02 if k < 30 else 0.52)) for k in range(600)])
    assert found[30] == pytest.approx(0.5, abs=0.02)
    assert found[-1] == pytest.approx(0, abs=1e-6)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 100)), min_size=1))
def test_no_picture_is_of_the_future(steps):
    times, now_s = CaptureTimes(), 0.0
    for stamp_s, wait_s in steps:
        now_s += wait_s
        assert times.of(stamp_s, now_s) <= now_s + 1e-6

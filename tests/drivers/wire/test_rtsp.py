"""A camera that is spoken to in RTSP: pictures come, a stream that hangs and a line that is cut are noticed."""

import time

import numpy as np
import pytest

from drivers.contract import Departure, DeviceGone, Sighting
from drivers.scanners.camera import Driver, Options
from drivers.simulators import rtsp
from drivers.simulators.world import World
from drivers.vision import opencv
from drivers.vision.opencv import cv2
from drivers.wire.v4l2 import NetworkCamera
from tests.drivers.patience import opened


@pytest.fixture
def camera():
    world = World()
    simulator = rtsp.RtspSimulator(lambda: world.code)
    simulator.world = world
    simulator.start()
    yield simulator
    simulator.stop()


@pytest.fixture
def lens(camera):
    lens = NetworkCamera(camera.url)
    yield lens
    lens.close()


def items_of(driver, limit_s, enough):
    end_s = time.monotonic() + limit_s
    items = []
    while time.monotonic() < end_s and len(items) < enough:
        if item := driver.read(0.1):
            items.append(item)
    return items


def frames_of(lens):
    while True:
        lens.next(1)


def test_a_picture_survives_its_packets():
    gray = cv2.resize(np.random.default_rng(3).integers(0, 255, (30, 40)).astype(np.uint8), (640, 480))
    jpeg = rtsp._as_colour_jpeg(gray)
    sent = list(rtsp.packets(jpeg, (640, 480), 90_000, 65_534))

    assert len(sent) > 3
    assert all(len(packet) < 1600 for packet in sent)
    assert [packet[1] >> 7 for packet in sent] == [0] * (len(sent) - 1) + [1], "the marker is on the last"
    numbers = [int.from_bytes(packet[2:4], "big") for packet in sent]
    assert numbers[:4] == [65_534, 65_535, 0, 1]
    first, *others = (packet[12:] for packet in sent)
    tables, scan = first[12:140], first[140:]
    for part in others:
        assert int.from_bytes(part[1:4], "big") == len(scan)
        scan += part[8:]
    assert jpeg.endswith(scan + b"\xff\xd9")
    assert tables[:64] in jpeg
    assert tables[64:] in jpeg


def test_pictures_come_over_one_line(camera, lens):
    camera.world.show(b"GP1:by the wire")
    lens.open()
    pictures = [lens.next(1).gray() for _ in range(5)]
    assert pictures[0].shape == (480, 640)
    assert any((pictures[0] != each).any() for each in pictures[1:])
    assert camera.requests[-1] == "PLAY"
    assert camera.requests.count("SETUP") == 1, "UDP is not even asked for"


def test_pictures_that_waited_are_as_old_as_they_are(camera, lens):
    """The reader is held up while the camera goes on: no picture of then counts as one of now."""
    lens.open()
    before = [lens.next(1) for _ in range(20)]
    assert 0 <= time.monotonic() - before[-1].at_s < 1
    held_up_s, sent = time.monotonic(), camera.pictures
    while camera.pictures < sent + 30:
        assert time.monotonic() - held_up_s < 60
    read_again_s = time.monotonic()
    late = [lens.next(1).at_s for _ in range(15)]
    assert max(late) < read_again_s
    assert late == sorted(late)


def test_a_stream_that_hangs_is_given_up_within_three_seconds(camera, lens, fair_clock):
    lens.open()
    assert lens.next(1) is not None
    camera.hang()
    began_s = fair_clock()
    with pytest.raises(DeviceGone, match="the stream was cut"):
        frames_of(lens)
    assert fair_clock() - began_s < 3


def test_a_camera_that_is_gone_is_said_and_nothing_of_its_password(camera, capfd):
    camera.unplug()
    lens = NetworkCamera(camera.url.replace("rtsp://", "rtsp://guard:s3cret@"))
    with pytest.raises(DeviceGone, match="is not reachable") as gone:
        lens.open()
    assert "s3cret" not in str(gone.value)
    assert capfd.readouterr().err == ""


def test_the_driver_goes_through_all_of_it_in_a_process_of_its_own(camera, fair_clock):
    driver = Driver(Options(camera.url, away_s=0.3))
    assert driver._apart is not None
    opened(driver)
    assert driver.simulated
    camera.world.show(b"GP1:first")
    assert [item.payload for item in items_of(driver, 60, 1)] == [b"GP1:first"]
    camera.world.hide()
    assert [type(item) for item in items_of(driver, 60, 1)] == [Departure]

    camera.hang()
    began_s = fair_clock()
    with pytest.raises(DeviceGone):
        items_of(driver, 60, 1)
    assert fair_clock() - began_s < 4
    camera.go_on()
    opened(driver)
    camera.world.show(b"GP1:after it hung")
    seen = [item for item in items_of(driver, 60, 1) if isinstance(item, Sighting)]
    assert [item.payload for item in seen] == [b"GP1:after it hung"]

    camera.unplug()
    with pytest.raises(DeviceGone):
        items_of(driver, 60, 9)
    camera.replug()
    opened(driver)
    assert [item.payload for item in items_of(driver, 60, 1)] == [b"GP1:after it hung"]
    driver.close()


def test_a_small_jpeg_is_read_as_the_library_writes_it():
    gray = np.full((16, 16), 77, np.uint8)
    assert abs(int(opencv.from_bytes(rtsp._as_colour_jpeg(gray)).mean()) - 77) < 2

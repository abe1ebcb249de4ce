"""Ribbon-cable cameras, against a stand-in for picamera2: its documented calls, and what it does when misused.

No Raspberry Pi was at hand. The stand-in is written from the Picamera2 manual: requests that are not released run
out, arrays of YUV420 are half as high again and as wide as the stride, unknown controls are refused.
"""

import sys
import time
from types import ModuleType

import numpy as np
import pytest

from drivers.contract import BadOptions, DeviceGone, Sighting
from drivers.scanners.camera import Driver, Options, lens_for
from drivers.simulators import qr
from drivers.wire.picamera import PiCamera
from drivers.wire.v4l2 import CaptureSettings

BUFFERS = 6


class Request:
    def __init__(self, camera):
        self.camera = camera
        self.taken_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - int(camera.library.waited_s * 1e9)

    def make_array(self, name):
        config = self.camera.stream_configuration(name)
        (width, height), stride = config["size"], config["stride"]
        planes = np.full((height * 3 // 2, stride), 128, np.uint8)
        planes[:height, :width] = 110
        planes[:height, width:] = 255  # what lies between a row's end and the next
        code = qr.drawn(self.camera.library.shown, 4)
        planes[60 : 60 + len(code), 100 : 100 + len(code)] = code
        planes[0, 0] = self.camera.frames % 200  # a sensor's noise
        return planes

    def get_metadata(self):
        return {"SensorTimestamp": self.taken_ns, "ExposureTime": 9000}

    def release(self):
        self.camera.lent -= 1


class Picamera2:
    library = None
    taken = False

    def __init__(self, camera_num=0):
        if Picamera2.taken:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        Picamera2.taken = True
        self.camera_controls = dict.fromkeys(self.library.controls, (0, 100, 10))
        self.lent = self.frames = 0
        self.started = False

    @staticmethod
    def global_camera_info():
        return [{"Model": "imx708", "Num": 0}]

    def create_video_configuration(self, main=None, lores=None, controls=None):
        unknown = set(controls) - set(self.camera_controls) - {"FrameRate"}
        if unknown:
            raise RuntimeError(f"Control {unknown} is not advertised by libcamera")
        self.library.asked = controls
        return {"main": dict(main)}

    def configure(self, config):
        width, _ = config["main"]["size"]
        self.config = {"main": config["main"] | {"stride": -(-width // 64) * 64}}

    def stream_configuration(self, name="main"):
        return self.config[name]

    def start(self):
        self.started = True

    def capture_request(self):
        if not self.started:
            raise RuntimeError("the camera is not started")
        assert self.lent < BUFFERS, "would wait for ever: requests were not released"
        time.sleep(0.01)
        if self.library.broken:
            raise RuntimeError("camera frontend has timed out")
        self.lent += 1
        self.frames += 1
        return Request(self)

    def close(self):
        Picamera2.taken = False
        self.started = False


@pytest.fixture
def library(monkeypatch):
    module = ModuleType("picamera2")
    module.Picamera2 = Picamera2
    module.controls = ("AeEnable", "ExposureTime", "AfMode", "LensPosition")
    module.shown, module.broken, module.asked = b"GP1:csi", False, None
    module.waited_s = 0.0
    Picamera2.library, Picamera2.taken = module, False
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return module


def settings(**changed):
    return CaptureSettings(**{"width": 820, "height": 480, "fps": 30.0, "fourcc": "MJPG"} | changed)


def test_a_code_before_the_ribbon_camera_is_told(library):
    driver = Driver(Options("csi:0", width=820, height=480, own_process="no"))
    driver.open()
    item = driver.read(2.0)
    driver.close()

    assert isinstance(item, Sighting)
    assert item.payload == b"GP1:csi"
    assert not item.simulated


def test_the_picture_is_the_gray_plane_without_padding_and_every_request_goes_back(library):
    camera = PiCamera("csi:0", settings())
    camera.open()
    frames = [camera.next(0.1) for _ in range(3 * BUFFERS)]
    camera.close()

    assert frames[0].gray().shape == (480, 820)
    assert frames[0].gray().max() == 255, "the code's own white"
    assert frames[0].gray()[:, 700:].max() == 110, "no padding"
    assert frames[0].at_s < frames[1].at_s <= time.monotonic()
    assert camera.next(0.1) is None


@pytest.mark.parametrize("waited_s", [0.2, 10.0])
def test_a_picture_that_waited_is_as_old_as_it_is(library, waited_s):
    library.waited_s = waited_s
    camera = PiCamera("csi:0", settings())
    camera.open()
    taken_s = camera.next(0.1).at_s
    assert 0 <= time.monotonic() - waited_s - taken_s < 5
    camera.close()


@pytest.mark.parametrize(
    ("changed", "asked"),
    [
        ({}, {"FrameRate": 30.0, "AfMode": 2}),
        (
            {"exposure": 4000.0, "focus": 2.5},
            {"FrameRate": 30.0, "AeEnable": False, "ExposureTime": 4000, "AfMode": 0, "LensPosition": 2.5},
        ),
    ],
)
def test_exposure_and_focus_are_asked_for(library, changed, asked):
    camera = PiCamera("csi:0", settings(**changed))
    camera.open()
    camera.close()

    assert library.asked == asked


def test_a_camera_without_focus_is_not_asked_to_focus(library):
    library.controls = ("AeEnable", "ExposureTime")
    camera = PiCamera("csi:0", settings(focus=2.5))
    camera.open()
    camera.close()

    assert library.asked == {"FrameRate": 30.0}


def test_one_that_fails_can_be_taken_again(library):
    camera = PiCamera("csi:0", settings())
    camera.open()
    library.broken = True
    with pytest.raises(DeviceGone, match="failed while reading"):
        camera.next(0.1)
    with pytest.raises(DeviceGone, match="cannot be taken"):
        PiCamera("csi:0", settings()).open()

    library.broken = False
    camera.open()
    assert camera.next(0.1) is not None
    camera.close()


@pytest.mark.parametrize(
    ("device", "error", "says"),
    [("csi:1", DeviceGone, "is not there"), ("csi:front", BadOptions, "the first one is csi:0")],
)
def test_a_camera_that_is_not_there_is_one_sentence(library, device, error, says):
    with pytest.raises(error, match=says):
        PiCamera(device, settings()).open()


def test_without_picamera2_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    for own_process in ("no", "yes"):
        with pytest.raises(BadOptions, match="apt install python3-picamera2"):
            Driver(Options("csi:0", own_process=own_process)).open()


def test_the_name_chooses_the_lens():
    assert isinstance(lens_for(Options("csi:0")), PiCamera)

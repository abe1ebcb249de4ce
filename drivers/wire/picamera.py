"""Cameras on a Raspberry Pi's ribbon cable (CSI), through picamera2 and libcamera; met here only.

Sources: the Picamera2 manual (Raspberry Pi Ltd: configurations, requests, controls; YUV420 arrays have the Y plane
on top, their rows padded to the stride), libcamera's control names. Its authors hand it out by apt, not for a venv,
so it is imported when a camera is opened. Not yet run on a Raspberry Pi: tested against a stand-in that keeps to
the manual.

Quirks: a loose cable makes `capture_request` wait for ever (picamera2 issues 962 and 1264), so such a camera gets a
process of its own; without fixed focus Camera Module 3 stays wherever it was, so it is told to follow.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from drivers.contract import BadOptions, DeviceGone
from drivers.wire.frames import Frame

if TYPE_CHECKING:
    from drivers.wire.v4l2 import CaptureSettings

SCHEME = "csi:"
_AF_MANUAL, _AF_CONTINUOUS = 0, 2
"""libcamera's AfModeEnum."""


def is_csi(device: str) -> bool:
    """`csi:0` and the like."""
    return device.startswith(SCHEME)


class PiCamera:
    """A lens on a ribbon cable."""

    live = True
    ended = False

    def __init__(self, device: str, settings: CaptureSettings, *, simulated: bool = False) -> None:
        """`device`: csi:0, csi:1 …, as `rpicam-hello --list-cameras` counts; exposure in µs, focus in dioptres."""
        self.name = device
        self.simulated = simulated
        self._settings = settings
        self._camera: Any = None
        self._size = (0, 0)

    def open(self) -> None:
        """Take the camera and start it. Raises BadOptions without picamera2, DeviceGone without the camera."""
        self.close()
        picamera2 = self._library()
        number = self.name.removeprefix(SCHEME)
        if not number.isdecimal():
            raise BadOptions(self.name, "is no CSI camera", "the first one is csi:0")
        if int(number) >= len(picamera2.Picamera2.global_camera_info()):
            raise DeviceGone(self.name, "is not there", "check the ribbon cable; rpicam-hello --list-cameras tells")
        try:
            self._camera = camera = picamera2.Picamera2(int(number))
            main = {"size": (self._settings.width, self._settings.height), "format": "YUV420"}
            camera.configure(camera.create_video_configuration(main=main, controls=self._controls(camera)))
            camera.start()
            self._size = camera.stream_configuration("main")["size"]
        except (RuntimeError, IndexError, OSError) as error:
            self.close()
            remedy = "stop the other program; check the cable and the group video"
            raise DeviceGone(self.name, "cannot be taken", remedy) from error

    def next(self, limit_s: float) -> Frame | None:  # noqa: ARG002 - picamera2 waits for the next frame
        """The gray plane of the next frame, stamped with the sensor's own time. Raises DeviceGone."""
        camera = self._camera
        if camera is None:
            return None
        try:
            request = camera.capture_request()
            try:
                planes, sensor_ns = request.make_array("main"), request.get_metadata().get("SensorTimestamp")
            finally:
                request.release()
        except (RuntimeError, OSError) as error:
            raise DeviceGone(self.name, "failed while reading", "check the ribbon cable") from error
        width, height = self._size
        return Frame(time.monotonic() - _age_s(sensor_ns), picture=planes[:height, :width])

    def close(self) -> None:
        """Let go of the camera."""
        camera, self._camera = self._camera, None
        if camera is not None:
            with contextlib.suppress(RuntimeError, OSError):
                camera.close()

    def _library(self) -> Any:
        try:
            import picamera2  # type: ignore[import-not-found] # noqa: PLC0415 - comes by apt, where there is a Pi
        except ImportError as error:
            remedy = "apt install python3-picamera2, and let the venv see it: docs/camera.md tells how"
            raise BadOptions(self.name, "needs picamera2, which is not installed", remedy) from error
        except ValueError as error:  # numpy's: `dtype size changed`
            remedy = "pip install --force-reinstall simplejpeg in the agent's venv: docs/camera.md tells how"
            raise BadOptions(self.name, "its library was built for another numpy", remedy) from error
        return picamera2

    def _controls(self, camera: Any) -> dict[str, Any]:
        """What is asked of the camera, as far as it has it: most have no focus to be set."""
        wanted: dict[str, Any] = {"FrameRate": self._settings.fps, "AfMode": _AF_CONTINUOUS}
        if self._settings.exposure is not None:
            wanted |= {"AeEnable": False, "ExposureTime": int(self._settings.exposure)}
        if self._settings.focus is not None:
            wanted |= {"AfMode": _AF_MANUAL, "LensPosition": float(self._settings.focus)}
        known = {*camera.camera_controls, "FrameRate"}  # picamera2's own name, for libcamera's FrameDurationLimits
        return {name: value for name, value in wanted.items() if name in known}


def _age_s(sensor_ns: int | None) -> float:
    """How long ago the sensor stamped a picture, by its clock: nanoseconds since boot, those asleep counted
    (libcamera, SensorTimestamp). Without a stamp it is as of now.
    """
    return max(0.0, (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - sensor_ns) / 1e9) if sensor_ns else 0.0

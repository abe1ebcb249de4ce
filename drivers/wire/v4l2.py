"""Cameras, video files and network streams: the one place where OpenCV's VideoCapture is met.

Facts that this file is built on: `set` answering True proves nothing, so every setting is read back; the index
in /dev/video0 changes when cameras are replugged, so take the path under /dev/v4l/by-id; an unplugged camera may go
on handing out its last frame, which the reader of the frames has to notice; MJPG and YUYV are taken raw, so that
a frame that is dropped is never decoded and gray costs no detour through colour.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from drivers.contract import DeviceGone, without_secrets
from drivers.vision.opencv import Picture, cv2
from drivers.wire import rtsp
from drivers.wire.frames import CaptureTimes, Frame, wait_until

log = logging.getLogger(__name__)

_MISSES = 3
"""Empty reads in a row (2 s each, see OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT) after which the camera is gone."""


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """What a camera is asked for; what it gives is read back."""

    width: int
    height: int
    fps: float
    fourcc: str
    exposure: float | None = None
    """In the camera's own unit (UVC: 100 µs); None leaves it automatic."""
    focus: float | None = None
    """In the camera's own unit; None leaves it automatic."""


class Camera:
    """A V4L2 camera."""

    live = True
    ended = False

    def __init__(self, path: str, settings: CaptureSettings, *, simulated: bool = False) -> None:
        self.name = path
        self.simulated = simulated
        self._settings = settings
        self._capture: cv2.VideoCapture | None = None
        self._times = CaptureTimes()
        self._misses = 0

    def open(self) -> None:
        """Take the camera and set it up, as after every replugging. Raises DeviceGone."""
        self.close()
        _probe(self.name)
        capture = cv2.VideoCapture(self.name, cv2.CAP_V4L2)
        if not capture.isOpened():
            raise DeviceGone(self.name, "is no camera, or another program has it", "v4l2-ctl --list-devices tells")
        wanted = self._settings
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*wanted.fourcc))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, wanted.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wanted.height)
        capture.set(cv2.CAP_PROP_FPS, wanted.fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if wanted.exposure is not None:
            capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, 1)  # V4L2_EXPOSURE_MANUAL
            capture.set(cv2.CAP_PROP_EXPOSURE, wanted.exposure)
        if wanted.focus is not None:
            capture.set(cv2.CAP_PROP_AUTOFOCUS, 0)
            capture.set(cv2.CAP_PROP_FOCUS, wanted.focus)
        capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        self._misses = 0
        self._times = CaptureTimes()
        self._capture = capture
        for shortfall in shortfalls(wanted, _read_back(capture)):
            log.warning("%s %s", self.name, shortfall)

    def next(self, limit_s: float) -> Frame | None:  # noqa: ARG002 - OpenCV's own limit holds, set in its environment
        """The next frame as the camera sends it. Raises DeviceGone."""
        capture = self._capture
        if capture is None:
            return None
        try:
            got = capture.grab()
            at_s = self._times.of(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, time.monotonic())
            raw = capture.retrieve()[1] if got else None
        except cv2.error as error:
            raise DeviceGone(self.name, "failed while reading", "check plug and cable") from error
        if raw is None:
            self._misses += 1
            if self._misses >= _MISSES or not Path(self.name).exists():
                raise DeviceGone(self.name, "sends no pictures", "check plug and cable")
            return None
        self._misses = 0
        fourcc = fourcc_of(capture.get(cv2.CAP_PROP_FOURCC))
        if fourcc in {"MJPG", "JPEG"}:
            return Frame(at_s, jpeg=raw.tobytes())
        return Frame(at_s, picture=gray_of(raw, fourcc, int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))))

    def close(self) -> None:
        """Let go of the camera."""
        capture, self._capture = self._capture, None
        _release(capture)


class Film:
    """A video file, played at its own speed; every frame of it is looked at."""

    live = False
    simulated = True

    def __init__(self, path: str, *, fps: float | None, loop: bool) -> None:
        """`fps`: None for the file's own; `loop`: begin again at the end."""
        self.name = path
        self.ended = False
        self._fps = fps
        self._loop = loop
        self._capture: cv2.VideoCapture | None = None
        self._stopping = threading.Event()
        self._due_s = 0.0
        self._period_s = 0.0

    def open(self) -> None:
        """Open the file. Raises DeviceGone."""
        self.close()
        _probe(self.name)
        capture = cv2.VideoCapture(self.name)
        if not capture.isOpened():
            raise DeviceGone(self.name, "is no video that can be read", "MP4, AVI, MKV and WebM are known")
        own_fps = capture.get(cv2.CAP_PROP_FPS)
        self._period_s = 1 / (self._fps or (own_fps if 1 <= own_fps <= 240 else 30.0))  # noqa: PLR2004 - sane speeds
        self._stopping.clear()
        self.ended = False
        self._capture = capture
        self._due_s = time.monotonic()

    def next(self, limit_s: float) -> Frame | None:
        """The next frame, at its time. None for ever after the last, unless looped."""
        capture = self._capture
        if capture is None or not wait_until(self._due_s, self._stopping, limit_s):
            return None
        got, raw = capture.read()
        if not got and self._loop:
            capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            got, raw = capture.read()
        if not got:
            self.ended = True
            self._stopping.wait(limit_s)
            return None
        now_s = time.monotonic()
        self._due_s = max(self._due_s + self._period_s, now_s - self._period_s)
        return Frame(now_s, picture=gray_of(raw, "BGR3", raw.shape[0]))

    def close(self) -> None:
        """Close the file."""
        self._stopping.set()
        capture, self._capture = self._capture, None
        _release(capture)


class FilmWriter:
    """Writes gray frames to a video file (AVI, MJPEG: every frame whole, nothing to install)."""

    def __init__(self, path: str, fps: float, size: tuple[int, int]) -> None:
        """`size`: width and height of every frame. Raises DeviceGone when the file cannot be made."""
        self._writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), fps, size, isColor=False)
        if not self._writer.isOpened():
            raise DeviceGone(path, "cannot be written", "name a file that ends in .avi, in a folder that is there")

    def write(self, picture: Picture) -> None:
        """Add a frame."""
        self._writer.write(picture)

    def close(self) -> None:
        """Finish the file."""
        self._writer.release()


class NetworkCamera:
    """RTSP through FFmpeg with one thread, so that no frame is held back."""

    live = True
    ended = False

    def __init__(self, url: str, *, simulated: bool = False) -> None:
        self._url = url
        self.name = without_secrets(url)
        self.simulated = simulated
        self._capture: cv2.VideoCapture | None = None
        self._times = CaptureTimes()

    def open(self) -> None:
        """Connect, within 5 s. Raises DeviceGone."""
        self.close()
        if rtsp.is_unnamed(self._url):
            remedy = "write its name, or rtsp:// if it may be read and changed on the way"
            raise DeviceGone(self.name, "has a number for its address, and a certificate is of a name", remedy)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 5000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 2000]
        capture = cv2.VideoCapture(self._url, cv2.CAP_FFMPEG, limits)
        if not capture.isOpened():
            fact, remedy = rtsp.why_not_opened(self._url)  # FFmpeg says only no
            raise DeviceGone(self.name, fact, remedy)
        self._times = CaptureTimes()
        self._capture = capture

    def next(self, limit_s: float) -> Frame | None:  # noqa: ARG002 - FFmpeg's own limit holds, set on opening
        """The next frame. Raises DeviceGone."""
        capture = self._capture
        if capture is None:
            return None
        if not capture.grab():
            raise DeviceGone(self.name, "the stream was cut", "check the network and the camera")
        at_s = self._times.of(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, time.monotonic())
        raw = capture.retrieve()[1]
        return Frame(at_s, picture=gray_of(raw, "BGR3", raw.shape[0]))

    def close(self) -> None:
        """Hang up."""
        capture, self._capture = self._capture, None
        _release(capture)


def shortfalls(wanted: CaptureSettings, given: CaptureSettings) -> list[str]:
    """What a camera does otherwise than asked, as sentences that its name begins; a faster one is none."""
    found = []
    asked, gives = (f"{each.width}x{each.height} {each.fourcc}" for each in (wanted, given))
    if asked != gives:
        found.append(f"gives {gives} for {asked}: v4l2-ctl --list-formats-ext tells what it can")
    elif given.fps < 0.9 * wanted.fps:
        found.append(f"gives {given.fps:g} frames a second for {wanted.fps:g}")
    for what in ("exposure", "focus"):
        before, after = getattr(wanted, what), getattr(given, what)
        if before is not None and after is None:
            found.append(f"has no {what} that can be set")
        elif before is not None and abs(after - before) >= 1:
            found.append(f"has its {what} at {after:g} for {before:g}: v4l2-ctl -L tells its range")
    return found


def _read_back(capture: cv2.VideoCapture) -> CaptureSettings:
    """What the camera gives; OpenCV tells -1 for a control that is not there."""
    exposure, focus = capture.get(cv2.CAP_PROP_EXPOSURE), capture.get(cv2.CAP_PROP_FOCUS)
    return CaptureSettings(
        int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
        int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        capture.get(cv2.CAP_PROP_FPS),
        fourcc_of(capture.get(cv2.CAP_PROP_FOURCC)),
        exposure if exposure >= 0 else None,
        focus if focus >= 0 else None,
    )


def gray_of(raw: Picture, fourcc: str, height: int) -> Picture:
    """The gray picture in a raw frame: YUYV (h, w, 2), planar YUV (h * 3 / 2, w), gray (h, w) or BGR (h, w, 3)."""
    channels = raw.shape[2] if raw.ndim == 3 else 1  # noqa: PLR2004 - rows, columns, channels
    if channels == 2:  # noqa: PLR2004 - luma and one of the chromas
        return raw[:, :, 1 if fourcc == "UYVY" else 0].copy()
    if channels == 1:
        return raw.reshape(raw.shape[0], -1)[:height].copy()
    gray: Picture = cv2.cvtColor(raw, cv2.COLOR_BGR2GRAY)
    return gray


def fourcc_of(number: float) -> str:
    """Four letters from OpenCV's number."""
    return int(number).to_bytes(4, "little").decode("ascii", "replace") if number > 0 else "?"


def _probe(path: str) -> None:
    """Say what is wrong with a path before OpenCV says only `no`."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        fact, remedy = _SENTENCES.get(error.errno or 0, (error.strerror or "cannot be opened", ""))
        raise DeviceGone(path, fact, remedy) from error


_SENTENCES = {
    errno.ENOENT: ("is not there", "plug the camera in; see ls /dev/v4l/by-id for its stable path"),
    errno.ENODEV: ("is not there", "plug the camera in; see ls /dev/v4l/by-id for its stable path"),
    errno.EACCES: ("permission denied", "add the user to the group video, or fix the file's permissions"),
    errno.EBUSY: ("another program has the camera", "fuser -v on its path tells which"),
}


def is_device(path: str) -> bool:
    """A character device, as cameras are; also when it is not plugged in and its name says so."""
    try:
        return stat.S_ISCHR(Path(path).stat().st_mode)
    except OSError:
        return path.startswith("/dev/")


def _release(capture: cv2.VideoCapture | None) -> None:
    if capture is not None:
        with contextlib.suppress(cv2.error):
            capture.release()

"""Frames, where they come from, and a thread that keeps only the newest one."""

from __future__ import annotations

import math
import threading
import time
import zlib
from functools import partial
from typing import TYPE_CHECKING, Protocol

from drivers.contract import DeviceGone, DriverError
from drivers.vision import opencv

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.vision.opencv import Picture

_WAIT_S = 0.25


class Frame:
    """One picture and when it was taken. A JPEG is decoded when it is looked at: a dropped frame costs nothing."""

    __slots__ = ("_jpeg", "_picture", "_turns", "at_s", "name")

    def __init__(
        self, at_s: float, *, jpeg: bytes | None = None, picture: Picture | None = None, name: str = ""
    ) -> None:
        """`at_s`: seconds of `time.monotonic()` at capture; one of `jpeg` and `picture` is given; `name`: of the
        file that a still picture comes from.
        """
        self.at_s = at_s
        self.name = name
        self._jpeg = jpeg
        self._picture = picture
        self._turns: Callable[[Picture], Picture] | None = None

    def turn(self, turns: Callable[[Picture], Picture]) -> None:
        """From now on show the picture as `turns` leaves it."""
        self._turns = turns

    def gray(self) -> Picture:
        """The picture, uint8, height x width. Raises UnreadablePicture."""
        if self._picture is None:
            self._picture = opencv.from_bytes(self._jpeg or b"")
        if self._turns is not None:
            self._picture, self._turns = self._turns(self._picture), None
        return self._picture

    def small(self) -> Picture:
        """Enough of it to see whether anything moved: an eighth of a JPEG's sides, other pictures whole. Raises
        UnreadablePicture.
        """
        if self._picture is None:
            small = opencv.small_from_bytes(self._jpeg or b"")
            return self._turns(small) if self._turns is not None else small
        return self.gray()

    @property
    def length(self) -> int | None:
        """Bytes of the JPEG, which tell without decoding it how much there is to see; None for another picture."""
        return None if self._jpeg is None else len(self._jpeg)

    def fingerprint(self) -> int:
        """Equal for two frames that show the very same bytes: a living sensor's noise never does."""
        if self._jpeg is not None:
            return zlib.crc32(self._jpeg)
        return zlib.crc32(self.gray()[::4, ::4].tobytes())


class Lens(Protocol):
    """Where frames come from."""

    name: str
    live: bool
    """Frames come by themselves and are lost when nobody takes them; else the next one waits to be asked for."""
    simulated: bool

    @property
    def ended(self) -> bool:
        """Nothing more will come: the end of a file or folder. Never of a live lens."""

    def open(self) -> None:
        """Take the camera. Raises DeviceGone with a remedy."""

    def next(self, limit_s: float) -> Frame | None:
        """The next frame, None when none came within about `limit_s`. Raises DeviceGone, BadReply."""

    def close(self) -> None:
        """Let go. Never raises; may be called twice and from another thread."""


class Turned:
    """A lens that is mounted on its side, upside down, or before a mirror: what it shows stands upright."""

    def __init__(self, lens: Lens, degrees: int, *, mirrored: bool) -> None:
        """`degrees`: clockwise, after the mirroring, see `opencv.upright`."""
        self.name, self.live, self.simulated = lens.name, lens.live, lens.simulated
        self._lens = lens
        self._turns = partial(opencv.upright, degrees=degrees, mirrored=mirrored)

    @property
    def ended(self) -> bool:
        """As the lens says."""
        return self._lens.ended

    def open(self) -> None:
        """Open the lens."""
        self._lens.open()

    def next(self, limit_s: float) -> Frame | None:
        """Its next frame, to be turned when it is looked at."""
        frame = self._lens.next(limit_s)
        if frame is not None:
            frame.turn(self._turns)
        return frame

    def close(self) -> None:
        """Close the lens."""
        self._lens.close()


class CaptureTimes:
    """When frames were taken, by the stamps that their camera gives them, whatever clock it stamps by.

    A frame that was awaited took the least time from its stamp to here; one that waited in a line took longer, and
    is older by that. A camera whose stamps do not advance has none: its frames count as of now.
    """

    _SLACK = 0.03
    """Seconds a second: a camera whose clock runs slower, or whose way became longer, is soon known again."""

    def __init__(self) -> None:
        self._least_lag_s = math.inf
        self._stamp_s = -math.inf
        self._now_s = 0.0

    def of(self, stamp_s: float, now_s: float) -> float:
        """Seconds of `time.monotonic()` at which the frame with this stamp was taken, at the latest `now_s`."""
        lag_s = now_s - stamp_s
        if stamp_s <= self._stamp_s:
            self._least_lag_s = lag_s
        else:
            self._least_lag_s = min(lag_s, self._least_lag_s + self._SLACK * (now_s - self._now_s))
        self._stamp_s, self._now_s = stamp_s, now_s
        return stamp_s + self._least_lag_s


class Grabber:
    """Takes every frame from a live lens as it comes and keeps the newest: what is looked at is never stale."""

    def __init__(self, lens: Lens, may_drop: Callable[[Frame], bool] = lambda _: False) -> None:
        """`may_drop`: whether nobody need look at a frame; called in the thread, and nobody is woken."""
        self._lens = lens
        self._may_drop = may_drop
        self._fresh = threading.Condition()
        self._frame: Frame | None = None
        self._error: DriverError | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._grab, name=f"frames of {lens.name}", daemon=True)
        self._thread.start()

    def newest(self, limit_s: float) -> Frame | None:
        """The newest frame not handed out before; None when none comes within `limit_s`. Raises DriverError."""
        with self._fresh:
            self._fresh.wait_for(lambda: self._frame or self._error or self._stopping, limit_s)
            frame, self._frame = self._frame, None
            if frame is None and self._error is not None:
                raise self._error
            return frame

    def stop(self) -> None:
        """End the thread; one that hangs in the camera's driver is left behind."""
        with self._fresh:
            self._stopping = True
            self._fresh.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(2 * _WAIT_S)

    def _grab(self) -> None:
        while not self._stopping:
            try:
                frame = self._lens.next(_WAIT_S)
                if frame is None or self._may_drop(frame):
                    continue
            except DriverError as error:
                self._settle(error)
                return
            except Exception as error:  # noqa: BLE001 - a thread must not die unheard
                self._settle(DeviceGone(self._lens.name, f"failed while reading: {type(error).__name__}"))
                return
            with self._fresh:
                self._frame = frame
                self._fresh.notify_all()

    def _settle(self, error: DriverError) -> None:
        with self._fresh:
            self._error = error
            self._fresh.notify_all()


def wait_until(at_s: float, stopping: threading.Event, limit_s: float) -> bool:
    """Wait for a frame's time; False when `limit_s` passes or the lens is closed before."""
    left_s = at_s - time.monotonic()
    if left_s > limit_s:
        stopping.wait(limit_s)
        return False
    return not (left_s > 0 and stopping.wait(left_s))

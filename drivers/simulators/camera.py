"""A network camera before which phones are held: serves MJPEG over HTTP on this machine.

Written from RFC 2046 (multipart) and RFC 9110; each part tells its Content-Length, as cameras do, so that a reader
need not wait for the next part. What is in view is asked for every frame; the hand trembles, the sensor is noisy.
`unplug` hangs up and refuses calls, `replug` takes them again at the same address; `hang` stops the pictures only.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from drivers.simulators import qr
from drivers.vision.opencv import Picture, cv2, to_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable

_VARIANTS = 4
"""Different frames of the same scene, shown in turn: a living picture never repeats itself at once."""
_KEPT_SCENES = 8
_PHONE_SHARE = 0.62
"""Of the picture's height that the code takes."""


class Scenery:
    """What stands before a simulated camera, as JPEGs shown in turn. Each is drawn when its turn comes first: the
    camera of a slow machine must not stand still when a code appears.
    """

    def __init__(self, width: int, height: int, seed: int = 0) -> None:
        self.width, self.height = width, height
        self._random = np.random.default_rng(seed)
        self._room = _room(width, height, self._random)
        self._noise = [self._random.normal(0, 2.0, (height, width)).astype(np.int16) for _ in range(_VARIANTS)]
        self._scenes: dict[bytes | None, dict[int, bytes]] = {}
        self._lock = threading.Lock()

    def jpeg(self, payload: bytes | None, turn: int, encode: Callable[[Picture], bytes] = to_jpeg) -> bytes:
        """A frame in which a phone shows `payload` (None: nobody), one of four that differ in their noise."""
        with self._lock:
            if payload not in self._scenes:
                if len(self._scenes) >= _KEPT_SCENES:
                    del self._scenes[next(iter(self._scenes))]
                self._scenes[payload] = {}
            scene, variant = self._scenes[payload], turn % _VARIANTS
            if variant not in scene:
                scene[variant] = encode(self._draw(payload, variant))
            return scene[variant]

    def _draw(self, payload: bytes | None, variant: int) -> Picture:
        picture = self._room.copy()
        if payload is not None:
            _hold_up(picture, payload, self._random)
        noisy: Picture = cv2.add(picture, self._noise[variant], dtype=cv2.CV_8U)
        return noisy


class CameraSimulator:
    """One simulated camera."""

    def __init__(
        self,
        shows: Callable[[], bytes | None],
        *,
        width: int = 1280,
        height: int = 720,
        fps: float = 30.0,
        seed: int = 0,
    ) -> None:
        """`shows`: the payload of the code in view now, None for nobody; asked every frame, from another thread."""
        self._shows = shows
        self._period_s = 1 / fps
        self._scenery = Scenery(width, height, seed)
        self._shown_s: dict[bytes, float] = {}
        self._port = 0
        self._listener: socket.socket | None = None
        self._plugged, self._sends = threading.Event(), threading.Event()
        self._sends.set()
        self._viewers: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where the camera is, once started: the `device` of a camera's options."""
        return f"http://127.0.0.1:{self._port}/stream"

    def start(self) -> None:
        """Plug the camera in. Always the same address after the first time."""
        listener = socket.create_server(("127.0.0.1", self._port), reuse_port=False)
        self._port = listener.getsockname()[1]
        self._listener = listener
        self._plugged.set()
        threading.Thread(target=self._accept, args=(listener,), name="camera simulator", daemon=True).start()

    def stop(self) -> None:
        """Unplug the camera: viewers are cut off, calls refused."""
        self._plugged.clear()
        listener, self._listener = self._listener, None
        if listener is not None:
            hang_up(listener)
        with self._lock:
            viewers, self._viewers = self._viewers, set()
        for viewer in viewers:
            hang_up(viewer)

    def hang(self) -> None:
        """Send no more pictures, on lines that stay open and in calls to come."""
        self._sends.clear()

    def go_on(self) -> None:
        """Send pictures again."""
        self._sends.set()

    unplug = stop
    replug = start

    def first_shown_s(self, payload: bytes) -> float | None:
        """When the first frame that shows this code was sent, `time.monotonic()`; None if never."""
        return self._shown_s.get(payload)

    def _accept(self, listener: socket.socket) -> None:
        while self._plugged.is_set():
            try:
                viewer, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._viewers.add(viewer)
            threading.Thread(target=self._serve, args=(viewer,), name="camera stream", daemon=True).start()

    def _serve(self, viewer: socket.socket) -> None:
        with contextlib.suppress(OSError), viewer:
            viewer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            viewer.recv(4096)
            viewer.sendall(
                b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n"
                b"Cache-Control: no-store\r\n\r\n"
            )
            due_s = time.monotonic()
            turn = 0
            while self._plugged.is_set():
                self._sends.wait()
                payload = self._shows()
                jpeg = self._scenery.jpeg(payload, turn)
                if payload is not None:
                    self._shown_s.setdefault(payload, time.monotonic())
                head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
                viewer.sendall(head + jpeg + b"\r\n")
                turn += 1
                due_s = max(due_s + self._period_s, time.monotonic())
                time.sleep(max(0.0, due_s - time.monotonic()))


def _room(width: int, height: int, random: np.random.Generator) -> Picture:
    """A dim, soft background."""
    coarse = random.integers(40, 120, (9, 16)).astype(np.uint8)
    room: Picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return room


def _hold_up(picture: Picture, payload: bytes, random: np.random.Generator) -> None:
    """Draw a phone with the code on its screen, a little off the middle."""
    height, width = picture.shape
    body = _phone(payload, int(height * _PHONE_SHARE))
    y = (height - body.shape[0]) // 2 + int(random.integers(-8, 9))
    x = (width - body.shape[1]) // 2 + int(random.integers(-30, 31))
    picture[y : y + body.shape[0], x : x + body.shape[1]] = body


@lru_cache(_KEPT_SCENES)
def _phone(payload: bytes, side: int) -> Picture:
    """A phone with the code on its screen, so many pixels wide."""
    code = cv2.resize(qr.drawn(payload, 4), (side, side), interpolation=cv2.INTER_AREA)
    screen = np.full((int(side * 1.3), int(side * 1.08)), 235, np.uint8)
    top, left = (screen.shape[0] - side) // 2, (screen.shape[1] - side) // 2
    screen[top : top + side, left : left + side] = code
    return np.pad(screen, 6, constant_values=15)


def hang_up(connection: socket.socket) -> None:
    """Cut a line, also under a read of another thread."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        connection.close()

"""A folder of pictures (or one picture) shown as if by a camera: for benches, demonstrations and bug reports.

Pictures come in the order of their names, each for `each_s` at `fps` frames a second, as a still scene before a
real camera would. What is no picture is passed over, and said.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from drivers.contract import DeviceGone
from drivers.vision import opencv
from drivers.wire.frames import Frame, wait_until

log = logging.getLogger(__name__)

LARGEST_BYTES = 64_000_000
"""Of a picture's file; a larger one is passed over."""
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".pgm", ".tif", ".tiff"}


class Stills:
    """A lens before which pictures are held, one after another."""

    live = False
    simulated = True

    def __init__(self, name: str, *, fps: float, each_s: float, loop: bool) -> None:
        """`name`: folder or file; `each_s`: how long each shows, 0: one frame; `loop`: start again at the end."""
        self.name = name
        self.ended = False
        self._period_s = 1 / fps
        self._repeats = max(1, round(each_s * fps))
        self._loop = loop
        self._stopping = threading.Event()
        self._paths: list[Path] = []
        self._shown = 0
        self._picture: opencv.Picture | None = None
        self._due_s = 0.0

    def open(self) -> None:
        """Find the pictures. Raises DeviceGone."""
        path = Path(self.name)
        try:
            found = sorted(path.iterdir()) if path.is_dir() else [path] if path.is_file() else []
        except OSError as error:
            raise DeviceGone(self.name, error.strerror or "cannot be read", "check its permissions") from error
        self._paths = [each for each in found if each.suffix.lower() in SUFFIXES]
        if not self._paths:
            raise DeviceGone(self.name, "holds no pictures", "name a folder with .png, .jpg or .webp files")
        self._stopping.clear()
        self.ended = False
        self._shown = 0
        self._picture = None
        self._due_s = time.monotonic()

    def next(self, limit_s: float) -> Frame | None:
        """The next showing. None for ever after the last picture, unless looped."""
        while not self._stopping.is_set():
            turn, repeat = divmod(self._shown, self._repeats)
            if turn >= len(self._paths) and not self._loop:
                self.ended = True
                self._stopping.wait(limit_s)
                return None
            if repeat == 0 or self._picture is None:
                self._picture = self._load(self._paths[turn % len(self._paths)])
            if self._picture is None:
                self._shown += self._repeats - repeat
                continue
            if not wait_until(self._due_s, self._stopping, limit_s):
                return None
            self._shown += 1
            now_s = time.monotonic()
            self._due_s = max(self._due_s + self._period_s, now_s)
            return Frame(now_s, picture=self._picture, name=self._paths[turn % len(self._paths)].name)
        return None

    def close(self) -> None:
        """End the show."""
        self._stopping.set()

    def _load(self, path: Path) -> opencv.Picture | None:
        try:
            if not path.is_file() or path.stat().st_size > LARGEST_BYTES:  # a pipe would be waited for
                log.warning("%s is passed over: it is no file, or larger than %d bytes", path, LARGEST_BYTES)
                return None
            return opencv.from_bytes(path.read_bytes())
        except (OSError, opencv.UnreadablePicture) as error:
            log.warning("%s is passed over: %s", path, error)
            return None

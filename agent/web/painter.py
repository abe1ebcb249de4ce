"""Follows a lane's pictures over HTTP as its page does, shows baked ones, and says what is on the screen."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import select
import socket
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.web import baked
from agent.web.baked import BadPicture, Box, PictureKey
from agent.web.options import PanelOptions
from agent.web.pictures import compose, shown_pictures
from agent.web.shown_picture import ShownPicture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from agent.web.surface import Size, Surface

log = logging.getLogger(__name__)

LOOK_S = 0.05
ACKNOWLEDGE_S = 0.5
CONNECT_S, ACKNOWLEDGED_S = 0.3, 0.3
RETRY_S = 0.5
_MOST_BYTES = 1 << 18
"""Of an event: a picture with the code for a tablet has about 20 kB."""


class NoPictures(Exception):
    """There are no baked pictures; says why."""


class Baked:
    """A folder of baked pictures, all of one size."""

    def __init__(self, folder: Path) -> None:
        """Read what is there. Raises NoPictures."""
        self._folder = folder
        try:
            index = json.loads((folder / baked.INDEX).read_text())
            self.width, self.height = map(int, index["size_px"])
            sign, text = index["staff"]
            self.staff = PictureKey(str(sign), str(text))
            self._fonts_px = {str(key): float(font_px) for key, font_px in index["fonts_px"].items()}
            self._boxes = {
                key: {name: Box(*box) for name, box in boxes.items()} for key, boxes in index["boxes"].items()
            }
            self._latest = self.staff, self._read(self.staff)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NoPictures(f"{folder} has no baked pictures ({error}): gatepost display LANE --bake") from None

    def missing(self) -> list[str]:
        """Names of the pictures that this release shows, and that were not baked: it has other texts."""
        panel = PanelOptions(width_px=self.width, height_px=self.height)
        wanted = {name: baked.key_of(compose(line, panel)) for name, line in shown_pictures().items()}
        return [name for name, key in wanted.items() if not all(self._file(half).is_file() for half in key[:2])]

    def pixels(self, key: PictureKey, figure: tuple[str, ...], code: Any) -> tuple[PictureKey, NDArray[np.uint8]]:
        """The picture, or that of the staff when it is not there, damaged, or too small to be read; and the key of
        what it is.
        """
        if key != self._latest[0]:
            try:
                self._latest = key, self._read(key)
            except (OSError, BadPicture) as error:
                log.warning("a picture cannot be shown: %s", error)
                self._latest = self.staff, self._read(self.staff)
        shown, plain = self._latest
        boxes = self._boxes.get(shown.sign, {})
        if not boxes:
            return shown, plain
        pixels = plain.copy()
        if code is not None and "code" in boxes:
            baked.draw_code(pixels, boxes["code"], code)
        if figure and "figure" in boxes:
            baked.draw_figures(pixels, boxes["figure"], list(figure))
        return shown, pixels

    def _file(self, half: str) -> Path:
        return self._folder / f"{half}.png"

    def _read(self, key: PictureKey) -> NDArray[np.uint8]:
        sign, text = (baked.decode(self._file(half).read_bytes()) for half in key[:2])
        rows = baked.sign_rows(self.height)
        if sign.shape != (rows, self.width, 3) or text.shape != (self.height - rows, self.width, 3):
            raise BadPicture(f"{sign.shape[1]}x{len(sign)} and {text.shape[1]}x{len(text)} pixels")
        if (font_px := self._fonts_px.get(key.text, 0.0)) < key.font_px:
            raise BadPicture(f"letters of {font_px:.0f} px, and the panel needs {key.font_px} px at its distance")
        return np.vstack([sign, text])


def find_sets(folder: Path) -> dict[tuple[int, int], Baked]:
    """The baked pictures of a folder, or of the folders in it, by their size, pixels. Raises NoPictures."""
    if (folder / baked.INDEX).is_file():
        found = [Baked(folder)]
    else:
        found = [Baked(index.parent) for index in sorted(folder.glob(f"*/{baked.INDEX}"))]
    if not found:
        raise NoPictures(f"{folder} has no baked pictures: gatepost display LANE --bake")
    return {(each.width, each.height): each for each in found}


def paint(
    surface: Surface,
    pictures: Baked,
    lane: str,
    port: int,
    alive: Callable[[], object],
    wanted_px: Size | None = None,
) -> Size:
    """Show the lane's pictures until its screen has another size in the settings than `wanted_px`; that size.
    `alive`: called after each step that has an end. Raises NoMonitor.
    """
    state, stream = ShownPicture(pictures.staff), _Stream(lane, port)
    drawn: object = None
    acknowledged_s = 0.0
    while True:
        alive()
        events = stream.read(LOOK_S)
        alive()
        for name, data in events:
            match name:
                case "picture":
                    if (asked_px := tuple(data["panel_px"])) not in (surface.size_px, wanted_px):
                        return asked_px
                    state.on_picture(data, time.monotonic())
                case "beat":
                    state.on_beat(time.monotonic())
                case _:
                    state.on_lost()
        wanted = state.now(time.monotonic())
        number, is_new = state.number, wanted != drawn
        if is_new:
            surface.show(pictures.pixels(*wanted)[1])
            drawn = wanted
            alive()
        at_s = time.monotonic()
        if stream.is_open and (is_new or at_s - acknowledged_s >= ACKNOWLEDGE_S):
            acknowledged_s = at_s
            _acknowledge(lane, port, number)


def _acknowledge(lane: str, port: int, number: int) -> None:
    """Report what is on the screen. If nobody receives it, the other end has to act."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ACKNOWLEDGED_S)
    headers = {"Content-Type": "application/json", "Origin": f"http://127.0.0.1:{port}"}
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.request("POST", f"/lanes/{lane}/painted", json.dumps({"number": number}), headers)
        connection.getresponse()


class _Stream:
    """The events of a lane; it comes back by itself."""

    def __init__(self, lane: str, port: int) -> None:
        self._head = f"GET /lanes/{lane}/events HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        self._port = port
        self._wire: socket.socket | None = None
        self._unread, self._retry_s = b"", 0.0

    @property
    def is_open(self) -> bool:
        return self._wire is not None

    def read(self, limit_s: float) -> list[tuple[str, Any]]:
        """What has come, after at most `limit_s`; (`lost`, None) when the connection is."""
        if self._wire is None and not self._connect():
            time.sleep(limit_s)
            return []
        assert self._wire is not None  # noqa: S101 - for mypy
        if not select.select([self._wire], [], [], limit_s)[0]:
            return []
        try:
            got = self._wire.recv(_MOST_BYTES)
        except OSError:
            got = b""
        self._unread += got
        *events, self._unread = self._unread.split(b"\n\n")
        if not got or len(self._unread) > _MOST_BYTES:
            self._close()
            return [("lost", None)]
        return [event for event in map(_event, events) if event[0]]

    def _connect(self) -> bool:
        if time.monotonic() < self._retry_s:
            return False
        self._retry_s, self._unread = time.monotonic() + RETRY_S, b""
        try:
            self._wire = socket.create_connection(("127.0.0.1", self._port), CONNECT_S)
            self._wire.sendall(self._head)
        except OSError:
            self._close()
        return self._wire is not None

    def _close(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()


def _event(text: bytes) -> tuple[str, Any]:
    """Name and data; no name for what is no event, as the head of the answer."""
    fields = dict(line.partition(b": ")[::2] for line in text.split(b"\n"))
    try:
        return fields[b"event"].decode(), json.loads(fields[b"data"])
    except (KeyError, ValueError):
        return "", None

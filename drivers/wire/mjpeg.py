"""A camera that serves MJPEG over HTTP (`multipart/x-mixed-replace`), read without FFmpeg.

FFmpeg probes such a stream for a second and holds a frame back; here each part is a frame as soon as its last byte
is in, and a cut line is known at once. Anything else at an http address is left to FFmpeg (see `v4l2`).
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
import urllib.error
import urllib.request

from drivers.contract import BadReply, DeviceGone
from drivers.wire.frames import Frame

OPEN_LIMIT_S = 5.0
LARGEST_BYTES = 32_000_000
_MOST_HEADERS = 100
_TYPE = "multipart/x-mixed-replace"


class Mjpeg:
    """A lens at the other end of an HTTP stream."""

    live = True
    ended = False

    def __init__(self, url: str, *, simulated: bool = False) -> None:
        """`url`: as http://kiosk-camera.local:8080/stream; a name and password in it are not logged."""
        self._url = url
        self.name = shown(url)
        self.simulated = simulated
        self._response: http.client.HTTPResponse | None = None

    def open(self) -> None:
        """Connect. Raises DeviceGone; BadReply when it is no MJPEG stream."""
        self.close()
        try:
            response = urllib.request.urlopen(self._url, timeout=OPEN_LIMIT_S)  # noqa: S310 - the owner's own address
        except (OSError, http.client.HTTPException, ValueError) as error:
            fact = "is not reachable" if isinstance(error, urllib.error.URLError) else "is no address of a camera"
            raise DeviceGone(self.name, fact, "check the address, the network and the camera's power") from error
        if response.headers.get_content_type() != _TYPE:
            response.close()
            raise BadReply(self.name, f"sends {response.headers.get_content_type()}, no MJPEG stream")
        self._response = response

    def next(self, limit_s: float) -> Frame | None:  # noqa: ARG002 - a stream sends by itself; a silent one is gone
        """The next part. Raises DeviceGone when the line is cut or silent, BadReply when parts have no end."""
        response = self._response
        if response is None:
            return None
        try:
            length = self._length_of_part(response)
            at_s = time.monotonic()
            jpeg = response.read(length) if length else self._until_boundary(response)
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            raise DeviceGone(self.name, "the stream was cut", "check the network and the camera") from error
        if length and len(jpeg) < length:
            raise DeviceGone(self.name, "the stream ended", "check the camera")
        return Frame(at_s, jpeg=jpeg)

    def close(self) -> None:
        """Hang up, also under a read of another thread."""
        response, self._response = self._response, None
        if response is not None:
            with contextlib.suppress(OSError, AttributeError, ValueError):
                # closing alone would wait for the reader; the socket is reached through the buffered reader's raw
                socket.socket.shutdown(response.fp.raw._sock, socket.SHUT_RDWR)  # type: ignore[attr-defined] # noqa: SLF001 - no public way
            with contextlib.suppress(OSError, ValueError):
                response.close()

    def _length_of_part(self, response: http.client.HTTPResponse) -> int:
        """Skip the boundary line, read the part's headers; 0 when they tell no length."""
        line = b"\r\n"
        while line in {b"\r\n", b"\n"}:
            line = self._line(response)
        length = 0
        for _ in range(_MOST_HEADERS):  # by hand: the library's parser of mail headers costs more than the reading
            line = self._line(response)
            if line in {b"\r\n", b"\n"}:
                break
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                length = int(value)
        else:
            raise BadReply(self.name, "a part of the stream is nothing but headers")
        if not 0 <= length <= LARGEST_BYTES:
            raise BadReply(self.name, "a part of the stream is larger than any picture")
        return length

    def _until_boundary(self, response: http.client.HTTPResponse) -> bytes:
        boundary = str(response.headers.get_param("boundary", "")).removeprefix("--").encode()
        parts: list[bytes] = []
        size = 0
        while size < LARGEST_BYTES:
            line = self._line(response)
            if line.startswith(b"--" + boundary):
                return b"".join(parts)
            parts.append(line)
            size += len(line)
        raise BadReply(self.name, "a part of the stream has no end")

    def _line(self, response: http.client.HTTPResponse) -> bytes:
        line = response.readline(65536)
        if not line:
            raise DeviceGone(self.name, "the stream ended", "check the camera")
        return line


def shown(url: str) -> str:
    """The address without name and password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"

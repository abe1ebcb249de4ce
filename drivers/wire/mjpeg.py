"""A camera that serves MJPEG over HTTP (`multipart/x-mixed-replace`), read without FFmpeg.

FFmpeg probes such a stream for a second and holds a frame back; here each part is a frame as soon as its last byte
is in, and a cut line is known at once. What waited in the line while nobody read it is as old as it may be: a
reader that was held up must not take what it finds then for what stands before the camera now. Anything else at an
http address is refused. A name and password in the address are given when the camera asks for them, as Basic or
Digest (RFC 7617, RFC 7616).
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import socket
import sys
import termios
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, BinaryIO

from drivers.contract import BadReply, DeviceGone, without_secrets
from drivers.wire import address
from drivers.wire.frames import Frame

if TYPE_CHECKING:
    from email.message import Message

OPEN_LIMIT_S = 5.0
LARGEST_BYTES = 16_000_000
"""Of a picture; a JPEG of 40 megapixels, the most that is decoded, has some 10."""
_MOST_HEADERS = 100
_TYPE = "multipart/x-mixed-replace"


class Mjpeg:
    """A lens at the other end of an HTTP stream."""

    live = True
    ended = False

    def __init__(self, url: str, *, simulated: bool = False) -> None:
        """`url`: as http://kiosk-camera.local:8080/stream; a name and password in it are not logged."""
        self._access = address.access(url)
        self.name = without_secrets(url)
        self.simulated = simulated
        self._response: http.client.HTTPResponse | None = None
        self._came_s = 0.0
        """When a part came for which the line had to be awaited, the latest of them; when the line was last seen to
        be empty, if more had come with it. What waits in the line has come after that.
        """
        self._bytes = 0
        """Of the latest picture."""

    def open(self) -> None:
        """Connect. Raises DeviceGone; BadReply when it is no MJPEG stream."""
        self.close()
        try:
            response = self._call()
        except http.client.HTTPException as error:
            raise DeviceGone(self.name, "answers, but not in HTTP", "check the port") from error
        except OSError as error:
            fact, remedy = address.why_unreachable(error)
            raise DeviceGone(self.name, fact, remedy) from error
        if response.headers.get_content_type() != _TYPE:
            response.close()
            raise BadReply(self.name, f"sends {response.headers.get_content_type()}, no MJPEG stream")
        self._response = response
        self._came_s, self._bytes = time.monotonic(), 0

    def next(self, limit_s: float) -> Frame | None:  # noqa: ARG002 - a stream sends by itself; a silent one is gone
        """The next part. Raises DeviceGone when the line is cut or silent, BadReply when parts have no end."""
        response = self._response
        if response is None:
            return None
        try:
            # without chunks past the library's own methods, which cost more on each line than the reading
            stream = response if response.chunked or response.length is not None else response.fp
            empty_s = time.monotonic()
            is_empty = (
                bytes_waiting(response.fileno()) <= self._bytes // 2
            )  # there may be an end of the part before
            length = self._length_of_part(stream)
            if is_empty:
                is_last = bytes_waiting(response.fileno()) <= 1.5 * (length or self._bytes)
                self._came_s = time.monotonic() if is_last else empty_s
            jpeg = stream.read(length) if length else self._until_boundary(stream, response.headers)
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            raise DeviceGone(self.name, "the stream was cut", "check the network and the camera") from error
        if length and len(jpeg) < length:
            raise DeviceGone(self.name, "the stream ended", "check the camera")
        self._bytes = len(jpeg)
        return Frame(self._came_s, jpeg=jpeg)

    def _call(self) -> http.client.HTTPResponse:
        """The answer; the second one, with name and password, where the first asks for them."""
        who = self._access
        request = urllib.request.Request(who.url)  # noqa: S310 - the owner's own address
        for is_last in (not who.user, True):
            try:
                response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=OPEN_LIMIT_S)  # noqa: S310 - the same
            except urllib.error.HTTPError as refusal:
                with refusal:
                    asks = refusal.headers.get_all("WWW-Authenticate") or []
                given = address.authorization(asks, "GET", request.selector, who)
                if is_last or refusal.code != address.UNAUTHORIZED or not given:
                    fact, remedy = address.why_refused(refusal.code, named=bool(who.user))
                    raise DeviceGone(self.name, fact, remedy) from None
                request.add_unredirected_header("Authorization", given)  # not for whom it sends us to
            else:
                break
        return response

    def close(self) -> None:
        """Hang up, also under a read of another thread."""
        response, self._response = self._response, None
        if response is not None:
            with contextlib.suppress(OSError, AttributeError, ValueError):
                # closing alone would wait for the reader; the socket is reached through the buffered reader's raw
                socket.socket.shutdown(response.fp.raw._sock, socket.SHUT_RDWR)  # type: ignore[attr-defined] # noqa: SLF001 - no public way
            with contextlib.suppress(OSError, ValueError):
                response.close()

    def _length_of_part(self, stream: BinaryIO) -> int:
        """Skip the boundary line, read the part's headers; 0 when they tell no length."""
        for _ in range(_MOST_HEADERS):
            if self._line(stream) not in {b"\r\n", b"\n"}:
                break
        length = 0
        for _ in range(_MOST_HEADERS):  # by hand: the library's parser of mail headers costs more than the reading
            line = self._line(stream)
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

    def _until_boundary(self, stream: BinaryIO, headers: Message) -> bytes:
        boundary = str(headers.get_param("boundary", "")).removeprefix("--").encode()
        picture = bytearray()  # not a list of lines: each costs fifty bytes more than it holds
        while len(picture) < LARGEST_BYTES:
            line = self._line(stream)
            if line.startswith(b"--" + boundary):
                return bytes(picture)
            picture += line
        raise BadReply(self.name, "a part of the stream has no end")

    def _line(self, stream: BinaryIO) -> bytes:
        line = stream.readline(65536)
        if not line:
            raise DeviceGone(self.name, "the stream ended", "check the camera")
        return line


def bytes_waiting(descriptor: int) -> int:
    """How many the kernel holds that nobody has read yet. Raises OSError."""
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)

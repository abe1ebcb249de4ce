"""A camera that serves MJPEG over HTTP (`multipart/x-mixed-replace`), read without FFmpeg.

FFmpeg probes such a stream for a second and holds a frame back; here each part is a frame as soon as its last byte
is in, and a cut line is known at once. What waited in the line while nobody read it is as old as it may be: a
reader that was held up must not take what it finds then for what stands before the camera now. While nothing is to
be seen, the kernel wakes the reader for every second part only. Anything else at an http address is refused. A name
and password in the address are given when the camera asks for them, as Basic or Digest (RFC 7617, RFC 7616).
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import re
import select
import socket
import sys
import termios
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from drivers.contract import BadReply, DeviceGone, without_secrets
from drivers.wire import address
from drivers.wire.frames import Frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import Message

MayDrop: TypeAlias = "Callable[[int, float], bool]"
"""Whether a picture of so many bytes, that came at that time, need not be looked at."""
OPEN_LIMIT_S = 5.0
LARGEST_BYTES = 16_000_000
"""Of a picture; a JPEG of 40 megapixels, the most that is decoded, has some 10."""
_MOST_HEADER_BYTES = 8192
_HEAD = re.compile(rb"[\r\n]*([^\r\n].*?)\r?\n\r?\n", re.DOTALL)
"""A part's boundary and headers. By hand: the library's parser of mail headers costs more than the reading."""
_LENGTH = re.compile(rb"\ncontent-length[ \t]*:[ \t]*(\d+)[ \t]*(?:\r|$)", re.IGNORECASE)
_ROOM_BYTES = 1 << 18
"""What waits in the line is taken at once."""
PAIR_S = 0.075
"""A picture waits for the next one until so long after the one before it: two of 30 a second come in this time."""
SLACK_S = 0.025
_PAIR_SHARE = 0.97
"""Of the bytes of two pictures; those of an unchanged scene differ by less from the one before them."""
_LEAST_SHARE, _MOST_SHARE = 0.94, 0.98
"""Between these the kernel is not told again."""
_SLOW_FOR = 30
"""So many parts are awaited one by one when two did not come within `PAIR_S`."""
_TYPE = "multipart/x-mixed-replace"


class _Downgraded(http.client.HTTPException):
    """It sends us to an address that is less safe; `str()` says where."""


class _StreamRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no address to another kind, and none from https to http: who is in between could show any code."""

    def redirect_request(
        self, req: urllib.request.Request, fp: object, code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme != "https" and not (scheme == "http" and req.type == "http"):
            raise _Downgraded(f"sends us from {req.type} to an address of another kind ({scheme or 'none'})")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


class Mjpeg:
    """A lens at the other end of an HTTP stream."""

    live = True
    ended = False

    def __init__(self, url: str, *, simulated: bool = False, may_drop: MayDrop = lambda *_: False) -> None:
        """`url`: as http://kiosk-camera.local:8080/stream; a name and password in it are not logged; what
        `may_drop` says is taken off the line and not handed out.
        """
        self._access = address.access(url)
        self.name = without_secrets(url)
        self.simulated = simulated
        self._may_drop = may_drop
        self._response: http.client.HTTPResponse | None = None
        self._line: _StreamParts | None = None

    def open(self) -> None:
        """Connect. Raises DeviceGone; BadReply when it is no MJPEG stream."""
        self.close()
        try:
            response = self._call()
        except _Downgraded as error:
            remedy = "write the address where the stream is, if it may be read and changed on the way"
            raise DeviceGone(self.name, str(error), remedy) from error
        except http.client.HTTPException as error:
            raise DeviceGone(self.name, "answers, but not in HTTP", "check the port") from error
        except OSError as error:
            fact, remedy = address.why_unreachable(error)
            raise DeviceGone(self.name, fact, remedy) from error
        if response.headers.get_content_type() != _TYPE:
            response.close()
            raise BadReply(self.name, f"sends {response.headers.get_content_type()}, no MJPEG stream")
        self._line = _StreamParts(self.name, response, self._may_drop)
        self._response = response

    def next(self, limit_s: float) -> Frame | None:
        """The next part that must be looked at. Raises DeviceGone when the line is cut or silent, BadReply when
        parts have no end.
        """
        line = self._line
        if self._response is None or line is None:
            return None
        end_s = time.monotonic() + limit_s
        try:
            while (frame := line.cut()) is None:
                if line.is_calm and line.now_s >= end_s:
                    return None
                line.fill()
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            raise DeviceGone(self.name, "the stream was cut", "check the network and the camera") from error
        return frame

    def _call(self) -> http.client.HTTPResponse:
        """The answer; the second one, with name and password, where the first asks for them."""
        who = self._access
        request = urllib.request.Request(who.url)  # noqa: S310 - the owner's own address
        opener = urllib.request.build_opener(_StreamRedirects)
        for is_last in (not who.user, True):
            try:
                response: http.client.HTTPResponse = opener.open(request, timeout=OPEN_LIMIT_S)
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
                socket.socket.shutdown(_socket_of(response), socket.SHUT_RDWR)  # closing would wait for the reader
            with contextlib.suppress(OSError, ValueError):
                response.close()


class _StreamParts:
    """What has come of a stream, cut into its parts. An idle kiosk spends its time here: few calls, few objects."""

    def __init__(self, name: str, response: http.client.HTTPResponse, may_drop: MayDrop) -> None:
        self.now_s = time.monotonic()
        """Of the latest call of the kernel."""
        self.is_calm = False
        """The latest part was dropped."""
        self._name = name
        self._may_drop = may_drop
        boundary = str(response.headers.get_param("boundary", "")).removeprefix("--")
        self._boundary = b"\n--" + boundary.encode()
        self._descriptor = response.fileno()
        # without chunks past the library's own methods, which cost more than the reading
        is_plain = not response.chunked and response.length is None
        self._read: Callable[[memoryview], int] = response.fp.readinto1 if is_plain else response.readinto1
        line = _socket_of(response)
        self._socket = line if is_plain and type(line) is socket.socket else None
        """None: TLS or chunks, which have buffers of their own."""
        self._poll = select.poll()
        self._poll.register(line, select.POLLIN)
        self._low_water = 1
        """So many bytes have to wait before the kernel tells of any."""
        self._slow = 0
        """So many times parts are awaited one by one."""
        self._buffer = bytearray(_ROOM_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        """Of what was not cut yet."""
        self._body = self._length = 0
        """Where the picture that is coming begins, 0: not known yet; how long it is, 0: its headers do not tell."""
        self._searched = 0
        """Up to here there is no boundary after it."""
        self._empty_s = self.now_s
        """When the line was last known to be empty."""
        self._after_s = self._latest_s = self.now_s
        """What the latest call of the kernel has given came after this; when the last part of it came."""
        self._bytes = 0
        """Of the latest part."""

    def cut(self) -> Frame | None:
        """The next part that must be looked at, if it is here whole. Raises BadReply."""
        while True:
            if not self._body:
                head = _HEAD.match(self._buffer, self._start, self._end)
                if head is None:
                    if self._end - self._start > _MOST_HEADER_BYTES:
                        raise BadReply(self._name, "a part of the stream is nothing but headers")
                    return None
                length = _LENGTH.search(head[1])
                self._length = int(length[1]) if length else 0
                if self._length > LARGEST_BYTES:
                    raise BadReply(self._name, "a part of the stream is larger than any picture")
                self._body = self._searched = head.end()
            end = self._body + self._length if self._length else self._boundary_at()
            if not 0 < end <= self._end:
                return None
            body = self._body
            self._bytes = end - self._start
            self._start, self._body = end, 0
            at_s = self._after_s if self._end - end > self._bytes // 2 else self._latest_s
            self.is_calm = self._may_drop(end - body, at_s)
            if not self.is_calm:
                return Frame(at_s, jpeg=bytes(self._view[body:end]))

    def _boundary_at(self) -> int:
        """Where the part that has no length ends; 0: not known yet."""
        end = self._buffer.find(self._boundary, self._searched, self._end)
        if end < 0 and self._end - self._body > LARGEST_BYTES:
            raise BadReply(self._name, "a part of the stream has no end")
        self._searched = max(self._body, self._end - len(self._boundary))
        return max(end, 0)

    def fill(self) -> None:
        """Take what waits in the line, or await it. Raises OSError, and DeviceGone at its end."""
        pending = self._end - self._start
        is_begun = pending > self._bytes // 2  # of less it is not known: there may be an end of the part before
        self._make_room(pending)
        if self.is_calm and not is_begun and self._await_pair():
            is_awaited = time.monotonic() - self._empty_s < PAIR_S + SLACK_S
            most = 2.5 * self._bytes
        else:
            self._set_low_water(1)
            is_awaited = bytes_waiting(self._descriptor) <= self._bytes // 2
            most = 1.5 * self._bytes
            if is_awaited:
                self._empty_s = time.monotonic()
        self._after_s = self._empty_s
        count = self._read(self._view[pending:] if pending else self._view)
        if not count:
            raise DeviceGone(self._name, "the stream ended", "check the camera")
        if self._socket is not None:
            self._read = self._socket.recv_into  # what the library had read ahead is here
        self._end += count
        self.now_s = time.monotonic()
        if not is_begun:
            self._latest_s = self.now_s if is_awaited and count <= most else self._after_s
        if self._end < len(self._buffer):
            self._empty_s = self.now_s

    def _make_room(self, pending: int) -> None:
        """Move what was not cut yet to the front; enlarge the buffer."""
        if self._start:
            if pending:
                self._buffer[:pending] = self._buffer[self._start : self._end]
            self._body = max(0, self._body - self._start)
            self._searched -= self._start
            self._start, self._end = 0, pending
        if len(self._buffer) - pending < max(_ROOM_BYTES // 2, 3 * self._bytes):
            self._view.release()
            self._buffer += bytes(_ROOM_BYTES)
            self._view = memoryview(self._buffer)

    def _await_pair(self) -> bool:
        """Have the kernel wait for two parts, where they come fast enough; whether they have come."""
        if self._socket is None:
            return False
        if self._slow:
            self._slow -= 1
            return False
        two = 2 * self._bytes
        if not _LEAST_SHARE * two < self._low_water < _MOST_SHARE * two:
            self._set_low_water(int(_PAIR_SHARE * two))
        if self._poll.poll(1000 * PAIR_S):
            return True
        self._slow = _SLOW_FOR
        return False

    def _set_low_water(self, count: int) -> None:
        if self._socket is not None and count != self._low_water:
            self._low_water = count
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)


def _socket_of(response: http.client.HTTPResponse) -> socket.socket:
    """There is no public way to it: through the buffered reader's raw."""
    line: socket.socket = response.fp.raw._sock  # type: ignore[attr-defined] # noqa: SLF001 - as said
    return line


def bytes_waiting(descriptor: int) -> int:
    """How many the kernel holds that nobody has read yet. Raises OSError."""
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)

"""A network camera that is spoken to in RTSP and sends JPEG pictures over RTP, on this machine.

Written from RFC 2326 (RTSP 1.0: requests 10, interleaved data 10.12, status 461), RFC 3550 (RTP header 5.1) and RFC
2435 (JPEG over RTP: header 3.1, quantization tables in band 3.1.8, Q 255). Pictures go over the connection itself
(interleaved), as through a firewall; a caller who wants UDP is told 461. `hang` stops the pictures and leaves the
line open, as a camera does whose encoder has crashed; `unplug` hangs up and refuses calls.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING

from drivers.simulators.camera import Scenery, hang_up
from drivers.vision.opencv import Picture, cv2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PAYLOAD_BYTES = 1400
_CLOCK_HZ = 90_000
_PAYLOAD_TYPE = 26
_TYPE_420, _TABLES_IN_BAND = 1, 255
_SOURCE = 0x6A7E
_SESSION = "Session: 20252\r\n"
_SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=kiosk camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 26\r\na=control:video\r\n"
)


class RtspSimulator:
    """One simulated camera. Pictures at most 2040 pixels a side, in steps of 16 (RFC 2435, 3.1.5)."""

    def __init__(
        self, shows: Callable[[], bytes | None], *, width: int = 640, height: int = 480, fps: float = 30.0
    ) -> None:
        """`shows`: the payload of the code in view now, None for nobody; asked every frame, from another thread."""
        self._shows = shows
        self._scenery = Scenery(width, height)
        self._period_s = 1 / fps
        self._port = 0
        self._listener: socket.socket | None = None
        self._plugged, self._sends = threading.Event(), threading.Event()
        self._viewers: list[socket.socket] = []
        self.requests: list[str] = []
        """The methods that callers asked for."""
        self.pictures = 0
        """So many were sent."""

    @property
    def url(self) -> str:
        """Where the camera is, once started: the `device` of a camera's options."""
        return f"rtsp://127.0.0.1:{self._port}/stream"

    def start(self) -> None:
        """Plug the camera in. Always the same address after the first time."""
        self._listener = listener = socket.create_server(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        self._plugged.set()
        self._sends.set()
        threading.Thread(target=self._accept, args=(listener,), name="RTSP simulator", daemon=True).start()

    def stop(self) -> None:
        """Unplug the camera: viewers are cut off, calls refused."""
        self._plugged.clear()
        listener, self._listener = self._listener, None
        if listener is not None:
            hang_up(listener)
        for viewer in self._viewers:
            hang_up(viewer)
        self._viewers.clear()

    unplug = stop
    replug = start

    def hang(self) -> None:
        """Send no more pictures, on lines that stay open and in calls to come."""
        self._sends.clear()

    def go_on(self) -> None:
        """Send pictures again."""
        self._sends.set()

    def _accept(self, listener: socket.socket) -> None:
        while self._plugged.is_set():
            try:
                viewer, _ = listener.accept()
            except OSError:
                return
            self._viewers.append(viewer)
            threading.Thread(target=self._serve, args=(viewer,), name="RTSP line", daemon=True).start()

    def _serve(self, viewer: socket.socket) -> None:
        line = _RtspConnection(viewer)
        with contextlib.suppress(OSError), viewer:
            for method, url, headers in line.requests():
                self.requests.append(method)
                line.send(_reply(method, url, headers).encode())
                if method == "PLAY":
                    threading.Thread(target=self._show, args=(line,), name="RTP stream", daemon=True).start()
                elif method == "TEARDOWN":
                    return

    def _show(self, line: _RtspConnection) -> None:
        sent = turn = 0
        began_s = due_s = time.monotonic()
        with contextlib.suppress(OSError):
            while self._plugged.is_set():
                self._sends.wait()
                jpeg = self._scenery.jpeg(self._shows(), turn, _as_colour_jpeg)
                clock = int((time.monotonic() - began_s) * _CLOCK_HZ)
                for packet in packets(jpeg, (self._scenery.width, self._scenery.height), clock, sent):
                    line.send(b"$\x00" + struct.pack(">H", len(packet)) + packet)
                    sent += 1
                turn += 1
                self.pictures += 1
                due_s = max(due_s + self._period_s, time.monotonic())
                time.sleep(max(0.0, due_s - time.monotonic()))


class _RtspConnection:
    """A caller's connection: requests and receivers' reports come in, replies and pictures go out."""

    def __init__(self, viewer: socket.socket) -> None:
        self._viewer = viewer
        self._whole = threading.Lock()

    def send(self, data: bytes) -> None:
        """A reply or a packet, never one within another."""
        with self._whole:
            self._viewer.sendall(data)

    def requests(self) -> Iterator[tuple[str, str, dict[str, str]]]:
        """Method, address and headers of each request; ends when the caller hangs up."""
        heard = b""
        while more := self._viewer.recv(4096):
            heard += more
            while heard:
                if heard[:1] == b"$":  # a report on what was received, of no interest here
                    end = 4 + int.from_bytes(heard[2:4], "big")
                    if len(heard) < max(4, end):
                        break
                    heard = heard[end:]
                    continue
                head, blank, rest = heard.partition(b"\r\n\r\n")
                if not blank:
                    break
                heard = rest
                first, *lines = head.decode().split("\r\n")
                method, url, _ = first.split()
                headers = dict(line.split(": ", 1) for line in lines if ": " in line)
                yield method, url, {name.lower(): value for name, value in headers.items()}


def _reply(method: str, url: str, headers: dict[str, str]) -> str:
    status, extra, body = "200 OK", "", ""
    if method == "OPTIONS":
        extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n"
    elif method == "DESCRIBE":
        body = _SDP
        extra = f"Content-Base: {url}/\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
    elif method == "SETUP" and "TCP" not in headers.get("transport", ""):
        status = "461 Unsupported Transport"
    elif method == "SETUP":
        channels = re.search(r"interleaved=\d+-\d+", headers["transport"])
        extra = f"Transport: RTP/AVP/TCP;unicast;{channels[0] if channels else 'interleaved=0-1'}\r\n{_SESSION}"
    elif method in {"PLAY", "TEARDOWN", "GET_PARAMETER"}:
        extra = _SESSION
    else:
        status = "501 Not Implemented"
    return f"RTSP/1.0 {status}\r\nCSeq: {headers.get('cseq', '0')}\r\n{extra}\r\n{body}"


def _as_colour_jpeg(picture: Picture) -> bytes:
    """As JPEG in colour with its chromas halved both ways: the only kind but one that RFC 2435 knows."""
    settings = [
        cv2.IMWRITE_JPEG_QUALITY,
        85,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), settings)[1].tobytes()


def packets(jpeg: bytes, size: tuple[int, int], clock: int, first: int) -> Iterator[bytes]:
    """One picture as RTP packets. `size`: width, height; `clock`: in 1/90000 s; `first`: number of the first."""
    tables, scan = _split_jpeg(jpeg)
    shape = bytes([_TYPE_420, _TABLES_IN_BAND, size[0] // 8, size[1] // 8])
    at = 0
    while at < len(scan):
        head = struct.pack(">I", at) + shape  # eight bits of its own type, 24 of offset
        if at == 0:
            head += struct.pack(">BBH", 0, 0, len(tables)) + tables
        part = scan[at : at + _PAYLOAD_BYTES]
        at += len(part)
        last = 0x80 * (at >= len(scan))
        yield (
            struct.pack(">BBHII", 0x80, last | _PAYLOAD_TYPE, first & 0xFFFF, clock & 0xFFFFFFFF, _SOURCE)
            + head
            + part
        )
        first += 1


def _split_jpeg(jpeg: bytes) -> tuple[bytes, bytes]:
    """Quantization tables and entropy-coded scan of a baseline JPEG with the standard's Huffman tables."""
    tables, at = b"", 2
    while True:
        marker, length = struct.unpack(">HH", jpeg[at : at + 4])
        part = jpeg[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == 0xFFDB:  # noqa: PLR2004 - DQT: a byte of precision and number before each table of 64
            tables += b"".join(part[start + 1 : start + 65] for start in range(0, len(part), 65))
        elif marker == 0xFFDA:  # noqa: PLR2004 - SOS: the scan follows, up to the end of the image
            return tables, jpeg[at:-2]

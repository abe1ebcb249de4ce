"""A base that is wanted, its pieces, and a web server that can be made to lie."""

from __future__ import annotations

import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from agent.credentials import base_chunks, lists
from agent.ruleset import load
from agent.ruleset.base_assembly import WantedBase

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

PIECE = base_chunks.MIN_BYTES


class Base:
    """A list at the central server, and what a kiosk wants of it."""

    def __init__(self, folder: Path, url: str = "", keys: int = 3000, piece: int = PIECE) -> None:
        file = folder / "server.gpl"
        content = b"".join(number.to_bytes(16) for number in range(keys))
        load.write_list(file, lists.ListHeader("revoked", "demo", 2, 1.0, 2.0, 3.0), content)
        self.data = file.read_bytes()
        self.piece = piece
        self.pieces = [self.data[at : at + piece] for at in range(0, len(self.data), piece)]
        self.head = load.open_list(file).base.head
        self.path = folder / "kiosk" / "people.gpl"
        self.path.parent.mkdir(exist_ok=True)
        self.next = load.next_path(self.path)
        self.part = self.path.with_name("people.gpl.part")
        self.wanted = self.at(url)

    def at(self, url: str) -> WantedBase:
        return WantedBase("people", self.path, self.head, base_chunks.cut(self.pieces, self.piece, url))


class Web:
    """Serves `data`; what it does wrong is set as attributes."""

    def __init__(self, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1", port: int = 0) -> None:
        self.data = b""
        self.ranges: list[str | None] = []
        self.cut_after: int | None = None
        """Breaks off after so many bytes of an answer."""
        self.ignores_ranges = False
        self.says_another_range = False
        self.status = 0
        self.redirects_to = ""
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((address, port), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}/status.gpl"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range")
        self.ranges.append(asked)
        if self.status:
            handler.send_error(self.status)
            return
        if self.redirects_to:
            handler.send_response(302)
            handler.send_header("Location", self.redirects_to)
            handler.end_headers()
            return
        start = 0 if self.ignores_ranges or asked is None else int(asked.removeprefix("bytes=").removesuffix("-"))
        told = start + 1 if self.says_another_range else start
        body = memoryview(self.data)[start:]
        handler.send_response(200 if self.ignores_ranges else 206)
        handler.send_header("Content-Length", str(len(body)))
        if not self.ignores_ranges:
            handler.send_header("Content-Range", f"bytes {told}-{len(self.data) - 1}/{len(self.data)}")
        handler.end_headers()
        with suppress(ConnectionError):
            handler.wfile.write(body[: self.cut_after])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serving(tls: ssl.SSLContext | None = None) -> Iterator[Web]:
    made = Web(tls)
    yield made
    made.close()

"""A local socket that serves each client in a thread of its own: bounded in clients, stopped with the agent."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import select
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from agent.platform.unix_socket import listening

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

_LEAVE_S = 1.0
"""Clients that have not been served to their end by then are left."""


class SocketServer:
    """A listening Unix socket. `serve` gets each client's connection, and ends when `is_open` is false."""

    def __init__(
        self, path: Path, mode: int, clients: int, serve: Callable[[socket.socket], None], limit_s: float = 5.0
    ) -> None:
        """`mode`: of the socket's file; `clients`: how many at a time, the next is hung up on; `limit_s`: how long
        one read or write of a client may take.
        """
        self._path, self._mode, self._limit_s = path, mode, limit_s
        self._serve = serve
        self._clients, self._most = threading.Semaphore(clients), clients
        self._stopping = threading.Event()
        self._server: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        """Whether the agent goes on serving."""
        return not self._stopping.is_set()

    def start(self) -> None:
        """Listen. The agent works without: that the socket cannot be made is logged, unless there is no folder for
        it, as on a kiosk without screens.
        """
        try:
            server = listening(self._path, self._mode)
        except OSError as error:
            level = logging.DEBUG if isinstance(error, FileNotFoundError) else logging.WARNING
            log.log(level, "no program can connect to this agent at %s: %s", self._path, error.strerror or error)
            return
        self._server = server
        self._thread = threading.Thread(target=self._accept, args=(server,), name=self._path.stem, daemon=True)
        self._thread.start()

    def stop(self, limit_s: float = _LEAVE_S) -> None:
        """Close, and wait a moment for clients to be served to their end. May be called without `start`."""
        self._stopping.set()
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        self._path.unlink(missing_ok=True)
        limit_s = min(limit_s, _LEAVE_S)
        until_s = time.monotonic() + limit_s
        self._thread.join(limit_s)
        for _ in range(self._most):
            self._clients.acquire(timeout=max(0.0, until_s - time.monotonic()))

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while self.is_open:
                client, _ = server.accept()
                if self._clients.acquire(blocking=False):
                    name = f"{self._path.stem} client"
                    threading.Thread(target=self._host, args=(client,), name=name, daemon=True).start()
                else:
                    client.close()

    def _host(self, client: socket.socket) -> None:
        try:
            with client, contextlib.suppress(OSError):  # the client has gone
                client.settimeout(self._limit_s)
                self._serve(client)
        finally:
            self._clients.release()


def read_line(client: socket.socket, most_bytes: int) -> bytes:
    """What a client asks, who waits for the answer. Raises OSError, also for one that has hung up meanwhile: it has
    said that nothing was done.
    """
    with client.makefile("rb") as lines:
        line = lines.readline(most_bytes)
    hung_up = select.poll()
    hung_up.register(client, 0)
    if hung_up.poll(0):
        raise ConnectionAbortedError(errno.ECONNABORTED, "the client has hung up")
    return line


def send(client: socket.socket, message: Mapping[str, Any]) -> None:
    """One line of JSON. Raises OSError."""
    client.sendall(line_of(message))


def line_of(message: Mapping[str, Any]) -> bytes:
    """A message as it travels."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

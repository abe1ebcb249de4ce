"""An I²C adapter with simulated chips, served on a Unix socket to clients that open it as a bus.

The near side is `i2c_host`, in the process under trial. One request and one answer per line, as JSON:

    {"do": "functions"}                                         → {"functions": 1234}
    {"do": "transfer", "messages": [[90, "07"], [90, 3]]}       → {"read": ["d23a30"]}  or {"errno": 121}

A message is an address with the bytes to write in hexadecimal, or with a count of bytes to read.
"""

from __future__ import annotations

import contextlib
import errno
import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = 0x0EFF0009
"""Functions of i2c-bcm2835: plain transfers, and SMBus emulated on them, with PEC (uapi/linux/i2c.h)."""
STUB = 0x00660000 | 0x00180000
"""Functions of i2c-stub that matter here: bytes and words over SMBus; no plain transfers, no PEC."""


class Nack(Exception):
    """A chip does not acknowledge."""


class Chip(Protocol):
    """A chip on the bus. `address` is the 7-bit address it was called by."""

    @property
    def addresses(self) -> tuple[int, ...]:
        """The 7-bit addresses it answers."""

    def write(self, address: int, data: bytes) -> None:
        """A write message, up to stop or repeated start. Raises Nack."""

    def read(self, address: int, count: int) -> bytes:
        """A read message. Raises Nack."""


class Adapter:
    """A bus that can be unplugged, be slow, or stick. A context manager: enter plugs it in."""

    def __init__(self, path: Path, *chips: Chip, functions: int = PLAIN) -> None:
        """`path`: the Unix socket that stands for the bus."""
        self.path = path
        self.chips = chips
        self.functions = functions
        self.stuck_s = 0.0
        """Fault: the data line is held; each transfer takes so long and ends in a time-out."""
        self._lock = threading.Lock()
        self._server: socket.socket | None = None
        self._clients: set[socket.socket] = set()

    def plug(self) -> None:
        """Make the bus appear."""
        if self._server is None:
            self.path.unlink(missing_ok=True)
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            server.bind(str(self.path))
            server.listen()
            self._server = server
            threading.Thread(target=self._accept, args=(server,), name="sim i2c", daemon=True).start()

    def unplug(self) -> None:
        """Take the bus away, with all its chips."""
        server, self._server = self._server, None
        if server is not None:
            self.path.unlink(missing_ok=True)
            for each in (server, *self._clients):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            server.close()

    close = unplug

    def __enter__(self) -> Self:
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def transfer(self, messages: list[tuple[int, bytes | int]]) -> list[bytes]:
        """One transaction. Raises OSError as the kernel would."""
        with self._lock:
            if self.stuck_s:
                time.sleep(self.stuck_s)
                raise OSError(errno.ETIMEDOUT, "bus stuck")
            try:
                return [got for address, what in messages if (got := self._message(address, what)) is not None]
            except Nack:
                raise OSError(errno.EREMOTEIO, "not acknowledged") from None

    def _message(self, address: int, what: bytes | int) -> bytes | None:
        for chip in self.chips:
            if address in chip.addresses:
                if isinstance(what, int):
                    return chip.read(address, what)
                chip.write(address, what)
                return None
        raise Nack

    def _accept(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                self._clients.add(client)
                threading.Thread(target=self._serve, args=(client,), name="sim i2c", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), client.makefile("rw", encoding="ascii") as lines:
            for line in lines:
                lines.write(json.dumps(self._answer(json.loads(line))) + "\n")
                lines.flush()
        self._clients.discard(client)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] == "functions":
            return {"functions": self.functions}
        messages: list[tuple[int, bytes | int]] = [
            (address, bytes.fromhex(what) if isinstance(what, str) else what)
            for address, what in request["messages"]
        ]
        try:
            return {"read": [data.hex() for data in self.transfer(messages)]}
        except OSError as trouble:
            return {"errno": trouble.errno}

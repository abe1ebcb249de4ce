"""A Unix socket that listens. Its name appears when it does, with its mode: no client is refused before."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def listening(path: Path, mode: int) -> socket.socket:
    """A socket that listens at `path`, in place of what was there. Raises OSError."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made = path.with_name(path.name[:-1] + "~")  # as long: the path of a socket has 107 bytes at most
    try:
        made.unlink(missing_ok=True)
        server.bind(str(made))
        made.chmod(mode)
        server.listen()
        made.replace(path)
    except OSError:
        server.close()
        raise
    return server

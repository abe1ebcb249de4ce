"""A local socket has its name only while it can be used."""

from __future__ import annotations

import errno
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from agent.platform.unix_socket import listening

if TYPE_CHECKING:
    from pathlib import Path

TRIES = 200


def test_it_listens_in_place_of_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "staff.sock"
    path.write_text("left behind")
    (tmp_path / "staff.soc~").write_text("left behind by one that fell")
    with listening(path, 0o660), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert path.stat().st_mode & 0o777 == 0o660
    assert [each.name for each in tmp_path.iterdir()] == ["staff.sock"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        listening(tmp_path / "nowhere" / "staff.sock", 0o660)


def test_nobody_is_refused_where_its_name_is(tmp_path: Path) -> None:
    """A client that comes at any moment of the start finds no name, or is let in."""
    path, seen, done = tmp_path / "s", set(), threading.Event()

    def knock() -> None:
        while not done.is_set():
            with socket.socket(socket.AF_UNIX) as client:
                client.setblocking(False)
                seen.add(client.connect_ex(str(path)))

    thread = threading.Thread(target=knock)
    thread.start()
    servers = []
    for _ in range(TRIES):
        servers.append(listening(path, 0o600))
        path.unlink()
    done.set()
    thread.join()
    for server in servers:
        server.close()
    assert errno.ECONNREFUSED not in seen

"""The far end of a serial line knows what nobody has read yet."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

from drivers.simulators.pty import Port
from drivers.simulators.scan_engines import LineScanner

if TYPE_CHECKING:
    from pathlib import Path


def test_bytes_are_unread_until_the_near_end_takes_them(tmp_path: Path) -> None:
    with Port(tmp_path / "usb", LineScanner()) as port:
        assert port.unread == 0
        near = os.open(port.link, os.O_RDONLY | os.O_NOCTTY)
        try:
            port.send(b"12345")
            select.select([near], [], [], 60)
            assert port.unread == 5
            assert os.read(near, 3) == b"123"
            assert port.unread == 2
        finally:
            os.close(near)
    assert port.unread == 0

from __future__ import annotations

import socket

import pytest

from agent.platform import systemd


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path, monkeypatch):
    """The service manager's end of the notify socket."""
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.bind(name if request.param == "path" else "\0" + name)
        wire.settimeout(90)
        monkeypatch.setenv("NOTIFY_SOCKET", name if request.param == "path" else "@" + name)
        yield wire


def test_lines_arrive_as_one_datagram(manager):
    assert systemd.notify("READY=1", "STATUS=two lanes\nand more")
    assert manager.recv(1024) == b"READY=1\nSTATUS=two lanes and more"


def test_outside_systemd_nothing_happens(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not systemd.notify("READY=1")


def test_a_manager_that_is_gone_raises_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert not systemd.notify("WATCHDOG=1")

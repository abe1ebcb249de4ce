"""What systemd is told: ready, alive while everything moves, nothing while it hangs."""

import os
import signal
import socket

import pytest

SILENCE_S = 4.0
"""Pings come every second: so long without one means that none will come."""


class Systemd:
    """The far end of NOTIFY_SOCKET."""

    def __init__(self, path):
        self.path = str(path)
        self._wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._wire.bind(self.path)

    def next(self, limit_s):
        """The next message as KEY → value; None when none comes."""
        self._wire.settimeout(limit_s)
        try:
            lines = self._wire.recv(65536).decode().splitlines()
        except TimeoutError:
            return None
        return dict(line.split("=", 1) for line in lines)

    def wait_for(self, what, limit_s=90.0):
        """Pass over messages until one answers `what`."""
        while (message := self.next(limit_s)) is not None:
            if what(message):
                return message
        pytest.fail(f"nothing more was said for {limit_s:.0f} s")

    def drop_all(self):
        while self.next(0.01) is not None:
            pass

    def close(self):
        self._wire.close()


@pytest.fixture
def systemd(site):
    wire = Systemd(site.folder / "notify")
    yield wire
    wire.close()


def is_ping(message):
    return message.get("WATCHDOG") == "1"


def test_ready_alive_hung_and_stopping(site, systemd):
    site.kiosk.start(NOTIFY_SOCKET=systemd.path)
    told = {}  # which of the two comes first, nobody promises

    def is_well(message):
        told.update(message)
        return (told.get("READY"), told.get("STATUS")) == ("1", "ok")

    systemd.wait_for(is_well)
    systemd.wait_for(is_ping)
    systemd.wait_for(is_ping)

    site.kiosk.lanes["entry"].unplug("scanner")
    said = systemd.wait_for(lambda message: "STATUS" in message)
    assert said["STATUS"].startswith("degraded; entry scanner: "), "down and known to be down"
    for _ in range(3):
        systemd.wait_for(is_ping)
    site.kiosk.lanes["entry"].plug("scanner")
    systemd.wait_for(lambda message: message.get("STATUS") == "ok")

    os.kill(site.kiosk.pid, signal.SIGSTOP)
    systemd.drop_all()
    try:
        assert systemd.next(SILENCE_S) is None, "a process that hangs says nothing"
    finally:
        os.kill(site.kiosk.pid, signal.SIGCONT)
    systemd.wait_for(is_ping)

    assert site.kiosk.stop() == 0
    systemd.wait_for(lambda message: message.get("STOPPING") == "1")

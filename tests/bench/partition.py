"""A broker behind a router that can fall silent: two network namespaces, and nothing but `ip`.

When the router stops forwarding, packets both ways vanish without an answer: no reset, no ICMP, no carrier lost.
That is a half-open link as a kiosk meets it behind a switch that died. Root only; raises Unavailable elsewhere.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

NETWORK = "10.231"


class Unavailable(Exception):
    """This machine has no network namespaces for us, or no mosquitto."""


class Partition:
    """A real mosquitto at `host`:`port`, reached through a router; `cut` and `heal` the way to it."""

    port = 1883

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = {side: f"gp-{side}-{os.getpid()}" for side in ("router", "broker")}
        octet = 2 * (os.getpid() % 125)  # two networks each, also beside a process of the next number
        self._near, self._far = f"{NETWORK}.{octet}", f"{NETWORK}.{octet + 1}"
        self.host = f"{self._far}.2"
        self.beside = ["ip", "netns", "exec", self._names["broker"]]
        """Words before a command that runs on the broker's side."""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Raises Unavailable."""
        if shutil.which("ip") is None or os.geteuid() != 0:
            raise Unavailable("network namespaces need root and iproute2")
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        if program is None:
            raise Unavailable("mosquitto is not installed")
        try:
            self._build()
        except subprocess.CalledProcessError as error:
            self.__exit__()
            raise Unavailable(f"no network namespaces here: {error.stderr.decode().strip()}") from None
        config = f"listener {self.port} {self.host}\nallow_anonymous true\nmax_queued_messages 0\nuser root\n"
        (self._folder / "mosquitto.conf").write_text(config)
        words = [*self.beside, program, "-c", str(self._folder / "mosquitto.conf")]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._await_broker()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
        for name in self._names.values():
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", name)

    def cut(self) -> None:
        """From now on nothing passes, and nobody says so."""
        self._forward("0")

    def heal(self) -> None:
        """Everything passes again."""
        self._forward("1")

    def _build(self) -> None:
        router, broker = self._names["router"], self._names["broker"]
        outer, inner = f"gp{os.getpid() % 10**6}a", f"gp{os.getpid() % 10**6}b"
        for name in (router, broker):
            _ip("netns", "add", name)
        _ip("link", "add", outer, "type", "veth", "peer", "name", "near", "netns", router)
        _ip("-n", router, "link", "add", "far", "type", "veth", "peer", "name", inner, "netns", broker)
        _ip("addr", "add", f"{self._near}.1/24", "dev", outer)
        _ip("-n", router, "addr", "add", f"{self._near}.2/24", "dev", "near")
        _ip("-n", router, "addr", "add", f"{self._far}.1/24", "dev", "far")
        _ip("-n", broker, "addr", "add", f"{self.host}/24", "dev", inner)
        _ip("link", "set", outer, "up")
        for name, device in ((router, "near"), (router, "far"), (broker, inner), (broker, "lo")):
            _ip("-n", name, "link", "set", device, "up")
        _ip("route", "add", f"{self._far}.0/24", "via", f"{self._near}.2")
        _ip("-n", broker, "route", "add", f"{self._near}.0/24", "via", f"{self._far}.1")
        self.heal()

    def _forward(self, on: str) -> None:
        words = ["ip", "netns", "exec", self._names["router"], "tee", "/proc/sys/net/ipv4/ip_forward"]
        subprocess.run(words, input=on.encode(), check=True, capture_output=True)

    def _await_broker(self) -> None:
        end_s = time.monotonic() + 10
        while time.monotonic() < end_s:
            with suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
                return
        self.__exit__()
        raise Unavailable("the broker in its namespace cannot be reached")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)

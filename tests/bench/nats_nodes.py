"""NATS with JetStream and MQTT on three loopback addresses, each node a process that can be killed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

NODES = 3
_HOSTS = [f"127.0.0.{number + 21}" for number in range(NODES)]
_START_S = 60.0
_CONFIG = """\
server_name: gp{number}
listen: "{host}:4222"
http: "{host}:8222"
mqtt {{ listen: "{host}:1883" }}
jetstream {{ store_dir: "{home}/data" }}
cluster {{ name: gatepost, listen: "{host}:6222", routes: [{routes}] }}
"""


class NatsNodes:
    """A cluster."""

    def __init__(self, folder: Path) -> None:
        self.urls = [f"nats://{host}:4222" for host in _HOSTS]
        self.mqtt = [f"{host}:1883" for host in _HOSTS]
        self._program, self._folder = shutil.which("nats-server") or "/usr/sbin/nats-server", folder
        if not Path(self._program).exists():
            raise FileNotFoundError("NATS is not installed (apt-get install nats-server)")
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * NODES
        self.kills = 0

    def start(self) -> None:
        """All of them; returns when they take connections."""
        for number in range(NODES):
            self.start_node(number)
        until_s = time.monotonic() + _START_S
        while not self.are_up():
            if time.monotonic() > until_s:
                raise TimeoutError((self._folder / "node-0" / "log").read_text()[-2000:])
            time.sleep(0.2)

    def start_node(self, number: int) -> None:
        """Start it; returns at once."""
        home = self._folder / f"node-{number}"
        home.mkdir(exist_ok=True)
        routes = ", ".join(f'"nats-route://{host}:6222"' for host in _HOSTS)
        config = _CONFIG.format(number=number, host=_HOSTS[number], home=home, routes=routes)
        (home / "nats.conf").write_text(config)
        with (home / "log").open("ab") as log:
            self._processes[number] = subprocess.Popen(
                [self._program, "-c", home / "nats.conf"], stdout=log, stderr=log
            )

    def kill(self, number: int) -> None:
        """End it at once, as a power cut would."""
        self.kills += 1
        self._end(number)

    def are_up(self) -> bool:
        """Whether all of them take kiosks."""
        for host in _HOSTS:
            try:
                socket.create_connection((host, 1883), 1.0).close()
            except OSError:
                return False
        return True

    def leader(self, stream: str) -> int:
        """The node that leads a stream; -1: none does now."""
        for host in _HOSTS:
            try:
                with urllib.request.urlopen(f"http://{host}:8222/jsz?streams=true", timeout=2) as answer:
                    accounts = json.load(answer).get("account_details", [])
            except OSError:
                continue
            for each in [found for account in accounts for found in account.get("stream_detail", [])]:
                if each["name"] == stream and (name := each.get("cluster", {}).get("leader")):
                    return int(name.removeprefix("gp"))
        return -1

    def stop(self) -> None:
        """All of them."""
        for number in range(NODES):
            self._end(number)

    def _end(self, number: int) -> None:
        process, self._processes[number] = self._processes[number], None
        if process is not None:
            process.kill()
            process.wait()

"""RabbitMQ on three loopback addresses, each node a process that can be killed; in a folder of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

NODES = 3
_HOSTS = [f"127.0.0.{number + 11}" for number in range(NODES)]
_START_S = 300.0
_CONFIG = """\
listeners.tcp.1 = {host}:5672
mqtt.listeners.tcp.1 = {host}:1883
mqtt.allow_anonymous = true
loopback_users = none
cluster_name = gatepost
cluster_partition_handling = pause_minority
cluster_formation.peer_discovery_backend = classic_config
{nodes}
log.console = true
log.console.level = warning
log.file = false
"""


class RabbitNodes:
    """A cluster."""

    def __init__(self, folder: Path) -> None:
        self.amqp = [f"amqp://guest:guest@{host}:5672" for host in _HOSTS]
        self.mqtt = [f"{host}:1883" for host in _HOSTS]
        programs = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"))
        if not programs:
            raise FileNotFoundError("RabbitMQ is not installed (apt-get install rabbitmq-server)")
        self._programs, self._folder = programs[-1], folder
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * NODES
        self.kills = 0

    def start(self) -> None:
        """All of them; returns when the cluster has formed."""
        for number in range(NODES):
            self.start_node(number)
        for number in range(NODES):
            self._control(number, "await_startup")
        self._control(0, "await_online_nodes", str(NODES))

    def start_node(self, number: int) -> None:
        """Start it; returns at once."""
        home = self._folder / f"node-{number}"
        home.mkdir(exist_ok=True)
        names = "\n".join(
            f"cluster_formation.classic_config.nodes.{each + 1} = gp{each}@localhost" for each in range(NODES)
        )
        (home / "rabbitmq.conf").write_text(_CONFIG.format(host=_HOSTS[number], nodes=names))
        (home / "plugins").write_text("[rabbitmq_mqtt].\n")
        with (home / "log").open("ab") as log:
            self._processes[number] = subprocess.Popen(
                [self._programs / "rabbitmq-server"], env=self._environment(number), stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def control(self, *words: str) -> None:
        """A call of rabbitmqctl."""
        self._control(0, *words)

    def kill(self, number: int) -> None:
        """End it at once, as a power cut would."""
        self.kills += 1
        self._end(number, signal.SIGKILL)

    def look_after(self) -> None:
        """Start again what has ended by itself: a node gives up when it waits long for the others."""
        for number, process in enumerate(self._processes):
            if process is not None and process.poll() is not None:
                self.start_node(number)

    def are_up(self) -> bool:
        """Whether all of them take kiosks: with two of three gone a cluster rightly stops."""
        for host in _HOSTS:
            try:
                socket.create_connection((host, 1883), 1.0).close()
            except OSError:
                return False
        return True

    def stop(self) -> None:
        """All of them, and the port mapper that they started."""
        for number in range(NODES):
            self._end(number, signal.SIGKILL)
        subprocess.run(["epmd", "-port", "14369", "-kill"], check=False, capture_output=True)

    def _end(self, number: int, how: signal.Signals) -> None:
        process, self._processes[number] = self._processes[number], None
        if process is not None:
            os.killpg(process.pid, how)
            process.wait()

    def _control(self, number: int, *words: str) -> None:
        call, until_s = [self._programs / "rabbitmqctl", *words], time.monotonic() + _START_S
        while subprocess.run(call, env=self._environment(number), check=False, capture_output=True).returncode:
            if time.monotonic() > until_s:
                raise TimeoutError((self._folder / f"node-{number}" / "log").read_text()[-2000:])

    def _environment(self, number: int) -> dict[str, str]:
        home = self._folder / f"node-{number}"
        cookie = self._folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text("gatepost")
            cookie.chmod(0o400)
        return {
            "PATH": os.environ["PATH"], "HOME": str(self._folder), "LANG": "C.UTF-8", "ERL_EPMD_PORT": "14369",
            "RABBITMQ_NODENAME": f"gp{number}@localhost", "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq"),
            "RABBITMQ_MNESIA_BASE": str(home / "data"), "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
            "RABBITMQ_DIST_PORT": str(25700 + number), "RABBITMQ_LOG_BASE": str(home),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none",
        }  # fmt: skip

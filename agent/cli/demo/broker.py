"""A private mosquitto that can be stopped and started again with what it has kept."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from agent.cli.demo import child

if TYPE_CHECKING:
    from pathlib import Path

_STOP_S = 30.0
_START_S = 60.0
_LOOK_EVERY_S = 0.02
_PORTS = range(20_000, 32_000)
_SYSTEM_PATH = ("/usr/sbin", "/usr/local/sbin")
"""Where daemons are: not on everybody's PATH."""
_KEEPS = """\
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_on_changes true
autosave_interval 1
"""


class MissingProgram(Exception):
    """A program that is needed is not installed; `str()` says how to get it."""


def program(name: str) -> str:
    """The full path of one of mosquitto's programs. Raises MissingProgram."""
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *_SYSTEM_PATH)))
    if found is None:
        raise MissingProgram(f"{name} is not installed (apt-get install mosquitto mosquitto-clients)")
    return found


class Broker:
    """One mosquitto on this machine, always on the same port."""

    def __init__(self, folder: Path, config: str = _KEEPS) -> None:
        """`folder`: where it keeps its sessions; `config`: beside listener and user. Raises MissingProgram."""
        self.port = _free_port()
        self.is_up = False
        self.folder = folder
        self.config = config.replace("{folder}", str(folder))
        self._words = [program("mosquitto"), "-c", str(folder / "mosquitto.conf")]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """All that it has said since its first start."""
        return (self.folder / "mosquitto.log").read_text(errors="replace")

    def start(self) -> None:
        """Start it; returns when it listens. Raises TimeoutError."""
        # without `user`, one started by root goes on as a user who may not write to the folder: and keeps nothing
        (self.folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nuser {_user()}\n{self.config}"
        )
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own words
                child.words(*self._words),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # a Ctrl-C is for the parent process
            )
        deadline_s = time.monotonic() + _START_S
        while time.monotonic() < deadline_s and self._process.poll() is None:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
                self.is_up = True
                return
            time.sleep(_LOOK_EVERY_S)
        raise TimeoutError(f"mosquitto does not listen within {_START_S:.0f} s, or has ended: {self.log[-500:]}")

    def send_signal(self, number: int) -> None:
        """To the running process."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once: nothing more is saved."""
        process, self._process, self.is_up = self._process, None, False
        if process is not None:
            process.kill()
            process.wait()

    def stop(self) -> None:
        """Let it save what it has and end; may be called twice."""
        process, self._process, self.is_up = self._process, None, False
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return "root"  # a user without a name: nothing to give up either


def _free_port() -> int:
    """A port that nobody listens on, below those that the system hands out to clients.

    Else a client could be given it while the broker is down; or, trying to reach the broker, connect to itself.
    """
    while True:
        port = _PORTS.start + secrets.randbelow(len(_PORTS))
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port

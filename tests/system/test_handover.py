"""Another release takes over from a running agent: it is loaded before the gate goes, and what cannot take over
never has it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.supervisor.handover import NotLoadedError, load_successor

LIMIT_S = 60.0
CONFIG = """
[kiosk]
id = "k1"
[mqtt]
host = "127.0.0.1"
port = 1
[codes]
keys = "issuers.toml"
[clock]
last_known_time_file = "clock"
[outbox]
path = "outbox.db"
[runtime]
directory = "run"
[commands]
journal_file = "commands.json"
[lanes.exit]
direction = "exit"
scanner = { driver = "replayed", file = "codes.jsonl", loop = true }
thermometer = { driver = "replayed", file = "skin.jsonl", loop = true }
gate = { driver = "simulated" }
"""


class Kiosk:
    """An agent as systemd runs it: by a link to its program, with a socket for what it says."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.link = folder, folder / "current"
        (folder / "agent.toml").write_text(CONFIG)
        for name, kind in (("codes", "scanners"), ("skin", "thermometers")):
            (folder / f"{name}.jsonl").write_text(f'{{"recording": 1, "kind": "{kind}", "driver": "replayed"}}\n')
        self.use(Path(sys.executable).with_name("gatepost"))
        subprocess.run([self.link, "keys", "new", "shop"], cwd=folder, check=True, capture_output=True)
        self.wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.wire.bind(str(folder / "notify"))
        self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.wire.settimeout(LIMIT_S)
        self.log = (folder / "log").open("w+")
        environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify")}
        words = [str(self.link), "run", "--config", "agent.toml"]
        self.process = subprocess.Popen(
            words, cwd=folder, env=environment, stdout=self.log, stderr=self.log, start_new_session=True
        )
        self.wait_for("READY=1", self.process.pid)

    def use(self, program: Path) -> None:
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(program)

    def use_script(self, text: str) -> None:
        script = self.folder / "other"
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o700)
        self.use(script)

    def wait_for(self, line: str, pid: int) -> str:
        """The line that this process has said."""
        while True:
            data, ancillary, *_ = self.wire.recvmsg(4096, 256)
            said, sender = data.decode().splitlines(), int.from_bytes(ancillary[0][2][:4], sys.byteorder)
            assert sender == pid or not any(each.startswith(("READY", "STOPPING")) for each in said)
            if found := [each for each in said if each.startswith(line) and sender == pid]:
                return found[0]

    def until(self, holds: Callable[[], object]) -> None:
        end_s = time.monotonic() + LIMIT_S
        while not holds():
            assert time.monotonic() < end_s, self.said()
            time.sleep(0.02)

    def said(self) -> str:
        return (self.folder / "log").read_text()

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.wire.close()
        self.log.close()


@pytest.fixture
def kiosk(tmp_path: Path) -> Iterator[Kiosk]:
    made = Kiosk(tmp_path)
    yield made
    made.close()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_another_release_takes_over(kiosk: Kiosk) -> None:
    kiosk.process.send_signal(signal.SIGHUP)
    said = kiosk.wait_for("MAINPID=", kiosk.process.pid)
    pid = int(said.partition("=")[2])
    assert parent_of(pid) != kiosk.process.pid, "systemd kills a main process at once that is another's child"
    assert kiosk.process.wait(LIMIT_S) == 0
    kiosk.wait_for("READY=1", pid)
    os.kill(pid, signal.SIGHUP)  # and the next one from that
    said = kiosk.wait_for("MAINPID=", pid)
    pid = int(said.partition("=")[2])
    kiosk.wait_for("READY=1", pid)
    os.kill(pid, signal.SIGTERM)
    kiosk.wait_for("STOPPING=1", pid)
    kiosk.until(lambda: kiosk.said().count("events decided") == 3)
    lives = [
        line for line in kiosk.said().splitlines() if '"type": "started"' in line or '"type": "stopped"' in line
    ]
    assert [("started" in line) for line in lives] == [True, False] * 3, "one after the other, never two at a time"


def test_one_that_ends_never_has_the_gate(kiosk: Kiosk) -> None:
    kiosk.use_script("exit 78")
    kiosk.process.send_signal(signal.SIGHUP)
    kiosk.until(lambda: "it has ended with 78" in kiosk.said())
    kiosk.wait_for("WATCHDOG=1", kiosk.process.pid)
    kiosk.process.terminate()
    kiosk.wait_for("STOPPING=1", kiosk.process.pid)
    assert kiosk.process.wait(LIMIT_S) == 0


def test_one_that_cannot_take_over_is_started_in_the_usual_way(kiosk: Kiosk) -> None:
    kiosk.use_script("echo 'gatepost: error: unrecognized arguments: --after 5' >&2; exit 2")
    kiosk.process.send_signal(signal.SIGHUP)
    assert kiosk.process.wait(LIMIT_S) == 75


def test_who_is_stopped_meanwhile_lets_nobody_take_over(kiosk: Kiosk) -> None:
    kiosk.use_script(f"touch {kiosk.folder}/begun; exec sleep 600")
    kiosk.process.send_signal(signal.SIGHUP)
    kiosk.until((kiosk.folder / "begun").exists)
    kiosk.process.terminate()
    kiosk.wait_for("STOPPING=1", kiosk.process.pid)
    assert kiosk.process.wait(LIMIT_S) == 0


def test_one_that_hangs_is_killed() -> None:
    unique = f"{os.getpid()}600"
    with pytest.raises(NotLoadedError, match="not ready after 0 s"):
        load_successor(("/bin/sh", "-c", f"exec sleep {unique}"), limit_s=0.3)
    end_s = time.monotonic() + LIMIT_S
    while is_running(f"sleep\0{unique}\0"):
        assert time.monotonic() < end_s
        time.sleep(0.02)


def is_running(command: str) -> bool:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if file.read_text(errors="replace") == command:
                return True
    return False

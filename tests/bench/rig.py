"""The bench: a private broker, simulated devices on ptys and loopback cameras, the agent as a process."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import credentials
from agent.cli import keys
from agent.credentials.formats import gatepost
from agent.crypto import signing
from agent.model import Colour
from agent.ruleset import load
from agent.supervisor import read_report
from agent.supervisor.crash_loop import StartHistory
from agent.supervisor.state_files import StateFiles
from drivers.simulators.camera import CameraSimulator
from drivers.simulators.pty import Port
from drivers.simulators.relays import LcusRelay
from drivers.simulators.scan_engines import LineScanner
from drivers.simulators.uart_thermometers import GyMcu90615
from drivers.simulators.world import World
from tests.processes import family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ISSUER = "bench-health"
_DAY_S = 86400
_PATH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/bin"
_BROKER = (
    "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\nuser root\n"
    "max_queued_messages 0\n"
)
"""As root mosquitto would go on as a user who may not write into the folder, and forget all sessions at a stop;
with its default of 1000 queued messages it would drop what a slow subscriber has not taken yet."""
_AGENT = """\
[kiosk]
id = "kiosk"
site = "bench"
[runtime]
directory = "{run}"
[clock]
source = "system"
last_known_time_file = "clock"
[screening]
baseline_file = "baseline.json"
[codes]
keys = "issuers.toml"
[outbox]
path = "{outbox}"
[mqtt]
host = "127.0.0.1"
port = {port}
"""
_LANE = """\
[lanes.{name}]
direction = "{direction}"
release_s = {release_s}
scanner = {scanner}
thermometer = {{ driver = "gy_mcu", port = "{folder}/{name}-thermometer" }}
gate = {{ driver = "serial_relay", port = "{folder}/{name}-gate" }}
"""
_SIGNALS = """\
lamp = {{ driver = "serial_relay", port = "{folder}/{name}-gate", red = 2, amber = 3, green = 4 }}
buzzer = {{ driver = "serial_relay", port = "{folder}/{name}-gate", channel = 5 }}
"""
GATE, GREEN = 1, 4
"""Relays of the board."""


class Broker:
    """A mosquitto on a port of its own; keeps retained messages and sessions over a stop."""

    def __init__(self, folder: Path, more: str = "") -> None:
        """`more`: lines of its configuration."""
        self._folder = folder
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "mosquitto.conf").write_text(_BROKER.format(port=self.port, folder=folder) + more)

    def start(self) -> None:
        """Returns when it listens. Raises FileNotFoundError when there is no mosquitto."""
        program = shutil.which("mosquitto", path=_PATH)
        if program is None:
            raise FileNotFoundError("mosquitto is not installed (apt-get install mosquitto mosquitto-clients)")
        words = [program, "-c", str(self._folder / "mosquitto.conf")]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: _answers(self.port), 10)

    @property
    def is_up(self) -> bool:
        """Whether it was started and not stopped."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Of the process that runs; 0: none does."""
        return 0 if self._process is None else self._process.pid

    def stop(self) -> None:
        """SIGTERM: it saves its sessions."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


def _free_port() -> int:
    """Below those that the kernel gives to connections: a kiosk that tries while the broker is away could be given
    the broker's own, and keep it.
    """
    while True:
        port = random.randrange(15_000, 30_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


class Heard:
    """A subscriber whose session the broker keeps: each message with its time of arrival."""

    def __init__(self, broker: Broker, *topics: str, name: str = "bench") -> None:
        self.messages: queue.SimpleQueue[tuple[float, str, bytes]] = queue.SimpleQueue()
        """(`time.monotonic()`, topic, payload)."""
        words = [shutil.which("mosquitto_sub", path=_PATH) or "mosquitto_sub"]
        words += ["-h", "127.0.0.1", "-p", str(broker.port), "-V", "5", "-q", "1", "-c", "-x", "600", "-i", name]
        words += ["-F", "%t %p"]
        for topic in topics:
            words += ["-t", topic]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            topic, _, payload = line.rstrip(b"\n").partition(b" ")
            self.messages.put((time.monotonic(), topic.decode(), payload))

    def wait(self, wanted: Callable[[str, bytes], object], limit_s: float) -> float:
        """When the first message that is wanted came; those before it are dropped. Raises TimeoutError."""
        end_s = time.monotonic() + limit_s
        while (left_s := end_s - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                at_s, topic, payload = self.messages.get(timeout=left_s)
                if wanted(topic, payload):
                    return at_s
        raise TimeoutError(f"nothing of the kind came within {limit_s:g} s")

    def drain(self) -> list[tuple[float, str, bytes]]:
        """All that has come and was not taken yet."""
        found = []
        while not self.messages.empty():
            found.append(self.messages.get())
        return found

    def stop(self) -> None:
        """End the subscriber."""
        self._process.terminate()
        self._process.wait(10)


class Lane:
    """One lane's simulated devices, and the section that leads the agent to them."""

    def __init__(
        self, folder: Path, name: str, *, direction: str = "entry", camera: Any = None, lamp: bool = False
    ) -> None:
        """`camera`: keywords of a CameraSimulator instead of a line scanner; `lamp`: and a buzzer, on the gate's
        board.
        """
        self.name = name
        self.world = World(noise_c=0.03, seed=len(name))
        self.relay = LcusRelay()
        self.thermometer = GyMcu90615(self.world)
        self._folder, self._direction, self._lamp = folder, direction, lamp
        self.ports = [
            Port(folder / f"{name}-thermometer", self.thermometer),
            Port(folder / f"{name}-gate", self.relay),
        ]
        self.camera = None if camera is None else CameraSimulator(lambda: self.world.code, **camera)
        self._engine = LineScanner()
        self._scanner = Port(folder / f"{name}-scanner", self._engine)
        if self.camera is None:
            self.ports.append(self._scanner)
        self._camera_options = camera or {}

    def plug(self) -> None:
        """Everything."""
        for port in self.ports:
            port.plug()
        if self.camera is not None:
            self.camera.start()

    def close(self) -> None:
        """Everything."""
        for port in self.ports:
            port.close()
        if self.camera is not None:
            self.camera.stop()

    def section(self, release_s: float) -> str:
        """Of agent.toml; call after `plug`."""
        scanner = f'{{ driver = "line", port = "{self._folder}/{self.name}-scanner" }}'
        if self.camera is not None:
            more = "".join(f", {key} = {value}" for key, value in self._camera_options.items() if key != "seed")
            scanner = f'{{ driver = "camera", device = "{self.camera.url}"{more} }}'
        return (_LANE + _SIGNALS * self._lamp).format(
            name=self.name, direction=self._direction, release_s=release_s, scanner=scanner, folder=self._folder
        )

    def scan(self, code: bytes) -> float:
        """The scan engine sends a code; when."""
        at_s = time.monotonic()
        self._scanner.send(self._engine.encode(code))
        return at_s

    def opened_s(self, since_s: float, limit_s: float = 5.0, relay: int = GATE) -> float | None:
        """When the gate's relay, or another of its board, was told ON after `since_s`; None within `limit_s`."""

        def found() -> float | None:
            changes = reversed(self.relay.changes)
            return next((at for at, which, on in changes if on and which == relay and at >= since_s), None)

        with self.relay.changed:
            self.relay.changed.wait_for(lambda: found() is not None, limit_s)
            return found()


class Kiosk:
    """The agent with its lanes. `start` and `kill` as often as wanted."""

    def __init__(
        self,
        folder: Path,
        broker: Broker,
        lanes: list[Lane],
        *,
        release_s: float = 0.1,
        more: str = "",
        outbox: str = "outbox.db",
    ) -> None:
        """`more`: further sections of agent.toml; `outbox`: its file."""
        self.broker = broker
        self.program = [str(Path(sys.executable).with_name("gatepost"))]
        self._folder = folder
        self._run = tempfile.TemporaryDirectory(prefix="gp-run-", dir="/dev/shm")
        """In memory, as the service's is."""
        self._process: subprocess.Popen[bytes] | None = None
        self._issuer = signing.new_private_key()
        self._issued = 0
        self.logged: list[dict[str, Any]] = []
        """Lines of the agent's log."""
        for lane in lanes:
            lane.plug()
        (folder / "issuers.toml").write_text(keys.key_table(ISSUER, self._issuer.public))
        sections = [lane.section(release_s) for lane in lanes]
        (folder / "agent.toml").write_text(
            "".join((_AGENT.format(port=broker.port, outbox=outbox, run=self._run.name), more, *sections))
        )

    def start(self, **environment: str) -> float:
        """Start the agent, which goes on starting; when."""
        begun_s = time.monotonic()
        words = [*self.program, "run", "--config", str(self._folder / "agent.toml")]
        self._process = subprocess.Popen(words, stderr=subprocess.PIPE, env={**installed(), **environment})
        self._listener = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._listener.start()
        return begun_s

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        for line in process.stderr or ():
            try:
                self.logged.append(json.loads(line))
            except ValueError:
                sys.stderr.write(line.decode(errors="replace"))

    def until_up(self, limit_s: float = 20.0, *, linked: bool = True) -> None:
        """Until all devices are up, and the link too if `linked`. Raises TimeoutError, ChildProcessError."""

        def up() -> bool:
            self.check()
            report = self.report()
            return (
                report is not None
                and report["pid"] == self.pid
                and (report["link"]["connected"] or not linked)
                and all(device["up"] for device in report["devices"])
            )

        until(up, limit_s)

    def report(self) -> dict[str, Any] | None:
        """What the agent says of itself."""
        return read_report(Path(self._run.name))

    @property
    def pid(self) -> int:
        """Of the agent."""
        return 0 if self._process is None else self._process.pid

    def check(self) -> None:
        """Raises ChildProcessError when the agent has ended by itself."""
        if self._process is not None and (status := self._process.poll()) is not None:
            raise ChildProcessError(f"the agent ended with status {status}")

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send a signal and wait for the end, and for all that it said."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(20)
            self._listener.join(20)
            if number == signal.SIGKILL:  # not held against it: the fifth in a row would start in safe mode
                StateFiles(self._folder / "agent.toml").count(StartHistory.ended)

    def trust(self) -> credentials.TrustStore:
        """What the agent believes."""
        return load.load_trust(credentials.Options(keys="issuers.toml"), self._folder)

    def code(self, colour: Colour = Colour.GREEN) -> bytes:
        """A fresh code of somebody else's."""
        self._issued += 1
        now = int(time.time())
        who = f"subject-{self._issued}"
        claims = gatepost.claims(ISSUER, who, colour, issued_utc=now - _DAY_S, expires_utc=now + _DAY_S)
        return gatepost.issue(self._issuer, claims).encode()


@contextmanager
def broker_and_folder(more: str = "") -> Iterator[tuple[Broker, Path, ExitStack]]:
    """A running broker and an empty folder with a short path; what is pushed on the stack ends before both. `more`:
    lines of the broker's configuration.
    """
    with tempfile.TemporaryDirectory(prefix="gp-bench-") as name:
        broker = Broker(Path(name), more)
        broker.start()
        try:
            with ExitStack() as stack:
                yield broker, Path(name), stack
        finally:
            broker.stop()


@contextmanager
def kiosk_with(
    lanes: dict[str, dict[str, Any]], *, release_s: float = 0.1, more: str = ""
) -> Iterator[tuple[Kiosk, list[Lane], Heard, Path]]:
    """(kiosk, lanes, subscriber to everything, folder); `lanes`: name → keywords of `Lane`. Not started yet."""
    with broker_and_folder() as (broker, folder, stack):
        heard = Heard(broker, "gatepost/v1/+/+/#")
        stack.callback(heard.stop)
        built = [Lane(folder, name, **words) for name, words in lanes.items()]
        for lane in built:
            stack.callback(lane.close)
        kiosk = Kiosk(folder, broker, built, release_s=release_s, more=more)
        stack.callback(kiosk.end)
        yield kiosk, built, heard, folder


def until(holds: Callable[[], object], limit_s: float) -> None:
    """Ask again and again. Raises TimeoutError."""
    end_s = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > end_s:
            raise TimeoutError(f"did not come about within {limit_s:g} s")
        time.sleep(0.01)


def installed() -> dict[str, str]:
    """The environment of a program whose modules are compiled, as an installation's are: else its start is measured
    with the compiler's work in it.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def cpu_s(pid: int) -> float:
    """CPU time of all threads of a process, seconds, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def cpu_of_all_s(pid: int) -> float:
    """The same of a process and of all that it has started and that live."""
    return sum(cpu_s(each) for each in family(pid))


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident and proportional set size."""
    kib = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        kib[name] = int(value.split()[0])
    return kib["Rss"] / 1024, kib["Pss"] / 1024


def memory_of_all_mb(pid: int) -> tuple[float, float]:
    """The same of a process and of all that it has started: only the second sum counts what they share once."""
    resident, proportional = zip(*(memory_mb(each) for each in family(pid)), strict=True)
    return sum(resident), sum(proportional)


def quantile(values: list[float], share: float) -> float:
    """The value below which this share lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False

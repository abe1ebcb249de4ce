"""The demonstration's stage: a private broker, simulated devices on real wires, the agent as a process of its own.

Nothing is shared with the agent but the wires: pseudo-terminals, an I²C node, a camera's stream, the broker's port.
"""

from __future__ import annotations

import contextlib
import json
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from agent.cli import keys
from agent.codes import base45, gatepost, signing
from agent.model import Colour
from agent.pulse import read_report
from drivers.simulators.camera import CameraSimulator
from drivers.simulators.i2c_adapter import Adapter
from drivers.simulators.i2c_thermometers import Mlx90614
from drivers.simulators.pty import Port
from drivers.simulators.relays import LcusRelay
from drivers.simulators.scan_engines import LineScanner
from drivers.simulators.uart_thermometers import GyMcu90615
from drivers.simulators.world import World

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from agent.cli.demo.scenario import Person, Trouble

NODE = "/dev/i2c-gatepost-demo"
ISSUER = "demo-health"
_DAY_S = 86400
_AGENT_START_S = 20.0

_CONFIG = """\
[kiosk]
id = "demo-1"
site = "demo"
trial = true
[run]
directory = "run"
[clock]
trust = "system"
floor_file = "clock"
[codes]
keys = "issuers.toml"
[checkpoint]
code_wait_s = 4.0
temperature_wait_s = 4.0
[outbox]
path = "outbox.db"
[mqtt]
host = "127.0.0.1"
port = {broker_port}
[lanes.entry]
direction = "entry"
pulse_s = 1.0
scanner = {{ driver = "camera", device = "{camera_url}", width = 640, height = 480, fps = 15 }}
thermometer = {{ driver = "mlx90614", bus = "{node}" }}
gate = {{ driver = "serial_relay", port = "{folder}/entry-gate" }}
[lanes.exit]
direction = "exit"
pulse_s = 1.0
scanner = {{ driver = "line", port = "{folder}/exit-scanner" }}
thermometer = {{ driver = "gy_mcu", port = "{folder}/exit-thermometer" }}
gate = {{ driver = "serial_relay", port = "{folder}/exit-gate" }}
"""
_BROKER = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_on_changes true
autosave_interval 1
"""


class MissingProgram(Exception):
    """A program that the demonstration needs is not installed; `str()` says how to get it."""


class Stage:
    """Everything around the agent, and the agent. A context manager: enter sets up, leave clears away."""

    def __init__(self, folder: Path) -> None:
        """`folder`: an empty directory with a short path (Unix sockets)."""
        self.folder = folder
        self.heard: queue.SimpleQueue[tuple[str, dict[str, Any]]] = queue.SimpleQueue()
        """(`agent`, a line of its log) and (`broker`, an event that a subscriber got), as they come."""
        self.worlds = {"entry": World(noise_c=0.03, seed=1), "exit": World(noise_c=0.03, seed=2)}
        self.relays = {lane: LcusRelay() for lane in self.worlds}
        self.broker_up = False
        self._port = _free_port()
        self._camera = CameraSimulator(lambda: self.worlds["entry"].code, width=640, height=480, fps=15)
        self._scanner = Port(folder / "exit-scanner", LineScanner())
        self._wires: dict[str, Port | Adapter | CameraSimulator] = {
            "entry scanner": self._camera,
            "entry thermometer": Adapter(folder / "i2c", Mlx90614(self.worlds["entry"])),
            "exit scanner": self._scanner,
            "exit thermometer": Port(folder / "exit-thermometer", GyMcu90615(self.worlds["exit"])),
            **{f"{lane} gate": Port(folder / f"{lane}-gate", relay) for lane, relay in self.relays.items()},
        }
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self._issuer = signing.new_private_key()
        self._issued = 0

    # -- setting up and clearing away

    def __enter__(self) -> Self:
        """Broker, subscriber and devices; not the agent yet. Raises MissingProgram."""
        for program in ("mosquitto", "mosquitto_sub"):
            if shutil.which(program, path=_PATH) is None:
                raise MissingProgram(f"{program} is not installed (apt-get install mosquitto mosquitto-clients)")
        try:
            self._set_up()
        except BaseException:
            self.clear()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything."""
        self.clear()

    def _set_up(self) -> None:
        (self.folder / "mosquitto.conf").write_text(_BROKER.format(port=self._port, folder=self.folder))
        (self.folder / "issuers.toml").write_text(keys.key_table(ISSUER, self._issuer.public))
        self.start_broker()
        self._start_subscriber()
        for wire in self._wires.values():
            _plug(wire)
        (self.folder / "agent.toml").write_text(
            _CONFIG.format(broker_port=self._port, camera_url=self._camera.url, node=NODE, folder=self.folder)
        )

    def clear(self) -> None:
        """Stop every program and device; may be called twice."""
        for name in ("agent", "subscriber", "broker"):
            self._end(name)
        for wire in self._wires.values():
            _unplug(wire)
            if isinstance(wire, Port):
                wire.close()

    # -- the agent

    def start_agent(self) -> float:
        """Start the agent and wait until the broker holds its `online`; returns the seconds that took.

        Raises TimeoutError with what it said.
        """
        begun_s = time.monotonic()
        agent = self._start(
            "agent",
            [
                *(sys.executable, "-m", "drivers.simulators.i2c_host", str(self.folder / "i2c"), NODE, "--"),
                *("gatepost", "run", "--config", str(self.folder / "agent.toml")),
            ],
            stderr=subprocess.PIPE,
        )
        self._hear("agent", agent.stderr)
        while time.monotonic() - begun_s < _AGENT_START_S:
            report = self.report()
            if report is not None and report["link"]["connected"] and all(d["up"] for d in report["devices"]):
                return time.monotonic() - begun_s
            if agent.poll() is not None:
                break
            time.sleep(0.05)
        said = []
        while not self.heard.empty():
            line = self.heard.get()[1]
            said += [line.get("message", ""), *line.get("traceback", "").splitlines()]
        raise TimeoutError("\n".join(("the agent did not come online; it said:", *said)))

    def stop_agent(self) -> int:
        """SIGTERM, and its exit status."""
        agent = self._programs["agent"]
        agent.send_signal(signal.SIGTERM)
        return agent.wait(20)

    def report(self) -> dict[str, Any] | None:
        """How the agent says it is."""
        return read_report(self.folder / "run")

    # -- people and troubles

    def arrive(self, person: Person) -> None:
        """Somebody comes, shows a code and stands before the thermometer."""
        world = self.worlds[person.lane]
        text = self._code(person.code)
        world.stand(person.skin_c, distance_mm=person.distance_mm, fill=person.fill)
        if text is None:
            return
        world.show(text)
        scanner = self._scanner.device
        if person.lane == "exit" and isinstance(scanner, LineScanner):
            self._scanner.send(scanner.encode(text))

    def leave(self, person: Person) -> None:
        """The person goes."""
        self.worlds[person.lane].leave()

    def begin(self, trouble: Trouble) -> None:
        """Something breaks."""
        if trouble.what == "stop broker":
            self._end("broker")
            self.broker_up = False
        else:
            _unplug(self._wires[trouble.what.removeprefix("unplug ")])

    def mend(self, trouble: Trouble) -> None:
        """It works again."""
        if trouble.what == "stop broker":
            self.start_broker()
        else:
            _plug(self._wires[trouble.what.removeprefix("unplug ")])

    def start_broker(self) -> None:
        """Start mosquitto on the same port with what it has kept; returns when it listens."""
        self._start(
            "broker", [str(shutil.which("mosquitto", path=_PATH)), "-c", str(self.folder / "mosquitto.conf")]
        )
        while True:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self._port)):
                break
            time.sleep(0.02)
        self.broker_up = True

    def _start_subscriber(self) -> None:
        """The centre: a subscriber whose session the broker keeps, so that it misses nothing."""
        subscriber = self._start(
            "subscriber",
            [
                *(str(shutil.which("mosquitto_sub", path=_PATH)), "-p", str(self._port), "-h", "127.0.0.1"),
                *("-V", "5", "-q", "1", "-c", "-x", "3600", "-i", "demo-centre", "-t", "gatepost/v1/+/+/event/#"),
            ],
            stdout=subprocess.PIPE,
        )
        self._hear("broker", subscriber.stdout)

    def _code(self, kind: str) -> bytes | None:
        """A fresh code of this kind, signed by the demonstration's issuer."""
        if kind == "none":
            return None
        self._issued += 1
        if kind == "other":
            return f"https://example.org/menu/{self._issued}".encode()
        now = int(time.time())
        ends = now - _DAY_S if kind == "expired" else now + _DAY_S
        colour = Colour(kind) if kind in (*Colour,) else Colour.GREEN
        claims = gatepost.claims(
            ISSUER, f"subject-{self._issued}", colour, issued_utc=ends - 2 * _DAY_S, expires_utc=ends
        )
        text = gatepost.issue(self._issuer, claims).encode()
        return _forge(text) if kind == "forged" else text

    # -- programs

    def _start(self, name: str, words: list[str], **pipes: int) -> subprocess.Popen[bytes]:
        streams = {name: pipes.get(name, subprocess.DEVNULL) for name in ("stdin", "stdout", "stderr")}
        program: subprocess.Popen[bytes] = subprocess.Popen(words, **streams)  # type: ignore[call-overload] # noqa: S603 - our own words
        self._programs[name] = program
        return program

    def _end(self, name: str) -> None:
        program = self._programs.pop(name, None)
        if program is None:
            return
        program.terminate()
        try:
            program.wait(10)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()

    def _hear(self, name: str, stream: IO[bytes] | None) -> None:
        """Pass on each JSON line of a program; anything else it says goes to the terminal."""

        def listen() -> None:
            for line in stream or ():
                try:
                    said = json.loads(line)
                except ValueError:
                    sys.stderr.write(line.decode(errors="replace"))
                else:
                    self.heard.put((name, said))

        threading.Thread(target=listen, name=f"hear {name}", daemon=True).start()


_PATH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/bin"


def _forge(text: bytes) -> bytes:
    """Turn one bit of the signature."""
    message = bytearray(base45.decode(text[len(gatepost.PREFIX) :]))
    message[-1] ^= 1
    return gatepost.PREFIX + base45.encode(bytes(message)).encode()


def _plug(wire: Port | Adapter | CameraSimulator) -> None:
    wire.start() if isinstance(wire, CameraSimulator) else wire.plug()


def _unplug(wire: Port | Adapter | CameraSimulator) -> None:
    wire.stop() if isinstance(wire, CameraSimulator) else wire.unplug()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

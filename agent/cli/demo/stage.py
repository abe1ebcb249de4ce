"""The demonstration's stage: a private broker, a subscriber, a simulated kiosk with two lanes."""

from __future__ import annotations

import json
import queue
import shlex
import subprocess
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Any, Self

from agent.cli.demo import child, guard_desk
from agent.cli.demo.authority import DemoAuthority
from agent.cli.demo.broker import Broker, program
from agent.cli.demo.issuer import Issuer
from agent.cli.demo.kiosk import DemoKiosk
from agent.cli.demo.screens import ScreenProcess
from agent.model import Colour
from drivers.simulators.lane import Lane
from drivers.simulators.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agent.cli.demo.scenario import Person, Trouble, Word

_STOP_S = 30.0
_PATIENCE_S, _MOST_PATIENCE_S = 4.0, 20.0
"""How long the agent waits for a code and a temperature: as long as everything around it took to start, and so
longer where all is slow.
"""
_LIST = "status.gpl"
_WITHHOLD = 'mode = "verify-only"\ndetails = false\n'


class Stage:
    """Everything around the agent, and the agent. A context manager: enter sets up, leave clears away."""

    def __init__(
        self, folder: Path, *, guarded: bool = False, checkpoint: Mapping[str, float] | None = None
    ) -> None:
        """`folder`: an empty directory with a short path (Unix sockets); `guarded`: there is a small place whose
        guard has work; `checkpoint`: settings of the agent's section of that name. Raises MissingProgram.
        """
        self._guarded = guarded
        self._checkpoint = checkpoint or {}
        self.heard: queue.SimpleQueue[tuple[str, dict[str, Any]]] = queue.SimpleQueue()
        """(`agent`, a line of its log) and (`broker`, an event that a subscriber got), as they come."""
        self.broker = Broker(folder)
        self.kiosk = DemoKiosk(
            folder,
            {
                "entry": Lane(folder / "entry", scanner="camera", lamp=True, world=World(noise_c=0.03, seed=1)),
                "exit": Lane(
                    folder / "exit",
                    thermometer="gy_mcu",
                    gate="modbus_relay",
                    ranger="tf_luna",
                    lamp=True,
                    world=World(noise_c=0.03, seed=2),
                ),
            },
            hear=lambda line: self.heard.put(("agent", line)),
        )
        self._issuer = Issuer()
        self._authority = DemoAuthority()
        self._key = folder / "server.key"
        self._colours: dict[str, Colour] = {}
        self.round = 0
        """How often the scenario was begun."""
        self._screens: ScreenProcess | None = None
        self._subscriber: subprocess.Popen[bytes] | None = None
        self._subscribing = [
            *(program("mosquitto_sub"), "-h", "127.0.0.1", "-p", str(self.broker.port), "-V", "5", "-q", "1"),
            *("-c", "-x", "3600", "-i", "demo-server", "-t", "gatepost/v1/+/+/event/#"),
        ]

    def __enter__(self) -> Self:
        """Broker, subscriber and devices; not the agent yet."""
        try:
            self._set_up()
        except BaseException:
            self.clear()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything."""
        self.clear()

    def _set_up(self) -> None:
        folder, begun_s = self.kiosk.folder, time.monotonic()
        self.broker.start()
        self._subscribe()
        (folder / "web").mkdir()
        self._screens = ScreenProcess(folder / "web")
        (folder / "issuers.toml").write_text(self._issuer.key_table)
        self._authority.install(folder / "bundles")
        guard_desk.deliver_staff(self._authority, folder / "bundles")
        self._key.write_bytes(self._authority.pem())
        self._authority.empty_list(folder / _LIST, self._issuer.name)
        for lane in self.kiosk.lanes.values():
            lane.plug()
        more = guard_desk.open_place(self._authority, folder, self._issuer.name) if self._guarded else {}
        settings: dict[str, dict[str, Any]] = {
            "kiosk": {"id": "demo-1", "site": "demo", "simulated": True},
            "runtime": {"directory": "run"},
            "clock": {"source": "system", "last_known_time_file": "clock"},
            "screening": {"baseline_file": "baseline.json"},
            "codes": {"keys": "issuers.toml", "lists": [_LIST], "bundles": "bundles"},
            "checkpoint": {**self._checkpoint},
            "outbox": {"path": "outbox.db"},
            "commands": {"journal_file": "command-journal.json"},
            "mqtt": {"host": "127.0.0.1", "port": self.broker.port},
            "web": {"directory": "web"},
        }
        patience_s = min(max(_PATIENCE_S, time.monotonic() - begun_s), _MOST_PATIENCE_S)
        for name in ("credential_timeout_s", "temperature_timeout_s"):
            settings["checkpoint"].setdefault(name, patience_s)
        lists = [*settings["codes"]["lists"], *more.pop("codes", {}).get("lists", ())]
        settings["codes"]["lists"] = lists
        self.kiosk.configure(
            {**settings, **{name: {**settings.get(name, {}), **table} for name, table in more.items()}}
        )

    def hints(self) -> tuple[str, str]:
        """Commands of a shell: to listen as a central server, and to give a command."""
        host = f"-h 127.0.0.1 -p {self.broker.port} -V mqttv5 -q 1"
        command = f"command open lane=exit --to demo/demo-1 --fleet demo --key {self._key}"
        return (
            f"mosquitto_sub {host} -t 'gatepost/v1/+/+/event/#' -F '%t %p'",
            f"{shlex.quote(sys.argv[0])} {command} | mosquitto_pub {host} -t gatepost/v1/demo/demo-1/command -s",
        )

    @property
    def screens_url(self) -> str:
        """Where a browser on this machine finds the lanes' screens; empty where they cannot be served."""
        return "" if self._screens is None else self._screens.url

    def invitation(self) -> tuple[str, ...]:
        """How to open the guard's page; nothing where the screens cannot be served."""
        return guard_desk.invitation(self.kiosk.folder / "run", self.screens_url) if self.screens_url else ()

    def clear(self) -> None:
        """Stop every program and device; may be called twice."""
        self.kiosk.close()
        screens, self._screens = self._screens, None
        if screens is not None:
            screens.stop()
        subscriber, self._subscriber = self._subscriber, None
        if subscriber is not None:
            subscriber.terminate()
            subscriber.wait(_STOP_S)
        self.broker.stop()

    # -- the agent

    def start_agent(self) -> float:
        """Start the agent and wait until it is online; returns the seconds that took.

        Raises TimeoutError with what it said.
        """
        try:
            return self.kiosk.start()
        except TimeoutError as error:
            said = [str(error)]
            while not self.heard.empty():
                line = self.heard.get()[1]
                said += [line.get("message", ""), *line.get("traceback", "").splitlines()]
            raise TimeoutError("\n".join(said)) from None

    # -- people and troubles

    def pulses(self) -> int:
        """How often the relays of all gates have pulled in and let go."""
        return sum(len(lane.device("gate").pulses()) for lane in self.kiosk.lanes.values())

    def greens(self) -> int:
        """How often the lamps of all lanes have turned green."""
        return sum(lane.greens() for lane in self.kiosk.lanes.values())

    def is_open(self, lane: str) -> bool:
        """Whether the lane's gate is open for somebody, or its lamp is green."""
        at = self.kiosk.lanes[lane]
        return at.device("gate").is_on() or "green" in at.shown()

    def shown(self) -> dict[str, frozenset[str]]:
        """Lane → the lights of its lamp that are on, and `sound` while its buzzer is."""
        return {name: lane.shown() for name, lane in self.kiosk.lanes.items()}

    def _holder(self, who: str) -> str:
        """The scenario played again brings other people: the same would be known as let in a moment ago."""
        return who if self.round <= 1 else f"{who} {self.round}"

    def arrive(self, person: Person) -> None:
        """Somebody comes, shows a code and stands before the thermometer."""
        lane = self.kiosk.lanes[person.lane]
        code = self._issuer.code(person.code, self._holder(person.who))
        lane.world.stand(person.skin_c, distance_mm=person.distance_mm, fill=person.fill)
        if code is not None:
            lane.show(code)

    def leave(self, person: Person) -> None:
        """The person goes."""
        self.kiosk.lanes[person.lane].world.leave()

    def send(self, word: Word) -> None:
        """The central server says something: a bundle, which the broker keeps, or a command."""
        match word.says.split():
            case ["turn", who, colour]:
                self._colours[self._holder(who)] = Colour(colour)
                file = self.kiosk.folder / _LIST
                bundle = self._authority.colours(file, self._issuer.name, self._colours)
                self._publish(f"bundle/list/{file.stem}", bundle, "-r")
            case ["withhold", _]:
                self._publish("bundle/privacy", self._authority.bundle("privacy", _WITHHOLD), "-r")
            case ["restart", _]:
                self._publish("command", self._authority.command("demo/demo-1", "restart"))
            case [_, lane]:
                self._publish("command", self._authority.command("demo/demo-1", "open", lane=lane))

    def _publish(self, below: str, payload: bytes, *how: str) -> None:
        words = [program("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(self.broker.port), "-q", "1", "-s", *how]
        words += ["-t", f"gatepost/v1/demo/demo-1/{below}"]
        subprocess.run(words, input=payload, timeout=_STOP_S, check=True)  # noqa: S603 - our own words

    def begin(self, trouble: Trouble) -> None:
        """Something breaks."""
        match trouble.what.split():
            case ["unplug", lane, part]:
                self.kiosk.lanes[lane].unplug(part)
            case _:
                self.broker.stop()

    def mend(self, trouble: Trouble) -> None:
        """It works again."""
        match trouble.what.split():
            case ["unplug", lane, part]:
                self.kiosk.lanes[lane].plug(part)
            case _:
                self.broker.start()

    def _subscribe(self) -> None:
        """The central server: a subscriber whose session the broker keeps, so that it misses nothing."""
        subprocess.run([*self._subscribing, "-E"], timeout=_STOP_S, check=True)  # noqa: S603 - our own words
        self._subscriber = subprocess.Popen(  # noqa: S603 - our own words
            child.words(*self._subscribing), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, process_group=0
        )
        listener = threading.Thread(
            target=self._listen, args=(self._subscriber.stdout,), name="hear broker", daemon=True
        )
        listener.start()

    def _listen(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                try:
                    self.heard.put(("broker", json.loads(line)))
                except ValueError:
                    sys.stderr.write(line.decode(errors="replace"))

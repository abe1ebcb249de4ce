"""A running agent with a venue, a staff list and two lanes: for the door and the pages of guards."""

from __future__ import annotations

import functools
import json
import shutil
import socket
import tempfile
import threading
import time
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent import cli
from agent.app import App
from agent.cli.demo.authority import DemoAuthority
from agent.config import parse
from agent.control import staff
from agent.credentials import lists
from agent.credentials.formats import gatepost
from agent.credentials.staff_list import BADGE_PREFIX, hash_badge, hash_pin
from agent.crypto import signing
from agent.events import data
from agent.events.kinds import name_of
from agent.model import Attestation, ClockState, Colour, Event, Observation, Role, TimeBounds
from agent.privacy import hpke
from agent.ruleset import load
from agent.ruleset.bundle_store import BundleStore
from drivers.simulators.pty import Port
from drivers.simulators.scan_engines import LineScanner
from drivers.simulators.uart_thermometers import GyMcu90615
from drivers.simulators.world import World
from tests.conftest import wait_for

CONFIG = """\
[kiosk]
id = "k1"
[runtime]
directory = "run"
[clock]
source = "system"
last_known_time_file = "clock"
[codes]
bundles = "bundles"
lists = ["watched.gpl"]
[screening]
baseline_file = "baseline.json"
[checkpoint]
credential_timeout_s = 60.0
temperature_timeout_s = 60.0
presence_timeout_s = 3.0
[outbox]
path = "outbox.db"
[commands]
journal_file = "command-journal.json"
[mqtt]
host = "127.0.0.1"
port = 1
[venue]
file = "venue.toml"
roster = "roster.json"
[web]
directory = "web"
{web}
[lanes.entry]
direction = "entry"
scanner = {{ driver = "line", port = "{folder}/scanner" }}
thermometer = {{ driver = "gy_mcu", port = "{folder}/thermometer", baud = 115200 }}
gate = {{ driver = "simulated" }}
[lanes.exit]
direction = "exit"
scanner = {{ driver = "line", port = "{folder}/scanner2" }}
gate = {{ driver = "simulated" }}
"""
VENUE = """
name = "library"
utc_offset_min = 480
room = {capacity = 3}
duty = [{name = "disinfect", every_h = 4}]
"""
FULL_VENUE = (
    VENUE.replace("room =", "register = true\nroom =")
    + """
round = [{name = "all-day", from = "00:00", until = "24:00"}]
"""
)
"""Visitors are registered, and a round goes on."""
LIMIT_S = 90.0
SEEN_LOOKS = 4
"""Three tell a thermometer who came or left; when it has looked once more, it has sent the three."""
PINS = {"G07": "135790", "G08": "246801", "S1": "secret-1", "T1": "technician"}
ROLES = {"G07": "guard", "G08": "guard", "S1": "supervisor", "T1": "technician"}
NORMAL_C, ELEVATED_C = 34.4, 37.0
ON_ROSTER = ("anna", "bert", "carl", "dora", "emil", "fay", "gina", "hugo")
"""Holders of codes who belong here."""
WANTED = "wanted"
"""Holder of a code who is on a watch list."""


def badge(who: str) -> str:
    return f"{BADGE_PREFIX}{who}-0123456789abcdef0123456789"


@functools.cache
def hash_of(who: str) -> str:
    """Of the PIN of one of the staff, at the lowest cost that a list may have: tests log in hundreds of times."""
    return hash_pin(PINS[who], who.encode().ljust(16, b"-"), cost=10)


def staff_toml(people: dict[str, str] = ROLES) -> str:
    return "\n".join(
        f'[[person]]\nid = "{who}"\nrole = "{role}"\npin = "{hash_of(who)}"\nbadge = "{hash_badge(badge(who))}"'
        for who, role in people.items()
    )


def privacy_toml(seal: hpke.PrivateKey) -> str:
    """Rules that seal to the central server."""
    begins, ends = (
        datetime.fromtimestamp(time.time() + s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for s in (-60, 86_400)
    )
    public = b64encode(hpke.public_bytes(seal)).decode()
    return f'mode = "trace"\n[[key]]\nkeyid = "k"\npublic = "{public}"\nfrom = {begins}\nuntil = {ends}\n'


class Kiosk:
    """A running agent; `ask` speaks with its staff door as the process of the pages does."""

    def __init__(
        self, web: str = "", *, venue: bool = True, second: bool = True, rules: str = VENUE, sealed: bool = False
    ) -> None:
        self.folder = folder = Path(tempfile.mkdtemp(prefix="gp-"))
        (folder / "web").mkdir()
        self.world, self.engine = World(noise_c=0.03), LineScanner()
        trust = ["--private", str(folder / "x.key"), "--keys", str(folder / "issuers.toml")]
        assert cli.main(["keys", "new", "x", *trust]) == 0
        self.key = signing.private_key((folder / "x.key").read_bytes())
        self.authority = DemoAuthority()
        self.authority.install(folder / "bundles")
        self.deliver(staff_toml())
        self.seal = hpke.new_private_key()
        if sealed:
            self.deliver(privacy_toml(self.seal), "privacy")
        head = lists.ListHeader("watched", "x", 1, time.time(), warn_age_s=86_400, max_age_s=3 * 86_400)
        load.write_list(folder / "watched.gpl", head, gatepost.subject_key("x", WANTED), bytes([1]))
        web += "" if second else "\nsecond_person = false"
        config = CONFIG.format(folder=folder, web=web)
        if not venue:
            config = config.replace('[venue]\nfile = "venue.toml"\nroster = "roster.json"\n', "")
        (folder / "agent.toml").write_text(config)
        (folder / "venue.toml").write_text(rules)
        people = "".join(f"x,{who},visitor,{number},readers\n" for number, who in enumerate(ON_ROSTER, 7))
        (folder / "r.csv").write_text(f"issuer,subject,role,number,group\n{people}")
        assert cli.main(["roster", "build", str(folder / "r.csv"), "--out", str(folder / "roster.json")]) == 0
        self.scanner, self.scanner2 = (Port(folder / name, self.engine) for name in ("scanner", "scanner2"))
        self.ports = [self.scanner, self.scanner2, Port(folder / "thermometer", GyMcu90615(self.world))]
        for port in self.ports:
            port.plug()
        self.stored: list[Event] = []
        self.device = self.session = ""
        self._number = self._opened = 0
        self.start()

    # -- the agent

    def start(self) -> None:
        self.app = App(parse((self.folder / "agent.toml").read_text(), self.folder / "agent.toml"))
        store = self.app._loop._to_outbox

        def also_here(event: Event) -> None:
            self.stored.append(event)
            store(event)

        self.app._loop._to_outbox = also_here
        self._thread = threading.Thread(target=self.app.run)
        self._thread.start()
        wait_for(lambda: all(worker.status().up for worker in self.app._workers))
        wait_for((self.folder / "web" / staff.NAME).exists)
        ledger = self.app._ledger
        wait_for(
            lambda: not ledger.venue.is_served or (ledger.view is not None and ledger.view["occupancy"]["exact"])
        )

    def stop(self) -> None:
        self.app.stop()
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()

    def close(self) -> None:
        self.stop()
        for port in self.ports:
            port.close()
        shutil.rmtree(self.folder)

    def deliver(self, content: str, kind: str = "staff") -> None:
        """A staff list, or another bundle, from the central server."""
        data = self.authority.bundle(kind, content)
        now = time.time()
        BundleStore(self.folder / "bundles").accept(data, TimeBounds(now, now, ClockState.SYNCED))

    @property
    def door(self) -> staff.StaffSocket:
        return self.app._staff

    # -- people

    def code(self, holder: str, colour: Colour = Colour.GREEN) -> bytes:
        now_utc = int(time.time())
        claims = gatepost.claims("x", holder, colour, issued_utc=now_utc - 60, expires_utc=now_utc + 600)
        return gatepost.issue(self.key, claims).encode()

    def come(self, holder: str, skin_c: float, colour: Colour = Colour.GREEN) -> None:
        wait_for(self.app._outbox.has_ledger)  # until then the place of the next one is not known: staff count
        if self.opened() != self._opened:  # staff have let somebody in meanwhile, who walks by
            self._stand(NORMAL_C)
            self._leave()
        decided = self.app._loop.decided
        self._stand(skin_c)
        self.scanner.send(self.engine.encode(self.code(holder, colour)))
        wait_for(lambda: self.app._loop.decided == decided + 1)
        self._leave()
        self._opened = self.opened()

    def _stand(self, skin_c: float) -> None:
        self.world.stand(skin_c)
        wait_for(self._is_seen)  # two who stood there without a gap would be one body

    def _leave(self) -> None:
        self.world.leave()
        wait_for(self._is_seen)

    def _is_seen(self) -> bool:
        """Whether the agent has read from the thermometer who came or left last."""
        return self.world.looks >= SEEN_LOOKS and not self.ports[2].unread

    def show_badge(self, who: str, port: Port | None = None) -> None:
        (port or self.scanner).send(self.engine.encode(badge(who).encode()))

    def opened(self, lane: str = "entry") -> int:
        return next(
            worker.status().items
            for worker in self.app._workers
            if worker.status().role is Role.GATE and worker.status().lane == lane
        )

    # -- staff

    def shut(self, lane: str, minutes: int) -> None:
        """As the central server commands it."""
        stated = Attestation(time.monotonic(), "shut", lane, minutes)
        self.app._loop.request(Observation(lane, Role.CLINICAL, stated), LIMIT_S)

    def ask(self, **said: object) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(LIMIT_S)
            client.connect(str(self.folder / "web" / staff.NAME))
            client.sendall(json.dumps(said).encode() + b"\n")
            with client.makefile("rb") as lines:
                return json.loads(lines.readline())

    def pair(self) -> str:
        shown = self.door.begin_pairing()
        return self.ask(do="pair", secret=shown["secret"], number=shown["number"])["device"]

    def login(self, who: str = "G07") -> None:
        self.device = self.device or self.pair()
        answer = self.ask(do="login", device=self.device, session="", staff=who, pin=PINS[who])
        self.session = answer["session"]

    def page(self, do: str, **more: object) -> dict[str, Any]:
        return self.ask(do=do, device=self.device, session=self.session, **more)

    def view(self) -> dict[str, Any]:
        return self.page("view")

    def action(self, do: str, **more: object) -> dict[str, Any]:
        self._number += 1
        given = {"id": f"action-{self._number:08}", "at_s": self.view()["at_s"], **more}
        return self.page(do, **given)

    def forget_closing(self) -> None:
        """As if it had been a while since a lane was closed."""
        self.door._closed_s.clear()

    def events(self, kind: str = "attestation") -> list[dict[str, Any]]:
        """What was stored for the central server, of a kind."""
        return [json.loads(json.dumps(data(each))) for each in list(self.stored) if name_of(each.body) == kind]

    def actions(self) -> list[tuple[str, str | None]]:
        return [(each["type"], each["by"]) for each in self.events()]

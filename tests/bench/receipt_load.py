"""A kiosk's outbox and link, a broker with mosquitto's defaults, and the central server of docs/events.md as a
process.

For `bench_receipt` and for a smaller test. The broker is killed, the central server comes and goes; what counts is
what the central server has on its disk in the end.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from base64 import b64encode
from contextlib import closing, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from agent import mqtt
from agent.credentials import bundle
from agent.crypto import signing
from agent.events import Encoder, Topics
from agent.events.state import State
from agent.model import AgentChange, ChainPosition, ClockState, Event, Record, TimeBounds
from agent.outbox import Options, Outbox
from agent.ruleset.load import BundleStore

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
TOPICS = Topics("bench", "kiosk")
NOW = TimeBounds(1_790_000_000.0, 1_790_000_001.0, ClockState.SYNCED)
DEFAULTS = (
    "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\nuser root\n"
)
"""As Debian ships it: saved every half hour, and at a good end."""


def another_event(kiosk: str, epoch: str, sequence: int) -> bytes:
    """What may be said to be the event of this kiosk."""
    source = f"/gatepost/v1/bench/{kiosk}"
    members = {"source": source, "epoch": epoch, "sequence": f"{sequence:012}", "previoussha256": "0" * 64}
    return json.dumps(members).encode()


@dataclass
class Delivery:
    """Everything in one folder, up, but for the link; `delivery` and `more` as in its options."""

    folder: Path
    delivery: str
    more: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        (self.folder / "mosquitto.conf").write_text(DEFAULTS.format(port=self.port, folder=self.folder))
        example = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "events.md").read_text(), re.DOTALL)
        assert example is not None
        (self.folder / "server.py").write_text(example[1])
        self._broker: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self.put = 0
        store = BundleStore(self.folder / "bundles")
        store.install(self._root())
        self.head = ""
        """Hash of the newest payload."""
        self._encode = Encoder(TOPICS)
        self.outbox = Outbox(Options(path=self.folder / "outbox.db"), self._encoded)
        self.outbox.start()
        options = mqtt.Options(port=self.port, delivery=self.delivery, **self.more)  # type: ignore[arg-type]  # a word
        self.link = mqtt.Link(
            options,
            TOPICS,
            self.outbox,
            lambda: State("bench"),
            verify_receipt=lambda data: store.verify_statement(data, "receipt", NOW),
        )
        self.start_broker()
        self.start_server()
        until(self._is_subscribed, 20)
        return self

    def __exit__(self, *_: object) -> None:
        self.link.stop(0.0)
        self.outbox.stop()
        self.stop_server()
        self.kill_broker()

    def _encoded(self, event: Event, place: ChainPosition) -> Record:
        record = self._encode(event, place)
        self.head = sha256(record.payload).hexdigest()
        return record

    def say_receipt(self, payload: bytes) -> None:
        """As the central server would."""
        self._say(TOPICS.receipt, payload)

    def say_event(self, kiosk: str, payload: bytes) -> None:
        """As another kiosk of the site would, where alone the broker lets it."""
        self._say(f"gatepost/v1/bench/{kiosk}/event/agent", payload)

    def _say(self, topic: str, payload: bytes) -> None:
        words = ["mosquitto_pub", "-p", str(self.port), "-q", "1", "-t", topic, "-s"]
        subprocess.run(words, input=payload, check=True, timeout=10)

    def receipt(self, key: signing.PrivateKey | None = None, **wrong: object) -> bytes:
        """A receipt for everything so far, but for what is `wrong` with it."""
        right = {
            "source": TOPICS.source,
            "epoch": self.outbox.status().epoch,
            "up_to": self.put,
            "sha256": self.head,
        }
        return bundle.sign({**right, **wrong}, [key or self._key], "receipt")

    def _root(self) -> bytes:
        """A root whose one key signs all; the central server has it in a file."""
        key = self._key = signing.new_private_key()
        self.another_key = signing.new_private_key()
        (self.folder / "receipt.key").write_bytes(key.pem())
        role = {"threshold": 1, "keyids": [key.public.kid.hex()]}
        content = {
            "keys": {key.public.kid.hex(): b64encode(key.public.spki).decode()},
            "roles": {"root": role, "receipt": role},
        }
        utc = int(NOW.earliest_utc)
        head = {
            "type": "root",
            "name": "",
            "fleet": "bench",
            "version": 1,
            "issued_at": utc,
            "expires_at": utc + 10**6,
        }
        return bundle.sign({**head, "warn_age_s": 10**6, "max_age_s": 10**6, "content": content}, [key])

    def start_broker(self) -> None:
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        if program is None:
            raise FileNotFoundError("mosquitto is not installed")
        words = [program, "-c", str(self.folder / "mosquitto.conf")]
        self._broker = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._answers, 10)

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def kill_broker(self) -> None:
        """SIGKILL: nothing is saved."""
        if self._broker is not None:
            self._broker.kill()
            self._broker.wait(10)
            self._broker = None

    def start_server(self) -> None:
        words = [sys.executable, "server.py", f"mqtt://127.0.0.1:{self.port}", "server.db", "receipt.key"]
        with (self.folder / "server.log").open("ab") as log:
            self._server = subprocess.Popen(words, cwd=self.folder, stdout=log, stderr=log)

    def stop_server(self) -> None:
        """SIGKILL, as a power cut would."""
        if self._server is not None:
            self._server.kill()
            self._server.wait(10)
            self._server = None

    def _is_subscribed(self) -> bool:
        """Ask by a message of another kiosk until it is heard."""
        self.say_event("nobody", another_event("nobody", "00000000", 1))
        time.sleep(0.1)
        return "came" in self.log()

    def log(self) -> str:
        """What the central server printed."""
        file = self.folder / "server.log"
        return file.read_text() if file.exists() else ""

    def decide(self, count: int) -> None:
        """So many events more."""
        for number in range(self.put, self.put + count):
            body = AgentChange("started", f"{number}")
            self.outbox.store(Event(body, 0.0, NOW))
        self.put += count

    def has(self) -> int:
        """How many different events the central server has on disk."""
        with closing(sqlite3.connect(self.folder / "server.db")) as db:
            source = TOPICS.source
            count: int = db.execute("SELECT COUNT(*) FROM event WHERE source = ?", (source,)).fetchone()[0]
        return count

    def repeats(self) -> int:
        """How many came that the central server had already."""
        found = re.findall(r"(\d+) came, (\d+) new", self.log())
        return sum(int(came) - int(new) for came, new in found) - self.log().count("1 came, 0 new")


def until(holds: Callable[[], object], limit_s: float) -> bool:
    """Ask again and again; whether it came true in time."""
    end_s = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.02)
    return True

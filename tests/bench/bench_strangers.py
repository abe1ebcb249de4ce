"""A stranger's kiosk in a cluster of RabbitMQ: what its forged events, states and receipts bring about.

Three nodes, docs/server/server.py on a quorum queue, a kiosk's real outbox and link that waits for receipts. The
stranger has a user of its own with the rules of docs/server/README.md, and tries all that it can write; then the
same with a broker that guards nothing.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as paho
import psycopg
from bench_cluster import SERVER, wait
from paho.mqtt.enums import CallbackAPIVersion
from rabbitmq_nodes import RabbitNodes
from rows import Row

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
sys.path.insert(0, str(SERVER))

from keys import Signer
from postgres import Postgres

from agent import mqtt
from agent.cli.demo.authority import DemoAuthority
from agent.cli.simulated_fleet import passage_event
from agent.events import Encoder, Topics
from agent.events.state import State
from agent.model import ClockState, TimeBounds
from agent.outbox import Options, Outbox
from agent.ruleset.load import BundleStore

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS, THEIRS = Topics("library", "gate-3"), Topics("evil", "gate-9")
USER, WORD = "evil.gate-9", "PASSWORD"
"""As in the README's lines."""
EVENTS = 100
WAIT_S = 120.0


class Kiosk:
    """The real outbox and link."""

    def __init__(self, folder: Path, node: str, authority: DemoAuthority) -> None:
        store = BundleStore(folder / "bundles")
        authority.install(folder / "bundles")
        host, _, port = node.partition(":")
        options = mqtt.Options(
            host=host, port=int(port), delivery="receipt", receipt_timeout_s=600.0, protocol="3.1.1",
            username=f"{OURS.site}.{OURS.kiosk}", password=WORD,
        )  # fmt: skip

        def verify(receipt: bytes) -> dict[str, Any]:
            now_utc = time.time()
            return store.verify_statement(receipt, "receipt", TimeBounds(now_utc, now_utc, ClockState.SYNCED))

        self.outbox = Outbox(Options(path=folder / "outbox.db"), Encoder(OURS))
        self.outbox.start()
        self.link = mqtt.Link(options, OURS, self.outbox, lambda: State("1"), verify_receipt=verify)
        self.link.start()

    def decide(self, count: int) -> None:
        for _ in range(count):
            self.outbox.store(passage_event("0" * 32))

    def stop(self) -> None:
        self.link.stop(0.0)
        self.outbox.stop()


class Stranger:
    """A client that publishes what it likes, each message on a connection of its own: a broker may end those."""

    def __init__(self, node: str, username: str = "", password: str = "") -> None:
        self._host, _, port = node.partition(":")
        self._port, self._login = int(port), (username, password)

    def publish(self, topic: str, payload: bytes) -> None:
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        if self._login[0]:
            client.username_pw_set(*self._login)
        answered = threading.Event()
        client.on_publish = client.on_disconnect = lambda *_: answered.set()
        client.on_connect = lambda *_: client.publish(topic, payload, qos=1)
        client.connect(self._host, self._port)
        client.loop_start()
        answered.wait(10)
        client.disconnect()
        client.loop_stop()

    def is_let_in(self) -> bool:
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        client.username_pw_set(*self._login)
        found: list[bool] = []
        client.on_connect = lambda _c, _u, _f, reason, _p: found.append(not reason.is_failure)
        client.connect(self._host, self._port)
        client.loop_start()
        wait(lambda: found, WAIT_S, "the broker's answer")
        client.disconnect()
        client.loop_stop()
        return found[0]


def forged_event(source: str, sequence: int) -> bytes:
    members = {"source": source, "epoch": "0badcafe", "sequence": f"{sequence:012}", "previoussha256": "0" * 64}
    return json.dumps({**members, "data": {"decision": "admit"}}).encode()


def forged_receipt(kiosk: Kiosk) -> bytes:
    """All of it is committed, says somebody with a key of their own."""
    box = kiosk.outbox.status()
    members = {"source": OURS.source, "epoch": box.epoch, "up_to": EVENTS, "sha256": "0" * 64, "ranges": []}
    with NamedTemporaryFile() as file:
        file.write(DemoAuthority("city").pem())
        file.flush()
        return Signer(Path(file.name)).receipt(members).encode()


def forged_state(kiosk: str) -> bytes:
    return json.dumps({"type": "gatepost.state.v1", "kiosk": kiosk, "state": "offline"}).encode()


def run() -> Iterator[Row]:
    """First with the broker's rules, then without."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with TemporaryDirectory(prefix="gp-st-", ignore_cleanup_errors=True, dir=memory) as name:
        folder = Path(name)
        (folder / "pg").mkdir()
        database, nodes = Postgres(folder / "pg"), RabbitNodes(folder)
        database.start()
        subprocess.run([sys.executable, SERVER / "server.py", database.dsn, "--create"], check=True)
        authority = DemoAuthority("city")
        (folder / "receipts.key").write_bytes(authority.pem())
        kiosk = process = None
        try:
            nodes.start()
            for each in (OURS, THEIRS):
                for call in _rules(each):
                    nodes.control(*call)
            words = [SERVER / "server.py", database.dsn, *nodes.amqp, "--key", folder / "receipts.key"]
            with (folder / "server.log").open("wb") as log:
                process = subprocess.Popen([sys.executable, *words], stdout=log, stderr=log)
            wait(lambda: b"connected" in (folder / "server.log").read_bytes(), WAIT_S, "the server at its queue")
            kiosk = Kiosk(folder, nodes.mqtt[0], authority)
            wait(lambda: kiosk.link.status().listening, WAIT_S, "the kiosk's link")
            yield from _attacks(nodes, kiosk, database.dsn)
            yield _forged_receipts(nodes, kiosk, process, words, database.dsn, folder)
        finally:
            if kiosk is not None:
                kiosk.stop()
            if process is not None:
                process.kill()
                process.wait()
            nodes.stop()
            database.crash()


def _rules(kiosk: Topics) -> Iterator[list[str]]:
    """Those of the README for another kiosk: words of rabbitmqctl."""
    for line in (SERVER / "README.md").read_text().splitlines():
        if line.startswith("    rabbitmqctl "):
            yield shlex.split(line.replace("library", kiosk.site).replace("gate-3", kiosk.kiosk))[1:]


def _attacks(nodes: RabbitNodes, kiosk: Kiosk, dsn: str) -> Iterator[Row]:
    let_in = [Stranger(node, user, word).is_let_in() for node in nodes.mqtt for user, word in (
        (USER, "another word"), ("nobody", WORD), ("library.gate-3", ""))]  # fmt: skip
    yield Row("wrong password, unknown names, at each node", f"{sum(let_in)} let in", "", "0", not any(let_in))
    for node in nodes.mqtt:
        stranger = Stranger(node, USER, WORD)
        for number in range(1, 4):  # in the name of another, on its own topic
            stranger.publish(THEIRS.event("passage"), forged_event(OURS.source, number))
        stranger.publish(THEIRS.state, forged_state(OURS.kiosk))
        for number in range(1, 4):  # on the topics of another
            stranger.publish(OURS.event("passage"), forged_event(OURS.source, number))
        stranger.publish(OURS.state, forged_state(OURS.kiosk))
        stranger.publish(f"{OURS.root}/receipt", forged_receipt(kiosk))
        stranger.publish(f"{OURS.root}/command", b"{}")
    kiosk.decide(EVENTS)
    wait(lambda: kiosk.outbox.status().waiting == 0, WAIT_S, "the kiosk's receipts")
    own = Stranger(nodes.mqtt[0], USER, WORD)
    own.publish(THEIRS.event("passage"), forged_event(THEIRS.source, 1))
    wait(lambda: _ask(dsn, "SELECT count(*) FROM event WHERE source LIKE '%gate-9'") == 1, WAIT_S, "its own event")
    forged = _ask(dsn, "SELECT count(*) FROM event WHERE epoch = '0badcafe' AND source LIKE '%gate-3'")
    refused = _ask(dsn, "SELECT count(*) FROM refused")
    state = _ask(dsn, "SELECT state FROM kiosk WHERE source LIKE '%gate-3'")
    receipts = kiosk.link.status().refused_receipts
    yield Row(
        "with a user of its own: 18 forged events, 6 states, 3 receipts, 3 commands",
        f"{forged} rows; {refused} refused by the server, on its own topics; {receipts} receipts reached the "
        f"kiosk, which is {state}",
        "its true event is its own row",
        "0 rows",
        (forged, refused, receipts, state) == (0, 12, 0, "online"),
    )


def _forged_receipts(
    nodes: RabbitNodes, kiosk: Kiosk, process: subprocess.Popen[bytes], words: list[Any], dsn: str, folder: Path
) -> Row:
    """The broker guards nothing: the signature does. The server is away meanwhile."""
    process.kill()
    process.wait()
    kiosk.decide(EVENTS)
    wait(kiosk.outbox.is_sent, WAIT_S, "the broker's acknowledgements")
    for node in nodes.mqtt:
        Stranger(node).publish(f"{OURS.root}/receipt", forged_receipt(kiosk))
    wait(lambda: kiosk.link.status().refused_receipts >= len(nodes.mqtt), WAIT_S, "the forged receipts")
    waiting, refused = kiosk.outbox.status().waiting, kiosk.link.status().refused_receipts
    with (folder / "server.log").open("ab") as log:
        again = subprocess.Popen([sys.executable, *words], stdout=log, stderr=log)
    try:
        wait(lambda: kiosk.outbox.status().waiting == 0, WAIT_S, "the true receipts")
    finally:
        again.kill()
        again.wait()
    rows = _ask(dsn, "SELECT count(*) FROM event WHERE source LIKE '%gate-3'")
    return Row(
        "no rules at the broker, the server away: forged receipts",
        f"{refused} refused by the kiosk, {waiting} of {EVENTS} events kept; {rows} of {2 * EVENTS} rows when the "
        "server is back",
        "",
        "all kept",
        (waiting, rows) == (EVENTS, 2 * EVENTS),
    )


def _ask(dsn: str, query: str) -> Any:
    with psycopg.connect(dsn) as db:
        found = db.execute(query).fetchone()
        return found and found[0]

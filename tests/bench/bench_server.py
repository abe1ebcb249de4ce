"""Events a second from the broker to committed rows, by one reference server and by two, beside plain paho."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import TYPE_CHECKING, TextIO

import psycopg
from rig import Broker, broker_and_folder
from rows import ROOT, Row

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))

from postgres import Postgres

from agent.cli.demo.authority import DemoAuthority
from agent.cli.simulated_fleet import passage_event
from agent.events import FIRST, Encoder, Topics
from agent.model import ChainPosition

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENTS = int(os.environ.get("EVENTS", "20000"))
KIOSKS = 40
BAR_PER_S = 3000
SERVER = ROOT / "docs" / "server" / "server.py"
PEER = """
import json, sys
import paho.mqtt.client as paho
left = int(sys.argv[2])
def receive(client, _, message):
    global left
    json.loads(message.payload)
    client.ack(message.mid, message.qos)
    left -= 1
    if not left:
        print("done", flush=True)
client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5, manual_ack=True)
client.on_message = receive
client.on_connect = lambda *_: client.subscribe("$share/peer/gatepost/v1/+/+/event/#", 1)
client.on_subscribe = lambda *_: print("the share delivers", flush=True)
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_forever()
"""
"""Parses and acknowledges: no hash, no chain, no database."""
PUBLISH = """
import pickle, socket, sys
with open(sys.argv[2], "rb") as file:
    events = pickle.load(file)
window, at_once = 1000, 50
def packet(number, topic, payload):
    body = len(topic).to_bytes(2) + topic.encode() + (number % 65535 + 1).to_bytes(2) + payload
    return b"\\x32" + bytes((len(body) % 128 | 128, len(body) // 128)) + body
packets = [packet(number, *event) for number, event in enumerate(events)]
link = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
link.sendall(bytes.fromhex("101000044d5154540402003c0004") + b"load")
assert link.recv(4, socket.MSG_WAITALL) == bytes.fromhex("20020000")
print("ready", flush=True)
sys.stdin.readline()
sent = acknowledged = 0
while acknowledged < 4 * len(packets):
    while sent < len(packets) and sent - acknowledged // 4 < window:
        link.sendall(b"".join(packets[sent : sent + at_once]))
        sent += at_once
    acknowledged += len(link.recv(65536))
print("delivered", flush=True)
"""
"""MQTT 3.1.1 by hand: paho's own work for each message would be the limit, not what is measured."""


def run() -> Iterator[Row]:
    """The same events to the peer, to one server, to two."""
    events = [_events(epoch) for epoch in ("0badca01", "0badca02")]
    with broker_and_folder() as (broker, folder, _), TemporaryDirectory(prefix="gp-bs-", dir=_memory()) as name:
        database = Postgres(Path(name))
        database.start()
        try:
            subprocess.run([sys.executable, SERVER, database.dsn, "--create"], check=True)
            key = Path(folder) / "receipts.key"
            key.write_bytes(DemoAuthority("city").pem())
            words = [SERVER, database.dsn, f"mqtt://127.0.0.1:{broker.port}", "--key", key]
            peer_s, cpu_us = _measure(broker, [["-c", PEER, broker.port, EVENTS]], events[0], None)
            peer = f"plain paho, JSON parsed: {EVENTS / peer_s:,.0f} a second; {_in_words(cpu_us)}"
            for servers, each in enumerate(events, 1):
                took_s, cpu_us = _measure(broker, [words] * servers, each, database)
                per_s = EVENTS / took_s
                yield Row(
                    f"{EVENTS:,} events to committed rows, {servers} server process{'es' * (servers > 1)}",
                    f"{per_s:,.0f} a second; {_in_words(cpu_us)}",
                    peer,
                    f"≥ {BAR_PER_S:,} a second with one" if servers == 1 else "",
                    per_s >= BAR_PER_S if servers == 1 else None,
                )
        finally:
            database.crash()


def _in_words(cpu_us: dict[str, float]) -> str:
    return "µs of CPU an event: " + ", ".join(f"{name} {each:.0f}" for name, each in cpu_us.items())


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _events(epoch: str) -> list[tuple[str, bytes]]:
    """Topic and payload of chained events."""
    kiosks = [Topics("library", f"gate-{number}") for number in range(KIOSKS)]
    heads, made = [FIRST] * KIOSKS, []
    for number in range(EVENTS):
        which = number % KIOSKS
        place = ChainPosition(epoch, number // KIOSKS + 1, heads[which])
        record = Encoder(kiosks[which])(passage_event("7d3c" * 8), place)
        heads[which] = sha256(record.payload).hexdigest()
        made.append((kiosks[which].event(record.kind), record.payload))
    return made


def _measure(
    broker: Broker, programs: list[list[object]], events: list[tuple[str, bytes]], database: Postgres | None
) -> tuple[float, dict[str, float]]:
    """Seconds from the first publication until all are rows, or done; CPU for each event by part, µs."""
    running = [
        subprocess.Popen([sys.executable, *map(str, words)], stdout=subprocess.PIPE, text=True)
        for words in programs
    ]
    is_done = threading.Event()
    try:
        for process in running:
            while "the share delivers" not in process.stdout.readline():
                pass
            threading.Thread(target=_read_until_done, args=(process.stdout, is_done), daemon=True).start()
        with NamedTemporaryFile() as file:
            pickle.dump(events, file)
            file.flush()
            words = [sys.executable, "-c", PUBLISH, str(broker.port), file.name]
            running.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            running[-1].stdout.readline()
        *servers, producer = [each.pid for each in running]
        parts = {"server": servers, "producer": [producer], "broker": [broker.pid]}
        parts |= {} if database is None else {"database": [database.pid]}
        before_s = {name: sum(map(cpu_s, pids)) for name, pids in parts.items()}
        begun_s = time.monotonic()
        running[-1].stdin.write("\n")
        running[-1].stdin.flush()
        while not (is_done.is_set() if database is None else _has_rows(database, events)):
            time.sleep(0.05)
        took_s = time.monotonic() - begun_s
        each_us = 1e6 / len(events)
        return took_s, {name: (sum(map(cpu_s, pids)) - before_s[name]) * each_us for name, pids in parts.items()}
    finally:
        for process in running:
            process.kill()
            process.wait()


def _read_until_done(lines: TextIO, is_done: threading.Event) -> None:
    for line in lines:
        if line == "done\n":
            is_done.set()


def _has_rows(database: Postgres, events: list[tuple[str, bytes]]) -> bool:
    epoch = json.loads(events[0][1])["epoch"]
    with psycopg.connect(database.dsn) as db:
        (known,) = db.execute("SELECT coalesce(sum(up_to), 0) FROM chain WHERE epoch = %s", (epoch,)).fetchone()
    return known == len(events)


def cpu_s(pid: int) -> float:
    """Of a process, of its children, and of those that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    own_s = sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    return own_s + sum(cpu_s(int(child)) for child in children)

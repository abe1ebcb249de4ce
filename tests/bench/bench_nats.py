"""Events decided = rows in PostgreSQL, while nodes of NATS are killed: with receipts, and without.

Three nodes with JetStream and MQTT, docs/server/server.py on a stream of them, kiosks' real outboxes and links; the
node that leads the stream is killed every EVERY_S=15 seconds. NATS acknowledges to kiosks what its stream loses, so
that only receipts help. MINUTES=1.5, KIOSKS=30 and PEOPLE=40000 a day can be set.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench_cluster import MAIN, SERVER, counted_rows, decided_events, wait
from nats_nodes import NatsNodes
from rows import Row

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))

from postgres import Postgres

from agent.cli.demo.authority import DemoAuthority

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTES = float(os.environ.get("MINUTES", "1.5"))
KIOSKS = int(os.environ.get("KIOSKS", "30"))
PEOPLE = int(os.environ.get("PEOPLE", "40000"))
EVERY_S = float(os.environ.get("EVERY_S", "15"))
DRAIN_S = 90.0
TRIES = 4
"""Starts of the kiosks until all is delivered."""
SETTLED_S = 45.0
"""What was on the way to a server as a node fell comes again after half a minute (`ack_wait`)."""


def run() -> Iterator[Row]:
    """With receipts and without."""
    for receipts in (True, False):
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
        with TemporaryDirectory(prefix="gp-na-", ignore_cleanup_errors=True, dir=memory) as name:
            yield _run(Path(name), receipts=receipts)


def _run(folder: Path, *, receipts: bool) -> Row:
    (folder / "pg").mkdir()
    database = Postgres(folder / "pg")
    database.start()
    authority = DemoAuthority("city")
    (folder / "receipts.key").write_bytes(authority.pem())
    authority.install(folder / "bundles")
    nodes = NatsNodes(folder)
    running: list[subprocess.Popen[bytes]] = []
    try:
        nodes.start()
        words = [
            database.dsn,
            *nodes.urls,
            "--create",
            "--key",
            folder / "receipts.key",
            "--receipt-every-s",
            "0.5",
        ]
        with (folder / "server.log").open("ab") as log:
            running.append(subprocess.Popen([sys.executable, SERVER / "server.py", *words], stdout=log, stderr=log))
        wait(lambda: b"connected" in (folder / "server.log").read_bytes(), 60, "the server at the stream")
        running.append(_kiosks(nodes, folder, 3600.0, receipts=receipts))
        _torment(nodes, time.monotonic() + MINUTES * 60)
        os.killpg(running[-1].pid, signal.SIGKILL)  # their power is cut; then they deliver what is on their disks
        for _ in range(TRIES):
            running.append(_kiosks(nodes, folder, 1.0, receipts=receipts))
            wait(lambda: running[-1].poll() is not None, DRAIN_S + 60, "the kiosks' end")
            if running[-1].returncode == 0:
                break
        decided, _ = decided_events(folder)
        rows, different, _, _ = _settled(database.dsn, decided)
    except BaseException:
        for log in ("kiosks.log", "server.log", "node-0/log"):
            if (folder / log).exists():
                print((folder / log).read_text()[-1500:], file=sys.stderr)
        raise
    finally:
        for each in running:
            each.send_signal(signal.SIGKILL)
            each.wait()
        nodes.stop()
        database.crash()
    lost, twice = decided - different, rows - different
    return Row(
        f"{nodes.kills} nodes of NATS killed, {'with' if receipts else 'without'} receipts",
        f"{lost} lost, {twice} twice of {decided}",
        "",
        "0 lost, 0 twice" if receipts else "must lose",
        (lost, twice) == (0, 0) if receipts else lost > 0,
    )


def _kiosks(nodes: NatsNodes, folder: Path, seconds: float, *, receipts: bool) -> subprocess.Popen[bytes]:
    words = [
        "simulate",
        str(KIOSKS),
        *nodes.mqtt,
        "--plain",
        "--protocol",
        "3.1.1",
        "--json",
        "--people",
        str(PEOPLE),
    ]
    words += [
        "--folder",
        str(folder / "kiosks"),
        "--hour",
        "8",
        "--seconds",
        str(seconds),
        "--drain",
        str(DRAIN_S),
    ]
    words += ["--bundles", str(folder / "bundles")] if receipts else []
    with (folder / "kiosks.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-c", MAIN, *words], stdout=log, process_group=0)


def _torment(nodes: NatsNodes, end_s: float) -> None:
    kill_s = time.monotonic() + EVERY_S
    while (now_s := time.monotonic()) < end_s:
        if now_s >= kill_s and nodes.are_up() and (leader := nodes.leader("gatepost")) >= 0:
            nodes.kill(leader)
            time.sleep(5.0)
            nodes.start_node(leader)
            kill_s = now_s + EVERY_S
        time.sleep(0.2)


def _settled(dsn: str, decided: int) -> tuple[int, int, int, int]:
    """Rows, when all are there or no more come."""
    before, since_s = counted_rows(dsn), time.monotonic()
    while before[0] < decided and time.monotonic() < since_s + SETTLED_S:
        time.sleep(0.5)
        if (now := counted_rows(dsn)) != before:
            before, since_s = now, time.monotonic()
    return before

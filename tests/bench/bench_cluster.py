"""Events decided = rows in PostgreSQL, while nodes of RabbitMQ, servers, the database and kiosks fall.

Three nodes of RabbitMQ, two of docs/server/server.py on a quorum queue, kiosks' real outboxes and links. A node is
killed every 20 s, or when the one before is back; servers between a commit and its acknowledgement; the database is
away for a minute; all kiosks lose their power every five minutes and at the end. MINUTES=5, KIOSKS=40 and
PEOPLE=60000 a day can be set.

A long run may be made in parts: FOLDER=… keeps all disks, and the next call with the same folder goes on where
everything was cut off; what is counted is then of all parts together.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psycopg
from rabbitmq_nodes import NODES, RabbitNodes
from rows import ROOT, Row

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))

from postgres import Postgres

from agent.cli.demo.authority import DemoAuthority
from agent.events import Encoder, Topics
from agent.outbox import Options, Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MINUTES = float(os.environ.get("MINUTES", "5"))
KIOSKS = int(os.environ.get("KIOSKS", "40"))
PEOPLE = int(os.environ.get("PEOPLE", "60000"))
FOLDER = os.environ.get("FOLDER", "")
EVERY_S = 20.0
POWER_CUT_EVERY_S = 300.0
AWAY_S = 60.0
DRAIN_S = 600.0
SERVER = ROOT / "docs" / "server"
MAIN = "import sys; from agent.cli import main; sys.exit(main())"
DIES = """
import os, sys
sys.path.insert(0, {folder!r})
import brokers, server
left = {batches}
true = brokers.AmqpBroker.acknowledge
def acknowledge(self, messages):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
    true(self, messages)
brokers.AmqpBroker.acknowledge = acknowledge
sys.exit(server.main())
"""
"""A server whose power is cut when so many batches are acknowledged and one more is committed."""


class Servers:
    """Two; who has died is started again, to die later."""

    def __init__(self, dsn: str, urls: list[str], key: Path, folder: Path) -> None:
        self._words = [dsn, *urls, "--key", str(key), "--receipt-every-s", "1"]
        self._log = (folder / "servers.log").open("ab")
        self._running: list[subprocess.Popen[bytes]] = []
        self.deaths = -2

    def look_after(self) -> None:
        """Start what is missing."""
        self._running = [each for each in self._running if each.poll() is None]
        while len(self._running) < 2:
            self.deaths += 1
            program = DIES.format(folder=str(SERVER), batches=random.randrange(20, 400))
            self._running.append(
                subprocess.Popen([sys.executable, "-c", program, *self._words], stdout=self._log, stderr=self._log)
            )

    def stop(self) -> None:
        for each in self._running:
            each.kill()
            each.wait()
        self._log.close()


class Kiosks:
    """All in one process, whose power can be cut."""

    def __init__(self, nodes: RabbitNodes, folder: Path) -> None:
        self._nodes, self._folder = nodes, folder
        self._process: subprocess.Popen[bytes] | None = None
        self.power_cuts = 0

    def start(self, seconds: float) -> None:
        """With what is on their disks; people come for so long."""
        words = ["simulate", str(KIOSKS), *self._nodes.mqtt, "--plain", "--protocol", "3.1.1", "--json"]
        words += ["--folder", str(self._folder / "kiosks"), "--people", str(PEOPLE), "--hour", "8"]
        words += ["--seconds", str(seconds), "--drain", str(DRAIN_S), "--restart-every", "600"]
        with (self._folder / "kiosks.log").open("ab") as log:
            self._process = subprocess.Popen([sys.executable, "-c", MAIN, *words], stdout=log, process_group=0)

    def cut(self) -> None:
        self.power_cuts += 1
        self.stop()

    def have_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def stop(self) -> None:
        if not self.have_ended():
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def run() -> Iterator[Row]:
    """One part of a long run."""
    if FOLDER:
        Path(FOLDER).mkdir(parents=True, exist_ok=True)
        yield from _run(Path(FOLDER))
        return
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with TemporaryDirectory(prefix="gp-cl-", ignore_cleanup_errors=True, dir=memory) as name:
        yield from _run(Path(name))


@dataclass
class Told:
    """What was done in all parts so far; beside the disks."""

    file: Path
    minutes: float = 0.0
    nodes: int = 0
    servers: int = 0
    away_s: float = 0.0
    power_cuts: int = 0
    parts: int = 0

    def read(self) -> None:
        if self.file.exists():
            vars(self).update(json.loads(self.file.read_text()))

    def add(self, nodes: RabbitNodes, servers: Servers, kiosks: Kiosks, minutes: float) -> None:
        self.minutes, self.away_s, self.parts = self.minutes + minutes, self.away_s + AWAY_S, self.parts + 1
        self.nodes, self.servers = self.nodes + nodes.kills, self.servers + servers.deaths
        self.power_cuts += kiosks.power_cuts
        self.file.write_text(json.dumps({name: each for name, each in vars(self).items() if name != "file"}))


def _run(folder: Path) -> Iterator[Row]:
    (folder / "pg").mkdir(exist_ok=True)
    told = Told(folder / "told.json")
    told.read()
    database = Postgres(folder / "pg")
    database.start()
    subprocess.run([sys.executable, SERVER / "server.py", database.dsn, "--create"], check=True)
    if not (folder / "receipts.key").exists():
        (folder / "receipts.key").write_bytes(DemoAuthority("city").pem())
    nodes = RabbitNodes(folder)
    servers = Servers(database.dsn, nodes.amqp, folder / "receipts.key", folder)
    kiosks = Kiosks(nodes, folder)
    try:
        _log("nodes start")
        nodes.start()
        servers.look_after()
        wait(lambda: b"connected" in (folder / "servers.log").read_bytes(), 180, "a server at the queue")
        begun_s = time.monotonic()
        kiosks.start(MINUTES * 60 + 3600)
        _torment(nodes, servers, database, kiosks, begun_s + MINUTES * 60)
        kiosks.cut()
        told.add(nodes, servers, kiosks, (time.monotonic() - begun_s) / 60)
        _log("kiosks killed; they deliver what is on their disks")
        wait(nodes.are_up, DRAIN_S, "all nodes", lambda: (servers.look_after(), nodes.look_after()))
        kiosks.start(1.0)
        wait(kiosks.have_ended, DRAIN_S + 60, "the kiosks' end", servers.look_after)
        decided, shares = decided_events(folder)
        _log(f"{decided} decided, {counted_rows(database.dsn)[0]} rows")
        wait(lambda: counted_rows(database.dsn)[0] >= decided, DRAIN_S, "all rows", servers.look_after)
        rows, different, gaps, chained = counted_rows(database.dsn)
    except BaseException:
        for log in ("kiosks.log", "servers.log"):
            print((folder / log).read_text()[-1500:], file=sys.stderr)
        raise
    finally:
        servers.stop()
        nodes.stop()
        kiosks.stop()
        database.crash()
    what = (
        f"{told.nodes} nodes killed, {told.servers} servers killed between commit and acknowledgement, database "
        f"away {told.away_s:.0f} s, {shares} kiosks killed {told.power_cuts} times, everything {told.parts - 1} "
        f"times; {told.minutes:.1f} min"
    )
    lost, twice, out = decided - different, rows - different, gaps + abs(chained - decided)
    yield Row(
        what, f"{lost} lost, {twice} twice, {out} out of chain of {decided}", "", "0, 0, 0",
        (lost, twice, out) == (0, 0, 0),
    )  # fmt: skip


_BEGUN_S = time.monotonic()


def _log(text: str) -> None:
    print(f"{time.monotonic() - _BEGUN_S:6.1f} s  {text}", file=sys.stderr, flush=True)


def _torment(nodes: RabbitNodes, servers: Servers, database: Postgres, kiosks: Kiosks, end_s: float) -> None:
    """Until `end_s`."""
    begun_s = time.monotonic()
    number, kill_s, back_s, cut_s = 0, begun_s + EVERY_S, 0.0, begun_s + POWER_CUT_EVERY_S
    down_s, up_s = begun_s + (end_s - begun_s) / 3, 0.0
    while (now_s := time.monotonic()) < end_s:
        servers.look_after()
        nodes.look_after()
        if now_s >= kill_s and nodes.are_up():
            _log(f"node {number} is killed")
            nodes.kill(number)
            kill_s, back_s = now_s + EVERY_S, now_s + 2
        if back_s and now_s >= back_s:
            nodes.start_node(number)
            number, back_s = (number + 1) % NODES, 0.0
        if down_s and now_s >= down_s:
            _log("database down")
            database.crash()
            down_s, up_s = 0.0, now_s + AWAY_S
        if up_s and now_s >= up_s:
            database.start()
            up_s = 0.0
        if now_s >= cut_s:
            _log("kiosks lose their power")
            kiosks.cut()
            kiosks.start(end_s - now_s + 3600)
            cut_s = now_s + POWER_CUT_EVERY_S
        time.sleep(0.2)
    if back_s:
        nodes.start_node(number)


def decided_events(folder: Path) -> tuple[int, int]:
    """How many events the kiosks' disks say that there were, and how many kiosks."""
    total = count = 0
    for path in (folder / "kiosks").glob("*.db"):
        box = Outbox(Options(path=path), Encoder(Topics("x", "x")))
        box.start()
        wait(lambda box=box: box.mark().epoch, 120, f"the outbox of {path}")
        total, count = total + box.mark().last, count + 1
        box.stop()
    return total, count


def counted_rows(dsn: str) -> tuple[int, int, int, int]:
    """Rows, different ones, gaps and breaks, and how far the chains go without one."""
    with psycopg.connect(dsn) as db:
        rows, different = db.execute(
            "SELECT count(*), count(DISTINCT (source, epoch, sequence)) FROM event"
        ).fetchone()
        gaps = db.execute("SELECT count(*) FROM gap").fetchone()[0]
        return rows, different, gaps, db.execute("SELECT coalesce(sum(up_to), 0)::bigint FROM chain").fetchone()[0]


def wait(
    holds: Callable[[], object], within_s: float, what: str, meanwhile: Callable[[], None] = lambda: None
) -> None:
    until_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > until_s:
            raise TimeoutError(f"not within {within_s:.0f} s: {what}")
        meanwhile()
        time.sleep(0.2)

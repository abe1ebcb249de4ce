"""An outage and its end: until all kiosks of a fleet are online again, for fleets of several sizes, with TLS too.

The connections are those of `storm_load.py`, by the link's own rule of when to try again (`fleet_size`). For
AWAY_S=10 seconds mosquitto is stopped, or the network is down: only then does it know sessions of TLS again.
FLEETS="500 2000 5000" and WAYS="plain tls mutual network" can be set: `tls` with the broker's certificate, `mutual`
with the kiosks' too, `network` as `mutual` with the network down.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench_server import cpu_s
from rig import Broker, broker_and_folder
from rows import ROOT, Row

from agent.enrolment import certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FLEETS = [int(each) for each in os.environ.get("FLEETS", "500 2000 5000").split()]
WAYS = os.environ.get("WAYS", "plain tls mutual network").split()
AWAY_S = float(os.environ.get("AWAY_S", "10"))
LIMIT_S = 500.0
HOW = {
    "plain": "without TLS",
    "tls": "TLS",
    "mutual": "TLS, both certificates",
    "network": "TLS, both certificates, network away",
}


class Connections:
    """A process with those of a fleet, and what it said last."""

    def __init__(self, broker: Broker, kiosks: int, files: list[Path]) -> None:
        program = Path(__file__).with_name("storm_load.py")
        self.process = subprocess.Popen(
            [sys.executable, program, str(broker.port), str(kiosks), *files],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self.counts: dict[str, int] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def network(self, how: str) -> None:
        """`down` or `up`."""
        self.process.stdin.write(f"{how}\n")
        self.process.stdin.flush()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.counts = json.loads(line)


def run() -> Iterator[Row]:
    """One fleet after the other."""
    with TemporaryDirectory(prefix="gp-tls-") as name:
        files = _certificates(Path(name))
        for way in WAYS:
            config, own = "", []
            if way != "plain":
                config = f"certfile {files['broker.crt']}\nkeyfile {files['broker.key']}\n"
                own = [files["broker.crt"]]
            if way in ("mutual", "network"):
                config += f"cafile {files['authority.crt']}\nrequire_certificate true\n"
                own += [files["kiosk.crt"], files["kiosk.key"]]
            for kiosks in FLEETS:
                with broker_and_folder(config) as (broker, _, _):
                    fleet = Connections(broker, kiosks, own)
                    try:
                        yield _storm(broker, fleet, kiosks, way)
                    finally:
                        fleet.process.kill()
                        fleet.process.wait()


def _certificates(folder: Path) -> dict[str, Path]:
    """The broker's, which is its own authority, and a kiosk's: P-256 all of them."""
    now_s = time.time()
    broker_key, broker = certificates.for_pages(["localhost"], 9, now_s)
    authority, key = certificates.new_authority("bench", 9, now_s), certificates.new_key()
    kiosk = certificates.issue(certificates.request_for(key, "kiosk"), "kiosk", authority, 9, now_s)
    texts = {
        "broker.crt": broker, "broker.key": broker_key, "authority.crt": authority[1], "kiosk.crt": kiosk,
        "kiosk.key": key,
    }  # fmt: skip
    for name, text in texts.items():
        (folder / name).write_text(text)
    return {name: folder / name for name in texts}


def _storm(broker: Broker, fleet: Connections, kiosks: int, way: str) -> Row:
    _wait(lambda: fleet.counts.get("online") == kiosks, "all online")
    if way == "network":
        time.sleep(1.0)  # what the broker gives for the next time comes after the greeting
        fleet.network("down")
    else:
        broker.stop()
    _wait(lambda: fleet.counts["online"] == 0, "the outage seen")
    time.sleep(AWAY_S)
    dropped, before = _dropped(), dict(fleet.counts)
    if way == "network":
        fleet.network("up")
    else:
        broker.start()
    begun_s, before_s, load_s = time.monotonic(), cpu_s(broker.pid), cpu_s(fleet.process.pid)
    half_s = _wait(lambda: fleet.counts["online"] * 2 >= kiosks, "half online") - begun_s
    all_s = _wait(lambda: fleet.counts["online"] == kiosks, "all online again") - begun_s
    broker_s, load_s = cpu_s(broker.pid) - before_s, cpu_s(fleet.process.pid) - load_s
    time.sleep(1.0)
    refused, lost, resumed = (fleet.counts[name] - before[name] for name in ("refused", "lost", "resumed"))
    dropped = _dropped() - dropped
    return Row(
        f"{kiosks:,} kiosks after an outage of {AWAY_S:.0f} s, {HOW[way]}",
        f"half online after {half_s:.1f} s, all after {all_s:.1f} s; broker {broker_s / kiosks * 1e3:.2f} ms of "
        f"CPU a kiosk, load {load_s / kiosks * 1e3:.2f}; {resumed} sessions resumed; {refused} refused, "
        f"{lost} lost again, {dropped} dropped",
        f"window {kiosks / 500:.0f} s (fleet_size)",
        "none refused or lost",
        (refused, lost, dropped) == (0, 0, 0),
    )


def _dropped() -> int:
    """Connections that this machine's sockets have not taken so far: their queue was full."""
    names, values = (
        line.split() for line in Path("/proc/net/netstat").read_text().splitlines() if line.startswith("TcpExt:")
    )
    return int(dict(zip(names, values, strict=True))["ListenDrops"])


def _wait(holds: Callable[[], object], what: str) -> float:
    until_s = time.monotonic() + LIMIT_S
    while not holds():
        if time.monotonic() > until_s:
            raise TimeoutError(f"not within {LIMIT_S:.0f} s: {what}")
        time.sleep(0.02)
    return time.monotonic()

"""A broker's outage and return: until all kiosks of a fleet are online again, for fleets of several sizes.

The connections are those of `storm_load.py`, by the link's own rule of when to try again (`fleet_size`); mosquitto
is stopped for AWAY_S=10 seconds and comes back. FLEETS="500 2000 5000" can be set.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench_server import cpu_s
from rig import Broker, broker_and_folder
from rows import ROOT, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FLEETS = [int(each) for each in os.environ.get("FLEETS", "500 2000 5000").split()]
AWAY_S = float(os.environ.get("AWAY_S", "10"))
LIMIT_S = 150.0


class Connections:
    """A process with those of a fleet, and what it said last."""

    def __init__(self, broker: Broker, kiosks: int) -> None:
        program = Path(__file__).with_name("storm_load.py")
        self.process = subprocess.Popen(
            [sys.executable, program, str(broker.port), str(kiosks)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self.counts: dict[str, int] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.counts = json.loads(line)


def run() -> Iterator[Row]:
    """One fleet after the other."""
    for kiosks in FLEETS:
        with broker_and_folder() as (broker, _, _):
            fleet = Connections(broker, kiosks)
            try:
                yield _storm(broker, fleet, kiosks)
            finally:
                fleet.process.kill()
                fleet.process.wait()


def _storm(broker: Broker, fleet: Connections, kiosks: int) -> Row:
    _wait(lambda: fleet.counts.get("online") == kiosks, "all online")
    broker.stop()
    _wait(lambda: fleet.counts["online"] == 0, "the outage seen")
    time.sleep(AWAY_S)
    dropped = _dropped()
    broker.start()
    begun_s, before_s, load_s = time.monotonic(), cpu_s(broker.pid), cpu_s(fleet.process.pid)
    before = dict(fleet.counts)
    half_s = _wait(lambda: fleet.counts["online"] * 2 >= kiosks, "half online") - begun_s
    all_s = _wait(lambda: fleet.counts["online"] == kiosks, "all online again") - begun_s
    broker_s, load_s = cpu_s(broker.pid) - before_s, cpu_s(fleet.process.pid) - load_s
    time.sleep(1.0)
    refused, lost = (fleet.counts[name] - before[name] for name in ("refused", "lost"))
    dropped = _dropped() - dropped
    return Row(
        f"{kiosks:,} kiosks after {AWAY_S:.0f} s without their broker",
        f"half online after {half_s:.1f} s, all after {all_s:.1f} s; broker {broker_s / kiosks * 1e3:.2f} ms of "
        f"CPU a kiosk, load {load_s / kiosks * 1e3:.2f}; {refused} refused, {lost} lost again, {dropped} dropped",
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

"""A broker's outage and return: until all kiosks of a fleet are online again, for fleets of several sizes.

`gatepost simulate` runs the kiosks' real outboxes and links, with `fleet_size` set; mosquitto is stopped for
AWAY_S=10 seconds and comes back. FLEETS="500 2000 5000" can be set.
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
from rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FLEETS = [int(each) for each in os.environ.get("FLEETS", "500 2000 5000").split()]
AWAY_S = float(os.environ.get("AWAY_S", "10"))
PEOPLE = 200
LIMIT_S = 240.0
MAIN = "import sys; from agent.cli import main; sys.exit(main())"


class Simulation:
    """`gatepost simulate`, and what it said last."""

    def __init__(self, broker: Broker, kiosks: int) -> None:
        words = ["simulate", str(kiosks), f"127.0.0.1:{broker.port}", "--plain", "--json", "--every", "0.2"]
        words += ["--people", str(PEOPLE), "--hour", "8", "--drain", "60"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, *words], stdout=subprocess.PIPE, text=True, process_group=0
        )
        self.counts: dict[str, int] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.counts = json.loads(line)

    def end(self) -> int:
        """Ctrl-C: what was decided is delivered; 0 when it all was."""
        os.killpg(self.process.pid, 2)
        status = self.process.wait(90)
        self._reader.join()
        return status


def run() -> Iterator[Row]:
    """One fleet after the other."""
    for kiosks in FLEETS:
        with broker_and_folder() as (broker, _, _):
            simulation = Simulation(broker, kiosks)
            try:
                yield _storm(broker, simulation, kiosks)
            finally:
                if simulation.process.poll() is None:
                    os.killpg(simulation.process.pid, 9)
                    simulation.process.wait()


def _storm(broker: Broker, simulation: Simulation, kiosks: int) -> Row:
    _wait(lambda: simulation.counts.get("online") == kiosks, "all online")
    time.sleep(2.0)
    before = simulation.counts["connections"]
    dropped = _dropped()
    broker.stop()
    time.sleep(AWAY_S)
    broker.start()
    begun_s, cpu_before_s = time.monotonic(), cpu_s(broker.pid)
    simulator_s = cpu_s(simulation.process.pid)
    _wait(lambda: simulation.counts["online"] < kiosks, "the outage seen")
    half_s = _wait(lambda: simulation.counts["online"] * 2 >= kiosks, "half online") - begun_s
    all_s = _wait(lambda: simulation.counts["online"] == kiosks, "all online again") - begun_s
    broker_s, simulator_s = cpu_s(broker.pid) - cpu_before_s, cpu_s(simulation.process.pid) - simulator_s
    more, dropped = simulation.counts["connections"] - before - kiosks, _dropped() - dropped
    status = simulation.end()
    lost = simulation.counts["decided"] - simulation.counts["delivered"]
    return Row(
        f"{kiosks:,} kiosks after {AWAY_S:.0f} s without their broker",
        f"half online after {half_s:.1f} s, all after {all_s:.1f} s; broker {broker_s / kiosks * 1e3:.2f} ms of "
        f"CPU a kiosk, simulator {simulator_s / kiosks * 1e3:.1f}; {more} connections too many, {dropped} dropped, "
        f"{lost} events lost of {simulation.counts['decided']}",
        f"window {kiosks / 500:.0f} s (fleet_size)",
        "none refused, none lost",
        (status, more, dropped, lost) == (0, 0, 0, 0),
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

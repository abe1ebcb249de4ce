"""Two hundred times unplugged and plugged in again, on each bus, while another lane goes on.

A device vanishes, its driver says so, it comes back under another node, and the time from there to the first
reading is taken. The other lane's readings are timed before and during it all.
"""

from __future__ import annotations

import math
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from rows import Row

from drivers import registry
from drivers.contract import DriverError
from drivers.simulators.stand_ins import StandIn, stand_in
from drivers.simulators.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMES = 200
LIMIT_S = 5.0
CALM_S = 15.0
BUSES = {
    "serial": ("thermometers", "gy_mcu"),
    "I²C": ("thermometers", "mlx90614"),
    "serial gate": ("signals", "serial_relay"),
}


def run() -> Iterator[Row]:
    """One row a bus, one for the lane beside it."""
    for bus, (kind, name) in BUSES.items():
        with tempfile.TemporaryDirectory() as folder:
            yield from _bus(bus, kind, name, Path(folder))


def _bus(bus: str, kind: str, name: str, folder: Path) -> Iterator[Row]:
    world = World()
    world.stand(36.5)
    victim = stand_in(kind, name, world, folder / "victim")
    neighbour = stand_in("thermometers", "gy_mcu", world, folder / "neighbour")
    (folder / "victim").mkdir()
    with victim.here(), neighbour.here():
        lane = Neighbour(neighbour)
        lane.start()
        time.sleep(CALM_S)
        calm = lane.gaps_ms()
        took_s = [_replug(victim, kind, name) for _ in range(TIMES)]
        busy = lane.gaps_ms()
        lane.stop()
    back = [each for each in took_s if each <= LIMIT_S]
    median_s, worst_s = sorted(took_s)[TIMES // 2], max(took_s)
    here = f"{len(back)} of {TIMES} back, median {median_s:.2f} s, worst {worst_s:.2f} s"
    yield Row(f"{bus} ({name}) unplugged {TIMES} times", here, bar="200 of 200 within 5 s", met=len(back) == TIMES)
    here, peer = f"p99 {_p99(busy):.1f} ms, {lane.faults} faults", f"undisturbed: {_p99(calm):.1f} ms"
    yield Row(f"{bus}: time between the other lane's readings", here, peer, "unchanged (within a tenth)",
              met=_p99(busy) <= 1.1 * _p99(calm) and not lane.faults)  # fmt: skip


def _replug(victim: StandIn, kind: str, name: str) -> float:
    """Seconds from plugging in to the first reading, or to a gate that answers; infinite when it does not come."""
    driver = registry.load(kind, name).Driver(registry.options_class(kind, name)(**victim.options))
    driver.open()
    victim.plugged.unplug()
    try:
        while True:
            _use(driver)
    except DriverError:
        driver.close()
    victim.plugged.plug()
    plugged_s = time.monotonic()
    while time.monotonic() - plugged_s < LIMIT_S:
        try:
            driver.open()
            while not _use(driver):
                pass
            driver.close()
            return time.monotonic() - plugged_s
        except DriverError:
            driver.close()
    return math.inf


def _use(driver: object) -> bool:
    if hasattr(driver, "read"):
        return driver.read(0.1) is not None
    driver.check()
    return True


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


class Neighbour(threading.Thread):
    """A lane that only reads."""

    def __init__(self, stand: StandIn) -> None:
        super().__init__(daemon=True)
        module = registry.load("thermometers", "gy_mcu")
        self._driver = module.Driver(module.Options(**stand.options))
        self._times_s: list[float] = []
        self._ends = threading.Event()
        self.faults = 0

    def run(self) -> None:
        self._driver.open()
        while not self._ends.is_set():
            try:
                if reading := self._driver.read(0.2):
                    self._times_s.append(reading.at_s)
            except DriverError:
                self.faults += 1
        self._driver.close()

    def gaps_ms(self) -> list[float]:
        """Milliseconds between readings since this was asked last."""
        times_s, self._times_s = self._times_s, []
        return [(later - earlier) * 1000 for earlier, later in pairwise(times_s)]

    def stop(self) -> None:
        self._ends.set()
        self.join(2.0)

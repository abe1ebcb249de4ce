"""Two hundred times unplugged and plugged in again, on each bus, while another lane goes on.

A device vanishes, its driver says so, it comes back under another node, and the time from there to the first
reading is taken. The readings of another lane, a hundred a second, are timed before and during it all, and so are
those of a loop of select and read that does nothing else.
"""

from __future__ import annotations

import math
import os
import select
import tempfile
import termios
import threading
import time
import tty
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from rows import Row

from drivers import registry
from drivers.contract import DriverError
from drivers.ranging import tf_luna
from drivers.simulators.stand_ins import StandIn, stand_in
from drivers.simulators.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMES = 200
LIMIT_S = 5.0
CALM_S = 15.0
PAUSE_S = 0.1
BUSES = {
    "serial": ("thermometers", "gy_mcu"),
    "I²C": ("thermometers", "mlx90614"),
    "serial gate": ("outputs", "serial_relay"),
}


def run() -> Iterator[Row]:
    """One row a bus, one for the lane beside it."""
    for bus, (kind, name) in BUSES.items():
        with tempfile.TemporaryDirectory() as folder:
            yield from _bus(bus, kind, name, Path(folder))


def _bus(bus: str, kind: str, name: str, folder: Path) -> Iterator[Row]:
    world = World()
    world.stand(36.5)
    for each in ("victim", "neighbour", "bare"):
        (folder / each).mkdir()
    victim = stand_in(kind, name, world, folder / "victim")
    neighbour = stand_in("ranging", "tf_luna", world, folder / "neighbour")
    bare = stand_in("ranging", "tf_luna", world, folder / "bare")
    with victim.here(), neighbour.here(), bare.here():
        lanes = (Neighbour(neighbour), Bare(bare))
        for lane in lanes:
            lane.start()
        time.sleep(CALM_S)
        calm_ms, bare_calm_ms = (_p99(lane.gaps_ms()) for lane in lanes)
        took_s = []
        for _ in range(TIMES):
            took_s.append(_replug(victim, kind, name))
            time.sleep(PAUSE_S)
        busy_ms, bare_busy_ms = (_p99(lane.gaps_ms()) for lane in lanes)
        for lane in lanes:
            lane.stop()
    back = [each for each in took_s if each <= LIMIT_S]
    median_s, worst_s = sorted(took_s)[TIMES // 2], max(took_s)
    here = f"{len(back)} of {TIMES} back, median {median_s:.2f} s, worst {worst_s:.2f} s"
    yield Row(f"{bus} ({name}) unplugged {TIMES} times", here, bar="200 of 200 within 5 s", met=len(back) == TIMES)
    yield Row(
        f"{bus}: p99 between the readings of another lane",
        f"{calm_ms:.1f} ms before, {busy_ms:.1f} ms during, {lanes[0].faults} faults",
        f"a bare loop beside it: {bare_calm_ms:.1f}, {bare_busy_ms:.1f} ms",
        "unchanged: within a tenth, or as the bare loop",
        met=busy_ms <= 1.1 * max(calm_ms, bare_busy_ms) and not lanes[0].faults,
    )


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
            return time.monotonic() - plugged_s
        except DriverError:
            pass  # not yet
        finally:
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
        self._driver = tf_luna.Driver(tf_luna.Options(**stand.options, period_s=0.0))
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


class Bare(Neighbour):
    """The same line, read by nothing but the kernel's own calls."""

    def __init__(self, stand: StandIn) -> None:
        super().__init__(stand)
        self._line = os.open(stand.options["port"], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def run(self) -> None:
        tty.setraw(self._line)
        speeds = termios.tcgetattr(self._line)
        speeds[4] = speeds[5] = termios.B115200
        termios.tcsetattr(self._line, termios.TCSANOW, speeds)
        while not self._ends.is_set():
            if select.select([self._line], [], [], 0.2)[0]:
                os.read(self._line, 4096)
                self._times_s.append(time.monotonic())
        os.close(self._line)

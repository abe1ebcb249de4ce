"""Many simulated kiosks in one process: the real outbox, encoder and link of each, people by the hour of the day.

Of a kiosk nothing is simulated but the devices, the person and the network cable.
"""

from __future__ import annotations

import heapq
import logging
import random
import secrets
import signal
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import __version__, mqtt
from agent.events import Encoder, Topics
from agent.events.state import Counts, LaneCounts, State
from agent.model import (
    ClockState,
    CodeStatus,
    Colour,
    Decision,
    Direction,
    Event,
    Outcome,
    Passage,
    Screening,
    Temperature,
    TimeBounds,
    Verdict,
)
from agent.outbox import Options as OutboxOptions
from agent.outbox import Outbox
from agent.ruleset.load import BundleStore

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_DAY_S = 86_400.0
_PEAKS = ((8.0, 0.7, 9.0), (12.5, 0.8, 3.0), (17.5, 1.2, 5.0))
"""Hour, width in hours, height: people come to work, eat, and go home."""
_QUIET = 0.2
_STACK_BYTES = 256 << 10
"""Of each thread: there are two for a kiosk."""
_DRAIN_LOOK_S = 0.2
_ADMIT = Decision(Outcome.ADMIT, ("code_green", "temperature_normal"), "green and normal")
_REFER = Decision(Outcome.REFER, ("code_green", "fever"), "fever")
_FEVER_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """What one process simulates."""

    options: mqtt.Options
    kiosks: range
    folder: str
    people_per_day: float
    speed: float
    """How many times faster than real the day goes."""
    begin_h: float
    """Hour of the day at the start."""
    seconds: float
    """For how long people come; 0: until told to stop."""
    drain_s: float
    """How long after that events may still be delivered."""
    outage_every_s: float
    outage_s: float
    restart_every_s: float
    """Mean time between restarts of one kiosk; 0: none."""
    report_every_s: float
    bundles: Path | None = None
    """Folder with the root by which receipts count."""
    kiosks_per_site: int = 20


@dataclass(frozen=True, slots=True)
class FleetCounts:
    """Of many kiosks, since the start."""

    kiosks: int = 0
    online: int = 0
    connections: int = 0
    decided: int = 0
    delivered: int = 0
    lost: int = 0
    waiting: int = 0
    fault: str = ""
    """What is wrong with the link of one of them; empty: nothing."""

    def __add__(self, other: FleetCounts) -> FleetCounts:
        """Both together."""
        added = {name: getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__}
        return FleetCounts(**(added | {"fault": self.fault or other.fault}))


def arrivals_per_s(people_per_day: float, hour: float) -> float:
    """How many people come to a kiosk in a second, at an hour of the day; over a day `people_per_day`."""
    return people_per_day / _DAY_S * _height(hour) / _MEAN_HEIGHT


def _height(hour: float) -> float:
    return _QUIET + sum(height * exp(-(((hour - at) / width) ** 2)) for at, width, height in _PEAKS)


_MEAN_HEIGHT = sum(_height(minute / 60) for minute in range(24 * 60)) / (24 * 60)


def passage_event(boot_id: str) -> Event:
    """Somebody passes now; one of a hundred has a fever."""
    decision = _REFER if random.random() < _FEVER_SHARE else _ADMIT  # noqa: S311 - no secret
    verdict = Verdict(CodeStatus.VALID, "gatepost", b"simulated", "simulation", Colour.GREEN)
    screening = Screening.ELEVATED if decision is _REFER else Screening.NORMAL
    temperature = Temperature(screening, 36.1 if decision is _ADMIT else 37.9, 0.5, 8, 37.3)
    monotonic_s, utc = time.monotonic(), time.time()
    passage = Passage(
        lane="in", direction=Direction.ENTRY, verdict=verdict, temperature=temperature, decision=decision,
        gate_opened=decision is _ADMIT, began_s=monotonic_s - 0.8, decided_s=monotonic_s, simulated=True,
    )  # fmt: skip
    now = TimeBounds(utc - 0.05, utc + 0.05, ClockState.SYNCED)
    return Event(passage, monotonic_s, now, boot_id)


class SimulatedKiosk:
    """One kiosk. `outbox` and `link` are the real ones."""

    def __init__(self, plan: SimulationPlan, number: int, network_is_down: threading.Event) -> None:
        site = f"sim-{number // plan.kiosks_per_site}"
        self._topics = Topics(site, f"kiosk-{number}", (f"wave-{number % 10}",))
        self._path = Path(plan.folder) / f"{number}.db"
        self._options, self._network_is_down = plan.options, network_is_down
        self._store = BundleStore(plan.bundles or Path(plan.folder) / "bundles")
        self._before = FleetCounts()
        self._boot_id = secrets.token_hex(16)
        self._begin()

    def _begin(self) -> None:
        self.outbox = Outbox(OutboxOptions(path=self._path), Encoder(self._topics))
        self.outbox.start()
        self.link = _SimulatedLink(
            self._options, self._topics, self.outbox, self._state, verify_receipt=self._verify_receipt
        )
        self.link.network_is_down = self._network_is_down
        self.link.start()

    def pass_person(self) -> None:
        """Somebody comes; the event is stored."""
        self.outbox.store(passage_event(self._boot_id))

    def restart(self) -> None:
        """As after a power cut, when the disk has all that was decided."""
        self.stop(0.0)
        self._before = replace(self.counts(), kiosks=0, online=0, waiting=0, fault="")
        self._begin()

    def counts(self) -> FleetCounts:
        """Since the start of the simulation."""
        link, box = self.link.status(), self.outbox.status()
        done = box.decided, box.delivered, box.lost, box.waiting
        return FleetCounts(1, link.connected, link.connections, *done, link.fault) + self._before

    def stop(self, limit_s: float) -> None:
        """Say goodbye."""
        self.link.stop(limit_s)
        self.outbox.stop()

    def _verify_receipt(self, receipt: bytes) -> dict[str, Any]:
        utc = time.time()
        return self._store.verify_statement(receipt, "receipt", TimeBounds(utc, utc, ClockState.SYNCED))

    def _state(self) -> State:
        box = self.outbox.status()
        counts = Counts(box.decided, box.stored, box.delivered, box.lost, box.waiting)
        return State(
            __version__, self._topics.groups, simulated=True, clock_state=ClockState.SYNCED, counts=counts,
            lanes=(LaneCounts("in", {"admit": box.decided}),),
        )  # fmt: skip


class _SimulatedLink(mqtt.Link):
    """The real one, on a network that can be down."""

    network_is_down = threading.Event()

    def _connect(self) -> tuple[bool, bool]:
        if self.network_is_down.is_set():
            self._set_fault("the simulated network is down")
            return False, False
        return super()._connect()

    def cut(self) -> None:
        """As a pulled cable, but found out at once."""
        session = self._session
        if session is not None:
            with suppress(OSError), socket.socket(fileno=socket.dup(session.fileno())) as cable:
                cable.shutdown(socket.SHUT_RDWR)


class SimulatedFleet:
    """The kiosks of one process."""

    def __init__(self, plan: SimulationPlan) -> None:
        """Start them."""
        threading.stack_size(_STACK_BYTES)
        self._plan, self._network_is_down = plan, threading.Event()
        self._kiosks = [SimulatedKiosk(plan, number, self._network_is_down) for number in plan.kiosks]
        self._begun_s = now_s = time.monotonic()
        self._next = [(now_s + self._wait_s(now_s), number) for number in range(len(self._kiosks))]
        heapq.heapify(self._next)
        self._restart_s = now_s + self._restart_wait_s()
        self._outage_s = now_s + plan.outage_every_s if plan.outage_every_s else float("inf")

    def run(self, reports: Connection) -> None:
        """Until the plan's time is over or something comes on `reports`, which gets (is it the last?, counts)."""
        plan, due_s = self._plan, 0.0
        end_s = self._begun_s + plan.seconds if plan.seconds else float("inf")
        while (now_s := time.monotonic()) < end_s and not reports.poll():
            if now_s >= due_s:
                reports.send((False, self.counts()))
                due_s = now_s + plan.report_every_s
            self._disturb(now_s)
            while self._next[0][0] <= now_s:
                at_s, number = heapq.heappop(self._next)
                self._kiosks[number].pass_person()
                heapq.heappush(self._next, (at_s + self._wait_s(at_s), number))
            time.sleep(max(0.0, min(0.05, self._next[0][0] - time.monotonic())))
        self._network_is_down.clear()
        end_s = time.monotonic() + plan.drain_s
        while (counts := self.counts()).waiting and time.monotonic() < end_s:
            time.sleep(_DRAIN_LOOK_S)
        reports.send((True, counts))
        for kiosk in self._kiosks:
            kiosk.stop(0.0)

    def counts(self) -> FleetCounts:
        """Of all kiosks."""
        return sum((kiosk.counts() for kiosk in self._kiosks), FleetCounts())

    def _disturb(self, now_s: float) -> None:
        """Outages and restarts that are due."""
        plan = self._plan
        if now_s >= self._restart_s:
            random.choice(self._kiosks).restart()  # noqa: S311 - no secret
            self._restart_s = now_s + self._restart_wait_s()
        if now_s < self._outage_s:
            return
        if self._network_is_down.is_set():
            self._network_is_down.clear()
            self._outage_s = now_s + plan.outage_every_s
        else:
            self._network_is_down.set()
            for kiosk in self._kiosks:
                kiosk.link.cut()
            self._outage_s = now_s + plan.outage_s

    def _wait_s(self, now_s: float) -> float:
        """Until the next person at one kiosk."""
        plan = self._plan
        hour = (plan.begin_h + (now_s - self._begun_s) * plan.speed / 3600) % 24
        return random.expovariate(arrivals_per_s(plan.people_per_day, hour) * plan.speed)

    def _restart_wait_s(self) -> float:
        every_s = self._plan.restart_every_s
        return random.expovariate(len(self._kiosks) / every_s) if every_s else float("inf")


def run_share(plan: SimulationPlan, reports: Connection) -> None:
    """A process of the simulation. Ctrl-C is for the one that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.disable(logging.WARNING)  # each kiosk would tell of each outage
    SimulatedFleet(plan).run(reports)

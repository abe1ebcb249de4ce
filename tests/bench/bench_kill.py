"""kill -9 at any moment, again and again, under codes at 20 a second, with the broker there and not there.

The whole agent with its devices on ptys. A third of the lives end while it still starts, the others a random moment
after the first decision; the broker goes and comes by chance. Each life counts as ready when systemd would be told
so, and when the first code has been decided. At the end the broker's subscriber must have all that counts as kept:
what the agent said that it had stored, and what it decided more than a second before its end. KILLS in the
environment changes how many lives.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rig import kiosk_with, quantile, until
from rows import Row

from agent.model import Colour

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rig import Heard, Kiosk, Lane

KILLS = int(os.environ.get("KILLS", "200"))
SEED = int(os.environ.get("SEED", "0")) or random.randrange(1, 10**6)
PERIOD_S = 0.05
READY_S = 3.0
LIVENESS_S = 30.0
KEPT_AFTER_S = 1.0
STARTING = 1 / 3
DRAIN_S = 120.0
MORE = "reconnect_max_s = 2.0\n[checkpoint]\ntemperature_timeout_s = 1.0\n"
"""The first line still belongs to `[mqtt]`."""


@dataclass
class Life:
    """One process of the agent. Times are of CLOCK_BOOTTIME, as in its events."""

    begun_s: float
    ended_s: float = 0.0
    ready_s: float | None = None
    """Until systemd was told; None: it was killed before that."""
    decided_s: float | None = None
    waited_s: float = 0.0
    """Of these, how long it was ready to run and others had the processors."""
    stored: int = 0
    """What it last said."""
    lines: list[dict[str, Any]] = field(default_factory=list)
    """Its log's lines on events."""


def run() -> Iterator[Row]:
    """The lives, then the reckoning."""
    chance = random.Random(SEED)
    with kiosk_with({"one": {}}, more=MORE) as (kiosk, lanes, heard, folder):
        with _codes(kiosk, lanes[0]):
            lives = [_live(kiosk, folder, chance, deadly=number < KILLS) for number in range(KILLS + 1)]
        kiosk.start()
        kiosk.until_up(30, linked=False)
        if not kiosk.broker.is_up:
            kiosk.broker.start()
        until(lambda: not (kiosk.report() or {})["outbox"]["waiting"], DRAIN_S)
        events = _arrived(heard)
    for what, took in (
        ("until READY=1", [life.ready_s for life in lives if life.ready_s is not None]),
        ("until the first code is decided", [life.decided_s for life in lives if life.decided_s is not None]),
    ):
        told = (
            f"p50 {quantile(took, 0.5):.2f}, p99 {quantile(took, 0.99):.2f}, worst {max(took):.2f} s of {len(took)}"
        )
        yield Row(what, told, bar=f"≤ {READY_S:g} s", met=max(took) <= READY_S)
    own = [life.decided_s - life.waited_s for life in lives if life.decided_s is not None]
    yield Row("the same, less the wait for a processor", f"worst {max(own):.2f} s", bar=f"≤ {READY_S:g} s")
    yield from _reckon(lives, events)


def _live(kiosk: Kiosk, folder: Path, chance: random.Random, *, deadly: bool) -> Life:
    """Start, wait for signs of life, kill. Raises TimeoutError when there are none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        (folder / "notify").unlink(missing_ok=True)
        told.bind(str(folder / "notify"))
        told.settimeout(0.01)
        if chance.random() < 0.3:
            _toggle(kiosk)
        first_line = len(kiosk.logged)
        life = Life(time.clock_gettime(time.CLOCK_BOOTTIME))
        kiosk.start(NOTIFY_SOCKET=str(folder / "notify"))
        early_s = chance.uniform(0.0, 1.0) if deadly and chance.random() < STARTING else LIVENESS_S
        while life.decided_s is None and (since_s := _since(life)) < early_s:
            try:
                if b"READY=1" in told.recv(4096):
                    life.ready_s = life.ready_s or since_s
            except TimeoutError:
                pass
            if any(line.get("event") == "passage" for line in kiosk.logged[first_line:]):
                life.decided_s, life.waited_s = _since(life), _waited_s(kiosk.pid)
        if early_s == LIVENESS_S and life.decided_s is None:
            raise TimeoutError(f"no code was decided within {LIVENESS_S:g} s of a start (seed {SEED})")
        if early_s == LIVENESS_S:
            time.sleep(chance.uniform(0.0, 1.5))
    report = kiosk.report()
    pid = kiosk.pid
    kiosk.end(signal.SIGKILL)
    life.ended_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    life.lines = [line for line in kiosk.logged[first_line:] if "event" in line]
    if report is not None and report["pid"] == pid:
        life.stored = report["outbox"]["stored"]
    return life


def _waited_s(pid: int) -> float:
    """How long the main thread has waited for a processor: the second number of schedstat."""
    return int((Path(f"/proc/{pid}/schedstat").read_text()).split()[1]) / 1e9


def _since(life: Life) -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) - life.begun_s


def _toggle(kiosk: Kiosk) -> None:
    broker = kiosk.broker
    if broker.is_up:
        broker.stop()
    else:
        broker.start()


@contextmanager
def _codes(kiosk: Kiosk, lane: Lane) -> Iterator[None]:
    """Codes at the scanner, whether anybody reads them or not."""
    done = threading.Event()

    def show() -> None:
        while not done.wait(PERIOD_S):
            lane.scan(kiosk.code(Colour.RED))

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _arrived(heard: Heard) -> dict[str, set[bytes]]:
    """Id → contents, once nothing new has come for three seconds."""
    contents: dict[str, set[bytes]] = defaultdict(set)
    quiet_s = time.monotonic() + 3.0
    while time.monotonic() < quiet_s:
        for _, topic, payload in heard.drain():
            quiet_s = time.monotonic() + 3.0
            if "/event/" in topic:
                contents[json.loads(payload)["id"]].add(payload)
        time.sleep(0.1)
    return contents


def _reckon(lives: list[Life], arrived: dict[str, set[bytes]]) -> Iterator[Row]:
    changed = sum(len(contents) > 1 for contents in arrived.values())
    payloads = [next(iter(contents)) for contents in arrived.values()]
    events = sorted((int(json.loads(payload)["sequence"]), payload) for payload in payloads)
    yield Row("ids with two contents", str(changed), bar="0", met=not changed)
    broken, before = 0, "0" * 64
    for place, (sequence, payload) in enumerate(events, 1):
        broken += sequence != place or json.loads(payload)["previoussha256"] != before
        before = sha256(payload).hexdigest()
    yield Row("breaks in sequence and chain", f"{broken} in {len(events)} events", bar="0", met=not broken)
    lost = unlike = kept = 0
    bodies = [json.loads(payload)["data"] for _, payload in events]
    for life in lives:
        own = [body for body in bodies if life.begun_s <= body["clock"]["boottime_ms"] / 1000 <= life.ended_s]
        due = max(life.stored, _long_ago(life))
        kept += due
        lost += max(0, due - len(own))
        unlike += any(_kind(body) != line["event"] for body, line in zip(own, life.lines, strict=False))
    yield Row("kept and never arrived", f"{lost} of {kept} in {len(lives)} lives", bar="0", met=not lost)
    yield Row("lives whose events are others than it told", str(unlike), bar="0", met=not unlike)


def _long_ago(life: Life) -> int:
    """How many events were told well before the end."""
    end_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + life.ended_s
    limit = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(end_s - KEPT_AFTER_S))
    return sum(line["at"][: len(limit)] < limit for line in life.lines)


def _kind(body: dict[str, Any]) -> str:
    return "passage" if "decision" in body else "device" if "role" in body else "agent"

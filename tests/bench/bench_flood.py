"""One device at full line speed: what the exit and another lane feel of it.

A scan engine sends short codes without a pause, as fast as a line of 115,200 baud carries them (1,600 a second).
Counted is from a code at the exit, and at another entry, until the gate's relay is told (a refused code: until the
event is back). The bars: p99 no more than 20 ms above that without the flood, memory no more than 20 MB.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rig import Heard, Kiosk, Lane, kiosk_with, quantile
from rows import Row

from agent.model import Colour

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOWN = 300
PAUSE_S = 0.15
PER_S = 1600
PIECE_S = 0.01
MOST_MORE_S = 0.020
MOST_MORE_MB = 20.0
MORE = "[checkpoint]\ntemperature_timeout_s = 0.5\npresence_timeout_s = 0.15\n"


def run() -> Iterator[Row]:
    """Exit and another entry, without the flood and with it; then memory."""
    lanes = {"entry": {}, "other": {}, "exit": {"direction": "exit"}}
    with kiosk_with(lanes, more=MORE) as (kiosk, (flooded, other, way_out), heard, _):
        kiosk.start()
        kiosk.until_up()
        calm = _exit_s(kiosk, way_out), _refusal_s(kiosk, other, heard)
        before_mb = _rss_mb(kiosk.pid)
        with _flood(flooded):
            busy = _exit_s(kiosk, way_out), _refusal_s(kiosk, other, heard)
        more_mb = _rss_mb(kiosk.pid) - before_mb
        report = kiosk.report() or {"problems": ()}
    for what, without, under in zip(("exit opens", "other entry refuses"), calm, busy, strict=True):
        more_s = quantile(under, 0.99) - quantile(without, 0.99)
        yield Row(
            f"{what}, {SHOWN} codes, p50 / p99",
            _ms(under),
            f"without the flood {_ms(without)}",
            f"p99 at most + {1e3 * MOST_MORE_S:.0f} ms",
            more_s <= MOST_MORE_S,
        )
    yield Row("memory", f"{more_mb:+.1f} MB", "", f"at most + {MOST_MORE_MB:.0f} MB", more_mb <= MOST_MORE_MB)
    told = [problem["text"] for problem in report["problems"] if problem["part"] == "entry scanner"]
    yield Row("what the kiosk says of the device", "; ".join(told) or "nothing", "", "a fault", bool(told))


def _exit_s(kiosk: Kiosk, lane: Lane) -> list[float]:
    found = []
    for _ in range(SHOWN):
        begun_s = lane.scan(kiosk.code())
        opened_s = lane.opened_s(begun_s, 60.0)
        if opened_s is None:
            raise TimeoutError("the exit did not open")
        found.append(opened_s - begun_s)
        time.sleep(PAUSE_S)
    return found


def _refusal_s(kiosk: Kiosk, lane: Lane, heard: Heard) -> list[float]:
    """A red code is refused at once; its lane's event says so."""
    found, own = [], f'"lane":"{lane.name}"'.encode()
    for _ in range(SHOWN):
        heard.drain()
        begun_s = lane.scan(kiosk.code(Colour.RED))
        came_s = heard.wait(lambda topic, body: topic.endswith("/event/passage") and own in body, 60.0)
        found.append(came_s - begun_s)
        time.sleep(PAUSE_S)
    return found


@contextmanager
def _flood(lane: Lane) -> Iterator[None]:
    """Other short codes all the time, from a thread of its own."""
    enough = threading.Event()

    def run() -> None:
        number, begun_s = 0, time.monotonic()
        while not enough.wait(PIECE_S):
            due = int((time.monotonic() - begun_s) * PER_S)
            for each in range(number, due):
                lane.scan(b"%05d" % (each % 100_000))
            number = due

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join(10)


def _rss_mb(pid: int) -> float:
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:  # noqa: PTH123 - the kernel's
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1000


def _ms(times_s: list[float]) -> str:
    return " / ".join(f"{1e3 * quantile(times_s, share):.1f}" for share in (0.5, 0.99)) + " ms"

"""To the central server, with a broker that is killed again and again and the central server away half of the time.

The broker is mosquitto as Debian ships it: what it has not saved yet is gone with `kill -9`. The central server is
the example of docs/events.md. The peer is our own delivery `broker`, which is what every other agent promises: an
event is delivered when the broker has acknowledged it.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from receipt_load import Delivery, until
from rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENTS = int(os.environ.get("EVENTS", "10000"))
KILLS = 8


def run() -> Iterator[Row]:
    """The same story with both kinds of delivery; then a plain drain, to see what receipts cost."""
    ours, peer = _story("receipt"), _story("broker")
    yield Row(
        f"{EVENTS} events, broker killed {KILLS} times, central server away for half: lost at the central server",
        f"{ours[0]}",
        f"delivery `broker`: {peer[0]}",
        "0",
        ours[0] == 0,
    )
    yield Row("repeats that the central server dropped", f"{ours[1]}", f"{peer[1]}")
    yield Row("from the last kill until all is confirmed", f"{ours[2]:.1f} s", "it believes to be done at once")
    confirmed, acknowledged = _drain("receipt"), _drain("broker")
    yield Row(
        f"{EVENTS} events from disk to the central server's disk, confirmed and gone here",
        f"{EVENTS / confirmed[0]:.0f}/s, {confirmed[1] / EVENTS * 1e6:.0f} µs CPU each",
        f"delivery `broker`: {EVENTS / acknowledged[0]:.0f}/s, {acknowledged[1] / EVENTS * 1e6:.0f} µs",
    )


def _story(delivery: str) -> tuple[int, int, float]:
    """(lost, repeats, seconds from the last kill until the kiosk has nothing left)."""
    with tempfile.TemporaryDirectory(prefix="gp-receipt-") as name, Delivery(Path(name), delivery) as all_of_it:
        all_of_it.link.start()
        share = EVENTS // KILLS
        for turn in range(KILLS):
            if turn % 2:
                all_of_it.stop_server()
            for _ in range(10):
                all_of_it.decide(share // 10)
                time.sleep(0.1)
            if turn == KILLS - 1:
                all_of_it.decide(EVENTS - all_of_it.put)
            until(all_of_it.outbox.is_sent, 10)  # the broker has acknowledged all of it
            all_of_it.kill_broker()
            if turn % 2:
                all_of_it.start_server()
            all_of_it.start_broker()
        begun_s = time.monotonic()
        until(lambda: all_of_it.outbox.status().waiting == 0, 120)
        took_s = time.monotonic() - begun_s
        until(lambda: all_of_it.has() == EVENTS, 5)
        return EVENTS - all_of_it.has(), all_of_it.repeats(), took_s


def _drain(delivery: str) -> tuple[float, float]:
    """(seconds, CPU seconds of this process) until the outbox is empty."""
    with tempfile.TemporaryDirectory(prefix="gp-receipt-") as name, Delivery(Path(name), delivery) as all_of_it:
        all_of_it.decide(EVENTS)
        all_of_it.outbox.flush(60)
        begun_s, cpu_s = time.monotonic(), time.process_time()
        all_of_it.link.start()
        until(lambda: all_of_it.outbox.status().waiting == 0, 300)
        return time.monotonic() - begun_s, time.process_time() - cpu_s

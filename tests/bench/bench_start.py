"""From the start of the process to its retained "online" at the broker."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import mqtt_io
from rig import Heard, broker_and_folder, cpu_s, kiosk_with
from rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS = 7
LANES = 4
"""Of three devices each on ptys: a line scanner, a thermometer, a relay. That is twelve, ten were asked."""
BAR_S = 1.0
CPU_BAR = 0.92
"""Of what the peer needs with one sensor: 0.22 s on a machine where that was 0.24 s."""


def run() -> Iterator[Row]:
    """Each start beside one of the peer's, so that both see the same machine."""
    online, _, cpu, peer, peer_cpu = _in_turns(1, 1)
    few = Row("online, 3 devices", _said(online), _peer_said(1, peer))
    met = median(cpu) <= CPU_BAR * median(peer_cpu) if peer_cpu else None
    few_cpu = Row("CPU until then, 3 devices", _said(cpu), _peer_said(1, peer_cpu), f"≤ {CPU_BAR} × mqtt-io", met)
    online, up, cpu, peer, peer_cpu = _in_turns(LANES, 10)
    devices = f"{3 * LANES} devices"
    yield few
    yield Row(f"online, {devices}", _said(online), _peer_said(10, peer), "≤ 1 s", median(online) <= BAR_S)
    yield few_cpu
    yield Row(f"CPU until then, {devices}", _said(cpu), _peer_said(10, peer_cpu))
    yield Row(f"all {devices} up", _said(up))


def _in_turns(lanes: int, sensors: int) -> tuple[list[float], ...]:
    """Seconds until online, until all is up, of CPU; the peer's until online and of CPU, empty without it."""
    ours, peers = [], []
    for _ in range(RUNS):
        ours.append(_online_s(lanes))
        if mqtt_io.python() is not None:
            peers.append(_peer_online_s(sensors))
    return (*map(list, zip(*ours, strict=True)), *(map(list, zip(*peers, strict=True)) if peers else ([], [])))


def _online_s(lanes: int) -> tuple[float, float, float]:
    """Seconds to "online", until its own report says that every device is up (once a second), and of CPU."""
    with kiosk_with({f"lane{number}": {} for number in range(lanes)}) as (kiosk, _, heard, _):
        begun_s = kiosk.start()
        online_s = heard.wait(lambda topic, said: topic.endswith("/state") and b'"online"' in said, 20)
        spent_s = cpu_s(kiosk.pid)
        kiosk.until_up()
        return online_s - begun_s, time.monotonic() - begun_s, spent_s


def _peer_said(sensors: int, seconds: list[float]) -> str:
    return f"mqtt-io, {sensors} sensors: {_said(seconds)}" if seconds else mqtt_io.ABSENT


def _peer_online_s(sensors: int) -> tuple[float, float]:
    with broker_and_folder() as (broker, folder, stack):
        heard = Heard(broker, "peer/status")
        stack.callback(heard.stop)
        begun_s = time.monotonic()
        config = mqtt_io.configuration(broker.port, sensors=sensors)
        process = stack.enter_context(mqtt_io.running(folder, config))
        return heard.wait(lambda _, said: said == b"running", 60) - begun_s, cpu_s(process.pid)


def _said(seconds: list[float]) -> str:
    return f"median {median(seconds):.2f} s, best {min(seconds):.2f} s"

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
PEER_RUNS = 3
LANES = 4
"""Of three devices each on ptys: a line scanner, a thermometer, a relay. That is twelve, ten were asked."""
BAR_S = 1.0
CPU_BAR_S = 0.22


def run() -> Iterator[Row]:
    """Alternates with the peer, so that both see the same machine."""
    few, _, few_cpu = zip(*(_online_s(1) for _ in range(RUNS)), strict=True)
    many, up, many_cpu = zip(*(_online_s(LANES) for _ in range(RUNS)), strict=True)
    one = ten = one_cpu = ten_cpu = mqtt_io.ABSENT
    if mqtt_io.python() is not None:
        (one, one_cpu), (ten, ten_cpu) = _peer(1), _peer(10)
    yield Row("online, 3 devices", _said(few), one)
    yield Row(f"online, {3 * LANES} devices", _said(many), ten, "≤ 1 s", median(many) <= BAR_S)
    yield Row(
        "CPU until then, 3 devices", _said(few_cpu), one_cpu, f"≤ {CPU_BAR_S} s", median(few_cpu) <= CPU_BAR_S
    )
    yield Row(f"CPU until then, {3 * LANES} devices", _said(many_cpu), ten_cpu)
    yield Row(f"all {3 * LANES} devices up", _said(up))


def _online_s(lanes: int) -> tuple[float, float, float]:
    """Seconds to "online", until its own report says that every device is up (once a second), and of CPU."""
    with kiosk_with({f"lane{number}": {} for number in range(lanes)}) as (kiosk, _, heard, _):
        begun_s = kiosk.start()
        online_s = heard.wait(lambda topic, said: topic.endswith("/state") and b'"online"' in said, 20)
        spent_s = cpu_s(kiosk.pid)
        kiosk.until_up()
        return online_s - begun_s, time.monotonic() - begun_s, spent_s


def _peer(sensors: int) -> tuple[str, str]:
    times, cpu = zip(*(_peer_online_s(sensors) for _ in range(PEER_RUNS)), strict=True)
    return tuple(f"mqtt-io, {sensors} sensors: {_said(each)}" for each in (times, cpu))


def _peer_online_s(sensors: int) -> tuple[float, float]:
    with broker_and_folder() as (broker, folder, stack):
        heard = Heard(broker, "peer/status")
        stack.callback(heard.stop)
        begun_s = time.monotonic()
        config = mqtt_io.configuration(broker.port, sensors=sensors)
        process = stack.enter_context(mqtt_io.running(folder, config))
        return heard.wait(lambda _, said: said == b"running", 60) - begun_s, cpu_s(process.pid)


def _said(seconds: list[float] | tuple[float, ...]) -> str:
    return f"median {median(seconds):.2f} s, best {min(seconds):.2f} s"

"""From the start of the process to its retained "online" at the broker."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import mqtt_io
from rig import Heard, broker_and_folder, kiosk_with
from rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS = 7
PEER_RUNS = 3
LANES = 4
"""Of three devices each on ptys: a line scanner, a thermometer, a relay. That is twelve, ten were asked."""
BAR_S = 1.0


def run() -> Iterator[Row]:
    """Alternates with the peer, so that both see the same machine."""
    few = sorted(_online_s(1)[0] for _ in range(RUNS))
    many, up = zip(*(_online_s(LANES) for _ in range(RUNS)), strict=True)
    one, ten = ("", "")
    if mqtt_io.python() is None:
        one = mqtt_io.ABSENT
    else:
        one = "mqtt-io 1 sensor: " + _said([_peer_online_s(1) for _ in range(PEER_RUNS)])
        ten = "mqtt-io 10 sensors: " + _said([_peer_online_s(10) for _ in range(PEER_RUNS)])
    yield Row("online, 3 devices", _said(few), one)
    yield Row(f"online, {3 * LANES} devices", _said(many), ten, "≤ 1 s", median(many) <= BAR_S)
    yield Row(f"all {3 * LANES} devices up", _said(up))


def _online_s(lanes: int) -> tuple[float, float]:
    """Seconds to "online", and until the retained state says that every device is up."""
    with kiosk_with({f"lane{number}": {} for number in range(lanes)}) as (kiosk, _, heard, _):
        begun_s = kiosk.start()
        online_s = heard.wait(lambda topic, said: topic.endswith("/state") and b'"online"' in said, 20)
        kiosk.until_up()
        return online_s - begun_s, time.monotonic() - begun_s


def _peer_online_s(sensors: int) -> float:
    with broker_and_folder() as (broker, folder, stack):
        heard = Heard(broker, "peer/status")
        stack.callback(heard.stop)
        begun_s = time.monotonic()
        stack.enter_context(mqtt_io.running(folder, mqtt_io.configuration(broker.port, sensors=sensors)))
        return heard.wait(lambda _, said: said == b"running", 60) - begun_s


def _said(seconds: list[float] | tuple[float, ...]) -> str:
    return f"median {median(seconds):.2f} s, best {min(seconds):.2f} s"

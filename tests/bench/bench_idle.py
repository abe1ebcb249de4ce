"""CPU while nobody comes: share of one core of this machine, and what one reading costs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import mqtt_io
from rig import Heard, broker_and_folder, cpu_of_all_s, cpu_s, kiosk_with
from rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 20.0
PEER_WARM_UP_S = 3.0
WARM_UP_S = 100.0
"""A camera reads its first view with every step, which takes a busy machine ten seconds, and for a minute and a
half the methods of classes are made, two classes a second (`agent/model/lazy.py`): that is still the start.
"""
THERMOMETERS_HZ = 14.0
CAMERA = {"width": 1280, "height": 720, "fps": 30.0}
CAMERA_BAR = 0.013
READING_BAR = 0.6
PEER_SENSORS = 10


def run() -> Iterator[Row]:
    """Without a camera, with one, the peer."""
    peer_us, peer = _peer()
    share = _idle({"one": {}, "two": {}})
    yield Row(
        f"2 lanes on ptys, thermometers at 14 a second, {WARM_UP_S:g} s after the start",
        f"{100 * share:.1f} % of a core",
    )
    reading_us = 1e6 * share / (2 * THERMOMETERS_HZ)
    yield Row(
        "CPU per reading, everything else included",
        f"{reading_us:.0f} µs",
        peer,
        f"≤ {READING_BAR:g} x the peer",
        None if peer_us is None else reading_us <= READING_BAR * peer_us,
    )
    share = _idle({"one": {"camera": CAMERA}, "two": {}})
    yield Row(
        "the same, one lane with a camera 1280 x 720 at 30 fps",
        f"{100 * share:.2f} % of a core",
        "",
        f"≤ {100 * CAMERA_BAR:.1f} %",
        share <= CAMERA_BAR,
    )


def _idle(lanes: dict[str, dict[str, Any]]) -> float:
    """Share of a core that the agent takes, with the process that its camera has for itself."""
    with kiosk_with(lanes) as (kiosk, _, _, _):
        kiosk.start()
        kiosk.until_up()
        time.sleep(WARM_UP_S)
        before, begun_s = cpu_of_all_s(kiosk.pid), time.monotonic()
        time.sleep(SECONDS)
        return (cpu_of_all_s(kiosk.pid) - before) / (time.monotonic() - begun_s)


def _peer() -> tuple[float | None, str]:
    """What mqtt-io takes for one reading of a mock sensor once a second, publishing it included."""
    if mqtt_io.python() is None:
        return None, mqtt_io.ABSENT
    with broker_and_folder() as (broker, folder, stack):
        heard = Heard(broker, "peer/sensor/#", "peer/status")
        stack.callback(heard.stop)
        config = mqtt_io.configuration(broker.port, sensors=PEER_SENSORS)
        process = stack.enter_context(mqtt_io.running(folder, config))
        heard.wait(lambda _, said: said == b"running", 60)
        time.sleep(PEER_WARM_UP_S)
        heard.drain()
        before = cpu_s(process.pid)
        time.sleep(SECONDS)
        spent_s, readings = cpu_s(process.pid) - before, len(heard.drain())
    if not readings:
        return None, f"mqtt-io: {100 * spent_s / SECONDS:.1f} % of a core, no reading came"
    reading_us = 1e6 * spent_s / readings
    return reading_us, f"mqtt-io, mock sensors: {reading_us:.0f} µs per reading, published ({readings} read)"

"""A link that falls silent for 20 seconds: how soon that is found, and what is lost.

Five events a second, or none, with default settings, to a mosquitto behind a router that stops forwarding
(`partition.py`). Measured: from the cut until the link says that it is down; which events a subscriber beside the
broker never got. The peer is paho's own loop, QoS 1, as one would write it, with its default keepalive of 60 s.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import paho.mqtt.client as paho
from event_load import TOPICS, passage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from partition import Partition, Unavailable
from receipt_load import until
from rows import Row

from agent import mqtt
from agent.events import Encoder
from agent.events.state import State
from agent.outbox import Options, Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUNS = 3
CUT_S = 20.0
PERIOD_S = 0.2
BAR_S = 15.0


def run() -> Iterator[Row]:
    """Events flowing, then idle, three times each; the peer once."""
    try:
        flowing = [_ours(flowing=True) for _ in range(RUNS)]
        idle = [_ours(flowing=False)[0] for _ in range(RUNS)]
        peer = _peer()
    except Unavailable as why:
        yield Row("a link that falls silent", f"not measured: {why}")
        return
    lost, sent = sum(each[1] for each in flowing), sum(each[2] for each in flowing)
    found = [each[0] for each in flowing]
    yield Row("found, events flowing", _seconds(found), _seconds([peer[0]]), f"≤ {BAR_S:g} s", max(found) <= BAR_S)
    yield Row("found, idle", _seconds(idle), "", f"≤ {BAR_S:g} s", max(idle) <= BAR_S)
    yield Row("events lost", f"{lost} of {sent}", f"{peer[1]} of {peer[2]} (kept in its memory)", "0", lost == 0)
    yield Row(
        "events that came twice (same id)", "; ".join(str(each[3]) for each in flowing), f"{peer[3]}, without an id"
    )


def _seconds(found: list[float]) -> str:
    return ", ".join(f"{each:.1f} s" if each < CUT_S else f"not within {CUT_S:g} s" for each in found)


def _ours(*, flowing: bool) -> tuple[float, int, int, int]:
    """(seconds from the cut until it is found, lost, sent, repeats)."""
    with tempfile.TemporaryDirectory(prefix="gp-half-") as name, Partition(Path(name)) as net:
        heard = Beside(net)
        outbox = Outbox(Options(path=Path(name) / "outbox.db"), Encoder(TOPICS))
        outbox.start()
        link = mqtt.Link(mqtt.Options(host=net.host), TOPICS, outbox, lambda: State("bench"))
        link.start()
        until(lambda: link.status().connected, 20)
        found_s, sent = _story(
            net, lambda number: outbox.store(passage(number)), lambda: not link.status().connected, flowing=flowing
        )
        until(lambda: outbox.status().waiting == 0, 60)
        until(lambda: len(heard.numbers()) >= sent, 5)
        link.stop(0.0)
        outbox.stop()
        numbers = heard.stop()
        return found_s, sent - len(set(numbers)), sent, len(numbers) - len(set(numbers))


def _peer() -> tuple[float, int, int, int]:
    """The same by hand."""
    with tempfile.TemporaryDirectory(prefix="gp-half-") as name, Partition(Path(name)) as net:
        heard = Beside(net)
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.connect(net.host, net.port)
        client.loop_start()
        until(client.is_connected, 20)
        topic = TOPICS.event("passage")

        def put(number: int) -> None:
            client.publish(topic, json.dumps({"data": {"duration_ms": number}}), qos=1)

        found_s, sent = _story(net, put, lambda: not client.is_connected(), flowing=True)
        until(lambda: len(set(heard.numbers())) >= sent, 60)
        client.loop_stop()
        numbers = heard.stop()
        return found_s, sent - len(set(numbers)), sent, len(numbers) - len(set(numbers))


def _story(
    net: Partition, put: Callable[[int], None], is_found: Callable[[], bool], *, flowing: bool
) -> tuple[float, int]:
    """(seconds from the cut until found, events put)."""
    sent, found_s, cut_s = 0, CUT_S, 0.0
    begun_s = time.monotonic()
    while (now_s := time.monotonic()) < begun_s + CUT_S + 6.0:
        if not cut_s and now_s > begun_s + 2.0:
            net.cut()
            cut_s = time.monotonic()
        if cut_s and found_s == CUT_S and is_found():
            found_s = time.monotonic() - cut_s
        if cut_s and now_s > cut_s + CUT_S:
            net.heal()
        if flowing and now_s >= begun_s + sent * PERIOD_S:
            put(sent)
            sent += 1
        time.sleep(0.02)
    return found_s, sent


class Beside:
    """A subscriber on the broker's side of the cut."""

    def __init__(self, net: Partition) -> None:
        words = [*net.beside, "mosquitto_sub", "-h", net.host, "-q", "1", "-V", "5", "-t", TOPICS.event("#")]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE)
        self._lines: list[bytes] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        time.sleep(0.5)

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._lines.append(line)

    def numbers(self) -> list[int]:
        """Of all events that came, in order."""
        return [json.loads(line)["data"]["duration_ms"] for line in list(self._lines)]

    def stop(self) -> list[int]:
        """The last word."""
        self._process.terminate()
        self._process.wait(10)
        self._thread.join(10)
        return self.numbers()

"""`gatepost fleet` over the retained states of a large fleet, against a plain paho loop that parses them."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from rig import Broker, broker_and_folder
from rows import Row

from agent.events import Topics
from agent.events.state import ALL_STATES, State, state_payload
from agent.model import InForce

if TYPE_CHECKING:
    from collections.abc import Iterator

KIOSKS = 5000
RUNS = 3
BAR_S = 1.0
HELD = tuple(InForce("list", name, 7, "bundle") for name in ("status", "watch", "tested"))
MAIN = "import sys; from agent.cli import main; sys.exit(main())"


def run() -> Iterator[Row]:
    """Alternates with the peer; the quickest of each."""
    with broker_and_folder() as (broker, _, _):
        _fill(broker)
        before_s = _children_cpu_s()
        ours, theirs = zip(*((_fleet_s(broker), _paho_s(broker)) for _ in range(RUNS)), strict=True)
        cpu_s = (_children_cpu_s() - before_s) / RUNS
    yield Row(
        f"{KIOSKS} retained states as a table, from the start of the process",
        f"{min(ours):.2f} s, {cpu_s:.2f} s of CPU",
        f"plain paho, states parsed, without its start: {min(theirs):.2f} s",
        f"≤ {BAR_S:g} s",
        min(ours) <= BAR_S,
    )


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _fill(broker: Broker) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.max_queued_messages_set(0)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    for number in range(KIOSKS):
        topics = Topics(f"site-{number // 50}", f"gate-{number}")
        sent = client.publish(topics.state, state_payload(topics, State("1.0", in_force=HELD)), qos=1, retain=True)
    sent.wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


def _fleet_s(broker: Broker) -> float:
    begun_s = time.monotonic()
    words = [sys.executable, "-c", MAIN, "fleet", f"127.0.0.1:{broker.port}", "--plain"]
    said = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout
    took_s = time.monotonic() - begun_s
    if f"{KIOSKS} kiosks, {KIOSKS} online" not in said:
        raise RuntimeError(f"not all kiosks are there: {said[:200]}")
    return took_s


def _paho_s(broker: Broker) -> float:
    found, is_done = [], threading.Event()

    def receive(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        found.append(json.loads(message.payload))
        if len(found) == KIOSKS:
            is_done.set()

    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_message = receive
    client.on_connect = lambda *_: client.subscribe(ALL_STATES, 0)
    begun_s = time.monotonic()
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    if not is_done.wait(60):
        raise TimeoutError(f"{len(found)} of {KIOSKS} states came")
    took_s = time.monotonic() - begun_s
    client.disconnect()
    client.loop_stop()
    return took_s

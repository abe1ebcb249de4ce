"""A short connection reads what is retained, and ends with that."""

from __future__ import annotations

import threading

import paho.mqtt.client as paho
import pytest

from agent.events import Topics
from agent.events.state import ALL_STATES
from agent.mqtt import Options, ShortConnection

BUSY = Topics("library", "busy").state


@pytest.fixture
def chatter(broker):
    """A kiosk of a fleet so large that some state always comes."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    is_over = threading.Event()

    def publish():
        while not is_over.wait(0.01):
            client.publish(BUSY, b"live", qos=0)

    thread = threading.Thread(target=publish)
    thread.start()
    yield
    is_over.set()
    thread.join()
    client.disconnect()
    client.loop_stop()


def test_what_is_retained_is_read_though_states_never_cease(broker, chatter):
    kept = [Topics("library", f"gate-{number}").state for number in range(20)]
    for topic in kept:
        broker.publish(topic, b"kept", retain=True)
    found = []

    def read():
        with ShortConnection(Options(port=broker.port), "short") as connection:
            found.extend(connection.read_retained(ALL_STATES))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(90)
    assert not thread.is_alive(), "it waits for a silence that never comes"
    assert {topic for topic, payload in found if payload == b"kept"} == set(kept)

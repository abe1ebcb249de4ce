"""A link on which packets vanish without a word: a real mosquitto behind a router that stops forwarding."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pytest

from agent import mqtt
from agent.events import Topics
from agent.events.state import State

BENCH = Path(__file__).parents[2] / "bench"
TOPICS = Topics("library", "gate-3")


@pytest.fixture
def net(tmp_path):
    """A broker behind a router, as in the measurement."""
    spec = importlib.util.spec_from_file_location("partition", BENCH / "partition.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        with module.Partition(tmp_path) as made:
            yield made
    except module.Unavailable as why:
        pytest.skip(str(why))


@pytest.fixture
def link(net, make_outbox):
    made = mqtt.Link(mqtt.Options(host=net.host), TOPICS, outbox := make_outbox(), lambda: State("1"))
    made.outbox = outbox
    made.start()
    yield made
    made.stop(0.0)


@pytest.mark.parametrize("flowing", [True, False])
def test_silence_is_found_with_default_settings_and_nothing_is_lost(net, link, passage_event, wait_for, flowing):
    wait_for(lambda: link.status().connected)
    subprocess.run(["mosquitto_pub", "-h", net.host, "-t", "ready", "-r", "-m", "ready"], check=True, timeout=120)
    words = [*net.beside, "mosquitto_sub", "-h", net.host, "-q", "1", "-t", TOPICS.event("#"), "-t", "ready"]
    with subprocess.Popen([*words, "-C", "31", "-W", "60"], stdout=subprocess.PIPE) as heard:
        assert heard.stdout.readline() == b"ready\n"
        for number in range(10):
            link.outbox.store(passage_event(number))
        wait_for(lambda: link.outbox.status().delivered == 10)
        net.cut()
        if flowing:
            for number in range(10, 20):
                link.outbox.store(passage_event(number))
        wait_for(lambda: not link.status().connected)
        assert ("acknowledgement" if flowing else "silent") in link.status().fault
        for number in range(20 if flowing else 10, 30):
            link.outbox.store(passage_event(number))
        net.heal()
        wait_for(lambda: link.outbox.status().waiting == 0)
        lines = heard.stdout.readlines()
    assert len(lines) == 30

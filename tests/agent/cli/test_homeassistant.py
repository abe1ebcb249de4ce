"""`gatepost homeassistant` at a real broker."""

import json

from agent.cli import main
from agent.events import Topics
from agent.events.state import DeviceState, State, offline_payload, state_payload
from agent.model import Role

ONLINE, AWAY = Topics("library", "gate-3"), Topics("library", "gate-4")
CONFIG = "homeassistant/device/gatepost_library_gate-3/config"


def test_told_shown_and_taken_back(broker, capsys):
    state = State("1.0", devices=(DeviceState("in", Role.SCANNER, "camera", up=True),))
    broker.publish(ONLINE.state, state_payload(ONLINE, state), retain=True)
    broker.publish(AWAY.state, offline_payload(AWAY, "1.0"), retain=True)
    words = ["homeassistant", f"127.0.0.1:{broker.port}", "--plain"]
    assert main([*words, "--print"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out.partition(" ")[2])["device"]["name"] == "library gate-3"
    assert "gate-4/state: the kiosk is offline" in said.err

    assert main(words) == 0
    assert capsys.readouterr().out == f"told of {CONFIG}\n"
    reader = broker.subscriber(topics="#")
    reader.wait_until(lambda: any(each.topic == CONFIG for each in reader.messages))

    assert main([*words, "--remove"]) == 0
    late = broker.subscriber(topics="#")
    late.wait_until(lambda: len(late.messages) >= 2)
    assert all(not each.topic.startswith("homeassistant/") for each in late.messages)


def test_a_broker_without_kiosks_or_none_at_all(broker, capsys):
    assert main(["homeassistant", f"127.0.0.1:{broker.port}", "--plain"]) == 1
    assert "no state of a kiosk that is online" in capsys.readouterr().err
    assert main(["homeassistant", "127.0.0.1:1", "--plain"]) == 1
    assert "nobody listens there" in capsys.readouterr().err

"""`gatepost fleet` at a real broker."""

import json

import pytest

from agent.cli import main
from agent.events import Topics
from agent.events.state import State, offline_payload, state_payload

KIOSKS = [Topics("library", f"gate-{number}") for number in range(3)]


def test_the_fleet_from_retained_states(broker, capsys):
    for topics in KIOSKS:
        broker.publish(topics.state, state_payload(topics, State("1.0")), retain=True)
    words = ["fleet", f"127.0.0.1:{broker.port}", "--plain"]
    assert main(words) == 0
    assert "3 kiosks, 3 online" in capsys.readouterr().out
    broker.publish(KIOSKS[0].state, offline_payload(KIOSKS[0], "1.0"), retain=True)
    assert main([*words, "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert [each["state"] for each in told["kiosks"]] == ["offline", "online", "online"]
    assert told["summary"]["software_versions"] == {"1.0": 2}


def test_no_kiosk_and_no_broker_are_told(broker, capsys):
    assert main(["fleet", f"127.0.0.1:{broker.port}", "--plain"]) == 1
    assert "no state of a kiosk" in capsys.readouterr().err
    assert main(["fleet", "127.0.0.1:1", "--plain"]) == 1
    assert capsys.readouterr().err == (
        "127.0.0.1:1: nobody listens there (is the broker running, is the port right?)\n"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--ca", "none.crt"], "--ca: none.crt is not there"),
        (["--cert", "none.crt"], "--cert: none.crt is not there"),
        (["--password-file", "none", "--username", "wall"], "--password-file: none is not there"),
        ([], "does not speak TLS (8883 is the usual port with TLS, 1883 the one in the clear: --plain)"),
    ],
)
def test_how_to_log_in_is_told_in_words_of_the_command(broker, capsys, words, told):
    assert main(["fleet", f"127.0.0.1:{broker.port}", *words]) == 1
    said = capsys.readouterr().err
    assert told in said
    assert "mqtt." not in said

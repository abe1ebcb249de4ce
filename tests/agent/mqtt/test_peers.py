"""What kiosks of a site tell each other over the one connection that each has: over a real broker."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent import mqtt
from agent.events import Topics
from agent.events.state import State
from agent.model.problems import ProblemCode

EVENTS = (Path(__file__).parents[3] / "docs" / "events.md").read_text()
ACCESS = textwrap.dedent(re.search(r"^    # acl_file\n(?:    .*\n)*", EVENTS, re.MULTILINE)[0])


class Heard:
    """Remembers what it is told."""

    def __init__(self):
        self.told = []

    def connected(self):
        self.told.append("connected")

    def disconnected(self):
        self.told.append("disconnected")

    def received(self, sender, payload):
        self.told.append((sender, payload))


@pytest.fixture
def make_kiosk(make_outbox, tmp_path):
    """A kiosk's link, with what it shares; the options say how."""
    made = []

    def make(port, name, channels=("used", "tally"), hear=lambda *_: None, **options):
        kiosk = SimpleNamespace(
            name=name,
            outbox=make_outbox(path=tmp_path / f"{len(made)}.db"),
            used=Heard(),
            tally=Heard(),
            channels={},
        )
        kiosk.link = mqtt.Link(
            mqtt.Options(host="127.0.0.1", port=port, **options),
            Topics("library", name),
            kiosk.outbox,
            lambda: State(software_version="1"),
            SimpleNamespace(receive=hear),
        )
        for channel in channels:
            kiosk.channels[channel] = kiosk.link.share(channel, getattr(kiosk, channel))
            kiosk.channels[channel].start()
        kiosk.link.start()
        made.append(kiosk)
        return kiosk

    yield make
    for kiosk in made:
        for channel in kiosk.channels.values():
            channel.stop()
        kiosk.link.stop(0.0)


@pytest.fixture
def guarded(make_broker, tmp_path):
    """A broker with the given acl_file for three kiosks, which knows each connection by its user."""
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto_passwd is not installed")

    def make(access, more="use_username_as_clientid true\n"):
        broker = make_broker()
        (tmp_path / "acl_file").write_text(access)
        (tmp_path / "passwords").touch()
        for user in ("library/gate-1", "library/gate-2", "museum/gate-1"):
            subprocess.run(["mosquitto_passwd", "-b", tmp_path / "passwords", user, "secret"], check=True)
        broker.config = (
            f"allow_anonymous false\nacl_file {tmp_path}/acl_file\npassword_file {tmp_path}/passwords\n{more}"
        )
        broker.start()
        return broker

    return make


def as_user(name):
    return {"username": f"library/{name}", "password": "secret"}


def test_one_connection_carries_events_commands_tickets_and_places_where_the_user_is_the_client_id(
    guarded, make_kiosk, passage_event, wait_for
):
    broker = guarded(ACCESS)
    one, two = (make_kiosk(broker.port, name, **as_user(name)) for name in ("gate-1", "gate-2"))
    wait_for(lambda: "connected" in one.used.told and "connected" in two.tally.told)
    wait_for(lambda: "connected" in one.tally.told and "connected" in two.used.told)
    assert one.channels["used"].send(b"a ticket")
    assert two.channels["tally"].send(b"places")
    for kiosk in (one, two):
        wait_for(lambda kiosk=kiosk: ("gate-1", b"a ticket") in kiosk.used.told)
        wait_for(lambda kiosk=kiosk: ("gate-2", b"places") in kiosk.tally.told)
        kiosk.outbox.store(passage_event(1))
        wait_for(lambda kiosk=kiosk: kiosk.outbox.status().delivered == 1)
        assert kiosk.link.status().connections == 1
        assert kiosk.link.status().findings == ()
        assert [channel.fault for channel in kiosk.channels.values()] == ["", ""]
        assert kiosk.used.told == ["connected", ("gate-1", b"a ticket")]
        assert kiosk.tally.told == ["connected", ("gate-2", b"places")]


def test_it_is_told_when_the_others_are_lost_and_when_they_are_there_again(make_broker, make_kiosk, wait_for):
    broker = make_broker()
    broker.start()
    kiosk = make_kiosk(broker.port, "gate-1", ("used",))
    wait_for(lambda: kiosk.used.told == ["connected"])
    broker.stop()
    wait_for(lambda: kiosk.used.told == ["connected", "disconnected"])
    assert not kiosk.channels["used"].send(b"to nobody")
    broker.start()
    wait_for(lambda: kiosk.used.told == ["connected", "disconnected", "connected"])


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_what_was_said_while_it_was_away_is_not_heard_later(broker, make_kiosk, wait_for, protocol):
    """A peer's word of half an hour ago would make it count as heard now."""
    one = make_kiosk(broker.port, "gate-1", ("used",), protocol=protocol)
    wait_for(lambda: one.used.told == ["connected"])
    one.channels["used"].stop()
    one.link.stop(1.0)
    for number in range(40):
        broker.publish("gatepost/v1/library/gate-2/used", b"old %d" % number)
    again = make_kiosk(broker.port, "gate-1", ("used",), protocol=protocol)
    wait_for(lambda: again.used.told == ["connected"])
    broker.publish("gatepost/v1/library/gate-2/used", b"new")
    wait_for(lambda: again.used.told[1:])
    assert again.used.told == ["connected", ("gate-2", b"new")]


def test_a_kiosk_that_shares_no_more_does_not_take_the_words_of_others_for_bundles(broker, make_kiosk, wait_for):
    one = make_kiosk(broker.port, "gate-1", ("used",))
    wait_for(lambda: one.used.told == ["connected"])
    one.link.stop(1.0)
    heard = []
    again = make_kiosk(broker.port, "gate-1", (), hear=lambda *message: heard.append(message))
    wait_for(lambda: again.link.status().listening)
    broker.publish("gatepost/v1/library/gate-2/used", b"for those who share")
    broker.publish("gatepost/v1/$all/bundle/keys", b"keys")
    wait_for(lambda: heard)
    assert heard == [("gatepost/v1/$all/bundle/keys", b"keys")]


@pytest.mark.parametrize("missing", ["write gatepost/v1/%u/used", "read gatepost/v1/+/+/used"])
def test_a_right_that_is_missing_is_named_and_costs_no_events(
    guarded, make_kiosk, passage_event, wait_for, monkeypatch, missing
):
    """mosquitto refuses to read in silence."""
    monkeypatch.setattr("agent.mqtt.peers.RETURN_S", 0.2)
    broker = guarded(ACCESS.replace(f"pattern {missing}\n", ""))
    kiosk = make_kiosk(broker.port, "gate-1", ("used",), **as_user("gate-1"))
    wait_for(lambda: kiosk.channels["used"].fault)
    fault = kiosk.channels["used"].fault
    assert "gatepost/v1/library/gate-1/used" in fault
    assert "gatepost/v1/library/+/used" in fault
    (component,) = kiosk.channels["used"].health()
    assert [finding.code for finding in component.findings] == [ProblemCode.PEERS_NOT_HEARD]
    assert kiosk.used.told == []
    kiosk.outbox.store(passage_event(1))
    wait_for(lambda: kiosk.outbox.status().delivered == 1)
    assert kiosk.link.status().connections == 1


def test_a_kiosk_cannot_speak_for_another(guarded, make_kiosk, wait_for):
    broker = guarded(ACCESS)
    kiosk = make_kiosk(broker.port, "gate-1", ("used",), **as_user("gate-1"))
    wait_for(lambda: kiosk.used.told == ["connected"])
    for user, topic in (("library/gate-2", "library/gate-1"), ("museum/gate-1", "library/gate-1")):
        words = ["-h", "127.0.0.1", "-p", str(broker.port), "-u", user, "-P", "secret", "-V", "5", "-q", "1"]
        command = ["mosquitto_pub", *words, "-t", f"gatepost/v1/{topic}/used", "-m", "false"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
        assert "Not authorized" in done.stdout + done.stderr
    kiosk.channels["used"].send(b"true")
    wait_for(lambda: kiosk.used.told[1:])
    assert kiosk.used.told[1:] == [("gate-1", b"true")]


def test_a_broker_that_ends_the_connection_at_what_is_shared_gets_the_events(
    scripted, make_kiosk, passage_event, wait_for
):
    """It hangs up each time, without a word; after three times it is left out."""
    broker = scripted(hates_topic=b"/used")
    kiosk = make_kiosk(broker.port, "gate-1", ("used",), reconnect_max_s=1.0)
    kiosk.outbox.store(passage_event(1))
    wait_for(lambda: kiosk.outbox.status().delivered == 1)
    wait_for(lambda: any(finding.code is ProblemCode.BROKER_TERMS for finding in kiosk.link.status().findings))
    assert "what kiosks share" in kiosk.link.status().fault
    before = kiosk.link.status().connections
    kiosk.outbox.store(passage_event(2))
    wait_for(lambda: kiosk.outbox.status().delivered == 2)
    assert kiosk.link.status().connections == before

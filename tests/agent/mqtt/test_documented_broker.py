"""The broker of docs/events.md as it stands there: who may say and hear what; and its bridge."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from agent.control.inbox import MessageInbox
from agent.events import Topics
from agent.events.state import State
from agent.mqtt import Link, Options

TEXT = (Path(__file__).parents[3] / "docs" / "events.md").read_text()
OURS, OTHERS = "gatepost/v1/library/gate-3", "gatepost/v1/library/gate-4"


def block(first):
    """The indented lines of the document that begin with this one."""
    found = re.search(rf"^    {re.escape(first)}\n(?:    .*\n)*", TEXT, re.MULTILINE)
    assert found is not None
    return textwrap.dedent(found[0])


def without(settings, *names):
    """Without what is of one place: ports, files of TLS, passwords."""
    return re.sub(rf"^(?:{'|'.join(names)}) .*\n", "", settings, flags=re.MULTILINE)


KIOSKS = {
    "gate-3": Topics("library", "gate-3", ("north", "wave-1")),
    "gate-4": Topics("library", "gate-4", ("south",)),
    "door-1": Topics("school", "door-1", ("north",)),
}


@pytest.fixture
def documented(make_broker, tmp_path):
    """A broker as documented, but for TLS."""
    broker = make_broker()
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto_passwd is not installed")
    (tmp_path / "acl_file").write_text(block("# acl_file"))
    (tmp_path / "passwords").touch()
    for user in ("server", *(f"{each.site}/{each.kiosk}" for each in KIOSKS.values())):
        subprocess.run(["mosquitto_passwd", "-b", tmp_path / "passwords", user, "secret"], check=True)
    settings = without(
        block("# mosquitto.conf"), "listener", "cafile", "certfile", "keyfile", "persistence_location"
    )
    broker.config = settings.replace("/etc/mosquitto/", f"{tmp_path}/")
    broker.config += f"persistence_location {broker.folder}/\n"
    broker.start()
    return broker


@pytest.fixture
def say(documented):
    """`say(program, user, *words)`: what mosquitto's clients answer."""

    def asked(program, user, *words):
        who = ["-u", user, "-P", "secret"] if user else []
        whole = [program, "-h", "127.0.0.1", "-p", str(documented.port), "-V", "5", "-q", "1", *who, *words]
        done = subprocess.run(whole, check=False, capture_output=True, text=True, timeout=120)
        return done.stdout + done.stderr

    return asked


def test_a_kiosk_says_only_its_own(say):
    allowed = [("library/gate-3", f"{OURS}/event/passage"), ("library/gate-3", f"{OURS}/state")]
    allowed += [("server", f"{OURS}/{word}") for word in ("command", "receipt", "bundle/list/status")]
    allowed += [("server", "gatepost/v1/$all/bundle/privacy"), ("server", "gatepost/v1/$group/north/command")]
    allowed += [("server", "gatepost/v1/library/$all/command")]
    theirs = [f"{OURS}/command", f"{OURS}/receipt", f"{OURS}/bundle/keys", "gatepost/v1/$all/bundle/keys"]
    theirs += [
        "gatepost/v1/library/$all/command",
        "gatepost/v1/$group/north/bundle/keys",
        "gatepost/v1/$all/command",
    ]
    theirs += [f"{OTHERS}/event/passage", f"{OTHERS}/state", "gatepost/v1/museum/gate-3/event/passage"]
    refused = [("library/gate-3", topic) for topic in theirs]
    refused += [("server", f"{OURS}/event/passage"), ("server", f"{OURS}/state"), ("", f"{OURS}/command")]
    answers = {each: say("mosquitto_pub", each[0], "-t", each[1], "-m", "x") for each in (*allowed, *refused)}
    assert {each for each, answer in answers.items() if not answer} == set(allowed)
    assert all("Not authorized" in answers[each] or "rotocol error" in answers[each] for each in refused)


def test_a_kiosk_hears_only_its_own(say):
    for user, topic in [
        ("library/gate-4", f"{OTHERS}/state"),
        ("server", f"{OTHERS}/command"),
        ("server", f"{OURS}/command"),
    ]:
        assert say("mosquitto_pub", user, "-r", "-t", topic, "-m", "x") == ""
    words = ["-t", f"{OTHERS}/#", "-t", f"{OURS}/#", "-C", "1", "-F", "%t"]
    assert say("mosquitto_sub", "library/gate-3", *words) == f"{OURS}/command\n"
    assert say("mosquitto_sub", "server", *words).startswith(OTHERS), "the broker sends them in this order"


SHARED = {
    "gatepost/v1/library/gate-3": "gate-3",
    "gatepost/v1/library/$all": "gate-3 gate-4",
    "gatepost/v1/$group/north": "gate-3 door-1",
    "gatepost/v1/$group/wave-1": "gate-3",
    "gatepost/v1/$group/south": "gate-4",
    "gatepost/v1/$group/west": "",
    "gatepost/v1/$all": "gate-3 gate-4 door-1",
}
"""What a topic begins with → who reads it."""


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_each_kiosk_reads_what_is_for_its_site_and_its_groups(
    documented, say, make_outbox, wait_for, tmp_path, protocol
):
    inboxes = {name: MessageInbox(topics.commands) for name, topics in KIOSKS.items()}
    links = []
    for name, topics in KIOSKS.items():
        who = {"username": f"{topics.site}/{name}", "password": "secret", "protocol": protocol}
        outbox = make_outbox(path=str(tmp_path / f"{name}.db"))
        options = Options(host="127.0.0.1", port=documented.port, **who)
        links.append(Link(options, topics, outbox, lambda: State("1"), inboxes[name]))
        links[-1].start()
    try:
        wait_for(lambda: all(link.status().listening for link in links))
        for place in SHARED:
            assert say("mosquitto_pub", "server", "-t", f"{place}/command", "-m", f"command {place}") == ""
            assert say("mosquitto_pub", "server", "-r", "-t", f"{place}/bundle/keys", "-m", f"bundle {place}") == ""
        for name, inbox in inboxes.items():
            places = {place for place, readers in SHARED.items() if name in readers.split()}
            wanted = {f"{kind} {place}" for place in places for kind in ("command", "bundle")}
            read = {}
            wait_for(lambda read=read, inbox=inbox, wanted=wanted: _read_all(inbox, read) >= wanted)
            assert read.keys() == wanted
            assert all(is_command == text.startswith("command") for text, is_command in read.items())
    finally:
        for link in links:
            link.stop(1.0)


def _read_all(inbox, read):
    """Which texts have come; `read`: text → whether it came as a command."""
    while (item := inbox.next_message(0.01)) is not None:
        read[item[1].decode()] = item[0]
    return read.keys()


def test_the_bridge_hands_on_each_way(make_broker):
    server, site = make_broker(), make_broker()
    bridge = without(block("connection server"), "address", "bridge_cafile", "remote_username", "remote_password")
    site.config += f"{bridge}address 127.0.0.1:{server.port}\n"
    server.start()
    down = [f"{OURS}/receipt", f"{OURS}/bundle/list/status", "gatepost/v1/$all/bundle/privacy"]
    down += ["gatepost/v1/library/$all/bundle/keys", "gatepost/v1/$group/north/bundle/keys"]
    for topic in down:
        server.publish(topic, b"{}", retain=True)
    site.start()
    hears = site.subscriber()
    hears.wait_until(lambda: set(down) <= {message.topic for message in hears.messages})
    there = server.subscriber()
    server.publish(f"{OURS}/command", b"{}")
    hears.wait_until(lambda: f"{OURS}/command" in {message.topic for message in hears.messages})
    for topic in (f"{OURS}/event/passage", f"{OURS}/state"):
        site.publish(topic, b'{"state": ""}', retain=topic.endswith("state"))
        there.wait_until(lambda topic=topic: topic in {message.topic for message in there.messages})

"""The broker of docs/events.md as it stands there: who may say and hear what; and its bridge."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

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


@pytest.fixture
def say(make_broker, tmp_path):
    """`say(program, user, *words)`: what mosquitto's clients answer at a broker as documented, but for TLS."""
    broker = make_broker()
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto_passwd is not installed")
    (tmp_path / "acl_file").write_text(block("# acl_file"))
    (tmp_path / "passwords").touch()
    for user in ("library/gate-3", "library/gate-4", "centre"):
        subprocess.run(["mosquitto_passwd", "-b", tmp_path / "passwords", user, "secret"], check=True)
    settings = without(
        block("# mosquitto.conf"), "listener", "cafile", "certfile", "keyfile", "persistence_location"
    )
    broker.config = settings.replace("/etc/mosquitto/", f"{tmp_path}/")
    broker.config += f"persistence_location {broker.folder}/\n"
    broker.start()

    def asked(program, user, *words):
        who = ["-u", user, "-P", "secret"] if user else []
        whole = [program, "-h", "127.0.0.1", "-p", str(broker.port), "-V", "5", "-q", "1", *who, *words]
        done = subprocess.run(whole, check=False, capture_output=True, text=True, timeout=20)
        return done.stdout + done.stderr

    return asked


def test_a_kiosk_says_only_its_own(say):
    allowed = [("library/gate-3", f"{OURS}/event/passage"), ("library/gate-3", f"{OURS}/state")]
    allowed += [("centre", f"{OURS}/{word}") for word in ("command", "receipt", "bundle/list/status")]
    allowed += [("centre", "gatepost/v1/$all/bundle/privacy")]
    theirs = [f"{OURS}/command", f"{OURS}/receipt", f"{OURS}/bundle/keys", "gatepost/v1/$all/bundle/keys"]
    theirs += [f"{OTHERS}/event/passage", f"{OTHERS}/state", "gatepost/v1/museum/gate-3/event/passage"]
    refused = [("library/gate-3", topic) for topic in theirs]
    refused += [("centre", f"{OURS}/event/passage"), ("centre", f"{OURS}/state"), ("", f"{OURS}/command")]
    answers = {each: say("mosquitto_pub", each[0], "-t", each[1], "-m", "x") for each in (*allowed, *refused)}
    assert {each for each, answer in answers.items() if not answer} == set(allowed)
    assert all("Not authorized" in answers[each] or "rotocol error" in answers[each] for each in refused)


def test_a_kiosk_hears_only_its_own(say):
    for user, topic in [
        ("library/gate-4", f"{OTHERS}/state"),
        ("centre", f"{OTHERS}/command"),
        ("centre", f"{OURS}/command"),
    ]:
        assert say("mosquitto_pub", user, "-r", "-t", topic, "-m", "x") == ""
    words = ["-t", f"{OTHERS}/#", "-t", f"{OURS}/#", "-C", "1", "-F", "%t"]
    assert say("mosquitto_sub", "library/gate-3", *words) == f"{OURS}/command\n"
    assert say("mosquitto_sub", "centre", *words).startswith(OTHERS), "the broker sends them in this order"


def test_the_bridge_hands_on_each_way(make_broker):
    centre, site = make_broker(), make_broker()
    bridge = without(block("connection centre"), "address", "bridge_cafile", "remote_username", "remote_password")
    site.config += f"{bridge}address 127.0.0.1:{centre.port}\n"
    centre.start()
    down = [f"{OURS}/receipt", f"{OURS}/bundle/list/status", "gatepost/v1/$all/bundle/privacy"]
    for topic in down:
        centre.publish(topic, b"{}", retain=True)
    site.start()
    hears = site.subscriber()
    hears.wait_until(lambda: set(down) <= {message.topic for message in hears.messages})
    there = centre.subscriber()
    centre.publish(f"{OURS}/command", b"{}")
    hears.wait_until(lambda: f"{OURS}/command" in {message.topic for message in hears.messages})
    for topic in (f"{OURS}/event/passage", f"{OURS}/state"):
        site.publish(topic, b'{"state": ""}', retain=topic.endswith("state"))
        there.wait_until(lambda topic=topic: topic in {message.topic for message in there.messages})

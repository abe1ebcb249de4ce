"""`probe` tries the broker as the service would and says in one sentence each what is wrong."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.events import CHANNELS, Topics
from agent.model import ClockState, TimeBounds
from agent.mqtt import Options
from agent.mqtt.probe import probe

ROOT = "gatepost/v1/library/gate-3"
TOPICS = Topics("library", "gate-3")
OURS = {"username": "library/gate-3", "password": "secret"}
ACCESS = "".join(
    f"{line.strip()}\n"
    for line in re.findall(
        r"^    (pattern .*)$", (Path(__file__).parents[3] / "docs" / "events.md").read_text(), re.MULTILINE
    )
)
"""What docs/events.md grants a kiosk."""


SHARING = {"channels": CHANNELS, "renews": True}


def look(port, host="127.0.0.1", connect_s=5.0, channels=(), renews=False, **options):
    utc_s = time.time()
    now = TimeBounds(utc_s, utc_s, ClockState.SYNCED)
    options = Options(host=host, port=port, connect_timeout_s=connect_s, **options)
    return probe(options, TOPICS, now, channels, renews=renews)


def only_fault(*args, **options):
    found = look(*args, **options)
    assert len(found.faults) == 1, found
    return found.faults[0]


@pytest.fixture
def guarded(make_broker):
    """A broker with passwords and an access list, which the test gives."""

    def make(access=ACCESS, more=""):
        broker = make_broker()
        passwords, list_ = broker.folder / "passwords", broker.folder / "acl"
        passwords.touch()
        for user in ("library/gate-3", "library/gate-4"):
            subprocess.run(["mosquitto_passwd", "-b", passwords, user, "secret"], check=True)
        list_.write_text(access)
        broker.config = broker.config.replace("allow_anonymous true", "allow_anonymous false")
        broker.config += f"password_file {passwords}\nacl_file {list_}\n{more}"
        broker.start()
        return broker

    return make


def test_a_broker_that_hangs_up_on_5_is_told_with_its_setting(scripted):
    found = look(scripted(hangs_up_on_5=True, suback=(1,) * 12).port)
    assert found.faults == []
    assert any('protocol = "3.1.1"' in remark for remark in found.remarks)
    assert "hangs up on our greeting" in only_fault(scripted(ungreeted=9).port)
    refusing = look(scripted(hangs_up_on_5=True, suback=(0x80,) * 12).port)
    assert any("may not read" in fault for fault in refusing.faults), "what it refuses in 3.1.1 is not hidden"
    assert any('protocol = "3.1.1"' in remark for remark in refusing.remarks)


@pytest.mark.parametrize("protocol", ["auto", "5", "3.1.1"])
def test_all_is_well_and_nothing_is_left_behind(broker, protocol):
    broker.publish(f"{ROOT}/state", b"of the service", retain=True)
    broker.publish(f"{ROOT}/bundle/keys", b"x", retain=True)
    found = look(broker.port, protocol=protocol)
    assert found.faults == []
    assert {f"delivers {ROOT}/state", f"delivers {ROOT}/bundle/#"} <= set(found.shown)
    assert ([f"takes {ROOT}/event/check", f"takes {ROOT}/state"] == found.shown[-2:]) == (protocol != "3.1.1")
    heard = broker.subscriber()
    heard.wait_until(lambda: len(heard.messages) == 2)
    assert {message.payload for message in heard.messages} == {b"of the service", b"x"}


def test_a_running_link_keeps_its_connection(broker, make_link, wait_for):
    link = make_link(broker.port)
    wait_for(lambda: link.status().listening)
    assert look(broker.port).faults == []
    assert link.status().connections == 1


def test_what_waits_for_the_service_is_left_to_it(guarded, make_link, wait_for):
    """Where the broker puts the user name in place of the client id, the probe gets the session of the service."""
    access = ACCESS + "user library/gate-4\ntopic write gatepost/v1/#\n"
    broker = guarded(access, "use_username_as_clientid true\n")
    link = make_link(broker.port, **OURS)
    wait_for(lambda: link.status().listening)
    link.stop(1.0)
    words = ["-h", "127.0.0.1", "-p", str(broker.port), "-u", "library/gate-4", "-P", "secret"]
    command = ["mosquitto_pub", *words, "-q", "1", "-t", f"{ROOT}/command", "-m", "waits"]
    subprocess.run(command, check=True, timeout=120)
    found = look(broker.port, **OURS)
    assert found.faults == []
    assert any("use_username_as_clientid" in remark for remark in found.remarks)
    heard = []
    make_link(broker.port, link.outbox, hear=lambda *message: heard.append(message), **OURS)
    wait_for(lambda: heard)
    assert heard == [(f"{ROOT}/command", b"waits")]


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert "nobody listens there (is the broker running, is the port right?)" in only_fault(port)


def test_no_such_name():
    fault = only_fault(1883, host="no-such-host.invalid")
    assert "nothing has this name" in fault or "no name server answers" in fault


def test_silence():
    with socket.create_server(("127.0.0.1", 0)) as server:
        fault = only_fault(server.getsockname()[1], connect_s=0.3)
    assert "answers, but not as an MQTT broker" in fault


def test_tls_on_a_plain_port_and_the_reverse(broker, tls_broker, tmp_path):
    assert "does not speak TLS" in only_fault(broker.port, tls=True, renewed_cert_file=tmp_path / "none")
    secured, _ = tls_broker()
    assert "does it want TLS? tls = true" in only_fault(secured.port)


def test_all_is_well_with_tls(tls_broker, tmp_path):
    broker, options = tls_broker()
    assert look(broker.port, host="localhost", renewed_cert_file=tmp_path / "none", **options).faults == []


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"days": -1.0}, "it has expired (have it renewed; or is this kiosk's clock ahead? it says 20"),
        ({"starts_days": 10.0}, "it is not yet valid (is this kiosk's clock behind? it says 20"),
        ({"name": "elsewhere"}, "it is not for the name localhost"),
    ],
)
def test_certificates_of_the_broker(tls_broker, tmp_path, how, why):
    broker, options = tls_broker(**how)
    assert why in only_fault(broker.port, host="localhost", renewed_cert_file=tmp_path / "none", **options)


def test_another_authority(tls_broker, tmp_path, pair):
    broker, options = tls_broker()
    pair(tmp_path, "other")
    options["ca_file"] = tmp_path / "other.crt"
    fault = only_fault(broker.port, host="localhost", renewed_cert_file=tmp_path / "none", **options)
    assert "(ca_file must be of the authority that signed it)" in fault


def test_no_certificate_of_our_own(tls_broker, tmp_path):
    broker, options = tls_broker()
    own = {"tls": True, "ca_file": options["ca_file"], "renewed_cert_file": tmp_path / "none"}
    fault = only_fault(broker.port, host="localhost", **own)
    assert "certificate (cert_file and key_file)" in fault or "cert_file, key_file" in fault


def test_files_of_tls_that_cannot_be_used(tls_broker, tmp_path):
    broker, options = tls_broker()
    options["key_file"].unlink()
    fault = only_fault(broker.port, host="localhost", renewed_cert_file=tmp_path / "none", **options)
    assert "mqtt.key_file" in fault


def test_login(guarded):
    broker = guarded()
    fault = only_fault(broker.port, **{**OURS, "password": "wrong"})
    assert "is library/gate-3 known to the broker, and the password right?" in fault
    assert "it wants a user: username, password in [mqtt]" in only_fault(broker.port)


def test_reading_is_never_claimed_because_a_subscription_was_accepted(guarded):
    """mosquitto accepts each subscription, and delivers nothing of what its acl_file forbids."""
    for access in (ACCESS, ACCESS.replace("pattern read gatepost/v1/%u/command\n", "")):
        found = look(guarded(access).port, **OURS)
        assert found.faults == []
        assert not any("delivers" in each for each in found.shown)
        assert any(f"whether it delivers {ROOT}/command" in remark for remark in found.remarks), found


def test_with_mqtt_3_1_1_writing_is_never_claimed(guarded):
    broker = guarded("topic read nothing\n")
    found = look(broker.port, protocol="3.1.1", **OURS)
    assert not any("takes" in each for each in found.shown)
    assert any("MQTT 3.1.1 acknowledges also what is refused" in remark for remark in found.remarks)


def test_the_user_of_another_kiosk(guarded):
    found = look(guarded().port, **{**OURS, "username": "library/gate-4"})
    assert all('username in [mqtt] is usually "library/gate-3"' in fault for fault in found.faults)
    assert [fault.split(": ")[0] for fault in found.faults] == [
        f"library/gate-4 may not write {ROOT}/event/check",
        f"library/gate-4 may not write {ROOT}/state",
    ]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("pattern write gatepost/v1/%u/event/#\n", f"may not write {ROOT}/event/check"),
        ("pattern readwrite gatepost/v1/%u/state\n", f"may not write {ROOT}/state"),
    ],
)
def test_one_right_that_is_missing(guarded, line, what):
    assert line in ACCESS
    assert what in only_fault(guarded(ACCESS.replace(line, "")).port, **OURS)


def test_a_broker_that_keeps_nothing(make_broker):
    broker = make_broker()
    broker.config += "retain_available false\n"
    broker.start()
    assert "keeps no retained messages" in only_fault(broker.port)


@pytest.mark.parametrize("protocol", ["auto", "3.1.1"])
def test_what_kiosks_share_and_the_renewal(guarded, protocol):
    """Both rights of a shared topic are shown, in every version: what is published there comes back."""
    found = look(guarded().port, protocol=protocol, **SHARING, **OURS)
    assert found.faults == []
    for channel in CHANNELS:
        assert f"takes {ROOT}/{channel}, and delivers gatepost/v1/library/+/{channel}" in found.shown
    assert (f"takes {ROOT}/renewal/request" in found.shown) == (protocol != "3.1.1")


@pytest.mark.parametrize("protocol", ["auto", "3.1.1"])
@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("line", ["pattern write gatepost/v1/%u/{}\n", "pattern read gatepost/v1/+/+/{}\n"])
def test_one_right_to_share_that_is_missing(guarded, channel, line, protocol):
    line = line.format(channel)
    assert line in ACCESS
    broker = guarded(ACCESS.replace(line, ""))
    fault = only_fault(broker.port, connect_s=1.0, protocol=protocol, **SHARING, **OURS)
    assert f"may not write {ROOT}/{channel}, or not read gatepost/v1/library/+/{channel}" in fault


def test_the_right_to_ask_for_a_renewal_is_missing(guarded):
    line = "pattern write gatepost/v1/%u/renewal/request\n"
    assert line in ACCESS
    assert f"may not write {ROOT}/renewal/request" in only_fault(
        guarded(ACCESS.replace(line, "")).port, **SHARING, **OURS
    )


def test_other_kiosks_pass_over_the_word_of_a_probe(broker, make_link, wait_for):
    heard = []
    peers = SimpleNamespace(
        connected=lambda: heard.append("open"), disconnected=lambda: None, received=lambda *said: heard.append(said)
    )
    link = make_link(broker.port)
    channel = link.share("used", peers)
    channel.start()
    wait_for(lambda: heard)
    assert look(broker.port, **SHARING).faults == []
    channel.send(b"{}")
    wait_for(lambda: len(heard) > 1)
    channel.stop()
    assert heard == ["open", ("gate-3", b"{}")]

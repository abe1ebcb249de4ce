"""Enrolment over a real broker with TLS: the pinned key, the rights of strangers, the whole way by command line."""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest_enrolment import Office, make_root

from agent.cli.demo.broker import Broker, MissingProgram
from agent.crypto import signing
from agent.enrolment import authority, certificates, exchange_mqtt, invitation, service
from agent.enrolment.authority import Authority, AuthoritySettings
from agent.enrolment.kiosk import Enrolment
from agent.mqtt import Options
from tests import command_line

ACL = """\
user authority
topic read gatepost/v1/$enrol/+/request
topic write gatepost/v1/$enrol/+/answer
pattern write gatepost/v1/$enrol/%c/request
pattern read gatepost/v1/$enrol/%c/answer
"""


def server_certificate(folder: Path) -> Path:
    """A broker's key and certificate, self-signed, long ended: its dates must not matter to a kiosk in 1970."""
    key, certificate = certificates.new_authority("another.name", 1, now_utc=1_000_000_000)
    (folder / "broker.key").write_text(key)
    (folder / "broker.crt").write_text(certificate)
    return folder / "broker.crt"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    folder = tmp_path / "broker"
    folder.mkdir()
    certificate = server_certificate(folder)
    (folder / "acl").write_text(ACL)
    settings = f"certfile {certificate}\nkeyfile {folder}/broker.key\nacl_file {folder}/acl\nallow_anonymous true\n"
    try:
        made = Broker(folder, settings)
    except MissingProgram as missing:
        pytest.skip(str(missing))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def served(broker: Broker, tmp_path: Path) -> Iterator[Office]:
    """An authority that listens at the broker."""
    key, now = signing.new_private_key(), time.time()
    pin = invitation.encoded(certificates.pin_of((broker.folder / "broker.crt").read_bytes()))
    settings = AuthoritySettings("city", "127.0.0.1", broker.port, (pin,), str(make_root(tmp_path, key)))
    authority.create(tmp_path / "authority", settings, now)
    office = Office(Authority(tmp_path / "authority"), tmp_path / "authority", key)
    stopping, listening = threading.Event(), threading.Event()

    def listen() -> None:
        options = Options(host="127.0.0.1", port=broker.port, username="authority")
        tls = exchange_mqtt.pinned([invitation.decoded(pin)])
        with suppress(exchange_mqtt.ExchangeFailed):  # the broker may be taken away
            exchange_mqtt.serve(
                options,
                lambda data: office.authority.handle(data, time.time()),
                stopping.is_set,
                listening.set,
                tls,
            )

    thread = threading.Thread(target=listen)
    thread.start()
    assert listening.wait(90)
    yield office
    stopping.set()
    thread.join(90)


def invite(office: Office, kiosk: str = "k1") -> bytes:
    return office.authority.invite("east", kiosk, 7, [office.key], time.time())[1]


def test_a_kiosk_asks_and_is_a_member(served: Office, kiosk: Enrolment) -> None:
    invited = kiosk.follow(invite(served))
    assert service.once(kiosk, invited) == ""
    assert kiosk.identity.exists()


def test_who_waits_is_a_member_once_a_person_has_confirmed(served: Office, kiosk: Enrolment) -> None:
    """Also after it has asked several times: the broker brings no answer of before."""
    invited = kiosk.follow(invite(served, ""))
    for _ in range(3):
        assert service.once(kiosk, invited).startswith("waits for somebody to confirm")
    served.authority.approve(kiosk.fingerprint, "east/k1")
    assert service.once(kiosk, invited) == ""


def test_a_broker_with_another_key_is_told_nothing(served: Office, kiosk: Enrolment, broker: Broker) -> None:
    """A man in the middle has a certificate of his own; the request must not reach him."""
    invited = kiosk.follow(invite(served))
    server_certificate(broker.folder)
    broker.stop()
    broker.start()
    assert "key is not the one that the invitation names" in service.once(kiosk, invited)
    assert kiosk.fingerprint not in broker.log
    assert not kiosk.identity.exists()
    broker.config = broker.config.replace("certfile", "#certfile").replace("keyfile", "#keyfile")
    broker.stop()
    broker.start()
    assert service.once(kiosk, invited), "nor is one without TLS"
    assert kiosk.fingerprint not in broker.log


@pytest.mark.parametrize("clock", ["0.0", "4e9"])
def test_a_kiosk_whose_clock_is_wrong_enrols(served: Office, tmp_path: Path, clock: str) -> None:
    """In 1970, or far ahead: the pinned key and the token tell who is who. The authority's clock is right."""
    program = f"import sys, time; time.time = lambda: {clock}; from agent.cli import main; sys.exit(main())"
    (tmp_path / "gatepost.invitation").write_bytes(invite(served))
    words = [sys.executable, "-c", program, "enrol", "-c", tmp_path / "kiosk/agent.toml"]
    words.append(tmp_path / "gatepost.invitation")
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, timeout=120)
    assert "Enrolled" in done.stdout, done.stdout + done.stderr
    assert certificates.about((tmp_path / "kiosk/client.pem").read_text()).name == "east/k1"


def test_nobody_asks_or_answers_in_anothers_place(served: Office, kiosk: Enrolment, tmp_path: Path) -> None:
    invited = kiosk.follow(invite(served))
    request = kiosk.request("", "")
    other = "f" * 64
    options = Options(host=invited.host, port=invited.port)
    with pytest.raises(exchange_mqtt.ExchangeFailed):
        exchange_mqtt.send_request(options, other, request, invited.pins, limit_s=3)
    assert service.once(kiosk, invited) == "", "the rightful one is served all the same"


def test_the_service_waits_for_an_invitation_and_enrols(
    served: Office, tmp_path: Path, wait_for: Callable[..., object]
) -> None:
    shown: list[bytes] = []
    ended: list[bool] = []
    stopping = threading.Event()
    looks = (lambda: [b"no invitation"], lambda: shown)
    thread = threading.Thread(
        target=lambda: ended.append(
            service.run(tmp_path / "kiosk", stopping.is_set, looks, lambda _: stopping.wait(0.05))
        )
    )
    thread.start()
    shown.append(invite(served))
    wait_for(lambda: ended == [True])
    thread.join()
    assert (tmp_path / "kiosk/identity.toml").exists()


@pytest.mark.parametrize("newest_last", [True, False])
def test_an_invitation_that_has_ended_does_not_hold_up_another(
    served: Office, tmp_path: Path, newest_last: bool
) -> None:
    """A card may still hold the last one, and a stranger may leave one that nobody knows."""
    ended = invite(served, "k9")
    served.authority.revoke("east/k9", time.time())
    places = [ended, invite(served)]
    looks = (lambda: places if newest_last else places[::-1],)
    pauses = itertools.count()
    done = service.run(tmp_path / "kiosk", lambda: next(pauses) > 3, looks, lambda _: None)
    assert done
    assert certificates.about((tmp_path / "kiosk/client.pem").read_text()).name == "east/k1"


@pytest.mark.parametrize("host", ["127.0.0.1:1883", "a b", "guard@broker", "x" * 70, "..", "[::1"])
def test_an_invitation_to_a_broker_that_is_none_does_not_hold_up_another(
    served: Office, tmp_path: Path, host: str
) -> None:
    """A stranger can show it to a new kiosk: its service must go on."""
    hash_, token = (invitation.encoded(bytes(count)) for count in (32, invitation.TOKEN_BYTES))
    signed = {"fleet": "f", "root": hash_, "pins": [], "host": host, "port": 1883, "site": "s", "kiosk": "k"}
    text = json.dumps({**signed, "token": token, "expires_at": 1})
    strange = json.dumps({"payload": invitation.encoded(text.encode())}).encode()
    looks = (lambda: [strange, invite(served)],)
    pauses = itertools.count()
    assert service.run(tmp_path / "kiosk", lambda: next(pauses) > 3, looks, lambda _: None)


def test_a_pipe_on_a_stick_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "a.invitation")
    (tmp_path / "b.invitation").write_bytes(b"read")
    monkeypatch.setattr(service, "PLACES", (str(tmp_path / "*.invitation"),))
    assert list(service.files()) == [b"read"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_invitation_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gatepost.invitation").touch(mode=0)
    monkeypatch.setattr(service, "PLACES", (str(tmp_path / "gatepost.invitation"),))
    assert service.unreadable().endswith(f"sudo chmod 644 {tmp_path}/gatepost.invitation")


def test_who_configures_it_by_hand_is_told_what_to_do(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    turns = itertools.count()
    hints = iter(["", "agent.toml is there", "agent.toml is there", "agent.toml is there"])
    assert not service.run(tmp_path, lambda: next(turns) > 3, (), lambda _: None, lambda: next(hints))
    assert caplog.messages == ["enrolment: agent.toml is there"]


def test_the_service_can_be_stopped(tmp_path: Path) -> None:
    assert service.run(tmp_path, lambda: True) is False


def gatepost(*words: object, code: int = 0) -> str:
    done = command_line.gatepost(*words)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_an_answer_in_a_file_needs_a_token(served: Office, tmp_path: Path) -> None:
    """Nothing else proves it: who brings the stick could bring a certificate and a broker of his own."""
    (tmp_path / "any.invitation").write_bytes(invite(served, ""))
    config, request, answer = tmp_path / "kiosk/agent.toml", tmp_path / "request.json", tmp_path / "answer.json"
    gatepost("enrol", "-c", config, tmp_path / "any.invitation", "--request", request)
    gatepost("authority", "--folder", served.folder, "answer", request, "--out", answer)
    assert "needs a token" in gatepost("enrol", "-c", config, "--answer", answer, code=1)


def test_a_broker_with_another_key_and_address_is_in_the_next_invitation(tmp_path: Path) -> None:
    key = signing.new_private_key()
    root, folder, out = make_root(tmp_path, key), tmp_path / "authority", tmp_path / "k1.invitation"
    (tmp_path / "enrol.key").write_bytes(key.pem())
    files = [tmp_path / "old.crt", tmp_path / "new.crt"]
    for file in files:
        file.write_text(certificates.for_pages(["broker.example"], 90, time.time())[1])
    office = ("authority", "--folder", folder)
    made = ("new", "--fleet", "city", "--root", root, "--broker", "a.example", "--broker-cert", files[0])
    gatepost(*office, *made)
    assert "give what has changed" in gatepost(*office, "broker", code=1)
    assert "root.bundle" in gatepost(*office, "broker", "--broker-cert", root, code=1)
    both = ("--broker-cert", files[1], "--broker-cert", files[0])
    gatepost(*office, "broker", "--broker", "b.example:8885", *both)
    gatepost(*office, "invite", "east/k1", "--key", tmp_path / "enrol.key", "--out", out)
    found = invitation.parse(json.loads(base64.b64decode(json.loads(out.read_bytes())["payload"])))
    assert (found.host, found.port) == ("b.example", 8885)
    assert found.pins == tuple(certificates.pin_of(file.read_bytes()) for file in reversed(files))


def test_by_a_stick_without_any_network(tmp_path: Path) -> None:
    """Every step as a person types it."""
    key = signing.new_private_key()
    root, folder, config = make_root(tmp_path, key), tmp_path / "authority", tmp_path / "kiosk/agent.toml"
    (tmp_path / "enrol.key").write_bytes(key.pem())
    office = ("authority", "--folder", folder)
    gatepost(*office, "new", "--fleet", "city", "--root", root, "--broker", "broker.example:1883")
    assert "an authority" in gatepost(*office, "new", "--fleet", "city", "--root", root, "--broker", "b", code=1)
    stick = tmp_path / "gatepost.invitation"
    gatepost(
        *office, "invite", "east/k1", "--key", tmp_path / "enrol.key", "--out", stick, "--png", tmp_path / "k1.png"
    )
    assert (tmp_path / "k1.png").stat().st_size > 500
    assert {path.stat().st_mode & 0o777 for path in (stick, tmp_path / "k1.png")} == {0o600}, "both hold the token"
    site_only = ("invite", "east/", "--key", tmp_path / "enrol.key", "--out", tmp_path / "any.invitation")
    assert "--broker-cert" in gatepost(*office, *site_only, code=1)
    gatepost("enrol", "-c", config, stick, "--request", tmp_path / "request.json")
    gatepost(*office, "answer", tmp_path / "request.json", "--out", tmp_path / "answer.json")
    assert "Enrolled" in gatepost("enrol", "-c", config, "--answer", tmp_path / "answer.json")
    assert "is enrolled" in gatepost("enrol", "-c", config)
    listed = gatepost(*office, "list")
    assert "kiosk       east/k1  90 days left" in listed
    assert "invitation  east/k1  used" in listed
    assert "1 certificates of east/k1 are revoked" in gatepost(*office, "revoke", "east/k1")
    assert "east/k1  revoked" in gatepost(*office, "list")
    assert "nothing was issued to east/k9" in gatepost(*office, "revoke", "east/k9", code=1)
    again, answer = tmp_path / "again.invitation", tmp_path / "again.json"
    gatepost(*office, "invite", "west/k5", "--key", tmp_path / "enrol.key", "--out", again)
    gatepost("enrol", "-c", config, again, "--request", tmp_path / "again-request.json")
    gatepost(*office, "answer", tmp_path / "again-request.json", "--out", answer)
    assert "Enrolled" in gatepost("enrol", "-c", config, "--answer", answer), "a new invitation enrols it again"
    assert 'site = "west"' in (tmp_path / "kiosk/identity.toml").read_text()
    assert "no invitation" in gatepost("enrol", "-c", config, "--answer", answer, code=1)

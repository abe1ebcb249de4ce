"""A member's certificate renews itself over the broker, shortly before its end and not before."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import textwrap
import threading
import time
from pathlib import Path

import pytest
from conftest_enrolment import DAY_S, NOW, Office, exchanged
from test_over_mqtt import broker, invite, served

from agent.enrolment import certificates, exchange_mqtt, renewal, service
from agent.enrolment.kiosk import Enrolment
from agent.events import Topics
from agent.events.state import State
from agent.model import ClockState, TimeBounds
from agent.mqtt import ClientCertificates, Link, LinkLost, Options

__all__ = ["broker", "served"]
WORD = "secret"
DOCS = Path(__file__).parents[3] / "docs"


def block(page: str, first: str) -> str:
    found = re.search(rf"^    {first}\n(?:    .*\n)*", (DOCS / page).read_text(), re.MULTILINE)
    assert found is not None
    return textwrap.dedent(found[0])


RIGHTS = block("events.md", "# acl_file") + block("enrolment.md", "# acl_file, for the authority")
"""Of the usual listener, as documented."""


def member(served: Office, kiosk: Enrolment, tmp_path: Path) -> Options:
    invited = kiosk.follow(invite(served))
    assert service.once(kiosk, invited) == ""
    return Options(
        host="127.0.0.1", port=invited.port, tls=True, ca_file=tmp_path / "broker/broker.crt",
        renewed_cert_file=tmp_path / "kiosk/client.pem",
    )  # fmt: skip


def test_it_asks_thirty_days_before_the_end(served: Office, kiosk: Enrolment, tmp_path: Path) -> None:
    options = member(served, kiosk, tmp_path)
    pairs, renewals = ClientCertificates(options, "k1"), []
    first = certificates.about((tmp_path / "kiosk/client.pem").read_text())

    def look(days_later: float, state: ClockState = ClockState.SYNCED) -> str:
        utc_s = time.time() + days_later * DAY_S
        return renewal.Renewal(
            pairs, asked_directly(served), lambda: TimeBounds(utc_s, utc_s, state), lambda: renewals.append(1)
        ).renew_if_due()

    assert look(0) == ""
    assert look(59) == ""
    assert look(61, ClockState.FLOOR) == "", "a kiosk that does not know the time does not renew"
    assert not renewals
    # the authority's clock is ours, so the certificate it gives is valid now; the kiosk's is 61 days ahead
    assert "renewed until" in look(61)
    assert renewals == [1]
    pairs.with_certificate()
    pairs.connected()
    second = certificates.about((tmp_path / "kiosk/client.pem").read_text())
    assert (second.name, second.serial != first.serial) == ("east/k1", True)


def test_a_revoked_member_is_told_so(served: Office, kiosk: Enrolment, tmp_path: Path) -> None:
    options = member(served, kiosk, tmp_path)
    served.authority.revoke("east/k1", time.time())
    utc_s = time.time() + 61 * DAY_S
    pairs = ClientCertificates(options, "k1")
    looked = renewal.Renewal(
        pairs, asked_directly(served), lambda: TimeBounds(utc_s, utc_s, ClockState.SYNCED), lambda: None
    )
    assert "was revoked" in looked.renew_if_due()
    assert not (tmp_path / "kiosk/client.pem.trial").exists()


@pytest.mark.parametrize(("days", "due"), [(90, 60.1), (20, 13.5), (2, 1.5)])
def test_a_short_certificate_is_renewed_in_its_last_third(
    office: Office, kiosk: Enrolment, tmp_path: Path, days: int, due: float
) -> None:
    """And not every hour from its first day on."""
    office.authority.settings = dataclasses.replace(office.authority.settings, days=days)
    kiosk.follow(office.invite()[1])
    kiosk.install(exchanged(office, kiosk))
    pairs = ClientCertificates(Options(tls=True, renewed_cert_file=tmp_path / "kiosk/client.pem"), "k1")

    def look(utc_s: float) -> str:
        now = TimeBounds(utc_s, utc_s, ClockState.SYNCED)
        return renewal.Renewal(pairs, lambda data, _: office.answer(data, utc_s), lambda: now, list).renew_if_due()

    assert look(NOW + (due - 0.4) * DAY_S) == ""
    assert "renewed until" in look(NOW + due * DAY_S)


def test_a_kiosk_that_enrols_again_shows_no_certificate_of_before(
    office: Office, kiosk: Enrolment, tmp_path: Path
) -> None:
    """One of its old name was on trial: the broker would have taken it, and nothing that the kiosk says."""
    kiosk.follow(office.invite()[1])
    kiosk.install(exchanged(office, kiosk))
    options = Options(tls=True, renewed_cert_file=tmp_path / "kiosk/client.pem")
    utc_s = NOW + 61 * DAY_S
    now = TimeBounds(utc_s, utc_s, ClockState.SYNCED)
    ask = renewal.Renewal(
        ClientCertificates(options, "k1"), lambda data, _: office.answer(data, utc_s), lambda: now, list
    )
    assert "renewed until" in ask.renew_if_due()
    kiosk.identity.unlink()
    kiosk.follow(office.invite("west", "k5", now=utc_s)[1])
    kiosk.install(exchanged(office, kiosk, utc_s))
    shown = ClientCertificates(options, "k5").with_certificate().cert_file
    assert shown is not None
    assert certificates.about(shown.read_text()).name == "west/k5"
    assert not list((tmp_path / "kiosk").glob("client.pem.*"))


def test_answers_that_are_lost_for_a_day_do_not_end_renewal(
    office: Office, kiosk: Enrolment, tmp_path: Path
) -> None:
    kiosk.follow(office.invite()[1])
    kiosk.install(exchanged(office, kiosk))
    pairs = ClientCertificates(Options(tls=True, renewed_cert_file=tmp_path / "kiosk/client.pem"), "k1")
    utc_s = NOW + 61 * DAY_S
    is_lost = True

    def ask(data: bytes, _limit_s: float) -> bytes:
        answer = office.answer(data, utc_s)
        if is_lost:
            raise LinkLost("nobody answers")
        return answer

    looked = renewal.Renewal(pairs, ask, lambda: TimeBounds(utc_s, utc_s, ClockState.SYNCED), lambda: None)
    for _ in range(24):
        assert "nobody answers" in looked.renew_if_due()
    is_lost = False
    assert "renewed until" in looked.renew_if_due()


@pytest.mark.parametrize("asks_as", ["east/k1", "east/k2"])
def test_it_asks_over_the_connection_that_the_kiosk_has(
    served: Office, kiosk: Enrolment, tmp_path: Path, make_broker, make_outbox, asks_as: str
) -> None:
    """Also where the broker takes the user name for the client id; and nobody is answered under another's name."""
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto_passwd is not installed")
    options = member(served, kiosk, tmp_path)
    made = make_broker()
    (made.folder / "passwords").touch()
    for user in (asks_as, "authority"):
        subprocess.run(["mosquitto_passwd", "-b", made.folder / "passwords", user, WORD], check=True)
    (made.folder / "acl").write_text(RIGHTS)
    made.config = (
        f"use_username_as_clientid true\nallow_anonymous false\nacl_file {made.folder}/acl\n"
        f"password_file {made.folder}/passwords\n"
    )
    made.start()
    site, name = asks_as.split("/")
    outbox = make_outbox()
    link = Link(
        Options(host="127.0.0.1", port=made.port, username=asks_as, password=WORD), Topics(site, name), outbox,
        lambda: State(software_version="1"),
    )  # fmt: skip
    channel = link.requests()
    stopping, listening = threading.Event(), threading.Event()
    office = threading.Thread(
        target=exchange_mqtt.serve,
        args=(
            Options(host="127.0.0.1", port=made.port, username="authority", password=WORD),
            lambda data: served.authority.handle(data, time.time()),
            stopping.is_set,
            listening.set,
        ),
    )
    office.start()
    assert listening.wait(90)
    link.start()
    utc_s = time.time() + 61 * DAY_S
    now = TimeBounds(utc_s, utc_s, ClockState.SYNCED)
    limit_s = 20.0 if asks_as == "east/k1" else 2.0
    looked = renewal.Renewal(
        ClientCertificates(options, "k1"), lambda data, _: channel.request(data, limit_s), lambda: now, lambda: None
    )
    said = looked.renew_if_due()
    assert ("renewed until" in said) is (asks_as == "east/k1"), said
    assert link.status().connections == 1
    link.stop(0.0)
    stopping.set()
    office.join(90)


def asked_directly(office: Office):
    def ask(data: bytes, _limit_s: float) -> bytes:
        answered = office.authority.handle(data, time.time())
        assert answered is not None
        return answered[1]

    return ask

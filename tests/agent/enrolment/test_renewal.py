"""A member's certificate renews itself over the broker, shortly before its end and not before."""

from __future__ import annotations

import time
from pathlib import Path

from conftest_enrolment import DAY_S, Office
from test_over_mqtt import broker, invite, served

from agent.enrolment import certificates, renewal, service
from agent.enrolment.kiosk import Enrolment
from agent.model import ClockState, TimeBounds
from agent.mqtt import ClientCertificates, Options

__all__ = ["broker", "served"]


def member(served: Office, kiosk: Enrolment, tmp_path: Path) -> Options:
    invited = kiosk.follow(invite(served))
    assert service.once(kiosk, invited) == ""
    return Options(
        host="127.0.0.1", port=invited.port, tls=True, ca_file=tmp_path / "broker/broker.crt",
        renewed_cert_file=tmp_path / "kiosk/client.pem",
    )  # fmt: skip


def test_it_asks_thirty_days_before_the_end(served: Office, kiosk: Enrolment, tmp_path: Path, monkeypatch) -> None:
    options = member(served, kiosk, tmp_path)
    monkeypatch.setattr(renewal.exchange_mqtt, "context", pinned_like(tmp_path))
    pairs, renewals = ClientCertificates(options, "k1"), []
    first = certificates.about((tmp_path / "kiosk/client.pem").read_text())

    def look(days_later: float, state: ClockState = ClockState.SYNCED) -> str:
        utc_s = time.time() + days_later * DAY_S
        return renewal.Renewal(
            pairs, options, lambda: TimeBounds(utc_s, utc_s, state), lambda: renewals.append(1)
        ).look()

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


def test_a_revoked_member_is_told_so(served: Office, kiosk: Enrolment, tmp_path: Path, monkeypatch) -> None:
    options = member(served, kiosk, tmp_path)
    monkeypatch.setattr(renewal.exchange_mqtt, "context", pinned_like(tmp_path))
    served.authority.revoke("east/k1", time.time())
    utc_s = time.time() + 61 * DAY_S
    pairs = ClientCertificates(options, "k1")
    looked = renewal.Renewal(pairs, options, lambda: TimeBounds(utc_s, utc_s, ClockState.SYNCED), lambda: None)
    assert "was revoked" in looked.look()
    assert not (tmp_path / "kiosk/client.pem.trial").exists()


def pinned_like(tmp_path: Path):
    """The test's broker has a certificate of one day and another name: hold it to its key."""
    pin = certificates.pin_of((tmp_path / "broker/broker.crt").read_bytes())
    return lambda _options, **_: renewal.exchange_mqtt.pinned([pin])

"""Enrolment without a network: the person who was invited gets one identity, and nobody else gets any."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import shutil
import ssl
import stat
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest_enrolment import DAY_S, NOW, Office, exchanged, make_root
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from agent import config
from agent.cli import authority as cli_authority
from agent.credentials import bundle
from agent.crypto import signing
from agent.enrolment import authority, certificates, exchange, invitation
from agent.enrolment import kiosk as kiosk_module
from agent.enrolment.authority import Authority, AuthorityError, AuthoritySettings
from agent.enrolment.exchange import Answer, BadExchange
from agent.enrolment.invitation import QR_BYTES, BadInvitation
from agent.enrolment.kiosk import Enrolment, EnrolmentError

NOBODY = 65534
"""A user that every Debian has, and that may do nothing."""


def test_who_was_invited_becomes_a_member(office: Office, kiosk: Enrolment, tmp_path: Path) -> None:
    _, envelope = office.invite()
    kiosk.follow(envelope)
    found = exchanged(office, kiosk)
    assert found.status == "issued"
    kiosk.install(found)
    tree = tomllib.loads(kiosk.identity.read_text())
    assert tree["kiosk"] == {"site": "east", "id": "k1"}
    assert (tree["mqtt"]["host"], tree["mqtt"]["port"]) == ("broker.example", 8883)
    assert tree["mqtt"]["tls"], "also with an authority that the system knows: nothing is said in the clear"
    assert tree["mqtt"]["renewed_cert_file"] == str(tmp_path / "kiosk/client.pem")
    pair = (tmp_path / "kiosk/client.pem").read_text()
    assert certificates.about(pair).name == "east/k1"
    assert "PRIVATE KEY" in pair
    assert not (tmp_path / "kiosk/enrolment").exists(), "the token and the work are gone"
    for path in (kiosk.identity, tmp_path / "kiosk/client.pem"):
        assert path.stat().st_mode & 0o077 == 0


def test_an_invitation_fits_a_picture(office: Office) -> None:
    _, envelope = office.invite("a-site-with-a-name-of-some-length", "kiosk-0123")
    assert len(envelope) <= QR_BYTES


def test_the_first_settings_come_with_it(office: Office, kiosk: Enrolment, tmp_path: Path) -> None:
    table = tmp_path / "fleet/east/k1/agent.toml"
    table.parent.mkdir(parents=True)
    table.write_text(
        '[kiosk]\nid = "k0"\n[lanes.entry]\ndirection = "entry"\nscanner = {driver = "line", port = "/dev/a"}\n'
        'thermometer = {driver = "mlx90614"}\ngate = {driver = "simulated"}\n'
    )
    plain = json.loads((office.folder / "authority.json").read_text())
    (office.folder / "authority.json").write_text(json.dumps({**plain, "fleet_folder": str(tmp_path / "fleet")}))
    office.authority = Authority(office.folder)
    kiosk.follow(office.invite()[1])
    kiosk.install(exchanged(office, kiosk))
    loaded = config.load(tmp_path / "kiosk/agent.toml")
    assert (loaded.kiosk.id, loaded.lanes.keys()) == ("k1", {"entry"})
    (tmp_path / "kiosk/agent.toml").write_text('[mqtt]\nhost = "nearer.example"\n')
    assert config.load(tmp_path / "kiosk/agent.toml").mqtt.host == "nearer.example", "agent.toml goes before it"


def test_the_same_request_gets_the_same_certificate(office: Office, kiosk: Enrolment) -> None:
    kiosk.follow(office.invite()[1])
    assert exchanged(office, kiosk).certificate == exchanged(office, kiosk).certificate
    (known,) = office.authority.kiosks()
    assert len(known.issued) == 1


def test_a_token_serves_one_key(office: Office, kiosk: Enrolment, tmp_path: Path) -> None:
    _, envelope = office.invite()
    thief = Enrolment(tmp_path / "thief")
    for each in (kiosk, thief):
        each.follow(envelope)
    assert exchanged(office, kiosk).status == "issued"
    assert (exchanged(office, thief).status, exchanged(office, thief).reason) == ("refused", "used")


def test_a_request_that_was_overheard_is_of_no_use(office: Office, kiosk: Enrolment) -> None:
    """Replayed, it brings a certificate for a key that the listener does not have."""
    kiosk.follow(office.invite()[1])
    request = kiosk.request("", "")
    kiosk.install(exchanged(office, kiosk))
    with pytest.raises(BadExchange):
        exchange.parse_answer(office.answer(request), request, b"0" * 16)
    (known,) = office.authority.kiosks()
    assert len(known.issued) == 1


def test_another_key_in_an_overheard_request_is_refused(office: Office, kiosk: Enrolment) -> None:
    kiosk.follow(office.invite()[1])
    plain = json.loads(kiosk.request("", ""))
    plain["csr"] = certificates.request_for(certificates.new_key(), "east/k1")
    answered = json.loads(json.loads(office.answer(json.dumps(plain).encode()))["body"])
    assert (answered["status"], answered["reason"]) == ("refused", "bad_proof")
    assert not list(office.authority.kiosks())


@pytest.mark.parametrize(
    ("days_later", "revoked", "reason"), [(8, False, "expired"), (0, True, "revoked"), (8, True, "revoked")]
)
def test_an_invitation_that_has_ended(
    office: Office, kiosk: Enrolment, days_later: int, revoked: bool, reason: str
) -> None:
    kiosk.follow(office.invite(days=7)[1])
    if revoked:
        office.authority.revoke("east/k1", NOW)
    found = exchanged(office, kiosk, NOW + days_later * DAY_S)
    assert (found.status, found.reason) == ("refused", reason)
    assert not list(office.authority.kiosks())


def test_an_invitation_of_another_fleet_is_unknown(office: Office, kiosk: Enrolment, tmp_path: Path) -> None:
    key = signing.new_private_key()
    folder = tmp_path / "other"
    authority.create(
        folder,
        AuthoritySettings("other", "b", 8883, ("A" * 43,), str(make_root(tmp_path, key, fleet="other"))),
        NOW,
    )
    kiosk.follow(Authority(folder).invite("east", "k1", 7, [key], NOW)[1])
    with pytest.raises(BadExchange):
        exchanged(office, kiosk)
    assert not list(office.authority.kiosks())


def test_a_stranger_cannot_answer(office: Office, kiosk: Enrolment, tmp_path: Path) -> None:
    """He has his own root and authority, and a broker in the middle; what he lacks is the token."""
    kiosk.follow(office.invite()[1])
    request = kiosk.request("", "")
    invited = kiosk.invitation()
    assert invited is not None
    csr = json.loads(request)["csr"]
    key, ca = certificates.new_authority("stranger", 30, NOW)
    pem = certificates.issue(csr, "east/k1", (key, ca), 30, NOW)
    root = make_root(tmp_path, signing.new_private_key(), fleet="strange").read_text()
    false = exchange.Answer("issued", "", pem, "", root, (), "east", "k1", "evil.example", 8883)
    for token in (b"", b"guess" * 4):
        with pytest.raises(BadExchange, match="not from who has invited us"):
            exchange.parse_answer(exchange.answer(false, request, token), request, invited.token)
    with pytest.raises(EnrolmentError, match="root is not the one"):
        kiosk.install(false)
    assert not kiosk.identity.exists()


def test_an_answer_to_another_request_does_not_count(office: Office, kiosk: Enrolment) -> None:
    kiosk.follow(office.invite()[1])
    invited = kiosk.invitation()
    assert invited is not None
    first = kiosk.request("1", "")
    answered = office.answer(first)
    with pytest.raises(BadExchange):
        exchange.parse_answer(answered, kiosk.request("2", ""), invited.token)


def test_an_invitation_by_somebody_who_may_not_invite(office: Office, kiosk: Enrolment) -> None:
    """The role `enrol` of the root does not know who signed: neither the authority nor a kiosk takes it."""
    stranger = signing.new_private_key()
    with pytest.raises(AuthorityError, match="keys of the role enrol"):
        office.authority.invite("east", "k1", 7, [stranger], NOW)
    made, _ = office.invite("east", "k1")
    envelope = bundle.sign(invitation.members(made), [stranger], "enrol")
    kiosk.follow(envelope)
    with pytest.raises(EnrolmentError, match="does not stand by the invitation"):
        kiosk.install(exchanged(office, kiosk))
    assert not kiosk.identity.exists()


def test_an_answer_for_another_name_or_key_is_refused(office: Office, kiosk: Enrolment, tmp_path: Path) -> None:
    kiosk.follow(office.invite("east", "k1")[1])
    found = exchanged(office, kiosk)
    other = Enrolment(tmp_path / "other")
    other.follow(office.invite("east", "k2")[1])
    with pytest.raises(EnrolmentError, match="another key"):
        other.install(found)
    with pytest.raises(EnrolmentError, match="was invited"):
        kiosk.install(exchange.Answer(**{**vars_of(found), "kiosk": "k9"}))


def vars_of(found: exchange.Answer) -> dict[str, object]:
    return {name: getattr(found, name) for name in exchange.Answer.__dataclass_fields__}


def test_without_a_token_a_person_confirms(office: Office, kiosk: Enrolment) -> None:
    _, envelope = office.invite("east", "")
    kiosk.follow(envelope)
    assert exchanged(office, kiosk).status == "pending"
    shown = certificates.spoken(kiosk.fingerprint)
    assert len(shown.replace("-", "")) * 5 >= 60, "bits: else somebody makes a key that shows the same"
    for part in (shown[:6], shown[:-1], shown[5:]):
        with pytest.raises(AuthorityError):
            office.authority.approve(part, "east/k1")
    with pytest.raises(AuthorityError, match="0 kiosks that wait show ZZZZZZ"):
        office.authority.approve("ZZZZZZ", "east/k1")
    office.authority.approve(shown.lower().replace("-", " "), "east/k7")
    kiosk.install(exchanged(office, kiosk))
    assert tomllib.loads(kiosk.identity.read_text())["kiosk"]["id"] == "k7"


def test_a_person_cannot_give_a_member_s_name_away_by_mistake(
    office: Office, kiosk: Enrolment, tmp_path: Path
) -> None:
    kiosk.follow(office.invite("east", "k1")[1])
    kiosk.install(exchanged(office, kiosk))
    other = Enrolment(tmp_path / "other")
    other.follow(office.invite("east", "")[1])
    exchanged(office, other)
    with pytest.raises(AuthorityError, match="east/k1 is a member"):
        office.authority.approve(other.fingerprint, "east/k1")
    office.authority.approve(other.fingerprint, "east/k2")
    office.authority.approve(other.fingerprint, "east/k2")
    other.install(exchanged(office, other))
    office.authority.revoke("east/k1", NOW)
    third = Enrolment(tmp_path / "third")
    third.follow(office.invite("east", "")[1])
    exchanged(office, third)
    office.authority.approve(third.fingerprint, "east/k1")
    third.install(exchanged(office, third))


def test_who_was_turned_away_gets_nothing(office: Office, kiosk: Enrolment) -> None:
    kiosk.follow(office.invite("east", "")[1])
    exchanged(office, kiosk)
    office.authority.approve(kiosk.fingerprint, "")
    assert exchanged(office, kiosk).status == "refused"


@pytest.mark.parametrize("another_came", [False, True])
def test_a_name_that_is_revoked_is_nobodys_by_an_earlier_approval(
    office: Office, kiosk: Enrolment, tmp_path: Path, another_came: bool
) -> None:
    kiosk.follow(office.invite("east", "")[1])
    exchanged(office, kiosk)
    office.authority.approve(kiosk.fingerprint, "east/k1")
    if another_came:
        other = Enrolment(tmp_path / "other")
        other.follow(office.invite("east", "k1")[1])
        other.install(exchanged(office, other))
    assert office.authority.revoke("east/k1", NOW) == another_came
    assert exchanged(office, kiosk).reason == "revoked"


def test_strangers_do_not_fill_the_disk(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "MOST_PENDING", 3)
    for second in range(6):
        csr = certificates.request_for(certificates.new_key(), "x")
        office.answer(exchange.request(csr, b"", ""), NOW + second)
    assert len(list(office.authority.pending())) == 3


def test_strangers_do_not_keep_a_kiosk_from_being_approved(
    office: Office, kiosk: Enrolment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authority, "MOST_PENDING", 3)
    kiosk.follow(office.invite("east", "")[1])
    seconds = itertools.count()

    def crowd() -> None:
        for _ in range(5):
            csr = certificates.request_for(certificates.new_key(), "x")
            office.answer(exchange.request(csr, b"", ""), NOW + next(seconds))

    crowd()
    assert exchanged(office, kiosk, NOW + next(seconds)).status == "pending"
    office.authority.approve(kiosk.fingerprint, "east/k1")
    crowd()
    kiosk.install(exchanged(office, kiosk))
    assert (tmp_path / "kiosk/identity.toml").exists()


def renewal_of(folder: Path) -> bytes:
    """A request of the member whose key and certificate lie there, for a new key."""
    pair = (folder / "client.pem").read_text()
    csr = certificates.request_for(certificates.new_key(), "east/k1")
    signature = certificates.signature(pair, exchange.renewal_message(csr))
    return exchange.renewal(csr, pair[pair.index("-----BEGIN CERTIFICATE") :], signature)


def test_a_member_that_renews_without_end_does_not_fill_the_disk(
    office: Office, kiosk: Enrolment, tmp_path: Path
) -> None:
    kiosk.follow(office.invite()[1])
    kiosk.install(exchanged(office, kiosk))

    def renew() -> Answer:
        request = renewal_of(tmp_path / "kiosk")
        return exchange.parse_answer(office.answer(request), request, b"")

    found = [renew().status for _ in range(authority.MOST_CERTIFICATES + 3)]
    assert found.count("issued") == authority.MOST_CERTIFICATES - 1, "it has its first one"
    assert renew().reason == "too_many"
    office.authority.revoke("east/k1", NOW)
    assert renew().reason == "revoked"


def test_a_damaged_file_fails_only_who_asks_for_it(office: Office, kiosk: Enrolment, tmp_path: Path) -> None:
    other = Enrolment(tmp_path / "other")
    other.follow(office.invite("east", "k2")[1])
    kiosk.follow(office.invite("east", "k1")[1])
    damaged = office.folder / "kiosks/east/k1.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text('{"site": "east"')
    request = kiosk.request("", "")
    invited = kiosk.invitation()
    assert invited is not None
    found = exchange.parse_answer(office.answer(request), request, invited.token)
    assert found.reason == "authority_failed", "and it is from who has invited"
    other.install(exchanged(office, other))
    damaged.unlink()
    kiosk.install(exchanged(office, kiosk))
    assert len(list(office.authority.kiosks())) == 2


REVOKE_AND_SIGN = """
import sys
from pathlib import Path
from agent.enrolment import certificates
from agent.enrolment.authority import Authority
folder, name, now = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
Authority(folder).revoke(name, now)
pair = (folder / "ca.key").read_text(), (folder / "ca.pem").read_text()
print(certificates.issue(sys.stdin.read(), name, pair, 90, now))
"""
"""Another authority's program: while it signs, a person revokes, and does not wait for it."""


@pytest.mark.parametrize("renews", [False, True])
def test_who_is_revoked_while_it_is_signed_gets_no_certificate(
    office: Office, kiosk: Enrolment, tmp_path: Path, renews: bool
) -> None:
    invited, envelope = office.invite()
    kiosk.follow(envelope)
    if renews:
        kiosk.install(exchanged(office, kiosk))
    plain = json.loads((office.folder / "authority.json").read_text())
    words = [sys.executable, "-c", REVOKE_AND_SIGN, str(office.folder), "{name}", str(NOW)]
    (office.folder / "authority.json").write_text(json.dumps({**plain, "sign_command": words}))
    office.authority = Authority(office.folder)
    request = renewal_of(tmp_path / "kiosk") if renews else kiosk.request("", "")
    answer = exchange.parse_answer(office.answer(request), request, b"" if renews else invited.token)
    assert (answer.status, answer.reason) == ("refused", "revoked")
    issued = [each for known in office.authority.kiosks() for each in known.issued.values()]
    assert len(issued) == renews
    assert all(each.revoked_utc for each in issued)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_root_did_keeps_no_other_user_from_serving(
    office: Office, kiosk: Enrolment, served_by_another: Path
) -> None:
    kiosk.follow(office.invite()[1])
    request = kiosk.request("", "")
    with pytest.raises(AuthorityError):
        Authority(served_by_another).revoke("east/nobody", NOW)
    os.seteuid(NOBODY)
    try:
        assert Authority(served_by_another).handle(request, NOW) is not None
    finally:
        os.seteuid(0)


@pytest.fixture
def served_by_another(office: Office) -> Iterator[Path]:
    """A copy of the authority that belongs to another user than root."""
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(shutil.copytree(office.folder, folder, dirs_exist_ok=True))
        for each in (copied, *copied.rglob("*")):
            os.chown(each, NOBODY, NOBODY)
        yield copied


def test_a_new_invitation_of_the_same_name_revokes_the_old_certificate(
    office: Office, kiosk: Enrolment, tmp_path: Path
) -> None:
    kiosk.follow(office.invite()[1])
    kiosk.install(exchanged(office, kiosk))
    successor = Enrolment(tmp_path / "successor")
    successor.follow(office.invite()[1])
    successor.install(exchanged(office, successor))
    (known,) = office.authority.kiosks()
    assert sorted(bool(each.revoked_utc) for each in known.issued.values()) == [False, True]
    assert "BEGIN X509 CRL" in (office.folder / "revoked.crl").read_text()


def renewed(office: Office, tmp_path: Path, now: float, *, key: str = "") -> exchange.Answer:
    pair = (tmp_path / "kiosk/client.pem").read_text()
    csr = certificates.request_for(certificates.new_key(), "anything")
    signature = certificates.signature(key or pair, exchange.renewal_message(csr))
    certificate = pair[pair.index("-----BEGIN CERTIFICATE") :]
    request = exchange.renewal(csr, certificate, signature)
    return exchange.parse_answer(office.answer(request, now), request, b"")


def test_a_member_renews_by_its_present_key(office: Office, kiosk: Enrolment, tmp_path: Path) -> None:
    kiosk.follow(office.invite()[1])
    kiosk.install(exchanged(office, kiosk))
    found = renewed(office, tmp_path, NOW + 60 * DAY_S)
    assert found.status == "issued"
    assert certificates.about(found.certificate).name == "east/k1"
    assert renewed(office, tmp_path, NOW + 60 * DAY_S, key=certificates.new_key()).reason == "bad_proof"
    assert renewed(office, tmp_path, NOW + 400 * DAY_S).reason == "expired"
    office.authority.revoke("east/k1", NOW)
    assert renewed(office, tmp_path, NOW + 60 * DAY_S).reason == "revoked"


@pytest.mark.parametrize("invited", ["k1", ""])
def test_an_old_request_that_comes_again_takes_nothing_from_the_kiosk(
    office: Office, kiosk: Enrolment, tmp_path: Path, invited: str
) -> None:
    """From a stick that somebody has kept; one without a token needs no proof at all."""
    kiosk.follow(office.invite(kiosk=invited)[1])
    old = kiosk.request("", "")
    if not invited:
        office.answer(old)
        office.authority.approve(kiosk.fingerprint, "east/k1")
    kiosk.install(exchanged(office, kiosk))
    found = renewed(office, tmp_path, NOW + 61 * DAY_S)
    office.answer(old, NOW + 70 * DAY_S)
    (known,) = office.authority.kiosks()
    assert known.issued[certificates.about(found.certificate).fingerprint].revoked_utc == 0
    told = json.loads(json.loads(office.answer(old, NOW + 100 * DAY_S))["body"])
    assert told["reason"] == "expired", "its own certificate has ended by then"


class PowerCutError(BaseException):
    """The machine is off."""


@pytest.mark.parametrize("cut_after", range(12))
def test_a_power_cut_after_any_step_is_repeated(
    office: Office, kiosk: Enrolment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_after: int
) -> None:
    """Cut after each file that is written on the kiosk; then everything again, from what lies on its disk."""
    _, envelope = office.invite()
    written, real = [], kiosk_module.replace_file

    def cutting(path: Path, *rest: object) -> None:
        if len(written) == cut_after:
            raise PowerCutError
        real(path, *rest)  # type: ignore[arg-type]
        written.append(path)

    monkeypatch.setattr(kiosk_module, "replace_file", cutting)
    try:
        kiosk.follow(envelope)
        kiosk.install(exchanged(office, kiosk))
    except PowerCutError:
        pass
    monkeypatch.undo()
    again = Enrolment(tmp_path / "kiosk")
    if not again.identity.exists():
        again.follow(envelope)
        again.install(exchanged(office, again))
    again.finish()
    (known,) = office.authority.kiosks()
    (certificate,) = known.issued.values()
    assert certificate.pem in (tmp_path / "kiosk/client.pem").read_text()
    assert not (tmp_path / "kiosk/enrolment").exists()


@pytest.mark.parametrize("cut_after", range(8))
def test_a_power_cut_as_a_kiosk_enrols_again_leaves_it_no_mixture(
    office: Office, kiosk: Enrolment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_after: int
) -> None:
    """The new certificate beside the old names would be greeted, and have no right to any topic."""
    kiosk.follow(office.invite()[1])
    kiosk.install(exchanged(office, kiosk))
    kiosk.follow(office.invite("west", "k5")[1])
    answer = exchanged(office, kiosk)
    count, real = [0], kiosk_module.replace_file

    def cutting(*words: object) -> None:
        if count[0] == cut_after:
            raise PowerCutError
        count[0] += 1
        real(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(kiosk_module, "replace_file", cutting)
    with contextlib.suppress(PowerCutError):
        kiosk.install(answer)
    monkeypatch.undo()
    again = Enrolment(tmp_path / "kiosk")
    if again.identity.exists():
        site = tomllib.loads(again.identity.read_text())["kiosk"]["site"]
        assert certificates.about((tmp_path / "kiosk/client.pem").read_text()).name.startswith(f"{site}/")
    else:
        again.install(exchanged(office, again))
        assert certificates.about((tmp_path / "kiosk/client.pem").read_text()).name == "west/k5"


def cut_power(office: Office, request: bytes, monkeypatch: pytest.MonkeyPatch, cut_after: int) -> None:
    """The authority handles a request, until so many files were written."""
    count, real = [0], authority.replace_file

    def cutting(*words: object) -> None:
        if count[0] == cut_after:
            raise PowerCutError
        count[0] += 1
        real(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(authority, "replace_file", cutting)
    with contextlib.suppress(PowerCutError):
        office.authority.handle(request, NOW)
    monkeypatch.undo()


@pytest.mark.parametrize("cut_after", range(4))
def test_a_power_cut_of_the_authority_is_repeated(
    office: Office, kiosk: Enrolment, monkeypatch: pytest.MonkeyPatch, cut_after: int
) -> None:
    kiosk.follow(office.invite()[1])
    cut_power(office, kiosk.request("", ""), monkeypatch, cut_after)
    kiosk.install(exchanged(office, kiosk))
    (known,) = office.authority.kiosks()
    assert len(known.issued) == 1


@pytest.mark.parametrize("cut_after", range(4))
def test_a_power_cut_of_the_authority_leaves_no_old_certificate_unlisted(
    office: Office, kiosk: Enrolment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_after: int
) -> None:
    kiosk.follow(office.invite()[1])
    first = certificates.about(exchanged(office, kiosk).certificate)
    successor = Enrolment(tmp_path / "successor")
    successor.follow(office.invite()[1])
    cut_power(office, successor.request("", ""), monkeypatch, cut_after)
    successor.install(exchanged(office, successor))
    listed = x509.load_pem_x509_crl((office.folder / "revoked.crl").read_bytes())
    assert [each.serial_number for each in listed] == [first.serial]


def test_a_spoilt_key_is_made_again(office: Office, kiosk: Enrolment, tmp_path: Path) -> None:
    kiosk.follow(office.invite()[1])
    kiosk.request("", "")
    (tmp_path / "kiosk/enrolment/key.pem").write_bytes(b"\0" * 300)
    kiosk.install(exchanged(office, kiosk))
    assert kiosk.identity.exists()


def test_a_kiosk_of_another_fleet_takes_the_new_root(office: Office, kiosk: Enrolment, tmp_path: Path) -> None:
    kiosk.follow(office.invite()[1])
    kiosk.install(exchanged(office, kiosk))
    shutil.copy(tmp_path / "kiosk/bundles/root.bundle", tmp_path / "before")
    key = signing.new_private_key()
    authority.create(
        tmp_path / "b",
        AuthoritySettings("b", "b", 8883, ("A" * 43,), str(make_root(tmp_path, key, fleet="b"))),
        NOW,
    )
    other = Office(Authority(tmp_path / "b"), tmp_path / "b", key)
    kiosk.follow(other.invite("west", "k1")[1])
    kiosk.install(exchanged(other, kiosk))
    assert (tmp_path / "kiosk/bundles/root.bundle").read_bytes() != (tmp_path / "before").read_bytes()


@given(st.binary(max_size=300))
def test_junk_is_no_invitation_and_no_request(data: bytes) -> None:
    with pytest.raises(BadInvitation):
        invitation.unverified(data)
    with pytest.raises(BadExchange):
        exchange.parse_request(data)
    with pytest.raises(BadExchange):
        exchange.parse_answer(data, b"", b"")


@given(
    st.dictionaries(
        st.sampled_from(["csr", "id", "proof", "certificate", "release", "serial"]), st.text(max_size=40)
    )
)
def test_a_request_of_any_words_harms_nothing(plain: dict[str, str]) -> None:
    try:
        asked = exchange.parse_request(json.dumps(plain).encode())
    except BadExchange:
        return
    assert not exchange.holds_token(asked, b"t" * 16)
    with pytest.raises(certificates.BadCertificate):
        certificates.fingerprint_of_request(asked.csr)


def test_another_authority_signs_by_its_program(office: Office, kiosk: Enrolment, tmp_path: Path) -> None:
    """Any program that reads PKCS #10 and writes a certificate: here openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on this machine")
    folder = office.folder
    words = [
        "openssl",
        "x509",
        "-req",
        "-CA",
        str(folder / "ca.pem"),
        "-CAkey",
        str(folder / "ca.key"),
        "-days",
        "{days}",
        "-set_serial",
        "7",
    ]
    plain = json.loads((folder / "authority.json").read_text())
    (folder / "authority.json").write_text(json.dumps({**plain, "sign_command": words}))
    office.authority = Authority(folder)
    kiosk.follow(office.invite()[1])
    kiosk.install(exchanged(office, kiosk))
    assert certificates.about((tmp_path / "kiosk/client.pem").read_text()).serial == 7


def test_a_program_of_the_deployers_gets_a_certificate(office: Office) -> None:
    key, certificate = office.authority.certificate("server", NOW)
    about = certificates.about(certificate)
    assert (about.name, about.fingerprint) == ("server", certificates.fingerprint_of_key(key))
    certificates.demand_issued_by(certificate, (office.folder / "ca.pem").read_text())
    for name in ("", "east/k1", "a b", "$all"):
        with pytest.raises(AuthorityError, match="for example server"):
            office.authority.certificate(name, NOW)


@pytest.mark.parametrize("is_one_file", [False, True])
def test_serve_renews_its_own_certificate(office: Office, tmp_path: Path, is_one_file: bool) -> None:
    """Else no kiosk could renew after ninety days, and nobody would look before."""
    crt, key = tmp_path / "authority.crt", None if is_one_file else tmp_path / "authority.key"

    def put(name: str, days_ago: float) -> None:
        own_key, pem = office.authority.certificate(name, NOW + (200 - days_ago) * DAY_S)
        crt.write_text(own_key + pem if key is None else pem)
        if key is not None:
            key.write_text(own_key)

    def renewed_name() -> str:
        before = crt.read_text()
        cli_authority._renew_own(office.authority, crt, key, NOW + 200 * DAY_S)
        if crt.read_text() == before:
            return ""
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(crt, key)
        assert stat.S_IMODE((key or crt).stat().st_mode) == 0o600
        return certificates.about(crt.read_text()).name

    put("authority", 59)
    assert not renewed_name()
    for days_ago in (61, 200):
        put("authority", days_ago)
        assert renewed_name() == "authority"
        assert not renewed_name(), "once"
    office.authority.settings = dataclasses.replace(office.authority.settings, days=20)
    put("authority", 5)
    assert not renewed_name(), "nor a short one each time that the broker is away"
    put("authority", 15)
    office.authority.revoke("authority", NOW)
    assert not renewed_name(), "who has taken it back means it"
    crt.write_text("junk")
    assert not renewed_name()
    crt.unlink()
    cli_authority._renew_own(office.authority, crt, key, NOW + 200 * DAY_S)
    assert not crt.exists()


def test_a_program_s_certificate_can_be_taken_back(office: Office) -> None:
    serials = [certificates.about(office.authority.certificate("server", NOW)[1]).serial for _ in range(2)]
    office.authority.certificate("authority", NOW)
    assert [each.name for each in office.authority.programs()] == ["authority", "server"]
    assert not list(office.authority.kiosks())
    assert office.authority.revoke("server", NOW) == 2
    listed = x509.load_pem_x509_crl((office.folder / "revoked.crl").read_bytes())
    assert sorted(each.serial_number for each in listed) == sorted(serials)
    with pytest.raises(AuthorityError, match="nothing was issued to wall"):
        office.authority.revoke("wall", NOW)


def test_the_list_of_what_is_revoked_does_not_end_before_the_authority(office: Office) -> None:
    """A broker whose list has ended turns all kiosks away, and nobody brings it another one every month."""
    path = office.authority.write_revocations(NOW)
    assert path is not None
    authority_ends = certificates.about((office.folder / "ca.pem").read_text()).not_after_utc
    listed = x509.load_pem_x509_crl(path.read_bytes()).next_update_utc
    assert listed is not None
    assert listed.timestamp() == authority_ends > NOW + 3000 * DAY_S
    assert office.authority.write_revocations(authority_ends + DAY_S), "nor is it in the way of what comes then"


def test_a_clock_that_was_years_ahead_does_not_make_a_list_that_the_broker_turns_all_away_with(
    office: Office,
) -> None:
    path = office.authority.write_revocations(NOW + 5 * 365 * DAY_S)
    assert path is not None
    listed = x509.load_pem_x509_crl(path.read_bytes())
    assert listed.last_update_utc.timestamp() <= NOW < listed.next_update_utc.timestamp()


@pytest.mark.parametrize("proof", ["\u00e9", "\ud800", 7, None, []])
@pytest.mark.parametrize("body", ['{"status": "pending", "bundles": [], "port": "x"}', "{}", "\ud800", 7, "null"])
def test_a_strangers_answer_is_refused_whatever_it_holds(body: object, proof: object) -> None:
    payload = json.dumps({"body": body, "proof": proof}).encode()
    for token in (b"token", b""):
        with pytest.raises(exchange.BadExchange):
            exchange.parse_answer(payload, b"request", token)

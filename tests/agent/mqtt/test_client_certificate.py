"""The kiosk's certificate: asked for, checked, tried with a real broker, kept or given up."""

from __future__ import annotations

import ssl
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent import mqtt
from agent.control import CommandFailed
from agent.control.commands import Commands
from agent.events import Topics
from agent.events.state import State
from agent.model import ClockState, TimeBounds
from agent.mqtt import BadClientCertificate, ClientCertificates

TOPICS = Topics("library", "gate-3")
PEM = serialization.Encoding.PEM


class Authority:
    """A private authority, or one under it."""

    def __init__(self, name: str = "authority", above: Authority | None = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.above = above or self
        self.certificate = self.above.sign(self.name, self.key.public_key(), ca=True)

    def sign(self, name, public, *, days=(-60, 30), ca=False):
        begin, end = (datetime.now(UTC) + timedelta(days=count) for count in days)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    def answer(self, request: str, **how) -> str:
        """The certificate that was asked for, PEM."""
        asked = x509.load_pem_x509_csr(request.encode())
        assert asked.is_signature_valid
        return self.sign(asked.subject, asked.public_key(), **how).public_bytes(PEM).decode()

    def pair(self, folder, name, **how):
        """Files of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        crt, pem = folder / f"{name}.crt", folder / f"{name}.key"
        crt.write_bytes(self.sign(subject, key.public_key(), **how).public_bytes(PEM))
        pem.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return crt, pem


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def options(tmp_path, authority):
    ca_file = tmp_path / "ca.crt"
    ca_file.write_bytes(authority.certificate.public_bytes(PEM))
    cert_file, key_file = authority.pair(tmp_path, "gate-3")
    return mqtt.Options(
        host="localhost", tls=True, ca_file=ca_file, cert_file=cert_file, key_file=key_file,
        renewed_cert_file=tmp_path / "state" / "client.pem", reconnect_max_s=1.0,
    )  # fmt: skip


@pytest.fixture
def pairs(options):
    return ClientCertificates(options, "gate-3")


def now() -> TimeBounds:
    utc = datetime.now(UTC).timestamp()
    return TimeBounds(utc, utc + 1, ClockState.SYNCED)


def files(pairs) -> set[str]:
    return {path.name for path in pairs._file.parent.iterdir()}


def test_a_certificate_is_asked_for_tried_and_kept(pairs, options, authority):
    assert pairs.with_certificate() == options
    pairs.install(authority.answer(pairs.request()), now())
    assert files(pairs) == {"client.pem.key", "client.pem.trial"}
    shown = pairs.with_certificate()
    assert shown.cert_file.name == "client.pem.trial"
    ssl.create_default_context().load_cert_chain(shown.cert_file)
    assert stat.S_IMODE(pairs._trial.stat().st_mode) == 0o600
    pairs.connected()
    assert pairs.greeted_new
    assert files(pairs) == {"client.pem"}
    assert ClientCertificates(options, "gate-3").with_certificate().cert_file.name == "client.pem", (
        "also after a restart"
    )


@pytest.mark.parametrize("share", [0.02, 0.1, 0.2, 0.5])
def test_a_pair_that_the_card_has_spoilt_is_not_shown(pairs, options, authority, share):
    """Where key and certificate fit no more, the configured pair still reaches the broker."""
    pairs.install(authority.answer(pairs.request()), now())
    pairs.with_certificate()
    pairs.connected()
    content = bytearray(pairs._file.read_bytes())
    at = int(len(content) * share)
    content[at] = ord("B" if content[at] == ord("A") else "A")
    pairs._file.write_bytes(content)
    assert pairs.with_certificate() == options


def test_a_pair_that_the_broker_refuses_is_given_up(pairs, options, authority):
    pairs.install(authority.answer(pairs.request()), now())
    for _ in range(3):
        assert not pairs.decided.is_set()
        pairs.with_certificate()
        pairs.rejected()
    assert pairs.decided.is_set()
    assert not pairs.greeted_new
    assert pairs.with_certificate() == options
    assert files(pairs) == {"client.pem.key"}


def key_of(request: str):
    return x509.load_pem_x509_csr(request.encode()).public_key()


def test_the_same_key_is_asked_for_until_the_broker_has_greeted_it(pairs, options, authority):
    """However often an answer is lost or a broker stalls, an authority has issued one certificate."""
    first = pairs.request()
    pairs = ClientCertificates(options, "gate-3")
    assert key_of(pairs.request()) == key_of(first), "the answer was lost, and the kiosk has started again"
    pairs.install(authority.answer(first), now())
    for _ in range(3):
        pairs.with_certificate()
        pairs.rejected()
    assert key_of(pairs.request()) == key_of(first), "it was given up"
    pairs.install(authority.answer(first), now())
    kept = pairs._key.read_bytes()
    pairs.with_certificate()
    pairs.connected()
    assert pairs.greeted_new
    pairs._key.write_bytes(kept)
    assert key_of(pairs.request()) != key_of(first), "a power cut has left the key that is in use by now"
    pairs._key.write_bytes(b"")
    assert key_of(pairs.request()) != key_of(first), "the card has spoilt it"


def test_a_configured_pair_that_was_issued_later_goes_first(pairs, options, authority, tmp_path):
    pairs.install(authority.answer(pairs.request(), days=(-3, 30)), now())
    pairs.with_certificate()
    pairs.connected()
    assert pairs.with_certificate() != options
    authority.pair(tmp_path, "gate-3", days=(-1, 30))
    assert pairs.with_certificate() == options


def renamed(authority, request):
    public = x509.load_pem_x509_csr(request.encode()).public_key()
    other = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gate-4")])
    return authority.sign(other, public).public_bytes(PEM).decode()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda a, _: a.sign(a.name, a.key.public_key()).public_bytes(PEM).decode(), "another key"),
        (lambda a, r: a.answer(r, days=(-60, -1)), "not valid now"),
        (lambda a, r: a.answer(r, days=(1, 60)), "not valid now"),
        (lambda _, r: Authority().answer(r), "not from the authority"),
        (renamed, "somebody else"),
        (lambda _, __: "-----BEGIN CERTIFICATE-----", "not a certificate"),
        (lambda _, __: "", "not a certificate"),
    ],
)
def test_what_is_not_taken(pairs, authority, answer, why):
    request = pairs.request()
    with pytest.raises(BadClientCertificate, match=why):
        pairs.install(answer(authority, request), now())
    assert files(pairs) == {"client.pem.key"}


def test_nothing_is_taken_that_was_not_asked_for(pairs, authority):
    answer = authority.answer(pairs.request())
    pairs._key.unlink()
    with pytest.raises(BadClientCertificate, match="ask for a request"):
        pairs.install(answer, now())


def test_a_chain_is_followed_but_not_through_another_kiosk(pairs, authority):
    between = Authority("between", authority)
    chain = between.answer(pairs.request()) + between.certificate.public_bytes(PEM).decode()
    pairs.install(chain, now())
    kiosk = Authority("gate-9")
    kiosk.certificate = authority.sign(kiosk.name, kiosk.key.public_key())  # no authority itself
    chain = kiosk.answer(pairs.request()) + kiosk.certificate.public_bytes(PEM).decode()
    with pytest.raises(BadClientCertificate, match="authority"):
        pairs.install(chain, now())


@pytest.fixture
def tls_broker(make_broker, authority, options):
    broker = make_broker()
    crt, key = authority.pair(broker.folder, "localhost")
    broker.config += f"cafile {options.ca_file}\ncertfile {crt}\nkeyfile {key}\nrequire_certificate true\n"
    broker.start()
    return broker


@pytest.fixture
def link(tls_broker, options, make_outbox, wait_for):
    made = mqtt.Link(replace(options, port=tls_broker.port), TOPICS, make_outbox(), lambda: State("1"))
    made.start()
    wait_for(lambda: made.status().connected)
    yield made
    made.stop(1.0)


def test_a_real_broker_greets_the_new_pair(link, authority, wait_for):
    link.pairs.install(authority.answer(link.pairs.request()), now())
    link.renew()
    assert link.pairs.decided.wait(90)
    assert link.pairs.greeted_new
    wait_for(lambda: link.status().connected and link.status().connections == 2)


def test_a_real_broker_refuses_it_and_gets_the_old_pair_again(link, options, authority, wait_for):
    """The broker's authority has changed its mind; ours cannot know."""
    stranger = Authority()
    request = link.pairs.request()
    link.pairs._options = mqtt.Options(
        tls=True, cert_file=options.cert_file, renewed_cert_file=options.renewed_cert_file
    )
    link.pairs.install(stranger.answer(request), now())
    link.pairs._options = link._options
    link.renew()
    assert link.pairs.decided.wait(90)
    assert not link.pairs.greeted_new
    wait_for(lambda: link.status().connected)


@pytest.fixture
def rotate(link):
    """The command, with a real link."""
    table = Commands(
        (), (), None, link,
        ask=None, flush=None, waiting=None, report=dict, recent_log=list, restart=None, now=now,
    ).table  # fmt: skip
    return lambda **arguments: table["rotate"](arguments)


def test_the_command_asks_and_then_answers_when_the_broker_has_greeted(rotate, authority, link):
    request = rotate().result["request"]
    done = rotate(certificate=authority.answer(request))
    assert datetime.fromisoformat(done.result["not_after"]) > datetime.now(UTC)
    assert link.pairs.greeted_new


def test_the_command_says_what_is_wrong(rotate, authority):
    with pytest.raises(CommandFailed) as caught:
        rotate(certificate=authority.answer(rotate().result["request"], days=(-60, -1)))
    assert caught.value.reason == "invalid_certificate"

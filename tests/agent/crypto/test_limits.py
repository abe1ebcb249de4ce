"""A key signs what its certificate allows, and while it is valid; in every format."""

from __future__ import annotations

import datetime as dt
import json
import zlib
from base64 import b64encode, urlsafe_b64encode
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from agent import credentials
from agent.credentials import cose, jwks
from agent.credentials.formats import dcc, gatepost, shc
from agent.credentials.trust import TrustStore, certified, parse_keys, parse_trust_store
from agent.crypto import base45, cbor, signing, strict_json
from agent.model import ClockState, CodeStatus, Colour, LabResult, TimeBounds, Verdict

UTC = 1_640_000_000.0  # 2021-12-20
NOW = TimeBounds(UTC, UTC, ClockState.SYNCED)
ONE, OTHER = "1.3.6.1.4.1.1847.2021.1.", "1.3.6.1.4.1.0.1847.2021.1."
PERIODS = [
    (-30, 30, CodeStatus.VALID),
    (-90, -30, CodeStatus.EXPIRED),
    (30, 90, CodeStatus.NOT_YET_VALID),
]


def certificate(key: Any, *usages: str, begins: int = -30, ends: int = 30, by: Any = None, **more: Any) -> bytes:
    """DER of a certificate that is valid between these days from now."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "XX")])
    now = dt.datetime.fromtimestamp(UTC, dt.UTC)
    first, last = now + dt.timedelta(days=begins), now + dt.timedelta(days=ends)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, first, last)
    if usages:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([x509.ObjectIdentifier(each) for each in usages]), False
        )
    for extension in more.get("extensions", ()):
        builder = builder.add_extension(extension, False)
    algorithm = None if isinstance(by or key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(by or key, algorithm).public_bytes(serialization.Encoding.DER)


def signed(key: ed25519.Ed25519PrivateKey, der: bytes, claims: dict[Any, Any]) -> tuple[bytes, TrustStore]:
    trust = parse_trust_store([certified(der, issuer="XX")])
    payload = cbor.encode(claims)
    protected, to_sign = cose.build(signing.EDDSA, next(iter(trust.keys)), payload)
    return cose.assemble(protected, payload, key.sign(to_sign)), trust


def state(group: str, *usages: str, **period: int) -> Verdict:
    """An EU certificate of this group, of a signer with these usages."""
    key = ed25519.Ed25519PrivateKey.generate()
    health = {"nam": {"fnt": "ANY"}, group: [{"tg": "840539006", "dn": 1, "sd": 1, "ci": "URN:UVCI:1"}]}
    message, trust = signed(key, certificate(key, *usages, **period), {1: "XX", 4: 2**31, -260: {1: health}})
    return credentials.check(dcc.PREFIX + base45.encode(zlib.compress(message)).encode(), trust, NOW)


@pytest.mark.parametrize("family", [ONE, OTHER])
@pytest.mark.parametrize(("group", "number"), [("t", 1), ("v", 2), ("r", 3)])
def test_a_state_signs_what_its_certificate_names(family: str, group: str, number: int) -> None:
    assert state(group, f"{family}{number}").status is CodeStatus.VALID
    assert state(group, *(f"{family}{each}" for each in (1, 2, 3))).status is CodeStatus.VALID
    for others in {1, 2, 3} - {number}:
        verdict = state(group, f"{family}{others}")
        assert verdict.status is CodeStatus.UNKNOWN_ISSUER
        assert "its signer may sign" in verdict.reason
    assert state(group).status is CodeStatus.VALID
    assert state(group, "1.3.6.1.5.5.7.3.2").status is CodeStatus.VALID


@pytest.mark.parametrize(("label", "number"), [(-6, 2), (3, 2), (4, 1)])
def test_a_signer_of_who_certificates_signs_what_its_certificate_names(label: int, number: int) -> None:
    def signed_with(*usages: str) -> Verdict:
        key = ed25519.Ed25519PrivateKey.generate()
        content = {"n": "Ana Any", "v": {"tg": "1D47"}}
        message, trust = signed(key, certificate(key, *usages), {1: "XX", -260: {label: content}})
        return credentials.check(dcc.PREFIX + base45.encode(zlib.compress(message)).encode(), trust, NOW)

    assert signed_with().status is signed_with(f"{ONE}{number}").status is CodeStatus.VALID
    for others in {1, 2, 3} - {number}:
        assert signed_with(f"{ONE}{others}").status is CodeStatus.UNKNOWN_ISSUER


@pytest.mark.parametrize(("begins", "ends", "status"), PERIODS)
def test_a_state_signs_while_its_certificate_is_valid(begins: int, ends: int, status: CodeStatus) -> None:
    verdict = state("v", begins=begins, ends=ends)
    assert verdict.status is status
    assert ("certificate" in verdict.reason) is (status is not CodeStatus.VALID)


@pytest.mark.parametrize(("begins", "ends", "status"), PERIODS)
def test_a_code_of_our_own(begins: int, ends: int, status: CodeStatus) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    claims = gatepost.claims("XX", "a", Colour.GREEN, issued_utc=int(UTC) - 9, expires_utc=int(UTC) + 9)
    message, trust = signed(key, certificate(key, begins=begins, ends=ends), claims)
    assert credentials.check(gatepost.PREFIX + base45.encode(message).encode(), trust, NOW).status is status


def test_a_code_of_our_own_with_a_test() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    tests = [LabResult("pcr", UTC - 99)]
    claims = gatepost.claims("XX", "a", Colour.GREEN, issued_utc=int(UTC), expires_utc=int(UTC) + 9, tests=tests)
    for usage, status in ((f"{ONE}1", CodeStatus.VALID), (f"{OTHER}2", CodeStatus.UNKNOWN_ISSUER)):
        message, trust = signed(key, certificate(key, usage), claims)
        assert credentials.check(gatepost.PREFIX + base45.encode(message).encode(), trust, NOW).status is status


def es256(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32) + s.to_bytes(32)


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def key_set(key: ec.EllipticCurvePrivateKey, der: bytes, issuer: str = "https://lab.example") -> dict[str, Any]:
    numbers = key.public_key().public_numbers()
    entry = {
        "kty": "EC",
        "crv": "P-256",
        "kid": "k",
        "x": b64(numbers.x.to_bytes(32)),
        "y": b64(numbers.y.to_bytes(32)),
    }
    return {"iss": issuer, "keys": [entry | {"x5c": [b64encode(der).decode()]}]}


def card(key: ec.EllipticCurvePrivateKey) -> bytes:
    subject = {"fhirBundle": {"entry": []}}
    claims = {
        "iss": "https://lab.example",
        "nbf": UTC - 9,
        "vc": {"type": [shc.HEALTH_CARD], "credentialSubject": subject},
    }
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(json.dumps(claims).encode()) + packer.flush()
    message = f"{b64(json.dumps({'alg': 'ES256', 'zip': 'DEF', 'kid': 'k'}).encode())}.{b64(body)}"
    return f"{message}.{b64(es256(key, message.encode()))}".encode()


@pytest.mark.parametrize(("begins", "ends", "status"), PERIODS)
def test_a_health_card_whose_key_has_a_certificate(begins: int, ends: int, status: CodeStatus) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    trust = parse_trust_store(jwks.read(key_set(key, certificate(key, begins=begins, ends=ends))))
    assert credentials.check(card(key), trust, NOW).status is status


@pytest.mark.parametrize(
    "issuer",
    [
        "https://lab.example/",
        "https://LAB.example",
        "https://lab.example:443",
        "https://lab.example/.well-known/jwks.json",
    ],
)
def test_an_address_with_a_slash_is_the_same_issuer(issuer: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    trust = parse_trust_store(jwks.read(key_set(key, certificate(key), issuer)))
    assert credentials.check(card(key), trust, NOW).status is CodeStatus.VALID
    public = b64encode(signing.certificate_key(certificate(key)).spki).decode()
    table = f'[[key]]\nissuer = "{issuer}"\nformats = ["shc"]\nkid = "6b"\npublic = "{public}"\n'
    assert credentials.check(card(key), parse_keys(table, "x"), NOW).status is CodeStatus.VALID


def test_a_key_set_with_the_certificate_of_another_key() -> None:
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    with pytest.raises(ValueError, match="another key"):
        jwks.read(key_set(key, certificate(other)))


def seal(key: ec.EllipticCurvePrivateKey, der: bytes, kind: str) -> bytes:
    message = {"pid": {"n": "A"}, "dat": {"sc": "2021-12-19T10:00:00Z"}, "tr": {"tc": "antigen", "r": "negative"}}
    data = {"hdr": {"t": kind, "v": 1, "is": "UTO"}, "msg": message}
    sig = {"alg": "ES256", "cer": b64(der), "sigvl": b64(es256(key, strict_json.canonical(data)))}
    return json.dumps({"data": data, "sig": sig}).encode()


def documents(*names: bytes) -> x509.UnrecognizedExtension:
    inside = b"".join(b"\x13" + bytes((len(name),)) + name for name in names)
    value = b"\x02\x01\x00\x31" + bytes((len(inside),)) + inside
    return x509.UnrecognizedExtension(
        x509.ObjectIdentifier("2.23.136.1.1.6.2"), b"\x30" + bytes((len(value),)) + value
    )


@pytest.mark.parametrize(
    ("names", "usages", "test", "vaccination"),
    [
        ([b"NT"], [], True, False),
        ([b"NV"], [], False, True),
        ([b"NT", b"NV"], [], True, True),
        ([b"P"], [], False, False),
        ([], [f"{OTHER}2"], False, True),
        ([], [], True, True),
    ],
)
def test_a_seals_signer(names: list[bytes], usages: list[str], test: bool, vaccination: bool) -> None:
    authority, signer = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    leaf = certificate(signer, *usages, by=authority, extensions=[documents(*names)] if names else [])
    for pinned in (leaf, certificate(authority)):
        trust = parse_trust_store([certified(pinned)])
        for kind, allowed in (("icao.test", test), ("icao.vacc", vaccination)):
            status = CodeStatus.VALID if allowed else CodeStatus.UNKNOWN_ISSUER
            assert credentials.check(seal(signer, leaf, kind), trust, NOW).status is status


@pytest.mark.parametrize(("begins", "ends", "status"), PERIODS)
def test_the_authority_of_a_seals_signer_must_be_valid_too(begins: int, ends: int, status: CodeStatus) -> None:
    authority, signer = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    leaf = certificate(signer, by=authority)
    trust = parse_trust_store([certified(certificate(authority, begins=begins, ends=ends))])
    assert credentials.check(seal(signer, leaf, "icao.test"), trust, NOW).status is status


def test_a_signer_of_seals_makes_no_other_signers() -> None:
    """A pinned certificate that says that it is no authority vouches for itself alone."""
    signer, mate = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    no_authority = x509.BasicConstraints(ca=False, path_length=None)
    mine = certificate(signer, extensions=[no_authority])
    trust = parse_trust_store([certified(mine)])
    assert credentials.check(seal(signer, mine, "icao.test"), trust, NOW).status is CodeStatus.VALID
    forged = certificate(mate, by=signer)
    assert credentials.check(seal(mate, forged, "icao.test"), trust, NOW).status is CodeStatus.UNKNOWN_ISSUER


def test_an_unsure_clock_goes_to_staff() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    claims = gatepost.claims("XX", "a", Colour.GREEN, issued_utc=int(UTC) - 9, expires_utc=2**31)
    message, trust = signed(key, certificate(key), claims)
    now = TimeBounds(UTC, float("inf"), ClockState.FLOOR)
    verdict = credentials.check(gatepost.PREFIX + base45.encode(message).encode(), trust, now)
    assert verdict.status is CodeStatus.TIME_UNKNOWN

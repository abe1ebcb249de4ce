"""WHO's trust list: chains, domains, usages; what does not hold is left out with a reason."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.credentials.trust import parse_keys
from agent.issuers import gdhcn
from tests.damage import flipped

NOW = datetime(2026, 10, 3, tzinfo=UTC).timestamp()
DAY = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256K1() if name == "strange" else ec.SECP256R1())


@cache
def certificate(name: str, signer: str, *, ca: bool = False, days: int = 900) -> bytes:
    subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, signer))
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key(name).public_key())
        .serial_number(7)
        .not_valid_before(DAY)
        .not_valid_after(DAY + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key(signer), hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.DER)


def method(
    der: bytes, usage: str, *, domain: str = "PH4H", who: str = "XYZ", kid: bytes | None = None
) -> dict[str, object]:
    name = b64encode(kid if kid is not None else sha256(der).digest()[:8]).decode().replace("=", "%3D")
    point = urlsafe_b64encode(b"\0" + bytes(32)).decode()  # 33 bytes, as many of the list have
    return {
        "id": f"did:web:tng-cdn.who.int:v2:trustlist:{domain}:{who}:{usage}#{name}",
        "type": "JsonWebKey2020",
        "publicKeyJwk": {"kty": "EC", "crv": "UNKNOWN CURVE", "x": point, "x5c": [b64encode(der).decode()]},
    }


def document(*methods: object) -> dict[str, bytes]:
    return {"did.json": json.dumps({"id": "did:web:x", "verificationMethod": list(methods)}).encode()}


SCA = certificate("sca", "sca", ca=True)
DSC = certificate("dsc", "sca")


def test_a_key_that_its_format_does_not_have_is_left_out_and_the_others_taken() -> None:
    strange = certificate("strange", "sca")
    found = gdhcn.read(document(method(SCA, "SCA"), method(strange, "DSC"), method(DSC, "DSC")), NOW)
    assert [signer.certificate for signer in found.keys] == [DSC]
    assert [line for line in found.left_out if "a key that is not taken: secp256k1" in line]


def test_a_signer_under_its_authority() -> None:
    found = gdhcn.read(document(method(SCA, "SCA"), method(DSC, "DSC")), NOW)
    (signer,) = found.keys
    assert (signer.issuer, signer.format, signer.kid) == ("who/XYZ/PH4H", "who", sha256(DSC).digest()[:8])
    assert not found.left_out
    trust = parse_keys(signer.table(), "x")
    (pinned,) = trust.by_format["who"]
    assert pinned.certificate == DSC
    assert "dcc" not in trust.by_format


def test_a_key_of_dcc_signs_only_those() -> None:
    methods = (method(SCA, "SCA", domain="DCC"), method(DSC, "DSC", domain="DCC"))
    (signer,) = gdhcn.read(document(*methods), NOW).keys
    assert signer.format == "dcc"


@pytest.mark.parametrize(
    ("methods", "reason"),
    [
        ((method(DSC, "DSC"),), "has signed it"),
        ((method(SCA, "SCA", who="ABC"), method(DSC, "DSC")), "has signed it"),
        ((method(SCA, "SCA", domain="DCC"), method(DSC, "DSC")), "has signed it"),
        ((method(SCA, "DSC"), method(DSC, "DSC")), "has signed it"),
        ((method(certificate("sca", "sca", ca=False), "SCA"), method(DSC, "DSC")), "has signed it"),
        ((method(certificate("sca", "sca", ca=True, days=100), "SCA"), method(DSC, "DSC")), "has signed it"),
        ((method(certificate("sca2", "sca2", ca=True), "SCA"), method(DSC, "DSC")), "has signed it"),
        ((method(SCA, "SCA"), method(certificate("dsc", "sca", days=100), "DSC")), "ended on 2026-04-11"),
        ((method(SCA, "SCA"), method(DSC, "DSC", kid=b"12345678")), "its key id is not that of its certificate"),
        ((method(SCA, "SCA"), method(b"junk", "DSC")), "not an X.509 certificate in DER form"),
        (("did:web:elsewhere",), "no signer or authority of a participant, with a certificate"),
    ],
)
def test_what_does_not_hold_is_left_out(methods: tuple[object, ...], reason: str) -> None:
    found = gdhcn.read(document(*methods), NOW)
    assert not found.keys
    assert found.left_out[-1].endswith(reason)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_a_flipped_bit_in_a_signer() -> None:
    for changed in flipped(DSC, every=17):
        found = gdhcn.read(document(method(SCA, "SCA"), method(changed, "DSC")), NOW)
        assert not found.keys


@pytest.mark.parametrize("data", [b"[]", b"{}", b"\xff", b'{"verificationMethod": "x"}'])
def test_no_document(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"did\.json"):
        gdhcn.read({"did.json": data}, NOW)


def test_days_of_a_key_without_certificate_are_read_again() -> None:
    (signer,) = gdhcn.read(document(method(SCA, "SCA"), method(DSC, "DSC")), NOW).keys
    bare = replace(signer, certificate=b"")
    (pinned,) = parse_keys(bare.table(), "x").by_format["who"]
    assert (pinned.limits.starts_utc, pinned.limits.expires_utc) == (DAY.timestamp(), bare.ends_utc)

"""UIC's list of keys: what is taken, what is left out and why, and what a broken certificate still gives."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.x509.oid import NameOID

from agent.crypto import der, signing
from agent.issuers import uic

NOW = datetime(2026, 10, 3, tzinfo=UTC).timestamp()
EC_KEY = ec.generate_private_key(ec.SECP256R1())


@cache
def dsa_key() -> dsa.DSAPrivateKey:
    """Made when a test needs it: that takes up to a second."""
    return dsa.generate_private_key(2048)


def spki(key: dsa.DSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.DER, form)


def certificate(key: dsa.DSAPrivateKey | ec.EllipticCurvePrivateKey, *, broken: bool = False) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rail")])
    day = datetime(2026, 1, 1, tzinfo=UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(day)
        .not_valid_after(day + timedelta(days=900))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    if broken:  # a version that no certificate has
        built = built.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09", 1)
        with pytest.raises(x509.InvalidVersion):
            x509.load_der_x509_certificate(built)
        with pytest.raises(signing.BadKey):
            signing.certificate_key(built)
    return built


def entry(key: bytes, **other: str) -> str:
    fields = {
        "issuerName": "Rail & Co", "issuerCode": "80", "versionType": "FCB",
        "signatureAlgorithm": "SHA256withDSA(2048,256)", "id": "6",
        "publicKey": b64encode(key).decode(), "startDate": "2026-01-01", "endDate": "2028-06-30",
        "keyForged": "",
    } | other  # fmt: skip
    text = "".join(f"<{name}>{value.replace('&', '&amp;')}</{name}>" for name, value in fields.items())
    return f"<key>{text}</key>"


def listed(*entries: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<keys>{"".join(entries)}</keys>'.encode()


@pytest.mark.parametrize(
    ("raw", "algorithm", "name"),
    [
        (lambda: spki(dsa_key()), "SHA256withDSA(2048,256)", "dsa-sha256"),
        (lambda: certificate(dsa_key()), "SHA-1/DSA", "dsa-sha1"),
        (lambda: certificate(dsa_key(), broken=True), "SHA224withDSA", "dsa-sha224"),
        (lambda: certificate(EC_KEY), "SHA256withECDSA", "es256"),
    ],
)
def test_a_key_and_a_certificate_that_a_library_refuses(
    raw: Callable[[], bytes], algorithm: str, name: str
) -> None:
    found = uic.read({"keys.xml": listed(entry(raw(), signatureAlgorithm=algorithm))}, NOW)
    (key,) = found.keys
    assert not found.left_out
    assert (key.issuer, key.kid, key.algorithm, key.company) == (
        "uic/80",
        b"80/6",
        signing.NAMES[name],
        "Rail & Co",
    )
    assert key.line().endswith(f"{name}  2026-01-01 to 2028-06-30")
    assert key.spki in (spki(dsa_key()), spki(EC_KEY))


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"endDate": "2026-10-01"}, "ended on 2026-10-01"),
        ({"endDate": "soon"}, "endDate is no day"),
        ({"startDate": "2029-01-01"}, "ends before it begins"),
        ({"keyForged": "true"}, "marked as forged"),
        ({"keyForged": "Y"}, "marked as forged"),
        ({"keyForged": "ja"}, "marked as forged"),
        ({"signatureAlgorithm": "MD5withRSA"}, "an algorithm that is not taken: 'MD5withRSA'"),
        ({"signatureAlgorithm": "SHA256withECDSA"}, "a key (DSA 2048) of another kind than its algorithm"),
        ({"issuerCode": "x"}, "no number of a company, or of a key"),
        ({"publicKey": "%"}, "a key that is not base64"),
        ({"publicKey": "MAAB"}, "a certificate in which no key is found"),
    ],
)
def test_what_is_left_out_says_why(other: dict[str, str], reason: str) -> None:
    found = uic.read({"keys.xml": listed(entry(spki(dsa_key()), **other), entry(spki(EC_KEY)))}, NOW)
    assert found.left_out[0].endswith(reason)
    assert not found.keys


@pytest.mark.parametrize("order", [1, -1])
def test_a_key_that_is_marked_as_forged_once_is_forged(order: int) -> None:
    """Whichever name it has in another entry, or in an older file beside this one."""
    marked, other = (
        entry(spki(dsa_key()), id=name, keyForged=mark) for name, mark in (("6", "true"), ("7", "false"))
    )
    files = {"a.xml": listed(marked), "b.xml": listed(other)}
    found = uic.read(dict(list(files.items())[::order]), NOW)
    assert not found.keys
    assert sorted(each.rpartition(": ")[2] for each in found.left_out) == [
        "marked as forged",
        "marked as forged elsewhere",
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"<keys></keys>",
        b'<!DOCTYPE keys [<!ENTITY a "aaaa">]><keys><key><id>&a;</id></key></keys>',
        listed(entry(spki(EC_KEY))).decode().replace("UTF-8", "UTF-16").encode("utf-16"),
        b"<keys>" + b"<key></key>" * 800_000 + b"</keys>",
    ],
    ids=["json", "empty", "entity", "utf-16", "large"],
)
def test_no_list(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^keys\.xml: "):
        uic.read({"keys.xml": data}, NOW)


def test_the_place_of_a_key_in_every_cut_of_a_certificate() -> None:
    whole = certificate(EC_KEY)
    assert der.certificate_spki(whole) == spki(EC_KEY)
    for cut in range(len(whole)):
        with pytest.raises(ValueError, match=r"DER|certificate"):
            der.certificate_spki(whole[:cut])

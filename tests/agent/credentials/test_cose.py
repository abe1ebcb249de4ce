"""COSE as states really write it: with one tag, two or none, any curve, key ids here and there."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from agent import credentials
from agent.credentials import cose
from agent.credentials.formats import dcc
from agent.credentials.trust import TrustedKey, TrustStore, parse_trust_store
from agent.crypto import base45, cbor, signing
from agent.model import ClockState, CodeStatus, TimeBounds

UTC = 1_700_000_000
NOW = TimeBounds(UTC, UTC + 1, ClockState.SYNCED)
KID = b"12345678"
CLAIMS = {1: "XX", 4: UTC + 100, 6: UTC - 100, -260: {1: {"v": [{"ci": "URN:UVCI:1"}], "dob": "1990-01-01"}}}
PAYLOAD = cbor.encode(CLAIMS)

EC_KEYS = {
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "P-521": ec.generate_private_key(ec.SECP521R1()),
}


@functools.cache
def rsa_key() -> rsa.RSAPrivateKey:
    """Made when a test needs it: that takes a fifth of a second."""
    return rsa.generate_private_key(65537, 2048)


def pinned(private: Any) -> TrustStore:
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    public = signing.public_key(private.public_key().public_bytes(*form))
    return parse_trust_store([TrustedKey("XX", KID, frozenset({"dcc"}), public)])


def by_curve(curve: str, digest: hashes.HashAlgorithm | None = None) -> Callable[[bytes], bytes]:
    def sign(message: bytes) -> bytes:
        width = (EC_KEYS[curve].curve.key_size + 7) // 8
        r, s = decode_dss_signature(EC_KEYS[curve].sign(message, ec.ECDSA(digest or hashes.SHA256())))
        return r.to_bytes(width) + s.to_bytes(width)

    return sign


def by_rsa(message: bytes) -> bytes:
    return rsa_key().sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())


def message(
    sign: Callable[[bytes], bytes],
    header: dict[int, Any] | None = None,
    unprotected: dict[Any, Any] | None = None,
    payload: bytes = PAYLOAD,
) -> list[Any]:
    protected = cbor.encode(header) if header != {} else b""
    if header is None:
        protected = cbor.encode({cose.ALG: signing.ES256, cose.KID: KID})
    signed = cbor.encode(["Signature1", protected, b"", payload])
    return [protected, unprotected or {}, payload, sign(signed)]


def judged(item: Any, trust: TrustStore) -> CodeStatus:
    packed = base45.encode(zlib.compress(cbor.encode(item)))
    return credentials.check(dcc.PREFIX + packed.encode(), trust, NOW).status


P256 = by_curve("P-256")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda item: item,
        lambda item: cbor.Tag(18, item),
        lambda item: cbor.Tag(61, cbor.Tag(18, item)),
    ],
    ids=["untagged", "18", "61(18)"],
)
def test_tags(wrap: Callable[[Any], Any]) -> None:
    assert judged(wrap(message(P256)), pinned(EC_KEYS["P-256"])) is CodeStatus.VALID


@pytest.mark.parametrize(
    "wrap",
    [
        lambda item: cbor.Tag(61, cbor.Tag(61, cbor.Tag(18, item))),
        lambda item: cbor.Tag(98, item),
        lambda item: [item],
    ],
    ids=["61(61(18))", "98", "nested"],
)
def test_other_wrappings(wrap: Callable[[Any], Any]) -> None:
    assert judged(wrap(message(P256)), pinned(EC_KEYS["P-256"])) is CodeStatus.MALFORMED


@pytest.mark.parametrize(
    ("header", "unprotected"),
    [
        (None, {}),
        ({1: -7}, {4: KID}),
        ({4: KID}, {1: -7}),
        ({}, {1: -7, 4: KID}),
        (None, {1: -37, 4: b"somebody"}),
    ],
    ids=["protected", "kid unprotected", "alg unprotected", "both unprotected", "protected wins"],
)
def test_where_headers_stand(header: dict[int, Any] | None, unprotected: dict[Any, Any]) -> None:
    assert judged(message(P256, header, unprotected), pinned(EC_KEYS["P-256"])) is CodeStatus.VALID


def test_an_unprotected_key_id_does_not_win() -> None:
    item = message(P256, {1: -7, 4: b"somebody"}, {4: KID})
    assert judged(item, pinned(EC_KEYS["P-256"])) is CodeStatus.UNKNOWN_ISSUER


@pytest.mark.parametrize("curve", EC_KEYS)
def test_es256_with_any_curve(curve: str) -> None:
    assert judged(message(by_curve(curve)), pinned(EC_KEYS[curve])) is CodeStatus.VALID


@pytest.mark.parametrize(("algorithm", "digest"), [(-35, hashes.SHA384()), (-36, hashes.SHA512())])
def test_larger_digests(algorithm: int, digest: hashes.HashAlgorithm) -> None:
    item = message(by_curve("P-384", digest), {1: algorithm, 4: KID})
    assert judged(item, pinned(EC_KEYS["P-384"])) is CodeStatus.VALID


def test_ps256() -> None:
    assert judged(message(by_rsa, {1: -37, 4: KID}), pinned(rsa_key())) is CodeStatus.VALID


@pytest.mark.parametrize("algorithm", [-7, -8, -35, -36, -37, -70000, 0, 5])
def test_an_algorithm_that_is_not_the_keys(algorithm: int) -> None:
    for sign, private in ((P256, EC_KEYS["P-256"]), (by_rsa, rsa_key())):
        if (algorithm, private) not in {(-7, EC_KEYS["P-256"]), (-37, rsa_key())}:
            assert judged(message(sign, {1: algorithm, 4: KID}), pinned(private)) is CodeStatus.BAD_SIGNATURE


@pytest.mark.parametrize("signature", [b"", bytes(64), b"\xff" * 64, bytes(63), bytes(65), bytes(32) + b"\1" * 32])
def test_signatures_that_are_none(signature: bytes) -> None:
    item = message(lambda _: signature)
    assert judged(item, pinned(EC_KEYS["P-256"])) is CodeStatus.BAD_SIGNATURE


@pytest.mark.parametrize(
    "item",
    [
        [],
        [b"", {}, b""],
        ["", {}, b"", b""],
        [b"", [], b"", b""],
        [b"\x80", {}, b"", b""],
        [b"\xa1\x01\xf5", {}, b"", b""],
        [b"\xa1\x01\x61a", {}, b"", b""],
        [b"", {}, None, b""],
        7,
        {},
    ],
    ids=str,
)
def test_what_is_no_message(item: Any) -> None:
    assert judged(item, TrustStore()) is CodeStatus.MALFORMED


def test_the_signature_covers_what_is_read() -> None:
    """Our own Sig_structure is byte for byte what a CBOR library makes of it."""
    for size in (0, 1, 23, 24, 255, 256, 65_535, 65_536):
        payload = bytes(size)
        signed = cose.build(-7, KID, payload)[1]
        assert signed == cbor.encode(["Signature1", cbor.encode({1: -7, 4: KID}), b"", payload])


def test_a_header_that_asks_for_more_than_is_understood() -> None:
    header = {cose.ALG: signing.ES256, cose.KID: KID, cose.CRIT: [99], 99: 1}
    assert judged(message(P256, header), pinned(EC_KEYS["P-256"])) is CodeStatus.MALFORMED

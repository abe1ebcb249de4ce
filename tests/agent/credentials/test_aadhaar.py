"""Aadhaar Secure QR: a published test code, each bit of it, hostile numbers, and whether anybody is named."""

from __future__ import annotations

import functools
import gzip
import sys
import zlib
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import vectors_today as vectors
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from agent import credentials
from agent.credentials.formats import aadhaar
from agent.credentials.trust import TrustedKey, TrustStore, parse_trust_store
from agent.crypto import signing
from agent.crypto.limits import Limits
from agent.crypto.refusal import CheckFailed
from agent.model import ClockState, CodeStatus, TimeBounds, Tristate
from tests.damage import flipped

FORMATS = frozenset({"aadhaar"})
PUBLISHED = parse_trust_store([TrustedKey("uidai", b"1", FORMATS, signing.public_key(vectors.AADHAAR_KEY))])
CANARY = "Ana Canary"


@functools.cache
def key() -> rsa.RSAPrivateKey:
    """Made when a test needs it: that takes a fifth of a second."""
    return rsa.generate_private_key(65537, 2048)


@functools.cache
def trust() -> TrustStore:
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    public = signing.public_key(key().public_key().public_bytes(serialization.Encoding.DER, spki))
    return parse_trust_store([TrustedKey("uidai", b"1", FORMATS, public, Limits(expires_utc=1.0))])


def at(day: str) -> TimeBounds:
    utc = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
    return TimeBounds(utc, utc, ClockState.SYNCED)


NOW = at("2026-10-03T12:00")


def number(data: bytes) -> bytes:
    """As digits, whatever their number."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return str(int.from_bytes(data)).encode()
    finally:
        sys.set_int_max_str_digits(before)


def content(
    *,
    name: str = CANARY,
    born: str = "01-02-1990",
    version: bytes | None = b"V2",
    photo: bytes = b"\xff\x4f\xff\x51" * 60,
) -> bytes:
    fields = [
        b"3",
        b"123420260101120000000",
        CANARY.encode("iso-8859-1"),
        born.encode(),
        b"F",
        *[b"x"] * 11,
        b"5678",
    ]
    head = [version] if version is not None else []
    return b"\xff".join([*head, *fields]) + b"\xff" + photo


def issue(data: bytes, *, form: str = "zlib") -> bytes:
    signed = data + key().sign(data, padding.PKCS1v15(), hashes.SHA256())
    packed = gzip.compress(signed, mtime=0) if form == "gzip" else zlib.compress(signed)
    return number(packed)


def test_a_published_code() -> None:
    verdict = credentials.check(vectors.AADHAAR, PUBLISHED, NOW)
    assert (verdict.status, verdict.format, verdict.kind) == (CodeStatus.VALID, "aadhaar", "identity")
    assert verdict.of_age is Tristate.YES
    assert credentials.check(vectors.AADHAAR, PUBLISHED, at("2001-12-30")).of_age is Tristate.NO
    assert credentials.check(vectors.AADHAAR, TrustStore(), NOW).status is CodeStatus.UNKNOWN_ISSUER
    assert credentials.check(vectors.AADHAAR, trust(), NOW).status is CodeStatus.BAD_SIGNATURE
    assert not any(word in repr(verdict) for word in ("Sumit", "Kumar", "1984", "2697", "110051"))


def test_no_byte_may_change_and_nothing_follow() -> None:
    """What is accepted all the same, such as flags of the stream, is the same person and the same code."""
    data = aadhaar._bytes(vectors.AADHAAR)
    inside = zlib.decompress(data)
    good = credentials.check(vectors.AADHAAR, PUBLISHED, NOW)
    for changed in flipped(inside):
        told = credentials.check(number(zlib.compress(changed, 0)), PUBLISHED, NOW)
        assert told.status is not CodeStatus.VALID, changed
    for changed in flipped(data):
        verdict = credentials.check(number(changed), PUBLISHED, NOW)
        assert verdict == good or verdict.status is not CodeStatus.VALID, changed
    for other in (gzip.compress(inside), zlib.compress(inside, 1)):
        assert credentials.check(number(other), PUBLISHED, NOW) == good
    for more in (b"0", b"1", vectors.AADHAAR[:100]):
        assert credentials.check(vectors.AADHAAR + more, PUBLISHED, NOW).status is not CodeStatus.VALID
    assert credentials.check(b"0" + vectors.AADHAAR, PUBLISHED, NOW).status is CodeStatus.UNRECOGNISED


@pytest.mark.parametrize("version", [None, b"V2", b"V5"])
@pytest.mark.parametrize("form", ["zlib", "gzip"])
def test_versions_and_forms(version: bytes | None, form: str) -> None:
    verdict = credentials.check(issue(content(version=version), form=form), trust(), NOW)
    assert (verdict.status, verdict.of_age) == (CodeStatus.VALID, Tristate.YES)
    assert verdict.subject == credentials.check(issue(content(), form=form), trust(), NOW).subject
    assert CANARY not in repr(verdict)


@pytest.mark.parametrize(
    ("born", "of_age"),
    [
        ("03-10-2008", Tristate.UNKNOWN),
        ("05-10-2008", Tristate.NO),
        ("01-10-2008", Tristate.YES),
        ("2008", Tristate.UNKNOWN),
        ("2000", Tristate.YES),
        ("xx", Tristate.UNKNOWN),
    ],
)
def test_whether_of_age(born: str, of_age: Tristate) -> None:
    assert credentials.check(issue(content(born=born)), trust(), NOW).of_age is of_age


def test_the_photo_may_hold_any_byte() -> None:
    plain = credentials.check(issue(content(photo=bytes(256))), trust(), NOW)
    separators = credentials.check(issue(content(photo=b"\xff" * 40_000)), trust(), NOW)
    assert plain.subject == separators.subject
    assert plain.code != separators.code


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"9" * 7_089,
        lambda: issue(b"\xff".join([b"V2", b"3", b"1234"])),
        lambda: number(zlib.compress(bytes(10_000_000))),
        lambda: number(zlib.compress(b"x" * 100 + bytes(900))),
    ],
    ids=["digits", "few fields", "inflation", "unsigned"],
)
def test_hostile(make: Callable[[], bytes]) -> None:
    verdict = credentials.check(make(), trust(), NOW)
    assert verdict.status is not CodeStatus.VALID
    assert verdict.reason
    assert verdict.status is not CodeStatus.INTERNAL_ERROR, verdict.reason


@given(st.integers(10**700, 10**7_089 - 1).map(lambda value: number(value.to_bytes(2_945)).lstrip(b"0")))
def test_no_untyped_exception_from_digits(payload: bytes) -> None:
    assert aadhaar.recognises(payload)
    try:
        aadhaar.check(payload, trust(), NOW)
    except CheckFailed:
        return
    raise AssertionError

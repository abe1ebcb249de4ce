"""Claim 169: published vectors, changes to them, and whether somebody is of age."""

from __future__ import annotations

import random
import zlib
from datetime import UTC, datetime

import pytest
import vectors_today as vectors
from hypothesis import given
from hypothesis import strategies as st

from agent import credentials
from agent.credentials import age, cose, cwt
from agent.credentials.formats import claim169
from agent.credentials.trust import TrustedKey, TrustStore, parse_trust_store
from agent.crypto import base45, cbor, signing
from agent.model import ClockState, CodeStatus, TimeBounds, Tristate
from tests.damage import flipped

TRUST = vectors.claim169_trust()
NOW = TimeBounds(1_750_000_000.0, 1_750_000_001.0, ClockState.SYNCED)
KEY = signing.new_private_key()
ISSUER = "https://id.example"
OWN = parse_trust_store([TrustedKey(ISSUER, KEY.public.kid, frozenset({"claim169"}), KEY.public)])
CANARY = "Ana Canary"


def issue(identity: object, *, kid: bytes = b"", issuer: str = ISSUER, tag: int = 18, **claims: int) -> bytes:
    content: dict[object, object] = {cwt.ISS: issuer, cwt.EXP: claims.get("exp", 1_800_000_000), 169: identity}
    payload = cbor.encode(content)
    protected, to_sign = cose.build(KEY.algorithm, kid, payload)
    message = cbor.encode(cbor.Tag(tag, [protected, {}, payload, KEY.sign(to_sign)]))
    return base45.encode(zlib.compress(message)).encode()


@pytest.mark.parametrize("text", [vectors.CLAIM169_ED25519, vectors.CLAIM169_P256], ids=["Ed25519", "P-256"])
def test_published_vectors(text: bytes) -> None:
    verdict = credentials.check(text, TRUST, NOW)
    assert (verdict.status, verdict.format, verdict.kind) == (CodeStatus.VALID, "claim169", "identity")
    assert verdict.issuer == vectors.CLAIM169_ISSUER
    assert verdict.expires_utc == 1_800_000_000
    assert verdict.of_age is Tristate.UNKNOWN  # no date of birth in it
    late = TimeBounds(1_800_000_001.0, 1_800_000_002.0, ClockState.SYNCED)
    assert credentials.check(text, TRUST, late).status is CodeStatus.EXPIRED
    assert credentials.check(text, TrustStore(), NOW).status is CodeStatus.UNKNOWN_ISSUER
    elsewhere = vectors.claim169_trust("https://other.example")
    assert credentials.check(text, elsewhere, NOW).status is CodeStatus.UNKNOWN_ISSUER


@pytest.mark.parametrize("text", [vectors.CLAIM169_ED25519, vectors.CLAIM169_P256], ids=["Ed25519", "P-256"])
def test_no_byte_may_change(text: bytes) -> None:
    """What is accepted all the same, such as flags of zlib, is the same code to the gate."""
    good = credentials.check(text, TRUST, NOW)
    data = base45.decode(text)
    message = zlib.decompress(data)
    for packed in (*map(zlib.compress, flipped(message)), *flipped(data)):
        verdict = credentials.check(base45.encode(packed).encode(), TRUST, NOW)
        assert verdict.status is not CodeStatus.VALID or verdict == good


def test_another_packing_is_the_same_code() -> None:
    good = credentials.check(vectors.CLAIM169_ED25519, TRUST, NOW)
    message = zlib.decompress(base45.decode(vectors.CLAIM169_ED25519))
    again = base45.encode(zlib.compress(message, 0)).encode()
    assert again != vectors.CLAIM169_ED25519
    assert credentials.check(again, TRUST, NOW).code == good.code
    assert credentials.check(vectors.CLAIM169_ED25519 + b"00", TRUST, NOW).status is not CodeStatus.VALID


def test_one_holder_is_one_subject_and_nobody_is_named() -> None:
    one = credentials.check(issue({1: "ID-7", 4: CANARY, 8: "19900131"}), OWN, NOW)
    two = credentials.check(issue({1: "ID-7", 4: "A. Canary"}, exp=1_790_000_000), OWN, NOW)
    assert one.subject == two.subject == claim169.subject_key(ISSUER, "ID-7")
    assert one.code != two.code
    assert "Canary" not in repr(one)
    assert "1990" not in repr(one)
    assert one.of_age is Tristate.YES


def test_key_ids_are_used_where_there_are_any() -> None:
    assert credentials.check(issue({1: "1"}, kid=KEY.public.kid), OWN, NOW).status is CodeStatus.VALID
    assert credentials.check(issue({1: "1"}, kid=b"other"), OWN, NOW).status is CodeStatus.VALID


def test_what_is_no_identity_is_refused() -> None:
    assert credentials.check(issue(7), OWN, NOW).status is CodeStatus.MALFORMED
    assert credentials.check(issue({1: "1"}, issuer="https://evil"), OWN, NOW).status is CodeStatus.UNKNOWN_ISSUER
    encrypted = credentials.check(issue({1: "1"}, tag=16), OWN, NOW)
    assert (encrypted.status, encrypted.reason) == (CodeStatus.MALFORMED, "encrypted: no gate can read it")


@pytest.mark.parametrize(
    ("born", "today", "expected"),
    [
        ("2000-06-15", "2018-06-15T12:00", Tristate.UNKNOWN),
        ("2000-06-15", "2018-06-15T14:01", Tristate.YES),  # it is that day everywhere
        ("2000-06-15", "2018-06-14T09:59", Tristate.NO),
        ("2000-06-15", "2018-06-14T10:01", Tristate.UNKNOWN),  # it is that day somewhere
        ("2000-02-29", "2018-02-28T09:00", Tristate.NO),
        ("2000-02-29", "2018-03-02T00:00", Tristate.YES),
        ("2000-06", "2018-06-20T12:00", Tristate.UNKNOWN),
        ("2000-06", "2018-07-02T12:00", Tristate.YES),
        ("2000", "2018-12-31T12:00", Tristate.UNKNOWN),
        ("2000", "2019-01-02T12:00", Tristate.YES),
        ("2000", "2017-12-30T12:00", Tristate.NO),
        ("", "2018-06-15T12:00", Tristate.UNKNOWN),
        ("2000-13-01", "2018-06-15T12:00", Tristate.UNKNOWN),
    ],
)
def test_of_age(born: str, today: str, expected: Tristate) -> None:
    utc = datetime.fromisoformat(today).replace(tzinfo=UTC).timestamp()
    assert age.of_age(born, 18, TimeBounds(utc, utc, ClockState.SYNCED)) is expected


@given(st.text(max_size=10), st.floats(0, 1e12))
def test_of_age_from_noise(born: str, utc: float) -> None:
    assert age.of_age(born, 18, TimeBounds(utc, utc, ClockState.SYNCED)) in set(Tristate)


@pytest.mark.parametrize("size", [0, 20, 200, 700, 1500, 3000])
@pytest.mark.parametrize("level", [1, 6, 9])
def test_an_identity_with_a_picture_is_recognised(size: int, level: int) -> None:
    """A longer stream begins with tables, which may be longer than all of a short one."""
    uneven = [1 + 30 * (byte % 7 == 0) for byte in range(256)]
    picture = bytes(random.Random(size).choices(range(256), uneven, k=size))
    message = zlib.decompress(base45.decode(issue({1: "12", 4: "Nobody", 62: picture})))
    code = base45.encode(zlib.compress(message, level)).encode()
    assert claim169.recognises(code)
    assert credentials.check(code, OWN, NOW).status is CodeStatus.VALID


@pytest.mark.parametrize(
    "text", [b"", b"6BF", b"6B", b"SHOP-4711", b"6BFXXXXXXXXXXXXXXXXXXXXXXXXXXXXX", b"$5B" * 400]
)
def test_what_only_begins_like_one_is_none(text: bytes) -> None:
    assert not claim169.recognises(text)

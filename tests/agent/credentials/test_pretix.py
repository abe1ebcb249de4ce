"""pretix tickets: the shop's own test tickets, and what can be made of one that is genuine."""

from __future__ import annotations

import contextlib
from base64 import b64decode, b64encode

import pytest
import vectors_today as vectors
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agent import credentials
from agent.credentials import protobuf
from agent.credentials.formats import pretix
from agent.credentials.trust import TrustedKey, TrustStore, parse_trust_store
from agent.crypto import signing
from agent.crypto.refusal import Malformed
from agent.model import ClockState, CodeStatus, TimeBounds

TRUST = vectors.pretix_trust()
IN_FEBRUARY = 1_675_422_000.0  # 2023-02-03 11:00 UTC


def at(utc: float) -> TimeBounds:
    return TimeBounds(utc, utc + 0.5, ClockState.SYNCED)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def payload(**numbers: int) -> bytes:
    names = ("item", "variation", "subevent", "valid_from", "valid_until")
    content = b"\x0a\x04seed"
    for number, name in enumerate(names, 2):
        if numbers.get(name):
            content += varint(number << 3) + varint(numbers[name])
    return content


class Shop:
    """An event with a key of its own."""

    def __init__(self, event: str = "concert") -> None:
        self.key = Ed25519PrivateKey.generate()
        public = signing.ed25519_key(self.key.public_key().public_bytes_raw())
        self.trust = parse_trust_store([TrustedKey(event, public.kid, frozenset({"pretix"}), public)])

    def sell(self, content: bytes) -> bytes:
        head = b"\1" + len(content).to_bytes(2) + (64).to_bytes(2)
        return b64encode(head + content + self.key.sign(content))[::-1]


@pytest.mark.parametrize(
    ("text", "utc", "status"),
    [
        (vectors.PRETIX_VALID, IN_FEBRUARY, CodeStatus.VALID),
        (vectors.PRETIX_OTHER_ITEM, IN_FEBRUARY, CodeStatus.VALID),
        (vectors.PRETIX_NOT_YET, 1_675_465_199, CodeStatus.NOT_YET_VALID),  # 22:59:59
        (vectors.PRETIX_NOT_YET, 1_675_465_261, CodeStatus.VALID),  # 23:01:01
        (vectors.PRETIX_NO_LONGER, 1_675_421_998, CodeStatus.VALID),  # 10:59:58
        (vectors.PRETIX_NO_LONGER, 1_675_422_061, CodeStatus.EXPIRED),  # 11:01:01
        (vectors.PRETIX_FORGED, IN_FEBRUARY, CodeStatus.BAD_SIGNATURE),
    ],
)
def test_the_shops_own_test_tickets(text: bytes, utc: float, status: CodeStatus) -> None:
    assert credentials.check(text, TRUST, at(utc)).status is status


def test_says_where_it_counts() -> None:
    verdict = credentials.check(vectors.PRETIX_VALID, TRUST, at(IN_FEBRUARY))
    assert verdict.kind == "ticket"
    assert verdict.issuer == "demo"
    assert verdict.entitlement is not None
    assert verdict.entitlement.places == ("demo@14", "demo/1@14")
    assert verdict.entitlement.single_use


def test_a_date_of_a_series_does_not_count_for_the_whole() -> None:
    shop = Shop()
    verdict = credentials.check(shop.sell(payload(item=3, variation=4, subevent=5)), shop.trust, at(IN_FEBRUARY))
    assert verdict.entitlement is not None
    assert verdict.entitlement.places == ("concert@5", "concert/3@5", "concert/3/4@5")


def test_without_the_events_key() -> None:
    assert (
        credentials.check(vectors.PRETIX_VALID, TrustStore(), at(IN_FEBRUARY)).status is CodeStatus.UNKNOWN_ISSUER
    )


def test_no_change_is_accepted() -> None:
    """Each bit of the text, and each character that base64 has."""
    code = credentials.check(vectors.PRETIX_VALID, TRUST, at(IN_FEBRUARY)).code
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \n-_"
    for place, before in enumerate(vectors.PRETIX_VALID):
        for other in {before ^ 1 << bit for bit in range(8)} | set(alphabet):
            changed = bytearray(vectors.PRETIX_VALID)
            changed[place] = other
            verdict = credentials.check(bytes(changed), TRUST, at(IN_FEBRUARY))
            assert verdict.status is not CodeStatus.VALID or (other == before and verdict.code == code)


@pytest.mark.parametrize("more", [b"\0", b"\0\0\0", bytes(30)])
def test_bytes_after_the_signature_are_no_second_ticket(more: bytes) -> None:
    whole = b64encode(b64decode(vectors.PRETIX_VALID[::-1]) + more)[::-1]
    assert credentials.check(whole, TRUST, at(IN_FEBRUARY)).status is not CodeStatus.VALID


def test_another_base64_of_it_is_refused() -> None:
    shop = Shop()
    text = next(text for seed in range(9) if (text := shop.sell(payload(item=10**seed)))[:1] == b"=")
    data = b64decode(text[::-1])
    spellings = [text.lstrip(b"="), b"\n" + text, text[:40] + b"\n" + text[40:]]
    last = text[2:3] if text[:2] == b"==" else text[1:2]
    table = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    loose = bytes((table[table.index(last) + 1],))  # bits that no byte has
    spellings.append(text[:2] + loose + text[3:] if text[:2] == b"==" else text[:1] + loose + text[2:])
    assert credentials.check(text, shop.trust, at(IN_FEBRUARY)).status is CodeStatus.VALID
    assert b64decode(spellings[-1][::-1]) == data
    for other in spellings:
        assert credentials.check(other, shop.trust, at(IN_FEBRUARY)).status is not CodeStatus.VALID


def test_the_key_of_a_text_is_that_of_its_ticket() -> None:
    verdict = credentials.check(vectors.PRETIX_VALID, TRUST, at(IN_FEBRUARY))
    assert pretix.code_key(vectors.PRETIX_VALID.decode()) == verdict.code


@pytest.mark.parametrize(
    "content",
    [
        b"\x10",
        b"\x10" + b"\xff" * 10,
        b"\x10\x01\x10\x02",
        b"\x0b\x01",
        b"\x0a\x7fab",
        b"\x00\x01",
        b"\x15\0\0\0\0",
    ],
    ids=["cut off", "a long number", "twice", "a group", "cut off text", "no number", "fixed width"],
)
def test_a_signed_payload_that_cannot_be_read(content: bytes) -> None:
    shop = Shop()
    assert credentials.check(shop.sell(content), shop.trust, at(IN_FEBRUARY)).status is CodeStatus.MALFORMED


@given(st.binary(max_size=80))
def test_protobuf_from_noise(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert all(isinstance(value, int | bytes) for value in protobuf.fields(data).values())

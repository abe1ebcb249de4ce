"""Test sets of issuers: every line gets one answer, in order, without the text."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from agent.credentials import batch
from agent.credentials.formats import gatepost
from agent.credentials.trust import TrustStore
from agent.crypto import signing
from agent.model import Colour

UTC = 1_700_000_000


def ask(trust: TrustStore, **line: Any) -> dict[str, object]:
    return batch.verify_line(json.dumps({"id": 7} | line).encode(), trust)


def test_by_the_gates_own_keys(code: bytes, trust: TrustStore) -> None:
    answer = ask(trust, text=code.decode(), at=UTC)
    assert answer == {
        "id": 7,
        "accept": True,
        "authentic": True,
        "format": "gatepost",
        "issuer": "demo",
        "reason": "valid",
        "why": "",
    }


@pytest.mark.parametrize(
    ("at", "accept", "reason"),
    [
        (UTC, True, "valid"),
        ("2023-11-14T22:13:20Z", True, "valid"),
        ("2023-11-14T22:13:20", True, "valid"),
        ("2023-11-15T06:13:20+08:00", True, "valid"),
        (UTC + 1000, False, "expired"),
        (UTC - 1000, False, "not_yet_valid"),
        (None, True, "valid"),
    ],
)
def test_as_at(code: bytes, trust: TrustStore, at: object, accept: bool, reason: str) -> None:
    answer = ask(trust, text=code.decode(), at=at)
    assert (answer["accept"], answer["authentic"], answer["reason"]) == (accept, True, reason)


def test_without_a_time_any_moment_up_to_now_will_do(code: bytes, trust: TrustStore) -> None:
    line = json.dumps({"id": 1, "text": code.decode()}).encode()
    for latest_utc, accept in ((UTC - 1000, False), (UTC, True), (UTC + 1000, True)):
        assert batch.verify_line(line, trust, latest_utc)["accept"] is accept


def test_keys_in_the_line_take_the_place_of_the_gates(code: bytes, trust: TrustStore) -> None:
    assert ask(trust, text=code.decode(), certificates=[])["reason"] == "unknown_issuer"


def test_a_key_set_with_an_ed25519_key(key: signing.PrivateKey) -> None:
    claims = gatepost.claims("city", "x", Colour.GREEN, issued_utc=UTC, expires_utc=UTC + 9)
    raw = urlsafe_b64encode(key.public.spki[-32:]).rstrip(b"=").decode()
    keys = [{"kty": "OKP", "crv": "Ed25519", "x": raw}]
    for document in ({"iss": "city", "keys": keys}, {"city": {"keys": keys}}):
        answer = ask(TrustStore(), text=gatepost.issue(key, claims), jwks=document)
        assert (answer["accept"], answer["issuer"]) == (True, "city")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"not JSON",
        b"[]",
        b'{"id": 1}',
        b'{"id": 1, "text": 5}',
        b'{"id": 1, "texts": []}',
        b'{"id": 1, "texts": "HC1:"}',
        b'{"id": 1, "text": "x", "at": "yesterday"}',
        b'{"id": 1, "text": "x", "certificates": ["!"]}',
        b'{"id": 1, "text": "x", "certificates": ["AAAA"]}',
        b'{"id": 1, "text": "x", "jwks": 5}',
        b'{"id": 1, "text": "x", "jwks": {"keys": [{}]}}',
        b'{"id": 1, "text": "x", "jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}}',
        b'{"id": 1, "text": "x", "revoked": 5}',
        b'{"id": 1, "text": "x", "at": 1' + b"0" * 400 + b"}",
    ],
)
def test_a_line_that_cannot_be_used_is_answered_too(line: bytes) -> None:
    answer = batch.verify_line(line, TrustStore())
    assert (answer["accept"], answer["reason"]) == (False, "bad_line")
    assert answer["why"]


def test_all_of_several_must_hold(code: bytes, trust: TrustStore) -> None:
    assert ask(trust, texts=[code.decode()] * 2, at=UTC)["accept"]
    assert not ask(trust, texts=[code.decode(), "GP1:BAD"], at=UTC)["accept"]


def test_half_a_character_is_answered_too(trust: TrustStore) -> None:
    answer = batch.verify_line(b'{"id": "\\ud800", "text": "\\ud800", "revoked": ["\\ud800"]}', trust)
    assert answer["reason"] == "bad_line"


def test_keys_of_other_kinds_in_a_set_are_passed_over(key: signing.PrivateKey) -> None:
    claims = gatepost.claims("city", "x", Colour.GREEN, issued_utc=UTC, expires_utc=UTC + 9)
    raw = urlsafe_b64encode(key.public.spki[-32:]).rstrip(b"=").decode()
    keys = [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}, {"kty": "OKP", "crv": "Ed25519", "x": raw}]
    assert ask(TrustStore(), text=gatepost.issue(key, claims), jwks={"iss": "city", "keys": keys})["accept"]

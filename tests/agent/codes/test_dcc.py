"""EU certificates: the member states' own vectors, and what is done to them on the way."""

from __future__ import annotations

import json
import zlib
from base64 import b64decode
from typing import Any

import pytest

from agent import codes
from agent.codes import base45, batch, cbor, dcc, signing
from agent.codes.trust import Trust, TrustedKey, short_hash, trust_of
from agent.model import ClockState, CodeStatus, Now

ANY_TIME = Now(1_620_000_000, 1_620_000_000, ClockState.SYNCED)


def pinned(certificate: str) -> Trust:
    der = b64decode(certificate)
    return trust_of([TrustedKey("state", short_hash(der), frozenset({"dcc"}), signing.certificate_key(der))])


@pytest.fixture(scope="module")
def cases(vectors: Any) -> list[dict[str, Any]]:
    return vectors("dcc.json")


def test_every_vector_is_judged_right(cases: list[dict[str, Any]]) -> None:
    wrong = []
    for case in cases:
        line = {"id": case["id"], "text": case["text"], "certificates": [case["cert"]]}
        answer = batch.judge(json.dumps(line).encode(), Trust())
        if answer["accept"] is not case["accept"]:
            wrong.append(answer)
    assert not wrong


def test_with_a_clock_the_expired_are_refused(cases: list[dict[str, Any]]) -> None:
    wrong = []
    for case in cases:
        line = {"id": case["id"], "text": case["text"], "certificates": [case["cert"]], "at": case["clock"]}
        answer = batch.judge(json.dumps(line).encode(), Trust())
        if answer["accept"] is not (case["accept"] and case["exp"] is not False):
            wrong.append(answer)
    assert not wrong


def test_the_right_certificate_must_be_pinned(cases: list[dict[str, Any]]) -> None:
    good = [case for case in cases if case["accept"]]
    other = pinned(good[0]["cert"])
    for case in good:
        if case["cert"] != good[0]["cert"]:
            assert codes.check(case["text"].encode(), other, ANY_TIME).status is not CodeStatus.VALID


def test_kinds_and_tests_are_read(cases: list[dict[str, Any]]) -> None:
    good = [case for case in cases if case["accept"]]
    verdicts = [codes.check(case["text"].encode(), pinned(case["cert"]), ANY_TIME) for case in good]
    kinds = {verdict.kind for verdict in verdicts}
    assert {"vaccination", "test", "recovery"} <= kinds
    tests = [test for verdict in verdicts for test in verdict.tests]
    assert {test.kind for test in tests} == {"pcr", "antigen"}
    assert False in {test.positive for test in tests}
    assert all(verdict.colour is None for verdict in verdicts)


@pytest.fixture(scope="module")
def good(cases: list[dict[str, Any]]) -> tuple[bytes, Trust]:
    case = next(case for case in cases if case["accept"] and case["alg"] == -7)
    return case["text"].encode(), pinned(case["cert"])


def test_packed_otherwise_it_is_the_same_code(good: tuple[bytes, Trust]) -> None:
    """zlib's level is no part of what is signed."""
    text, trust = good
    message = zlib.decompress(base45.decode(text[4:]))
    for level in (0, 1, 9):
        again = dcc.PREFIX + base45.encode(zlib.compress(message, level)).encode()
        assert codes.check(again, trust, ANY_TIME) == codes.check(text, trust, ANY_TIME)


@pytest.mark.parametrize("prefix", [b"HC2:", b"HC1", b"", b"hc1:", b" HC1:"])
def test_no_other_prefix(good: tuple[bytes, Trust], prefix: bytes) -> None:
    text, trust = good
    assert codes.check(prefix + text[4:], trust, ANY_TIME).status is not CodeStatus.VALID


def test_uncompressed_is_refused(good: tuple[bytes, Trust]) -> None:
    text, trust = good
    plain = base45.encode(zlib.decompress(base45.decode(text[4:]))).encode()
    assert codes.check(dcc.PREFIX + plain, trust, ANY_TIME).status is CodeStatus.MALFORMED


def test_something_after_the_compressed_stream_is_refused(good: tuple[bytes, Trust]) -> None:
    text, trust = good
    longer = base45.encode(base45.decode(text[4:]) + b"!").encode()
    assert codes.check(dcc.PREFIX + longer, trust, ANY_TIME).status is CodeStatus.MALFORMED


def test_the_other_s_of_ecdsa_is_the_same_code(good: tuple[bytes, Trust]) -> None:
    """(r, n - s) verifies as well: a code's key must not hang on its signature."""
    text, trust = good
    tag = cbor.decode(zlib.decompress(base45.decode(text[4:])))
    protected, unprotected, payload, signature = tag.value
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    other = signature[:32] + (order - int.from_bytes(signature[32:])).to_bytes(32)
    message = cbor.encode(cbor.Tag(18, [protected, dict(unprotected), payload, other]))
    again = dcc.PREFIX + base45.encode(zlib.compress(message)).encode()
    assert codes.check(again, trust, ANY_TIME) == codes.check(text, trust, ANY_TIME)


def test_an_unknown_state_is_named_but_not_believed(good: tuple[bytes, Trust]) -> None:
    verdict = codes.check(good[0], Trust(), ANY_TIME)
    assert verdict.status is CodeStatus.UNKNOWN_ISSUER
    assert not verdict.issuer
    assert "it says that it is from " in verdict.reason

"""Whatever comes out of a scanner: one typed answer, quickly, with nothing of the text in it."""

from __future__ import annotations

import random
import time
import tracemalloc
import zlib
from base64 import b64decode
from typing import Any

import hostile_codes
import pytest
import rail_tickets as rails
import vectors_today as vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import credentials
from agent.credentials import cose
from agent.credentials.formats import dcc, gatepost
from agent.credentials.trust import TrustedKey, TrustStore, key_uses, parse_trust_store, short_hash
from agent.crypto import base45, cbor, signing
from agent.crypto.refusal import CheckFailed
from agent.model import ClockState, CodeStatus, TimeBounds
from agent.policy.facts import CodeFact, code_fact

NOW = TimeBounds(1_700_000_000.0, 1_700_000_001.0, ClockState.SYNCED)
PREFIXES = [b"GP1:", b"GPP1:", b"HC1:", b"shc:/", b"NZCP:/1/", b'{"data":{"hdr":', b"eyJ", b"https://"]
MUTATIONS = 20_000
PLAIN = st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.binary(max_size=5)
PLAIN |= st.integers(-(1 << 63), (1 << 63) - 1)
LABELS = st.integers(-70002, 8) | st.text(max_size=3)
NONSENSE = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(LABELS, inner, max_size=4),
    max_leaves=12,
)


def packed(content: bytes) -> bytes:
    return dcc.PREFIX + base45.encode(zlib.compress(content, 9)).encode()


HOSTILE = {
    "1.4 MB of text": b"HC1:" + b"A" * 1_400_000,
    "as much of ours": b"GP1:" + b"0" * 16_000,
    "zip bomb": packed(bytes(2_700_000)),
    "zip bomb, larger": packed(bytes(10_000_000)),
    "depth": packed(b"\x81" * 60_000),
    "regular expression": packed(b"\xd8\x23\x68(a+)+$aa"),
    "huge number": packed(b"\xc2\x59\xff\x00" + b"\xff" * 0xFF00),
    "zero bytes": b"HC1:\0\0\0\0",
    "escapes": b"\x1b]0;title\x07\x1b[2J",
    "escapes after a prefix": b"GP1:\x1b[2J",
    "right-to-left": "GP1:\u202e\u2066".encode(),
    "digits": b"shc:/" + b"1" * 15_000,
    "nested JSON": b'{"hdr":' + b"[" * 15_000,
    "many digits": b'{"hdr":' + b"9" * 15_000 + b"}",
    "lone surrogate": b'{"data":{"hdr":{"t":"icao.test","v":1,"is":"\\ud800"},"msg":{"pid":{"n":"\\ud800"}}}}',
    "empty": b"",
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_refused_in_little_memory(payload: bytes, trust: TrustStore) -> None:
    tracemalloc.start()
    try:
        verdict = credentials.check(payload, trust, NOW)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert verdict.status in {CodeStatus.MALFORMED, CodeStatus.UNRECOGNISED}
    assert verdict.status is not CodeStatus.INTERNAL_ERROR, verdict.reason
    assert peak < 1 << 20


@pytest.mark.parametrize("name", hostile_codes.CODES)
def test_todays_codes_cost_little_though_they_are_signed(name: str) -> None:
    payload, trust = (
        hostile_codes.CODES[name](),
        with_all(vectors.vdv_trust(), rails.trust(), vectors.pretix_trust()),
    )
    spent = []
    for _ in range(3):
        began_s = time.thread_time()
        verdict = credentials.check(payload, trust, NOW)
        spent.append(time.thread_time() - began_s)
    tracemalloc.start()
    try:
        credentials.check(payload, trust, NOW)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert verdict.status is not CodeStatus.VALID
    assert verdict.reason
    assert verdict.status is not CodeStatus.INTERNAL_ERROR, verdict.reason
    assert min(spent) < 0.1  # the bench has the figure; a busy neighbour must not fail this
    assert peak < 1 << 20


def with_all(*stores: TrustStore) -> TrustStore:
    """Trust in the keys of all of them."""
    return parse_trust_store(key for store in stores for keys in store.keys.values() for key in keys)


def attempt(payload: bytes, trust: TrustStore) -> None:
    """The inside, without the net that `check` spreads below it."""
    credentials._read(payload, trust, NOW)


@given(st.sampled_from(PREFIXES), st.binary(max_size=400))
@settings(max_examples=500)
def test_no_untyped_exception_from_noise(prefix: bytes, noise: bytes) -> None:
    attempt(prefix + noise, TrustStore())


@given(NONSENSE)
@settings(max_examples=300)
def test_no_untyped_exception_from_signed_nonsense(claims: Any) -> None:
    """Even a trusted issuer may sign anything."""
    key = signing.new_private_key()
    trust = parse_trust_store([TrustedKey("x", key.public.kid, frozenset(key_uses()), key.public)])
    payload = cbor.encode(claims)
    protected, to_sign = cose.build(signing.EDDSA, key.public.kid, payload)
    message = cose.assemble(protected, payload, key.sign(to_sign))
    for text in (gatepost.PREFIX + base45.encode(message).encode(), packed(message)):
        attempt(text, trust)


def mutated(source: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(changed))
        kind = source.randrange(4)
        if kind == 0:
            changed[at] = source.randrange(256)
        elif kind == 1:
            del changed[at : at + source.randint(1, 8)]
        elif kind == 2:
            changed[at:at] = source.randbytes(source.randint(1, 8))
        else:
            changed[at] ^= 1 << source.randrange(8)
        if not changed:
            break
    return bytes(changed)


def test_mutations_below_every_layer(vectors: Any, code: bytes, trust: TrustStore) -> None:
    """20,000 changes of the text, of what it unpacks to, of the message: never other claims, never a surprise."""
    source = random.Random(1)
    case = next(case for case in vectors("dcc.json") if case["accept"])
    der = b64decode(case["cert"])
    state = parse_trust_store([TrustedKey("s", short_hash(der), frozenset({"dcc"}), signing.certificate_key(der))])
    text = case["text"].encode()
    zipped = base45.decode(text[4:])
    message = zlib.decompress(zipped)
    ours = base45.decode(code[4:])
    truths = {"dcc": credentials.check(text, state, NOW), "ours": credentials.check(code, trust, NOW)}
    for number in range(MUTATIONS):
        layer = number % 5
        if layer == 0:
            name, payload = "dcc", mutated(source, text)
        elif layer == 1:
            name, payload = "dcc", dcc.PREFIX + base45.encode(mutated(source, zipped)).encode()
        elif layer == 2:
            name, payload = "dcc", packed(mutated(source, message))
        elif layer == 3:
            name, payload = "ours", mutated(source, code)
        else:
            name, payload = "ours", gatepost.PREFIX + base45.encode(mutated(source, ours)).encode()
        verdict = credentials._read(payload, state if name == "dcc" else trust, NOW)
        if verdict.status is CodeStatus.VALID:
            assert verdict == truths[name]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_no_code_text_in_the_answer(prefix: bytes, trust: TrustStore) -> None:
    verdict = credentials.check(prefix + b"SECRET-CANARY-SECRET-CANARY", trust, NOW)
    assert b"CANARY" not in repr(verdict).encode()


def test_no_code_text_in_the_exception() -> None:
    with pytest.raises(CheckFailed) as caught:
        gatepost.check(b"GP1:SECRET CANARY", TrustStore(), NOW)
    assert "CANARY" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_internal_error_is_no_word_on_the_code(monkeypatch: pytest.MonkeyPatch, trust: TrustStore) -> None:
    """As where a library is too old for how it is called: staff look, and the code is not called damaged."""

    def failing(_stream: object) -> object:
        raise TypeError("a library without that argument, and a code: GP1:SECRET")

    monkeypatch.setattr(cbor, "_decoder", failing)
    verdict = credentials.check(gatepost.PREFIX + base45.encode(b"\xd2\x84").encode(), trust, NOW)
    assert verdict.status is CodeStatus.INTERNAL_ERROR
    assert verdict.reason.startswith("internal error: TypeError, ")
    assert "SECRET" not in verdict.reason
    together = credentials.check_all([gatepost.PREFIX + base45.encode(b"\xd2\x84").encode(), b"x"], trust, NOW)
    assert together.status is CodeStatus.INTERNAL_ERROR
    assert code_fact(together) is CodeFact.SCANNER_FAULT

"""DSSE envelopes: the specification's own vectors, and what is refused."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.crypto import dsse, signing
from agent.crypto.refusal import Malformed

# https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md, "Test Vectors"
TYPE, BODY = "http://example.com/HelloWorld", b"hello world"
PAE = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
ENVELOPE = (
    b'{"payload": "aGVsbG8gd29ybGQ=",\n "payloadType": "http://example.com/HelloWorld",\n "signatures": [{"sig": '
    b'"A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}]}'
)
X = 46950820868899156662930047687818585632848591499744589407958293238635476079160
Y = 5640078356564379163099075877009565129882514886557779369047442380624545832820
P256_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")


def test_the_specifications_encoding() -> None:
    assert dsse.pre_authentication_encoding(TYPE, BODY) == PAE


def test_the_specifications_envelope_and_signature() -> None:
    envelope = dsse.parse(ENVELOPE)
    assert (envelope.payload_type, envelope.payload, envelope.message) == (TYPE, BODY, PAE)
    ((keyid, signature),) = envelope.signatures
    key = signing.public_key(P256_SPKI + X.to_bytes(32, "big") + Y.to_bytes(32, "big"))
    assert keyid == ""
    assert key.verify(signature, envelope.message, signing.ES256)
    assert not key.verify(signature, envelope.message + b"!", signing.ES256)


def test_lengths_are_of_bytes() -> None:
    assert dsse.pre_authentication_encoding("ü", "é".encode()) == "DSSEv1 2 ü 2 é".encode()


@given(
    one=st.tuples(st.text(max_size=12), st.binary(max_size=12)),
    other=st.tuples(st.text(max_size=12), st.binary(max_size=12)),
)
def test_no_two_contents_are_signed_alike(one: tuple[str, bytes], other: tuple[str, bytes]) -> None:
    alike = dsse.pre_authentication_encoding(*one) == dsse.pre_authentication_encoding(*other)
    assert alike is (one == other)


@given(payload=st.binary(max_size=60), encode=st.sampled_from([b64encode, urlsafe_b64encode]))
def test_both_alphabets_are_read(payload: bytes, encode) -> None:
    key = signing.new_private_key()
    made = json.loads(dsse.sign("t", payload, [key]))
    made["payload"] = encode(payload).decode()
    envelope = dsse.parse(json.dumps(made | {"more": 1}).encode())
    ((keyid, signature),) = envelope.signatures
    assert (envelope.payload, keyid) == (payload, key.public.kid.hex())
    assert key.public.verify(signature, envelope.message, signing.EDDSA)


WHOLE = {"payloadType": "t", "payload": "e30=", "signatures": []}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"signed": "e30", "signatures": [{"kid": "00", "sig": "AA"}]}, "an envelope from before DSSE"),
        ({"payload": "e30=", "signatures": []}, '"payloadType"'),
        ({**WHOLE, "payloadType": 7}, '"payloadType"'),
        ({**WHOLE, "signatures": {}}, '"signatures"'),
        ({**WHOLE, "signatures": [{"keyid": "00"}]}, '"sig"'),
        ({**WHOLE, "signatures": [{"keyid": 7, "sig": ""}]}, '"keyid"'),
        ({**WHOLE, "signatures": [{"sig": "AA=="}] * 33}, "more than 32"),
        ({**WHOLE, "payload": "e30"}, "base64"),
        ({**WHOLE, "payload": "é"}, "base64"),
        ({**WHOLE, "payloadType": "\ud800"}, "broken JSON"),
        ([], "no DSSE envelope"),
    ],
)
def test_what_is_no_envelope(data: object, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        dsse.parse(json.dumps(data).encode())


@given(
    st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(lambda x: json.dumps(x).encode())
)
def test_anything_is_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(Malformed):
        dsse.parse(data)

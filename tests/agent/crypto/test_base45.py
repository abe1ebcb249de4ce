"""RFC 9285, its own examples, and every way to break it."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.crypto import base45
from agent.crypto.refusal import Malformed


@pytest.mark.parametrize(
    ("plain", "text"), [(b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581")]
)
def test_the_examples_of_the_standard(plain: bytes, text: str) -> None:
    assert base45.encode(plain) == text
    assert base45.decode(text.encode()) == plain


@given(st.binary(max_size=300))
def test_round_trip(data: bytes) -> None:
    assert base45.decode(base45.encode(data).encode()) == data


@pytest.mark.parametrize("text", [b"GGW", b":::", b"::", b"A", b"BB8A", b"bb8", b"BB8\n", "BB€".encode()])
def test_what_is_refused(text: bytes) -> None:
    with pytest.raises(Malformed):
        base45.decode(text)


@given(st.binary(max_size=60))
def test_only_ever_one_exception(text: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert base45.encode(base45.decode(text)).encode() == text

"""CBOR from strangers: nothing is done because a tag says so, and nothing is built that is not there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.crypto import cbor
from agent.crypto.refusal import Malformed

HOSTILE = {
    "nothing": b"",
    "left over": b"\x01\x01",
    "a string of 2^62 bytes": b"\x5b\x40" + bytes(7),
    "an array of 2^62 items": b"\x9b\x40" + bytes(7),
    "depth 200,000": b"\x81" * 200_000,
    "the same key twice": b"\xa2\x01\x01\x01\x02",
    "a regular expression": b"\xd8\x23\x68(a+)+$aa",
    "a number of a million digits": b"\xc2\x5a\x00\x10\x00\x00" + b"\xff" * (1 << 20),
    "a value that holds itself": b"\xd8\x1c\x81\xd8\x1d\x00",
    "a decimal with a huge exponent": b"\xc4\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x01",
    "an unknown tag": b"\xd9\x12\x34\x01",
    "text that is not UTF-8": b"\x61\xff",
    "a break outside": b"\xff",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_input_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        cbor.decode(data)


class OlderDecoder:
    """cbor2 5: it does not know the bounds."""

    def __init__(self, stream: object, tag_hook: object = None, object_hook: object = None) -> None:
        """As there."""


def test_an_older_library_is_a_defect_and_never_a_damaged_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cbor.cbor2, "CBORDecoder", OlderDecoder)
    with pytest.raises(TypeError):
        cbor.decode(b"\x01")
    with pytest.raises(ImportError, match=r"cbor2 .* is too old .* cbor2 6 or newer"):
        cbor.check_library()


def test_a_date_is_kept_as_it_is_written() -> None:
    assert cbor.decode(b"\xc0\x74" + b"2021-05-03T18:00:00Z") == "2021-05-03T18:00:00Z"


@given(st.binary(max_size=200))
def test_only_ever_one_exception(data: bytes) -> None:
    try:
        cbor.decode(data)
    except Malformed as error:
        assert error.reason  # noqa: PT017 - both outcomes are right; another exception is not

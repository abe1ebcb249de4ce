"""What a kiosk writes for itself is read as it was written, or not at all."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.platform import checked_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(JSON)
def test_the_content_comes_back(content: object) -> None:
    assert checked_json.unpack(checked_json.pack(content)) == content


@given(JSON, st.integers(0, 10_000), st.integers(0, 7))
def test_a_bit_that_has_changed_changes_nothing_or_is_found(content: object, at: int, bit: int) -> None:
    data = bytearray(checked_json.pack(content))
    data[at % len(data)] ^= 1 << bit
    with contextlib.suppress(ValueError):
        assert checked_json.unpack(bytes(data)) == content


@pytest.mark.parametrize(
    "junk", [b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000, b'{"content": "1", "sha256": 1}']
)
def test_junk(junk: bytes) -> None:
    with pytest.raises(ValueError):
        checked_json.unpack(junk)

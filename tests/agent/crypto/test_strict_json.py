"""JSON from strangers."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.crypto import strict_json
from agent.crypto.refusal import Malformed

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**298), 10**298) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=8,
)


@given(_JSON)
def test_what_was_written_is_read(value: object) -> None:
    assert strict_json.decode(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "text",
    ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 301, "-" + "9" * 400, "9" * 5000, '{"a":1,"a":1}',
     '"\\ud800"', "[" * 100_000, "﻿1", ""],
)  # fmt: skip
def test_what_nothing_can_reckon_with_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        strict_json.decode(text.encode())


@given(st.from_regex(r"-?[1-9][0-9]{0,310}(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,4})?", fullmatch=True))
def test_every_number_that_is_read_can_be_compared_with_a_time(text: str) -> None:
    try:
        number = strict_json.decode(text.encode())
    except Malformed:
        return
    assert math.isfinite(1.5 - number)

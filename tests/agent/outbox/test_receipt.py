"""Receipts as they come: only what is one is taken for one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.events import schemas
from agent.events.contract import ReceiptJson
from agent.outbox import receipt
from agent.outbox.receipt import BadReceipt, ConfirmedRange, Receipt

DOCS = Path(__file__).parents[3] / "docs" / "events.md"
SOURCE = "/gatepost/v1/library/gate-3"
HEAD, OTHER = "5f" * 32, "08" * 32
RIGHT = {
    "source": SOURCE,
    "epoch": "9f86d081",
    "up_to": 123,
    "sha256": HEAD,
    "ranges": [{"first": 130, "last": 141, "sha256": OTHER}],
}


def test_what_it_says():
    taken = receipt.parse(RIGHT, SOURCE)
    assert taken == Receipt("9f86d081", (ConfirmedRange(1, 123, HEAD), ConfirmedRange(130, 141, OTHER)))
    schemas.adapter(ReceiptJson).validate_python(RIGHT)


def test_nothing_yet_but_a_range():
    assert receipt.parse({**RIGHT, "up_to": 0, "sha256": "0" * 64}, SOURCE).ranges == (
        ConfirmedRange(130, 141, OTHER),
    )


def test_the_documented_one_is_one():
    found, *_ = re.findall(r'\{"source".*?\]\}', DOCS.read_text(), re.DOTALL)
    members = json.loads(re.sub(r"[0-9a-f]{4}…[0-9a-f]{4}", HEAD, found))
    assert receipt.parse(members, SOURCE).ranges[0].last == 123
    schemas.adapter(ReceiptJson).validate_python(members)


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": "/gatepost/v1/library/gate-4"},
        {"up_to": -1},
        {"up_to": 1 << 41},
        {"up_to": "123"},
        {"sha256": "5f" * 31},
        {"sha256": "5F" * 32},
        {"epoch": 7},
        {"ranges": {}},
        {"ranges": [{"first": 9, "last": 8, "sha256": HEAD}]},
        {"ranges": [{"first": 0, "last": 8, "sha256": HEAD}]},
        {"ranges": [{"first": 1, "last": 8}]},
        {"ranges": [{"first": 1, "last": 8, "sha256": HEAD}] * 257},
    ],
    ids=str,
)
def test_what_is_wrong_is_refused(wrong):
    with pytest.raises(BadReceipt):
        receipt.parse({**RIGHT, **wrong}, SOURCE)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80) | st.just(HEAD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*RIGHT, "first", "last"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(RIGHT)), ANYTHING))
def test_anything_else_is_refused_and_nothing_else_is_raised(members):
    try:
        taken = receipt.parse({**RIGHT, **members}, SOURCE)
    except BadReceipt:
        return
    assert all(1 <= part.first <= part.last and len(part.sha256) == 64 for part in taken.ranges)

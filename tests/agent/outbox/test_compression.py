from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.events import Encoder, Topics
from agent.model import ChainPosition
from agent.outbox.compression import DICTIONARIES, CorruptRecord, compress, decompress


@given(st.binary(max_size=5000))
def test_what_was_packed_comes_out(payload):
    assert decompress(compress(payload)) == payload


def test_a_passage_becomes_a_fraction(passage_event):
    payload = Encoder(Topics("library", "gate-3"))(
        passage_event(812), ChainPosition("9f86d081", 123, "ab" * 32)
    ).payload
    assert len(compress(payload)) < len(payload) / 4


@given(st.binary(max_size=200))
def test_junk_is_spoilt_and_nothing_else(junk):
    try:
        decompress(junk)
    except CorruptRecord:
        return
    assert decompress(compress(decompress(junk))) == decompress(junk)  # it happened to be whole


def test_each_bit_that_tips_is_noticed(passage_event):
    place = ChainPosition("9f86d081", 1, "cd" * 32)
    payload = Encoder(Topics("library", "gate-3"))(passage_event(812), place).payload
    packed = compress(payload)
    for index in range(len(packed)):
        spoilt = bytearray(packed)
        spoilt[index] ^= 0x10
        try:
            assert decompress(bytes(spoilt)) == payload, "only a bit of padding may go unnoticed: it means nothing"
        except CorruptRecord:
            continue
    for length in range(len(packed)):
        with pytest.raises(CorruptRecord):
            decompress(packed[:length])


def test_a_dictionary_is_for_ever():
    """What lies on cards was packed with it: add another instead."""
    assert {number: sha256(text).hexdigest()[:16] for number, text in DICTIONARIES.items()} == {
        1: "97c9a056c4a85bbe"
    }

"""Packed bits: each refusal and each bound, with a grammar of a few lines. Whole tickets are tested as codes."""

from __future__ import annotations

from typing import Any

import pytest

from agent.crypto import uper
from agent.crypto.refusal import Malformed

GRAMMAR = """
Flag = flag:bool?
Flags = list:[Flag]
Deep = next:Deep?
Choice = | one:bool two:int three:utf8 …
Choices = first:Choice last:bool
Grown = flag:bool …
Enum = kind:enum(3)
GrownEnum = kind:enum(3…)
Range = number:int(1..6)
Text = text:ia5(1..3)
Number = number:int
Words = words:utf8
Oid = oid:oid
"""
READ = uper.compile_grammar(GRAMMAR, {"flag", "list", "next", "first", "last", "one", "two", "three", "kind",
                                      "number", "text", "words", "oid"})  # fmt: skip


def decode(kind: str, bits: str) -> Any:
    text = bits.replace(" ", "")
    whole = text + "0" * (-len(text) % 8)
    return uper.decode(READ[kind], int(whole, 2).to_bytes(len(whole) // 8))


@pytest.mark.parametrize(
    ("kind", "bits", "value"),
    [
        ("Choices", "0 00 1 1", {"first": ("one", True), "last": True}),
        ("Choices", "1 0000000 00000001 11111111 1", {"first": ("", None), "last": True}),
        ("Grown", "1 1 0 000001 11 00000001 11111111 00000000", {"flag": True}),
        ("GrownEnum", "0 10", {"kind": 2}),
        ("GrownEnum", "1 0 000001", {"kind": 4}),
        ("Range", "101", {"number": 6}),
        ("Text", "10 1000001 1000010 1000011", {"text": "ABC"}),
        ("Number", "00000001 11111111", {"number": -1}),
        ("Oid", "00000011 00101010 10000001 00000000", {"oid": "1.2.128"}),
        ("Oid", "00000010 10001000 00110111", {"oid": "2.999"}),
    ],
)
def test_what_is_read(kind: str, bits: str, value: object) -> None:
    assert decode(kind, bits) == value


@pytest.mark.parametrize(
    ("kind", "bits", "reason"),
    [
        ("Flags", "1000 0111 1101 0000" + "0" * 2000, "more parts than any ticket has"),
        ("Deep", "1" * 16 + "0", "deeper than any ticket"),
        ("Choices", "0 11 0", "a part of no known kind"),
        ("Grown", "1 1 1 000001", "an extension of no known kind"),
        ("Enum", "11", "a value of no known meaning"),
        ("Range", "110", "a number that is out of its range"),
        ("Text", "11" + "1000001" * 4, "a text that is out of its range"),
        ("Number", "00000000", "a number that is empty or too long"),
        ("Number", "00010001" + "0" * 136, "a number that is empty or too long"),
        ("Number", "00000010 00000000", "its content is cut off"),
        ("Words", "00000001 11111111", "a text that is not UTF-8"),
        ("Words", "11000001" + "0" * 24, "a length in fragments"),
        ("Oid", "00000000", "an identifier that is empty"),
        ("Enum", "00" + "0" * 14, "something follows its content"),
        ("Enum", "001", "something follows its content"),
    ],
)
def test_what_is_refused(kind: str, bits: str, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode(kind, bits)
    assert caught.value.reason == reason


def test_bounds_that_a_ticket_may_reach() -> None:
    assert len(decode("Flags", "1000 0001 1111 0011" + "0" * 499)["list"]) == 499
    deep = decode("Deep", "1" * 15 + "0")
    for _ in range(15):
        deep = deep["next"]
    assert deep == {}
    with pytest.raises(Malformed, match="longer than any ticket"):
        uper.decode(READ["Words"], bytes(uper.MAX_BYTES + 1))

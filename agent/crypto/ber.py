"""The part of BER (X.690) of tickets and card certificates: tags of up to two bytes, definite lengths. Pure."""

from __future__ import annotations

from typing import NamedTuple

from agent.crypto.refusal import Malformed

_MORE_TAG = 0x1F
_LONG = 0x80
_MOST_LENGTH_BYTES = 2
_MOST_ELEMENTS = 64


class Element(NamedTuple):
    """One element."""

    tag: int
    content: bytes


def elements(data: bytes) -> list[Element]:
    """The elements that follow one another in `data`, to its end. Raises Malformed."""
    found: list[Element] = []
    at = 0
    while at < len(data):
        if len(found) == _MOST_ELEMENTS:
            raise Malformed("more parts than any ticket has")
        element, at = _element(data, at)
        found.append(element)
    return found


def one(data: bytes, *tags: int) -> list[bytes]:
    """Contents of exactly these elements, in this order. Raises Malformed."""
    found = elements(data)
    if [element.tag for element in found] != list(tags):
        raise Malformed("not the parts that should be there")
    return [element.content for element in found]


def _element(data: bytes, at: int) -> tuple[Element, int]:
    """An element, and the place after it."""
    wide = data[at] & _MORE_TAG == _MORE_TAG
    tag = int.from_bytes(data[at : at + 1 + wide])
    at += 1 + wide
    length = data[at] if at < len(data) else _LONG
    at += 1
    if length >= _LONG:
        width = length - _LONG
        length = int.from_bytes(data[at : at + width])
        at += width
        if not 0 < width <= _MOST_LENGTH_BYTES:
            raise Malformed("a length that is missing or too long")
    if at + length > len(data):
        raise Malformed("a part that is cut off")
    return Element(tag, data[at : at + length]), at + length

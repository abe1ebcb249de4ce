"""Protocol Buffers (proto3), as far as tickets need them: numbers and byte strings of one flat message. Pure.

Source: protobuf.dev, "Encoding". A field that occurs twice, a group, a fixed-width number or a number of more than
64 bits is refused: what is signed has one meaning only.
"""

from __future__ import annotations

from agent.crypto.refusal import Malformed

_VARINT, _BYTES = 0, 2
_MOST_VARINT_BYTES = 10
_MOST_FIELD = 1 << 29


def fields(data: bytes) -> dict[int, int | bytes]:
    """Number of each field → its value. Raises Malformed."""
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if number in found or not 0 < number < _MOST_FIELD:
            raise Malformed("a protobuf field twice, or without a number")
        value, at = _varint(data, at)
        if kind == _VARINT:
            found[number] = value
        elif kind == _BYTES and at + value <= len(data):
            found[number] = data[at : at + value]
            at += value
        else:
            raise Malformed("a protobuf field that is cut off, or of no known kind")
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number and the place after it. Raises Malformed."""
    if at < len(data) and data[at] < 0x80:  # noqa: PLR2004 - nearly all numbers are of one byte
        return data[at], at + 1
    value = 0
    for count, byte in enumerate(data[at : at + _MOST_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:  # noqa: PLR2004 - the last byte has no continuation bit
            if value >> 64:
                break
            return value, at + count + 1
    raise Malformed("a protobuf number that is cut off or too long")

"""Base45 (RFC 9285), decoding strictly and fast: all triples are computed at once, in one large number."""

from __future__ import annotations

import struct

from agent.crypto.refusal import Malformed

ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_FOREIGN = 255
_MAX_BYTE = 0xFF
_VALUES = bytes(ALPHABET.index(c) if c in ALPHABET else _FOREIGN for c in range(256))
_BASE = 45
_SQUARE = 45 * 45
_LANE = 4
"""Bytes for one triple, which is at most 91,124: nothing is carried into the next."""


def decode(text: bytes) -> bytes:
    """Bytes that `text` stands for. Raises Malformed on a foreign character, a dangling one, or overflow."""
    values = text.translate(_VALUES)
    if _FOREIGN in values:
        raise Malformed("a character outside base45")
    count = len(values) // 3
    low, mid, high = (_lanes(values[at : 3 * count : 3]) for at in range(3))
    numbers = (low + _BASE * mid + _SQUARE * high).to_bytes(_LANE * count, "little")
    if numbers[2::_LANE].strip(b"\0"):
        raise Malformed("a base45 triple above 65535")
    body = bytearray(2 * count)
    body[0::2], body[1::2] = numbers[1::_LANE], numbers[0::_LANE]
    return bytes(body) + _tail(values[3 * count :])


def _lanes(values: bytes) -> int:
    """One large number with each value in a lane of its own: arithmetic on it works on all values at once."""
    spread = bytearray(_LANE * len(values))
    spread[::_LANE] = values
    return int.from_bytes(spread, "little")


def _tail(values: bytes) -> bytes:
    """The last byte, which two characters carry when the count of bytes is odd."""
    if not values:
        return b""
    if len(values) == 1:
        raise Malformed("a dangling base45 character")
    number = values[0] + _BASE * values[1]
    if number > _MAX_BYTE:
        raise Malformed("a base45 pair above 255")
    return bytes((number,))


def encode(data: bytes) -> str:
    """Text for `data`, in the QR alphanumeric alphabet."""
    digits = bytearray()
    whole = len(data) // 2 * 2
    for number in struct.unpack(f">{whole // 2}H", data[:whole]):
        digits += bytes((number % _BASE, number // _BASE % _BASE, number // _SQUARE))
    if whole < len(data):
        digits += bytes((data[-1] % _BASE, data[-1] // _BASE))
    return bytes(ALPHABET[d] for d in digits).decode("ascii")

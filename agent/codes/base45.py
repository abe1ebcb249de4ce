"""Base45 (RFC 9285), decoding strictly and fast: all triples become numbers in one matrix product."""

from __future__ import annotations

import struct

import numpy as np

from agent.codes.refusal import Malformed

ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_FOREIGN = 255
_MAX_BYTE, _MAX_PAIR = 0xFF, 0xFFFF
_VALUES = bytes(ALPHABET.index(c) if c in ALPHABET else _FOREIGN for c in range(256))
_BASE = 45
_SQUARE = 45 * 45
_WEIGHTS = np.array([1, _BASE, _SQUARE], dtype=np.uint32)


def decode(text: bytes) -> bytes:
    """Bytes that `text` stands for. Raises Malformed on a foreign character, a dangling one, or overflow."""
    values = text.translate(_VALUES)
    if _FOREIGN in values:
        raise Malformed("a character outside base45")
    whole = len(values) // 3 * 3
    numbers = np.frombuffer(values, np.uint8, whole).reshape(-1, 3) @ _WEIGHTS
    if whole and numbers.max() > _MAX_PAIR:
        raise Malformed("a base45 triple above 65535")
    return numbers.astype(">u2").tobytes() + _tail(values[whole:])


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

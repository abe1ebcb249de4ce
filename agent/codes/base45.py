"""Base45 (RFC 9285), decoding strictly and fast: every triple is one number, and struct says if it is too big."""

from __future__ import annotations

import struct

from agent.codes.refusal import Malformed

ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_FOREIGN = 255
_MAX_BYTE = 255
_VALUES = bytes(ALPHABET.index(c) if c in ALPHABET else _FOREIGN for c in range(256))
_BASE = 45
_SQUARE = 45 * 45


def decode(text: bytes) -> bytes:
    """Bytes that `text` stands for. Raises Malformed on a foreign character, a dangling one, or overflow."""
    values = text.translate(_VALUES)
    if _FOREIGN in values:
        raise Malformed("a character outside base45")
    whole = len(values) // 3 * 3
    triples = [
        low + _BASE * mid + _SQUARE * high
        for low, mid, high in zip(values[0:whole:3], values[1:whole:3], values[2:whole:3], strict=True)
    ]
    try:
        body = struct.pack(f">{len(triples)}H", *triples)
    except struct.error:
        raise Malformed("a base45 triple above 65535") from None
    return body + _tail(values[whole:])


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

"""RSA signatures that hold the message (ISO/IEC 9796-2, scheme 1, SHA-1): old tickets and cards have them. Pure.

    s^e mod n  =  6A || beginning of the message || SHA-1 of the whole message || BC

What is taken from the signature is worth nothing until the SHA-1 over it, and over the rest that stands beside the
signature, is compared. SHA-1 and short keys are weak: only formats that have nothing else may use this.
"""

from __future__ import annotations

from hashlib import sha1
from typing import NamedTuple

from agent.crypto.refusal import CheckFailed, Malformed
from agent.model import CodeStatus

_HEADER, _TRAILER = 0x6A, 0xBC
_HASH = 20


class RsaKey(NamedTuple):
    """Modulus and exponent."""

    n: int
    e: int

    @property
    def size(self) -> int:
        """Bytes of a signature."""
        return (self.n.bit_length() + 7) // 8


def recover(key: RsaKey, signature: bytes, rest: bytes) -> bytes:
    """The whole message. Raises Malformed, or CheckFailed with BAD_SIGNATURE."""
    number = int.from_bytes(signature)
    if len(signature) != key.size or key.size < _HASH + 2:
        raise Malformed("a signature that is not as long as its key")
    block = pow(number, key.e, key.n).to_bytes(key.size) if number < key.n else bytes(key.size)
    message = block[1 : -_HASH - 1] + rest
    hashed = sha1(message, usedforsecurity=False).digest()
    if block[0] != _HEADER or block[-1] != _TRAILER or block[-_HASH - 1 : -1] != hashed:
        raise CheckFailed(CodeStatus.BAD_SIGNATURE, "the signature does not hold")
    return message

"""Ed25519 verification (RFC 8032) by libsodium, in half the time that OpenSSL needs. The only file that knows
PyNaCl.

It is loaded with the first key of this kind: 5 ms, 1 MB. What is refused, by RFC 8032 or beyond it:

| what | where |
|---|---|
| a key that is not canonical, not on the curve, of small order or outside of the main group | when it is pinned |
| S that is not below the order of the group: another signature of the same message | at a signature |
| R of small order, or not canonical | at a signature |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def verifier(raw: bytes) -> Callable[[bytes, bytes], bool]:
    """Function of signature and message: whether it holds by this key of 32 bytes. Raises ValueError for a key that
    proves nothing: under one of small order, anybody can make signatures that hold.
    """
    from nacl import bindings, exceptions  # noqa: PLC0415 - a kiosk without such a key does without it

    if len(raw) != bindings.crypto_sign_PUBLICKEYBYTES or not bindings.crypto_core_ed25519_is_valid_point(raw):
        raise ValueError("an Ed25519 key that nobody can have made: not a point of the curve's main group")
    size = bindings.crypto_sign_BYTES

    def verify(signature: bytes, message: bytes) -> bool:
        if len(signature) != size:
            return False
        try:
            bindings.crypto_sign_open(signature + message, raw)
        except exceptions.BadSignatureError:
            return False
        return True

    return verify

"""Sealing to a public key: HPKE (RFC 9180), base mode, X25519, HKDF-SHA256, ChaCha20-Poly1305. Pure.

The sender cannot open it again: each message has a key pair of its own, whose private half is thrown away.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from agent.model import Sealed

OVERHEAD_BYTES = 48
"""Encapsulated key and tag."""
_ENC_BYTES = 32
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)

PrivateKey = X25519PrivateKey


class UnsealError(ValueError):
    """Another key, another header, or changed on the way."""


def seal(content: bytes, public: bytes, info: bytes) -> tuple[bytes, bytes]:
    """`(enc, ct)` of `content`, bound to `info`. Raises ValueError for what is no key."""
    sealed = _SUITE.encrypt(content, X25519PublicKey.from_public_bytes(public), info)
    return sealed[:_ENC_BYTES], sealed[_ENC_BYTES:]


def unseal(sealed: Sealed, private: PrivateKey, info: bytes) -> bytes:
    """The content. Raises UnsealError."""
    try:
        return _SUITE.decrypt(sealed.enc + sealed.ct, private, info)
    except (InvalidTag, ValueError):
        raise UnsealError("another key, another event, or changed on the way") from None


def new_private_key() -> PrivateKey:
    """A fresh key pair of the central server, from the system's randomness."""
    return X25519PrivateKey.generate()


def public_bytes(private: PrivateKey) -> bytes:
    """32 bytes for the bundle."""
    return private.public_key().public_bytes_raw()


def to_pem(private: PrivateKey) -> bytes:
    """PKCS #8 without a passphrase: it stays with the central server."""
    form = serialization.PrivateFormat.PKCS8
    return private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def from_pem(pem: bytes) -> PrivateKey:
    """The key in a file made by `to_pem`. Raises ValueError."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        pass
    else:
        if isinstance(key, X25519PrivateKey):
            return key
    raise ValueError("not an X25519 private key in PEM form without passphrase")

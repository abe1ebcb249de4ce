"""SM2 signatures with SM3 (GB/T 32918.2, GB/T 32905) through the system's OpenSSL 3: no further dependency.

The Python package `cryptography` has no SM2. Where libcrypto.so.3 or its SM2 is missing, keys of this kind are
refused when they are loaded, and everything else works. Signatures are DER, the signer's identity is the default
of GM/T 0009: `1234567812345678`.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import byref, c_char_p, c_int, c_long, c_size_t, c_void_p

ALGORITHM = -70000
"""COSE algorithm number for private use (below -65536): none is registered for SM2."""
SIGNER_ID = b"1234567812345678"
_CURVE_OID = bytes.fromhex("06082a811ccf5501822d")
_MAX_SIGNATURE_BYTES = 80


class NoSM2(RuntimeError):
    """This machine's libcrypto cannot do SM2."""


def is_key(spki: bytes) -> bool:
    """Whether a DER SubjectPublicKeyInfo is of the SM2 curve."""
    return _CURVE_OID in spki[:32]


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libcrypto.so.3")
        for name, arguments in _SIGNATURES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments[1:], arguments[0]
    except (OSError, AttributeError):
        raise NoSM2("SM2 needs libcrypto.so.3 (Debian: libssl3)") from None
    return library


_SIGNATURES: dict[str, tuple[type, ...]] = {
    "d2i_PUBKEY": (c_void_p, c_void_p, c_void_p, c_long),
    "i2d_PUBKEY": (c_int, c_void_p, c_void_p),
    "d2i_AutoPrivateKey": (c_void_p, c_void_p, c_void_p, c_long),
    "i2d_PrivateKey": (c_int, c_void_p, c_void_p),
    "EVP_PKEY_free": (c_void_p, c_void_p),
    "EVP_PKEY_CTX_new_from_name": (c_void_p, c_void_p, c_char_p, c_char_p),
    "EVP_PKEY_CTX_new": (c_void_p, c_void_p, c_void_p),
    "EVP_PKEY_CTX_free": (c_void_p, c_void_p),
    "EVP_PKEY_CTX_set1_id": (c_int, c_void_p, c_char_p, c_int),
    "EVP_PKEY_keygen_init": (c_int, c_void_p),
    "EVP_PKEY_generate": (c_int, c_void_p, c_void_p),
    "EVP_MD_CTX_new": (c_void_p,),
    "EVP_MD_CTX_free": (c_void_p, c_void_p),
    "EVP_MD_CTX_set_pkey_ctx": (c_void_p, c_void_p, c_void_p),
    "EVP_sm3": (c_void_p,),
    "EVP_DigestVerifyInit": (c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p),
    "EVP_DigestVerify": (c_int, c_void_p, c_char_p, c_size_t, c_char_p, c_size_t),
    "EVP_DigestSignInit": (c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p),
    "EVP_DigestSign": (c_int, c_void_p, c_void_p, c_void_p, c_char_p, c_size_t),
    "ERR_clear_error": (c_void_p,),
}


class NativePublicKey:
    """A loaded key; verifying is safe from several threads."""

    def __init__(self, spki: bytes) -> None:
        """Raises ValueError for bytes that are no SM2 key, NoSM2 where OpenSSL cannot."""
        self._key = _loaded("d2i_PUBKEY", spki)

    def __del__(self) -> None:
        if key := getattr(self, "_key", None):
            _library().EVP_PKEY_free(key)

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether the DER signature holds."""
        library = _library()
        with _digest_context(self._key, SIGNER_ID) as context:
            ready = library.EVP_DigestVerifyInit(context, None, library.EVP_sm3(), None, self._key) == 1
            held = (
                ready and library.EVP_DigestVerify(context, signature, len(signature), message, len(message)) == 1
            )
        library.ERR_clear_error()
        return bool(held)


class NativePrivateKey:
    """A key that signs; for issuers and tests."""

    def __init__(self, der: bytes) -> None:
        """From `der()`. Raises ValueError, NoSM2."""
        self._key = _loaded("d2i_AutoPrivateKey", der)

    def __del__(self) -> None:
        if key := getattr(self, "_key", None):
            _library().EVP_PKEY_free(key)

    def sign(self, message: bytes) -> bytes:
        """DER signature. Raises NoSM2."""
        library = _library()
        signature, length = ctypes.create_string_buffer(_MAX_SIGNATURE_BYTES), c_size_t(_MAX_SIGNATURE_BYTES)
        with _digest_context(self._key, SIGNER_ID) as context:
            library.EVP_DigestSignInit(context, None, library.EVP_sm3(), None, self._key)
            if library.EVP_DigestSign(context, signature, byref(length), message, len(message)) != 1:
                raise NoSM2("this OpenSSL cannot sign with SM2")
        return signature.raw[: length.value]

    def spki(self) -> bytes:
        """The public half, DER SubjectPublicKeyInfo."""
        return _written("i2d_PUBKEY", self._key)

    def der(self) -> bytes:
        """The key itself, unencrypted."""
        return _written("i2d_PrivateKey", self._key)


def new_private_key() -> NativePrivateKey:
    """A fresh key from OpenSSL's randomness. Raises NoSM2."""
    library = _library()
    context, key = library.EVP_PKEY_CTX_new_from_name(None, b"SM2", None), c_void_p()
    try:
        if not context or library.EVP_PKEY_keygen_init(context) != 1:
            raise NoSM2("this OpenSSL was built without SM2")
        if library.EVP_PKEY_generate(context, byref(key)) != 1:
            raise NoSM2("this OpenSSL cannot make SM2 keys")
        return NativePrivateKey(_written("i2d_PrivateKey", key.value))
    finally:
        library.EVP_PKEY_free(key)
        library.EVP_PKEY_CTX_free(context)


def _loaded(function: str, der: bytes) -> int:
    library = _library()
    buffer = ctypes.create_string_buffer(der, len(der))
    pointer = c_void_p(ctypes.addressof(buffer))
    key: int | None = getattr(library, function)(None, byref(pointer), len(der))
    library.ERR_clear_error()
    if not key:
        raise ValueError("not an SM2 key in DER form")
    return key


def _written(function: str, key: int | None) -> bytes:
    write = getattr(_library(), function)
    length = write(key, None)
    buffer = ctypes.create_string_buffer(length)
    write(key, byref(c_void_p(ctypes.addressof(buffer))))
    return buffer.raw


@contextmanager
def _digest_context(key: int, signer: bytes) -> Iterator[int]:
    """A digest context whose key context knows the signer's identity, which SM2 signs too."""
    library = _library()
    digest, context = library.EVP_MD_CTX_new(), library.EVP_PKEY_CTX_new(key, None)
    try:
        library.EVP_PKEY_CTX_set1_id(context, signer, len(signer))
        library.EVP_MD_CTX_set_pkey_ctx(digest, context)
        yield digest
    finally:
        library.EVP_MD_CTX_free(digest)
        library.EVP_PKEY_CTX_free(context)

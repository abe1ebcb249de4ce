"""COSE_Sign1 (RFC 9052): four parts, one signature, and where its key id and algorithm may stand.

| index | part | content |
|---|---|---|
| 0 | protected | byte string of a CBOR map: 1 alg, 4 kid; 2 crit is refused: nothing further is understood |
| 1 | unprotected | map; a kid or alg there counts only when the protected map has none |
| 2 | payload | byte string |
| 3 | signature | byte string over ["Signature1", protected, b"", payload] |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.crypto import cbor, signing
from agent.crypto.refusal import Malformed

ALG, CRIT, KID = 1, 2, 4
_PARTS = 4
_MAX_WRAPPERS = 2
_BYTE_STRING = 0x40
_ONE_BYTE = 24
"""Lengths below it stand in the head's first byte; from it on, 24, 25 and 26 say 1, 2 and 4 more bytes."""


@dataclass(frozen=True, slots=True)
class Sign1:
    """A parsed COSE_Sign1 message; nothing in it is proved yet."""

    algorithm: int
    kid: bytes
    payload: bytes
    signature: bytes
    signed: bytes
    """The Sig_structure that the signature is over."""


def parse(data: bytes) -> Sign1:
    """Message from bytes; accepts tag 18, tag 61 around it, and no tag at all. Raises Malformed."""
    item = cbor.decode(data)
    for _ in range(_MAX_WRAPPERS):
        if isinstance(item, cbor.Tag):
            item = item.value
    if not isinstance(item, list | tuple) or len(item) != _PARTS:
        raise Malformed("not a COSE_Sign1 message")
    protected, unprotected, payload, signature = item
    if not (isinstance(protected, bytes) and isinstance(payload, bytes) and isinstance(signature, bytes)):
        raise Malformed("not a COSE_Sign1 message")
    header = cbor.decode(protected) if protected else {}
    if not isinstance(header, Mapping) or not isinstance(unprotected, Mapping):
        raise Malformed("a COSE header that is not a map")
    if CRIT in header:
        raise Malformed("a COSE header that asks for more than this gate understands")
    algorithm, kid = _either(header, unprotected, ALG), _either(header, unprotected, KID)
    if not isinstance(algorithm, int) or isinstance(algorithm, bool):
        raise Malformed("a COSE header without algorithm")
    if algorithm in signing.NOT_IN_COSE:
        raise Malformed("a COSE header with an algorithm that COSE does not have")
    return Sign1(
        algorithm,
        kid if isinstance(kid, bytes) else b"",
        payload,
        signature,
        _to_be_signed(protected, payload),
    )


def _either(header: Mapping[Any, Any], unprotected: Mapping[Any, Any], label: int) -> Any:
    """The protected value where there is one: the other can be altered by anybody."""
    return header[label] if label in header else unprotected.get(label)


def _to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """Array of four: "Signature1", protected, empty external data, payload (RFC 9052, 4.4)."""
    return b"\x84\x6aSignature1" + _head(protected) + protected + b"\x40" + _head(payload) + payload


def _head(content: bytes) -> bytes:
    """CBOR head of a byte string, in its shortest form: the only one that a signer may use."""
    length = len(content)
    if length < _ONE_BYTE:
        return bytes((_BYTE_STRING + length,))
    width = 1 if length < 1 << 8 else 2 if length < 1 << 16 else 4
    return bytes((_BYTE_STRING + _ONE_BYTE + width.bit_length() - 1,)) + length.to_bytes(width)


def build(algorithm: int, kid: bytes, payload: bytes) -> tuple[bytes, bytes]:
    """Protected header and what is to be signed, for issuing."""
    protected = cbor.encode({ALG: algorithm, KID: kid})
    return protected, _to_be_signed(protected, payload)


def assemble(protected: bytes, payload: bytes, signature: bytes) -> bytes:
    """The finished message, tagged 18."""
    return cbor.encode(cbor.Tag(cbor.COSE_SIGN1, [protected, {}, payload, signature]))

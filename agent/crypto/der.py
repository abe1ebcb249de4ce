"""The part of DER (X.690) that is needed to read slightly malformed certificates. Pure.

Japan's certificates carry a NULL after an ECDSA algorithm, where RFC 5758, section 3.2 allows nothing, and the
library that reads certificates refuses them whole. `mended` gives it a copy without; what their signature is over
is the `signed_part` of the certificate as it came.
"""

from __future__ import annotations

import re

_SEQUENCE = 0x30
_LONG = 0x80
_VERSION = b"\xa0"
_SPKI_AT = 5
"""After number, algorithm, issuer, validity and subject; one later where a version stands before them."""
_ECDSA_AND_NULL = re.compile(rb"\x30\x0c(\x06\x08\x2a\x86\x48\xce\x3d\x04\x03[\x01-\x04])\x05\x00", re.DOTALL)
_ECDSA_ALONE = b"\x30\x0a\\1"


def mended(certificate: bytes) -> bytes:
    """The certificate without NULL in its two names of its algorithm. Raises ValueError."""
    inside, after = _content(certificate)
    signed, rest = _content(inside)
    signed, rest = (_ECDSA_AND_NULL.sub(_ECDSA_ALONE, part, count=1) for part in (signed, rest))
    return _sequence(_sequence(signed) + rest) + after


def certificate_spki(certificate: bytes) -> bytes:
    """SubjectPublicKeyInfo of a certificate, by its place alone. Raises ValueError."""
    inside, _ = _content(certificate)
    fields, _ = _content(inside)
    elements = []
    while fields:
        element, fields = _element(fields)
        elements.append(element)
    version = elements[0][:1] == _VERSION if elements else False
    if len(elements) <= _SPKI_AT + version:
        raise ValueError("not a certificate")
    return elements[_SPKI_AT + version]


def signed_part(certificate: bytes) -> bytes:
    """What the certificate's signature is over, as it came. Raises ValueError."""
    inside, _ = _content(certificate)
    _, rest = _content(inside)
    return inside[: len(inside) - len(rest)]


def _content(der: bytes) -> tuple[bytes, bytes]:
    """Content of the sequence that `der` begins with, and what follows it. Raises ValueError."""
    if der[:1] != bytes((_SEQUENCE,)):
        raise ValueError("not a DER sequence")
    start, end = _bounds(der)
    return der[start:end], der[end:]


def _element(der: bytes) -> tuple[bytes, bytes]:
    """The first element, whole, and what follows it. Raises ValueError."""
    _, end = _bounds(der)
    return der[:end], der[end:]


def _bounds(der: bytes) -> tuple[int, int]:
    """Where the content of the first element begins and ends. Raises ValueError."""
    if len(der) < 2:  # noqa: PLR2004 - a tag and a length
        raise ValueError("a DER element that is cut off")
    width = der[1] - _LONG if der[1] >= _LONG else 0
    start = 2 + width
    end = start + (int.from_bytes(der[2:start]) if width else der[1])
    if end > len(der):
        raise ValueError("a DER element that is cut off")
    return start, end


def _sequence(content: bytes) -> bytes:
    length = len(content)
    if length < _LONG:
        return bytes((_SEQUENCE, length)) + content
    width = (length.bit_length() + 7) // 8
    return bytes((_SEQUENCE, _LONG + width)) + length.to_bytes(width) + content

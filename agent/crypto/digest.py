"""Sixteen bytes that stand for a holder or a code: always from the signed payload, never from the scanned text.

Codes are malleable: zlib flags, unprotected headers and (r, n - s) change the text and not what is signed.
"""

from __future__ import annotations

import unicodedata
from hashlib import blake2b

SIZE = 16


def of_subject(*parts: str) -> bytes:
    """Key of a holder: equal for every code with the same parts, whatever its issue or expiry. Letters and their
    accents may be written apart or as one (Unicode NFC).
    """
    text = "\0".join(parts)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=SIZE, person=b"gatepost-subject").digest()


def of_code(format_name: str, content: bytes) -> bytes:
    """Key of one code."""
    return blake2b(content, digest_size=SIZE, person=f"code-{format_name}".encode()[:16]).digest()

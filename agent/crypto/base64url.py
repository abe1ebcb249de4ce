"""Base64url without padding (RFC 4648, section 5), strictly: Python's own decoder skips foreign characters."""

from __future__ import annotations

import binascii

from agent.crypto.refusal import Malformed

_TO_STANDARD = bytes.maketrans(b"-_+/", b"+/\xff\xff")


def decode(text: bytes) -> bytes:
    """Bytes that `text` stands for. Raises Malformed."""
    try:
        return binascii.a2b_base64(text.translate(_TO_STANDARD) + b"=" * (-len(text) % 4), strict_mode=True)
    except binascii.Error:
        raise Malformed("not base64url") from None

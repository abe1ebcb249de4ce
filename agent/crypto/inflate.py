"""Decompression with a limit: one QR code can hold a zlib stream of megabytes, one USB scan of a gigabyte."""

from __future__ import annotations

import zlib

from agent.crypto.refusal import Malformed

MAX_BYTES = 1 << 16
ZLIB, RAW = zlib.MAX_WBITS, -zlib.MAX_WBITS


def inflate(data: bytes, form: int = ZLIB) -> bytes:
    """What the stream holds, at most 64 KiB. Raises Malformed: broken, cut off, too much, or something after it."""
    stream = zlib.decompressobj(form)
    try:
        content = stream.decompress(data, MAX_BYTES)
    except zlib.error:
        raise Malformed("not compressed, or broken") from None
    if stream.unconsumed_tail:
        raise Malformed("more than 64 KiB when unpacked")
    if not stream.eof or stream.unused_data:
        raise Malformed("a compressed stream that is cut off or has something after it")
    return content

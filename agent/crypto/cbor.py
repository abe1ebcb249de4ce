"""CBOR (RFC 8949) from strangers: bounded depth, no duplicate keys, no tag that does anything.

A decoder left to its defaults compiles a regular expression for tag 35, builds cycles for tags 28 and 29 and big
integers for tags 2 and 3. Here a tag is a wrapper that COSE uses, a date (its content is kept as it is written) or
an error. The only file that knows cbor2.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, NoReturn

import cbor2

from agent.crypto.refusal import Malformed

MAX_DEPTH = 16
COSE_SIGN1 = 18
CWT = 61
Tag = cbor2.CBORTag

_DATES = (0, 1, 100, 1004)
_ACTIVE = (2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 256, 258, 260, 261, 43000, 55799)


def _refuse(*_: object) -> NoReturn:
    raise Malformed("a CBOR tag that has no place in a code")


def _as_written(value: object, _immutable: bool) -> object:
    return value


def _known_tag(tag: Any, _immutable: bool) -> Any:
    return tag if tag.tag in (COSE_SIGN1, CWT) else _refuse()


_DECODERS: dict[int, Any] = dict.fromkeys(_ACTIVE, _refuse) | dict.fromkeys(_DATES, _as_written)


def _decoder(stream: BytesIO) -> cbor2.CBORDecoder:
    """Bounded. Raises TypeError where the library is too old to have these bounds, whatever the bytes are."""
    return cbor2.CBORDecoder(
        stream,
        tag_hook=_known_tag,
        semantic_decoders=_DECODERS,
        max_depth=MAX_DEPTH,
        allow_duplicate_keys=False,
    )


def check_library() -> None:
    """Raises ImportError, in one sentence, where cbor2 cannot decode with bounds. No code is read without them, and
    a library that is missing something must not look like codes that are damaged.
    """
    try:
        _decoder(BytesIO())
    except TypeError as error:
        from importlib.metadata import version  # noqa: PLC0415 - it takes long, and is for this sentence alone

        what = f"cbor2 {version('cbor2')} is too old to bound what a code may do"
        remedy = "Gatepost needs cbor2 6 or newer: python3 -m pip install 'cbor2>=6'"
        raise ImportError(f"{what}; {remedy}", name="cbor2") from error


def decode(data: bytes) -> Any:
    """The one item that `data` holds. Raises Malformed; also when bytes are left over."""
    stream = BytesIO(data)
    decoder = _decoder(stream)
    try:
        item = decoder.decode()
    except (cbor2.CBORError, OverflowError, RecursionError, MemoryError):
        raise Malformed("broken CBOR") from None
    if stream.tell() != len(data):
        raise Malformed("bytes after the CBOR item")
    return item


def encode(item: object) -> bytes:
    """Deterministic CBOR, for issuing."""
    return cbor2.dumps(item, canonical=True)


check_library()

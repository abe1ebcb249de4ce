"""JSON from strangers: UTF-8 without a byte order mark, no key twice, no NaN, no half a character; every fault is
Malformed.
"""

from __future__ import annotations

import json
from typing import Any

from agent.crypto.refusal import Malformed


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("a JSON key that occurs twice")
    return members


def _no_constant(_name: str) -> None:
    raise Malformed("a JSON number that is none")


def decode(data: bytes) -> Any:
    """The one value that `data` holds. Raises Malformed."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
        if b"\\u" in data:  # the one way to half a character, which nothing can write down again
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Malformed("broken JSON") from None
    return value


def decode_object(data: bytes) -> dict[str, Any]:
    """As `decode`, and it must be an object."""
    value = decode(data)
    if not isinstance(value, dict):
        raise Malformed("JSON that is not an object")
    return value


def canonical(value: object) -> bytes:
    """JSON Canonicalization Scheme (RFC 8785), for values without fractions."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )

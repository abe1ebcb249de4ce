"""JSON from strangers: UTF-8 without a byte order mark, no key twice, no NaN, no number that no computer reckons
with, no half a character; every fault is Malformed.
"""

from __future__ import annotations

import json
import math
from typing import Any

from agent.crypto.refusal import Malformed

MOST_DIGITS = 300
"""Of a whole number: every one that fits also fits a fraction, so that it can be compared with a time."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("a JSON key that occurs twice")
    return members


def _no_constant(_name: str) -> None:
    raise Malformed("a JSON number that is none")


def _fraction(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise Malformed("a JSON number that is too large")
    return number


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise Malformed("a JSON number that is too large")
    return int(digits)


def decode(data: bytes) -> Any:
    """The one value that `data` holds. Raises Malformed."""
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_float=_fraction,
            parse_int=_whole,
        )
        if b"\\u" in data:  # the one way to half a character, which nothing can write down again
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Malformed("broken JSON") from None
    return value


def decode_object(data: bytes) -> dict[str, Any]:
    """As `decode`, and it must be an object. Raises Malformed."""
    value = decode(data)
    if not isinstance(value, dict):
        raise Malformed("JSON that is not an object")
    return value


def canonical(value: object) -> bytes:
    """JSON Canonicalization Scheme (RFC 8785), for values without fractions."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )

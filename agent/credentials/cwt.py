"""CBOR Web Token claims (RFC 8392), as three formats use them: typed reads that raise Malformed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.crypto import cbor
from agent.crypto.refusal import Malformed

ISS, SUB, EXP, NBF, IAT, CTI = 1, 2, 4, 5, 6, 7
Claims = Mapping[Any, Any]

_MAX_UTC = 1 << 40


def claims_of(payload: bytes) -> Claims:
    """The claims that a signed payload holds. Raises Malformed."""
    claims = cbor.decode(payload)
    if not isinstance(claims, Mapping):
        raise Malformed("claims that are not a map")
    return claims


def text(claims: Claims, label: object) -> str:
    """A text that must be there. Raises Malformed."""
    value = claims.get(label)
    if not isinstance(value, str) or not value:
        raise Malformed("a claim that should be text is not")
    return value


def time(claims: Claims, label: object) -> float | None:
    """POSIX seconds, None when the claim is not there; some issuers write fractions. Raises Malformed."""
    value = claims.get(label)
    return None if value is None else seconds(value)


def required_time(claims: Claims, label: object) -> float:
    """POSIX seconds that must be there. Raises Malformed."""
    value = time(claims, label)
    if value is None:
        raise Malformed("a time is missing")
    return value


def seconds(value: object) -> float:
    """A number as POSIX seconds, between 1970 and the year 36,812. Raises Malformed."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MAX_UTC:
        raise Malformed("a claim that should be a time is not")
    return float(value)

"""pretix ticket, signature scheme 1 (`pretix_sig1`): an event's ticket that is checked without its shop.

The text is base64, written backwards, of

| bytes | content |
|---|---|
| 1 | version, 1 |
| 2 | n, length of the payload, big-endian |
| 2 | m, length of the signature, 64 |
| n | payload: protobuf; 1 seed, 2 item, 3 variation, 4 subevent, 5 valid from, 6 valid until (POSIX seconds) |
| m | Ed25519 signature over the payload |

Source: pretix, `src/pretix/base/secrets.py`; libpretixsync, `pretix_sig1.proto`. Tickets name no key: each that is
pinned for this format is tried, and its issuer is the event. Without the exact length and the canonical base64 that
are asked for here, one ticket would have many texts; it is counted, and revoked, by its payload.

A ticket counts at the places `EVENT`, `EVENT/ITEM` and `EVENT/ITEM/VARIATION`; if it is for one date of a series,
at each of these with `@SUBEVENT` after it, and not without.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

from agent.credentials import protobuf, validity
from agent.credentials.trust import KeyUse
from agent.crypto import digest, signing
from agent.crypto.refusal import Malformed
from agent.model import Entitlement, TimeBounds, Verdict

if TYPE_CHECKING:
    from agent.credentials.trust import TrustStore

FORMAT = "pretix"
TITLE = "pretix ticket"
KEYS = {FORMAT: KeyUse(("Ed25519",))}
WITHOUT_PREFIX = True
_HEAD, _SIGNATURE = 5, 64
_MOST_PAYLOAD = 512
_SEED, *_NUMBERS = range(1, 7)
"""Then item, variation, date of a series, valid from, valid until."""
_MOST_UTC = 1 << 40


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it: its last characters are the head of such a ticket."""
    try:
        head = binascii.a2b_base64(payload[: -_HEAD - 4 : -1])
    except binascii.Error:
        return False
    length, signature = int.from_bytes(head[1:3]), int.from_bytes(head[3:5])
    return head[:1] == b"\1" and signature == _SIGNATURE and 0 < length <= _MOST_PAYLOAD


def check(payload: bytes, trust: TrustStore, now: TimeBounds) -> Verdict:
    """Verdict on a code that `recognises`. Raises CheckFailed."""
    content, signature = _parts(payload)
    key = trust.signer_among(FORMAT, signature, content, signing.EDDSA)
    return validity.ticket_verdict(FORMAT, key, _entitlement(key.issuer, content), now)


def code_key(text: str) -> bytes:
    """Key of a ticket by its text, for lists of revoked tickets. Raises Malformed."""
    return digest.of_code(FORMAT, _parts(text.encode())[0])


def _parts(text: bytes) -> tuple[bytes, bytes]:
    """Payload and signature. Raises Malformed."""
    backwards = text[::-1]
    try:
        data = binascii.a2b_base64(backwards, strict_mode=True)
    except binascii.Error:
        raise Malformed("not base64 written backwards") from None
    if binascii.b2a_base64(data, newline=False) != backwards:
        raise Malformed("base64 that is not canonical")
    length = int.from_bytes(data[1:3])
    if data[:1] != b"\1" or int.from_bytes(data[3:5]) != _SIGNATURE or len(data) != _HEAD + length + _SIGNATURE:
        raise Malformed("longer or shorter than the ticket says")
    return data[_HEAD : _HEAD + length], data[_HEAD + length :]


def _entitlement(event: str, content: bytes) -> Entitlement:
    found = protobuf.fields(content)
    if not isinstance(found.get(_SEED, b""), bytes):
        raise Malformed("a seed that is no text")
    item, variation, subevent, starts, ends = [_number(found.get(field, 0)) for field in _NUMBERS]
    day = f"@{subevent}" if subevent else ""
    places = [event + day, f"{event}/{item}{day}"]
    if variation:
        places.append(f"{event}/{item}/{variation}{day}")
    return Entitlement(
        places=tuple(places),
        starts_utc=float(starts) if starts else None,
        ends_utc=float(ends) if ends else None,
        single_use=True,
        key=digest.of_code(FORMAT, content),
    )


def _number(value: int | bytes) -> int:
    if isinstance(value, bytes) or value >= _MOST_UTC:
        raise Malformed("a field that should be a number is not")
    return value

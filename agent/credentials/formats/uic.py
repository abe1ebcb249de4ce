"""UIC rail ticket, static code (UIC 918-3, 918-9): trains all over Europe, the German ticket too.

| bytes | content |
|---|---|
| 3, 2 | `#UT`, version 01 or 02 |
| 4, 5 | number of who signed it (RICS), number of the key |
| 50 or 64 | DSA or ECDSA signature: in DER with zeros after it (01), r and s of 32 bytes each (02) |
| 4 | length of the rest, in digits |
| … | zlib stream; the signature is over it as it stands |

Within: records of id 6, version 2, length 4 (of all of it), content. `U_HEAD` names the order; `U_FLEX` is the
content that this gate can weigh (`fcb`), of version 13, 02 or 03. Without it the ticket is text for eyes: staff
look at it.

Source: UIC IRS 90918-9, ERA TAP TSI B.12; field order as in UIC's `StaticFrame`. A signature alone makes no ticket
good (`blocking`): issuers' keys were stolen, and cancelled tickets verify.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.credentials import fcb, rail
from agent.credentials.trust import KeyUse
from agent.crypto import digest, signing
from agent.crypto.inflate import inflate
from agent.crypto.refusal import CheckFailed, Malformed
from agent.model import CodeStatus, Entitlement, TimeBounds, Verdict

if TYPE_CHECKING:
    from agent.credentials.trust import TrustStore

FORMAT = rail.FORMAT
TITLE = "European rail ticket (UIC)"
KEYS = {FORMAT: KeyUse(("DSA", "P-256", "P-384", "P-521"), weak="DSA")}
_HEAD = re.compile(rb"#UT(0[12])(\d{4})([0-9A-Za-z]{5})")
_SIGNATURE = {b"01": 50, b"02": 64}
_LENGTH = re.compile(rb"\d{4}")
_RECORD = re.compile(rb"([0-9A-Z_ ]{6})([0-9A-Z]{2})(\d{4})")
_RECORD_HEAD = 12
_MOST_RECORDS = 32
_FLEX, _U_HEAD = b"U_FLEX", b"U_HEAD"
_VERSIONS = {b"13": 1, b"02": 2, b"03": 3}
_ORDER = slice(4, 24)


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it."""
    return _HEAD.match(payload) is not None


def check(payload: bytes, trust: TrustStore, now: TimeBounds) -> Verdict:
    """Verdict on a code that `recognises`. Raises CheckFailed."""
    head = _HEAD.match(payload)
    if head is None:
        raise Malformed("no head of a rail ticket")
    version, issuer, key_id = head[1], head[2].decode(), head[3].decode()
    start = head.end() + _SIGNATURE[version]
    length, stream = payload[start : start + 4], payload[start + 4 :]
    if _LENGTH.fullmatch(length) is None or int(length) != len(stream):
        raise Malformed("longer or shorter than the ticket says")
    signature = _signature(version, payload[head.end() : start])
    key = rail.signer(trust, rail.key_name(issuer, key_id), signature, stream)
    return rail.verdict(FORMAT, key, issuer, _content(stream), trust, now)


def _signature(version: bytes, raw: bytes) -> tuple[int, int]:
    if version == b"02":
        return int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
    try:
        return signing.split_signature(raw)
    except signing.BadKey:
        raise CheckFailed(CodeStatus.BAD_SIGNATURE, "a signature that cannot be read") from None


def _content(stream: bytes) -> fcb.RailContent:
    """What the ticket says, by the stream whose signature holds."""
    found = records(inflate(stream))
    order = found.get(_U_HEAD, (b"", b""))[1][_ORDER].rstrip(b"\0 ").decode("ascii", "replace")
    version, flexible = found.get(_FLEX, (b"", b""))
    if version not in _VERSIONS:
        doubt = (
            "a ticket whose content is for eyes alone" if not version else "a content version that is not read here"
        )
        key = digest.of_code(FORMAT, stream)
        return fcb.RailContent(Entitlement(has_all_places=False, key=key), (order,) if order else (), doubt)
    content = fcb.read(flexible, _VERSIONS[version], digest.of_code(FORMAT, flexible))
    if not order or order in content.references:
        return content
    return fcb.RailContent(content.entitlement, (*content.references, order), content.doubt)


def records(data: bytes) -> dict[bytes, tuple[bytes, bytes]]:
    """Id of each record → its version and content. Raises Malformed."""
    found: dict[bytes, tuple[bytes, bytes]] = {}
    at = count = 0
    while at < len(data):
        head, count = _RECORD.match(data, at), count + 1
        size = int(head[3]) if head is not None else 0
        if head is None or size < _RECORD_HEAD or at + size > len(data) or count > _MOST_RECORDS:
            raise Malformed("a record that is cut off or of no known form")
        if head[1] in (_FLEX, _U_HEAD) and head[1] in found:
            raise Malformed("two contents in one ticket")
        found[head[1]] = head[2], data[at + _RECORD_HEAD : at + size]
        at += size
    return found

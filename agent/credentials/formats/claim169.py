"""Claim 169: national identity in a QR code (MOSIP and others): base45 without a prefix, zlib, COSE_Sign1, CWT.

| claim | label | meaning |
|---|---|---|
| iss | 1 | issuer; the name under which its keys are pinned |
| exp, nbf, iat | 4, 5, 6 | end, start, time of issue; POSIX seconds |
| identity | 169 | {1 id, 4 full name, 8 date of birth as `YYYYMMDD`, 62 face …}; pictures are never looked at |

Source: IANA, CWT claim 169; MOSIP, "QR code specification", 1.2. Signatures: EdDSA or ES256. Codes need not name a
key: then each of the issuer's is tried. Encrypted ones are refused. What remains of a person here is a key of 16
bytes, and whether he is of age.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from agent.credentials import age, cose, cwt, validity
from agent.credentials.trust import KeyUse
from agent.crypto import base45, digest, signing
from agent.crypto.inflate import inflate
from agent.crypto.refusal import CheckFailed, Malformed
from agent.model import CodeStatus, TimeBounds, Verdict

if TYPE_CHECKING:
    from agent.credentials.trust import TrustStore

FORMAT = "claim169"
TITLE = "national identity (Claim 169)"
KEYS = {FORMAT: KeyUse(("Ed25519", "P-256"))}
WITHOUT_PREFIX = True
IDENTITY = 169
_ID, _NAME, _BORN = 1, 4, 8
_ZLIB = frozenset(
    base45.encode(head.to_bytes(2)).encode()
    for head in range(0x0800, 0x7900)
    if head >> 8 & 15 == 8 and head % 31 == 0 and not head & 0x20  # noqa: PLR2004 - deflate, its check, no dictionary
)
"""Characters that stand for the head of a zlib stream."""
_BEGINS = (24, 600)
"""Characters that are decoded to see the head of COSE: nearly always the first few are enough, but a stream may
have tables of 300 bytes before its content, as those with a picture do."""
_SIGN1 = (b"\xd2", b"\xd8\x3d")
_ENCRYPTED = b"\xd0"
_ALGORITHMS = (signing.EDDSA, signing.ES256)
_DAY = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)", re.ASCII)


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it: base45, a zlib stream, a COSE tag. There is no prefix."""
    return _head(payload).startswith((*_SIGN1, _ENCRYPTED))


def check(payload: bytes, trust: TrustStore, now: TimeBounds) -> Verdict:
    """Verdict on a code that `recognises`. Raises CheckFailed."""
    content = inflate(base45.decode(payload))
    if content.startswith(_ENCRYPTED):
        raise Malformed("encrypted: no gate can read it")
    message = cose.parse(content)
    if message.algorithm not in _ALGORITHMS:
        raise Malformed("a signature that is neither EdDSA nor ES256")
    claims = cwt.claims_of(message.payload)
    issuer = cwt.text(claims, cwt.ISS)
    parts = message.signature, message.signed, message.algorithm
    named = message.kid and any(FORMAT in key.formats for key in trust.keys.get(message.kid, ()))
    key = trust.signer(FORMAT, message.kid, *parts) if named else trust.signer_among(FORMAT, *parts, issuer=issuer)
    if key.issuer != issuer:
        raise CheckFailed(CodeStatus.BAD_SIGNATURE, "signed with another issuer's key", issuer=key.issuer)
    identity = claims.get(IDENTITY)
    if not isinstance(identity, Mapping):
        raise Malformed("no identity in it")
    times = {label: cwt.time(claims, label) for label in (cwt.IAT, cwt.NBF, cwt.EXP)}
    issued, starts, expires = times.values()
    return Verdict(
        status=validity.check_validity(now, issued=issued, starts=starts, expires=expires, signer=key.limits),
        reason=key.limits.reason(now),
        format=FORMAT,
        subject=_subject(issuer, identity),
        issuer=issuer,
        issued_utc=issued,
        expires_utc=expires,
        kind="identity",
        code=digest.of_code(FORMAT, message.payload),
        person=digest.of_person(str(identity.get(_NAME) or ""), _born(identity.get(_BORN))),
        of_age=age.of_age(_born(identity.get(_BORN)), trust.of_age_years, now),
    )


def subject_key(issuer: str, identity: str) -> bytes:
    """Key of a holder by the id that the issuer gave."""
    return digest.of_subject(FORMAT, issuer, identity)


def _head(payload: bytes) -> bytes:
    """The first two bytes of what the stream holds; `` for what is none."""
    if payload[:3] not in _ZLIB:
        return b""
    head = b""
    for count in _BEGINS:
        try:
            head = zlib.decompressobj().decompress(base45.decode(payload[:count]), 2)
        except (zlib.error, Malformed):
            return b""
        if len(head) > 1:
            break
    return head


def _subject(issuer: str, identity: Mapping[object, object]) -> bytes:
    """The id, else name and date of birth; `` when it says neither."""
    number, name = identity.get(_ID), identity.get(_NAME)
    if isinstance(number, str | int) and number:
        return subject_key(issuer, str(number))
    return digest.of_subject(FORMAT, issuer, name, str(identity.get(_BORN))) if isinstance(name, str) else b""


def _born(value: object) -> str:
    """`YYYY-MM-DD`; `` when it cannot be read."""
    match = _DAY.fullmatch(value) if isinstance(value, str) else None
    return "-".join(match.groups()) if match else ""

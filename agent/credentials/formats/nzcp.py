"""New Zealand COVID Pass: `NZCP:/1/`, base32, a CWT in COSE_Sign1 with ES256.

Source: Ministry of Health, "New Zealand COVID Pass — Technical Specification", nzcp.covid19.health.nz, sections 2
to 4. The issuer is a did:web whose keys are pinned here under their fragment (`key-12`); the issuer claim must be
the pinned name.

| claim | label | meaning |
|---|---|---|
| iss | 1 | did:web of the issuer |
| nbf | 5 | start of validity |
| exp | 4 | end of validity |
| cti | 7 | 16 bytes: the pass itself |
| vc | "vc" | {type, credentialSubject: {givenName, familyName, dob}} |
"""

from __future__ import annotations

import binascii
from base64 import b32decode
from collections.abc import Mapping
from typing import TYPE_CHECKING

from agent.credentials import cose, cwt, validity
from agent.credentials.trust import KeyUse
from agent.crypto import digest
from agent.crypto.refusal import CheckFailed, Malformed
from agent.model import CodeStatus, TimeBounds, Verdict

if TYPE_CHECKING:
    from agent.credentials.trust import TrustStore

FORMAT = "nzcp"
TITLE = "New Zealand COVID Pass"
KEYS = {FORMAT: KeyUse(("P-256",))}
PREFIX = b"NZCP:/"
_VERSION = b"1/"
_PASS = "PublicCovidPass"  # noqa: S105 - the type of the credential, no secret


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it."""
    return payload.startswith(PREFIX)


def check(payload: bytes, trust: TrustStore, now: TimeBounds) -> Verdict:
    """Verdict on a code that `recognises`. Raises CheckFailed."""
    body = payload[len(PREFIX) :]
    if not body.startswith(_VERSION):
        raise Malformed("a pass of another version")
    message = cose.parse(_unbase32(body[len(_VERSION) :]))
    key = trust.signer(FORMAT, message.kid, message.signature, message.signed, message.algorithm)
    claims = cwt.claims_of(message.payload)
    issuer = cwt.text(claims, cwt.ISS)
    if key.issuer not in ("", issuer):
        raise CheckFailed(CodeStatus.BAD_SIGNATURE, "signed with another issuer's key", issuer=key.issuer)
    key.limits.require("vaccination", issuer=key.issuer)
    identity, card = claims.get(cwt.CTI), claims.get("vc")
    if not isinstance(identity, bytes) or len(identity) != digest.SIZE:
        raise Malformed("a pass without id")
    if (
        not isinstance(card, Mapping)
        or not isinstance(types := card.get("type"), list | tuple)
        or _PASS not in types
    ):
        raise Malformed("not a COVID pass")
    starts, expires = cwt.required_time(claims, cwt.NBF), cwt.required_time(claims, cwt.EXP)
    return Verdict(
        status=validity.check_validity(now, issued=None, starts=starts, expires=expires, signer=key.limits),
        reason=key.limits.reason(now),
        format=FORMAT,
        subject=_subject(card.get("credentialSubject")),
        issuer=issuer,
        issued_utc=starts,
        expires_utc=expires,
        kind="vaccination",
        code=digest.of_code(FORMAT, identity),
        person=_person(card.get("credentialSubject")),
    )


def _unbase32(text: bytes) -> bytes:
    try:
        return b32decode(text + b"=" * (-len(text) % 8))
    except binascii.Error:
        raise Malformed("not base32") from None


def _subject(person: object) -> bytes:
    """Names and date of birth; `` without a name: that may be anybody."""
    if not isinstance(person, Mapping):
        raise Malformed("a pass of nobody")
    if not (person.get("givenName") or person.get("familyName")):
        return b""
    return digest.of_subject(*(str(person.get(name)) for name in ("givenName", "familyName", "dob")))


def _person(person: object) -> bytes:
    if not isinstance(person, Mapping):
        return b""
    names = (str(person.get(name) or "") for name in ("givenName", "familyName"))
    return digest.of_person(" ".join(names), person.get("dob"))

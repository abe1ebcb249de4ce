"""Gatepost's own permit (凭证) as a signed code: `GPE1:`, base45, COSE_Sign1; then no roster is needed.

| claim | label | type | meaning |
|---|---|---|---|
| iss | 1 | text | issuer; must be the name under which the key is pinned, for `permit` |
| sub | 2 | text | the permit, by the issuer's own number: no name |
| exp | 4 | int | end of validity, POSIX seconds; required |
| nbf | 5 | int | start of validity; optional |
| iat | 6 | int | time of issue; required |
| permit | -70010 | map | `kind`: as in a roster bundle (role, place, windows, uses, party), `group`, `number` |

It says why somebody may be here, and nothing of his health: most venues want a health code beside it, in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agent.credentials import cose, cwt, validity
from agent.credentials.trust import KeyUse
from agent.crypto import base45, cbor, digest, signing
from agent.crypto.refusal import CheckFailed, Malformed
from agent.model import CodeStatus, Permit, TimeBounds, Verdict
from agent.venue.permits import KEY_BYTES, BadRoster, parse_kind

if TYPE_CHECKING:
    from agent.credentials.trust import TrustStore

FORMAT = "permit"
TITLE = "permit of a venue (凭证)"
KEYS = {FORMAT: KeyUse()}
PREFIX = b"GPE1:"
PERMIT = -70010
_LONGEST_GROUP, _MOST_NUMBER = 32, 65_535


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it."""
    return payload.startswith(PREFIX)


def check(payload: bytes, trust: TrustStore, now: TimeBounds) -> Verdict:
    """Verdict on a permit that `recognises`. Raises CheckFailed."""
    message = cose.parse(base45.decode(payload[len(PREFIX) :]))
    key = trust.signer(FORMAT, message.kid, message.signature, message.signed, message.algorithm)
    claims = cwt.claims_of(message.payload)
    if claims.get(cwt.ISS) != key.issuer:
        raise CheckFailed(CodeStatus.BAD_SIGNATURE, "signed with another issuer's key", issuer=key.issuer)
    issued, expires = cwt.required_time(claims, cwt.IAT), cwt.required_time(claims, cwt.EXP)
    subject = digest.of_subject("permit", key.issuer, cwt.text(claims, cwt.SUB))
    return Verdict(
        status=validity.check_validity(
            now, issued=issued, starts=cwt.time(claims, cwt.NBF), expires=expires, signer=key.limits
        ),
        reason=key.limits.reason(now),
        format=FORMAT,
        subject=subject,
        issuer=key.issuer,
        issued_utc=issued,
        expires_utc=expires,
        kind="other",
        code=digest.of_code(FORMAT, message.payload),
        permit=_permit(subject[:KEY_BYTES], claims.get(PERMIT)),
    )


def issue(
    key: signing.PrivateKey,
    issuer: str,
    subject: str,
    permit: Mapping[str, Any],
    *,
    issued_utc: int,
    expires_utc: int,
) -> str:
    """Text of a permit. Raises Malformed for content that no kiosk would take."""
    _permit(bytes(KEY_BYTES), permit)
    payload = cbor.encode(
        {cwt.ISS: issuer, cwt.SUB: subject, cwt.EXP: expires_utc, cwt.IAT: issued_utc, PERMIT: dict(permit)}
    )
    protected, to_sign = cose.build(key.algorithm, key.public.kid, payload)
    return PREFIX.decode() + base45.encode(cose.assemble(protected, payload, key.sign(to_sign)))


def _permit(key: bytes, content: object) -> Permit:
    """Raises Malformed."""
    match content:
        case {"kind": Mapping() as kind, **rest} if not rest.keys() - {"group", "number"}:
            group, number = rest.get("group", ""), rest.get("number", 0)
        case _:
            raise Malformed("no permit in it")
    if not isinstance(group, str) or len(group) > _LONGEST_GROUP:
        raise Malformed("a group that is no short text")
    if type(number) is not int or not 0 <= number <= _MOST_NUMBER:
        raise Malformed("a number that is none")
    try:
        return Permit(key, parse_kind(_plain(kind)), group, number)
    except BadRoster:
        raise Malformed("a permit that makes no sense") from None


def _plain(content: object) -> Any:
    """CBOR's maps and arrays as JSON has them."""
    if isinstance(content, Mapping):
        return {str(name): _plain(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    return content

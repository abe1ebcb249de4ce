"""场所码 (place code): the signed code of a place, which people scan with their phones. It never lets anybody in.

`GPP1:`, base45, COSE_Sign1, with the claims iss (1), sub (2: the place) and iat (6). Somebody who holds it before a
gate is told what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.credentials import cose, cwt
from agent.crypto import base45, cbor, signing
from agent.crypto.refusal import CheckFailed
from agent.model import CodeStatus, TimeBounds, Verdict

if TYPE_CHECKING:
    from agent.credentials.trust import TrustStore

FORMAT = "place"
TITLE = "place code (场所码)"
PREFIX = b"GPP1:"


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it."""
    return payload.startswith(PREFIX)


def check(_payload: bytes, _trust: TrustStore, _now: TimeBounds) -> Verdict:
    """Always raises CheckFailed: a place is not a person."""
    raise CheckFailed(CodeStatus.UNRECOGNISED, "the code of a place, not of a person")


def issue(key: signing.PrivateKey, issuer: str, place: str, issued_utc: int) -> str:
    """Text of the code to hang up at a place."""
    payload = cbor.encode({cwt.ISS: issuer, cwt.SUB: place, cwt.IAT: issued_utc})
    protected, to_sign = cose.build(key.algorithm, key.public.kid, payload)
    return PREFIX.decode() + base45.encode(cose.assemble(protected, payload, key.sign(to_sign)))

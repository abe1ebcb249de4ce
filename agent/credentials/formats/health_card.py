"""电子健康卡 (electronic health card): recognised by its form, decided from a status list.

| form | content |
|---|---|
| static | 64 hexadecimal digits, `:1` |
| dynamic | 64 hexadecimal digits, `:0:`, 32 hexadecimal digits that change with every showing |

Source: examples in public interface code of hospitals; no public key or signature is known for either form, so the
string alone proves nothing. The status list of the issuer `health-card` is keyed on the 64 digits, in lower case.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.crypto import digest
from agent.crypto.refusal import Malformed
from agent.model import CodeProof, CodeStatus, TimeBounds, Verdict

if TYPE_CHECKING:
    from agent.credentials.trust import TrustStore

FORMAT = "health-card"
TITLE = "electronic health card (电子健康卡)"
ISSUER = "health-card"
_BEGIN = re.compile(rb"[0-9A-Fa-f]{64}:")
_WHOLE = re.compile(rb"([0-9A-Fa-f]{64}):(?:1|0:([0-9A-Fa-f]{32}))")


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it."""
    return _BEGIN.match(payload) is not None


def check(payload: bytes, _trust: TrustStore, _now: TimeBounds) -> Verdict:
    """The card, undecided as yet. Raises CheckFailed."""
    match = _WHOLE.fullmatch(payload)
    if match is None:
        raise Malformed("neither the static nor the dynamic form")
    subject = subject_key(match.group(1).decode())
    return Verdict(
        CodeStatus.UNDECIDED,
        FORMAT,
        subject=subject,
        issuer=ISSUER,
        reason="its issuer's status list does not have it",
        proof=CodeProof.LISTED,
        code=subject,  # the digits of the dynamic form are proved by nothing, and change with every showing
    )


def subject_key(identity: str) -> bytes:
    """Key of a card in status lists."""
    return digest.of_subject(ISSUER, identity.lower())

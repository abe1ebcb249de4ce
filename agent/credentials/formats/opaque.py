"""Codes that say nothing by themselves: an issuer's URL with an id in it (随申码 and others).

No public Chinese health code can be proved offline: its content is a token that the issuer's server resolves. What
can be done here: recognise whose it is by a pattern of the keys file, and look the id up in that issuer's signed,
dated status list. On no list, it is UNDECIDED and goes to staff. The URL is never opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from agent.crypto import digest
from agent.model import CodeProof, CodeStatus, Verdict

if TYPE_CHECKING:
    from agent.credentials.trust import TrustStore

FORMAT = "opaque"
TITLE = "issuer's code without content"
MAX_BYTES = 512


def check(payload: bytes, trust: TrustStore) -> Verdict | None:
    """Whose code it is, undecided as yet; None when no pattern fits."""
    if len(payload) > MAX_BYTES:
        return None
    text = payload.decode("utf-8", "replace")
    for issuer in trust.opaque:
        match = issuer.pattern.fullmatch(text)
        if match is not None:
            written = match.group("id") or ""
            subject = digest.of_subject(issuer.issuer, written)
            plain = unquote(written)  # a list may have it so, or escaped to the last sign
            others = (digest.of_subject(issuer.issuer, each) for each in (plain, quote(plain, safe="")))
            return Verdict(
                CodeStatus.UNDECIDED,
                FORMAT,
                subject=subject,
                issuer=issuer.issuer,
                reason="its issuer's status list does not have it",
                proof=CodeProof.LISTED,
                code=subject,
                aliases=tuple(dict.fromkeys(each for each in others if each != subject)),
                adds=issuer.adds,
            )
    return None

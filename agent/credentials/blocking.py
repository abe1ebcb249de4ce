"""Rail tickets are copied, and cancelled after they were signed: a signature alone makes none good. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.model import CodeStatus

if TYPE_CHECKING:
    from agent.credentials.trust import TrustStore
    from agent.model import Verdict


def demand_list(verdict: Verdict, trust: TrustStore) -> Verdict:
    """The verdict, UNDECIDED unless a list of its issuer's blocked tickets is at hand; `list_age` says how old."""
    if verdict.status is not CodeStatus.VALID:
        return verdict
    if any(each.head.issuer == verdict.issuer for each in trust.lists.revoked):
        return verdict
    return replace(
        verdict, status=CodeStatus.UNDECIDED, reason="signature only: no list of its blocked tickets is here"
    )

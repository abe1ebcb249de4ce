"""Is a code valid now, when now is an interval? Never a wrong green: what the clock cannot tell goes to staff."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.crypto.limits import NONE, Limits
from agent.model import CodeStatus, TimeBounds, Verdict

if TYPE_CHECKING:
    from agent.credentials.trust import TrustedKey
    from agent.model import Entitlement


def check_validity(
    now: TimeBounds, *, issued: float | None, starts: float | None, expires: float | None, signer: Limits = NONE
) -> CodeStatus:
    """EXPIRED, NOT_YET_VALID, VALID or TIME_UNKNOWN, all times POSIX seconds. The code counts only while its signer
    does too.

    A code was issued before it is shown, so `issued` may lie anywhere up to `now.latest_utc`. The start of
    validity may lie ahead, so `starts` must have passed for certain.
    """
    starts = signer.starts_utc if starts is None else max(starts, signer.starts_utc)
    expires = signer.expires_utc if expires is None else min(expires, signer.expires_utc)
    if expires < now.earliest_utc:
        return CodeStatus.EXPIRED
    if (issued is not None and issued > now.latest_utc) or starts > now.latest_utc:
        return CodeStatus.NOT_YET_VALID
    if starts > now.earliest_utc or expires < now.latest_utc:
        return CodeStatus.TIME_UNKNOWN
    return CodeStatus.VALID


def ticket_verdict(
    code_format: str,
    key: TrustedKey,
    entitlement: Entitlement,
    now: TimeBounds,
    *,
    expires: float | None = None,
    ended: str = "",
    aliases: tuple[bytes, ...] = (),
) -> Verdict:
    """Verdict on a ticket whose signature holds. It names nobody: each ticket is a person of its own.

    `expires`: the end of the code itself, POSIX seconds; `ended`: what to say once that has passed.
    """
    status = check_validity(now, issued=None, starts=None, expires=expires, signer=key.limits)
    reason = key.limits.reason(now)
    if status is CodeStatus.VALID:
        status = entitlement.status(now)
    else:
        reason = reason or ended
    return Verdict(
        status=status,
        reason=reason,
        format=code_format,
        subject=entitlement.key,
        issuer=key.issuer,
        expires_utc=entitlement.ends_utc,
        kind="ticket",
        code=entitlement.key,
        aliases=aliases,
        entitlement=entitlement,
    )

"""Is a code valid now, when now is an interval? Never a wrong green: what the clock cannot tell goes to staff."""

from __future__ import annotations

from agent.crypto.limits import NONE, Limits
from agent.model import CodeStatus, TimeBounds


def check_validity(
    now: TimeBounds, *, issued: float | None, starts: float | None, expires: float | None, signer: Limits = NONE
) -> CodeStatus:
    """EXPIRED, NOT_YET_VALID, VALID or TIME_UNKNOWN, all times POSIX seconds. The code counts only while its signer
    does too.

    Issuing happened before the code could be shown, so `issued` may lie anywhere up to `hi`; the start of
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

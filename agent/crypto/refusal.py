"""Errors inside this room: one exception with status and reason, which becomes a Verdict where the room is left."""

from __future__ import annotations

from agent.model import CodeStatus


class CheckFailed(Exception):
    """A code that is not accepted. `reason` is one short phrase in our own words, never code text."""

    def __init__(self, status: CodeStatus, reason: str, *, issuer: str = "") -> None:
        """`issuer`: only when a trusted key has proved it, or the key's own issuer when the signature is bad."""
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason
        self.issuer = issuer


class Malformed(CheckFailed):
    """Ours by its prefix, but broken."""

    def __init__(self, reason: str) -> None:
        super().__init__(CodeStatus.MALFORMED, reason)

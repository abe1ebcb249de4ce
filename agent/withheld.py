"""What stands in a passage for who it was and how ill. `agent.privacy` makes it. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sealed:
    """What only the centre can open: HPKE (RFC 9180), base mode."""

    keyid: str
    """Names the centre's key."""
    enc: bytes
    """32 bytes, the encapsulated key."""
    ct: bytes
    """The padded content and 16 bytes of tag."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """Code status, colour, temperature and reasons were taken off a passage."""

    format: str | None
    """Of the code that was shown; None when none was."""
    sealed: Sealed | None = None
    """What was taken off, and the codes; None: it is gone."""

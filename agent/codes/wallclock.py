"""Times as certificates write them: ISO 8601 text to POSIX seconds."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(text: object) -> float:
    """POSIX seconds; without a zone it is UTC, and what cannot be read counts as long ago."""
    try:
        found = datetime.fromisoformat(str(text))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return 0.0

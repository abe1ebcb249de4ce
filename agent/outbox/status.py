"""What the outbox tells of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.model.lazy import dataclass
from agent.model.problems import in_words

if TYPE_CHECKING:
    from agent.model.problems import Finding


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """A moment of the outbox. Counts are since the start, `waiting` is all there is."""

    epoch: str = ""
    decided: int = 0
    """Events put."""
    stored: int = 0
    """Of those, safe on disk."""
    delivered: int = 0
    """Records that the broker has acknowledged, or with receipts the central server confirmed; earlier runs'
    included."""
    lost: int = 0
    waiting: int = 0
    """Not yet delivered, in memory or on disk."""
    bytes_held: int = 0
    findings: tuple[Finding, ...] = ()
    """When the disk fails: how, and what to do."""
    moved_s: float = 0.0
    """When the writer last showed that it lives, on the monotonic clock."""

    @property
    def fault(self) -> str:
        """One sentence when the disk fails; empty when it does not."""
        return in_words(self.findings)

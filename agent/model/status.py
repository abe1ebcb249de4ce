"""Snapshots of what the parts count and report: for `gatepost status`, the retained state and the metrics."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from agent.model.lazy import dataclass
from agent.model.problems import in_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.model import Role
    from agent.model.problems import Finding


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """One device, for health."""

    lane: str
    role: Role
    driver: str
    up: bool
    error: str
    items: int
    """Items read, or commands carried out, since start."""
    faults: int
    """Times the device went down since start."""
    silent_s: float
    """Since the thread last came round."""
    limit_s: float
    """Silence beyond this means that it hangs."""
    down_s: float | None
    """Since it is down; None when it is up."""
    restarts: int = 0
    """Threads that were given up since start."""
    abandoned: int = 0
    """Of those, how many hang still."""
    simulated: bool = False


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


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """A moment of the link."""

    connected: bool = False
    protocol: str = ""
    """`5` or `3.1.1`; empty before the first connection."""
    listening: bool = False
    """Subscribed: messages of the central server arrive, as far as the broker permits."""
    on_the_way: int = 0
    connections: int = 0
    """Since the start."""
    refused: int = 0
    """Events that the broker would not have, since the start; they are kept."""
    refused_receipts: int = 0
    """Receipts that were not accepted, since the start: anybody who may publish can send some."""
    refusal: str = ""
    """Why, for the last of them; empty after one was accepted."""
    certificates: Mapping[str, int] = field(default_factory=dict)
    """Days that each has left; while the clock has a floor only, at most."""
    findings: tuple[Finding, ...] = ()
    """Why, when the link is down or the broker refuses."""
    next_try_s: float | None = None
    """Seconds until it is tried again; None while connected or trying."""
    moved_s: float = 0.0
    """When the link's thread last showed that it lives, on the monotonic clock."""

    @property
    def fault(self) -> str:
        """All findings in words; empty when all is well."""
        return in_words(self.findings)


@dataclass(frozen=True, slots=True)
class CommandStats:
    """Counts since the start."""

    succeeded: int = 0
    rejected: int = 0
    """Refused, failed, or unknown."""
    unauthenticated: int = 0
    """Not signed as it must be, or not for this kiosk: counted, not answered."""
    dropped: int = 0
    """Messages that were not verified: too long, or too many at once."""
    refusal: str = ""
    """Why the latest message that was not answered was not."""
    silent_s: float = 0.0
    """Since the thread last came round."""

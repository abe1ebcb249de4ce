"""Where events wait for the broker, and how much room they may take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from agent.model.bounds import Ge, Gt, Le
from agent.model.lazy import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """Where events wait for the broker, and how much room they may take."""

    path: Path = Path("/var/lib/gatepost/outbox.db")
    """The file; it and two companions (`-wal`, `.damaged`) live in this directory."""
    limit_mb: Annotated[float, Gt(0)] = 256.0
    """Room for waiting events, megabytes; about 5,000 passages each. When full the least important go, counted."""
    commit_ms: Annotated[float, Ge(0), Le(20)] = 2.0
    """How long an event waits for more events before they are written together, milliseconds."""
    memory_events: Annotated[int, Ge(100)] = 10_000
    """How many events are held in memory while the disk fails."""

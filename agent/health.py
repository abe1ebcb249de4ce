"""One answer to "how is it?": for `gatepost status`, the retained state, systemd's STATUS= and watchdog. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Condition(StrEnum):
    """How well the kiosk can do its work."""

    OK = "ok"
    DEGRADED = "degraded"
    """It works, but something is missing: people may be sent to staff, or events wait."""
    STUCK = "stuck"
    """A vital part does not move: the watchdog is not fed."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the agent at this moment."""

    name: str
    up: bool
    silent_s: float
    """Since it last showed progress."""
    limit_s: float
    """Silence beyond this means that it hangs."""
    why: str = ""
    """When not up: what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Health:
    """The answer."""

    condition: Condition
    problems: tuple[str, ...] = field(default=())
    """One sentence each, the gravest first."""

    @property
    def summary(self) -> str:
        """One line for systemd and the terminal."""
        return "; ".join((str(self.condition), *self.problems))


def assess(parts: Iterable[Part]) -> Health:
    """Down and known to be down is degraded; silent is stuck."""
    parts = list(parts)
    stuck = [f"{p.name}: no progress for {p.silent_s:.0f} s" for p in parts if p.silent_s > p.limit_s]
    down = [f"{p.name}: {p.why}" for p in parts if not p.up]
    condition = Condition.STUCK if stuck else Condition.DEGRADED if down else Condition.OK
    return Health(condition, (*stuck, *down))

"""One answer to "how is it?": for `gatepost status`, the retained state, systemd's STATUS= and watchdog. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt, Le

from agent.problems import Finding, Problem, ProblemCode, in_words

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Options:
    """How the agent keeps itself well, and for whom it counts."""

    proven_s: Annotated[float, Gt(0), Le(86_400)] = 300.0
    """A configuration that has run for so long is kept as the last good one, seconds."""
    trial_s: Annotated[float, Gt(0), Le(3600)] = 180.0
    """So long a configuration from the centre has to get everything to work that worked before; else it is taken
    back, seconds."""
    settled_s: Annotated[float, Ge(0), Le(600)] = 30.0
    """So long everything must have worked for it to pass, seconds."""
    metrics_file: Path | None = None
    """Write counters here for Prometheus' node exporter (`*.prom`, in its textfile folder), every 15 s; better in
    memory (tmpfs)."""


class Condition(StrEnum):
    """How well the kiosk can do its work."""

    OK = "ok"
    DEGRADED = "degraded"
    """It works, but something is missing: people may be sent to staff, or events wait."""
    STUCK = "stuck"
    """A vital part does not move: the watchdog bites."""


@dataclass(frozen=True, slots=True)
class Component:
    """One part of the agent at this moment."""

    name: str
    silent_s: float
    """Since it last showed progress."""
    limit_s: float
    """Silence beyond this means that it hangs."""
    findings: tuple[Finding, ...] = ()
    """What is wrong with it and what to do; none: it is up."""
    vital: bool = False
    """Without it nobody is judged or nothing is kept: when it hangs the whole agent must be started anew."""

    @property
    def up(self) -> bool:
        """Nothing is wrong with it."""
        return not self.findings

    @property
    def error(self) -> str:
        """All findings in words."""
        return in_words(self.findings)

    @property
    def hangs(self) -> bool:
        """Silent beyond its limit."""
        return self.silent_s > self.limit_s


@dataclass(frozen=True, slots=True)
class Health:
    """The answer. It says the same as long as nothing changes: no seconds that run."""

    condition: Condition
    problems: tuple[Problem, ...] = field(default=())
    """The gravest first."""
    bad: frozenset[str] = frozenset()
    """Names of the parts that are not well."""

    @property
    def summary(self) -> str:
        """One line for systemd and the terminal."""
        return "; ".join((str(self.condition), *map(str, self.problems)))


def assess(parts: Iterable[Component]) -> Health:
    """Down and known to be down is degraded, and so is a device that hangs; a vital part that hangs is stuck."""
    parts = list(parts)
    hanging = sorted((part for part in parts if part.hangs), key=lambda part: not part.vital)
    down = [part for part in parts if not part.up and not part.hangs]
    stuck = any(part.vital for part in hanging)
    condition = Condition.STUCK if stuck else Condition.DEGRADED if hanging or down else Condition.OK
    problems = (
        *map(_hangs, hanging),
        *(Problem(finding.code, part.name, finding.text) for part in down for finding in part.findings),
    )
    return Health(condition, problems, frozenset(part.name for part in (*hanging, *down)))


def _hangs(part: Component) -> Problem:
    remedy = part.error or ("the watchdog starts the agent anew" if part.vital else "systemctl restart gatepost")
    code = ProblemCode.AGENT_STUCK if part.vital else ProblemCode.PART_HANGS
    return Problem(code, part.name, f"no progress for more than {part.limit_s:.0f} s ({remedy})")

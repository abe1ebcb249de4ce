"""The health of the kiosk: for `gatepost status`, the retained state, systemd's STATUS= and watchdog. Pure."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING

from agent.model import Component
from agent.model.lazy import dataclass
from agent.model.problems import Problem, ProblemCode

if TYPE_CHECKING:
    from collections.abc import Iterable

LEAST_BETWEEN_S = 3600.0


class Condition(StrEnum):
    """How well the kiosk can do its work."""

    OK = "ok"
    DEGRADED = "degraded"
    """It works, but something is missing: people may be sent to staff, or events wait."""
    STUCK = "stuck"
    """A vital part does not move: the watchdog bites."""


@dataclass(frozen=True, slots=True)
class Health:
    """The health of all parts. It is equal as long as nothing changes: it has no running seconds."""

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


def restarts_agent(hopeless: list[str], up_s: float) -> bool:
    """Whether to start the whole agent again for parts that nothing else has helped; `up_s`: its age.

    At most once an hour: if it did not help the last time, the lanes that work shall be left in peace.
    """
    return bool(hopeless) and up_s >= LEAST_BETWEEN_S


def _hangs(part: Component) -> Problem:
    remedy = part.error or ("the watchdog restarts the agent" if part.vital else "systemctl restart gatepost")
    code = ProblemCode.AGENT_STUCK if part.vital else ProblemCode.PART_HANGS
    return Problem(code, part.name, f"no progress for more than {part.limit_s:.0f} s ({remedy})")

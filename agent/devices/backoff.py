"""When a part that failed is started again: soon, then ever more slowly. Pure.

The steps are those of other device bridges (zigbee2mqtt, frigate); ten good minutes are long for a fault that comes
back, and short for a technician.
"""

from __future__ import annotations

from dataclasses import replace

from agent.model.lazy import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often a part has failed recently."""

    steps_s: tuple[float, ...]
    """The pauses before it is started again; the last one repeats."""
    healthy_s: float
    """Having worked for so long it begins at the first step again."""
    failures: int = 0

    def failed(self, worked_s: float) -> Backoff:
        """It failed, having worked for `worked_s`."""
        return replace(self, failures=1 if worked_s >= self.healthy_s else self.failures + 1)

    def pause_s(self, chance: float) -> float:
        """How long to wait now. `chance`, 0 to 1, spreads it by a fifth both ways: lanes that fell together do not
        all come back in one moment.
        """
        if not self.failures:
            return 0.0
        step_s = self.steps_s[min(self.failures, len(self.steps_s)) - 1]
        return step_s * (0.8 + 0.4 * chance)


FAULT_BACKOFF = Backoff((1.0, 2.0, 5.0, 15.0, 60.0), healthy_s=600.0)
"""For a device that is there but fails."""
ABSENT_BACKOFF = Backoff((0.25, 0.5, 1.0, 2.0), healthy_s=10.0)
"""For one that is not there: looking costs little, and somebody may be plugging it in."""

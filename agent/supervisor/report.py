"""What the parts of the running agent report beside their health: for `gatepost status` and the metrics."""

from __future__ import annotations

import math
import os
import time
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from agent import __version__
from agent.model.lazy import dataclass
from agent.platform import site
from agent.supervisor.lane_status import fields_of

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Sequence

    from agent.config import KioskOptions
    from agent.credentials.freshness import Age
    from agent.events.state import VenueState
    from agent.model import InForce
    from agent.model.status import CommandStats, DeviceStatus, LinkStatus, OutboxStatus
    from agent.platform.clock import Clock
    from agent.platform.histogram import Histogram
    from agent.supervisor.lane_status import LaneStatusKeeper
    from agent.supervisor.startup import Startup

_ROOT = Path("/")
_SLOW_S = 10.0
_LOG_LINES = 12
"""Of the log that stand in the report."""


class SlowSections:
    """What changes seldom and costs a look at files: made again every ten seconds."""

    def __init__(self) -> None:
        self._made_s = -math.inf
        self._made: dict[str, Any] = {}

    def sections(self, in_force: Callable[[], Iterable[InForce]]) -> dict[str, Any]:
        """Versions in force; heat and power of the machine."""
        if time.monotonic() - self._made_s >= _SLOW_S:
            machine = [fields_of(each) for each in site.power(_ROOT)]
            self._made = {"in_force": [fields_of(each) for each in in_force()], "machine": machine}
            self._made_s = time.monotonic()
        return self._made


class DecisionCounts(Protocol):
    """What the loop counts of its decisions, since the start."""

    @property
    def decided(self) -> int:
        """People decided about."""

    @property
    def internal_errors(self) -> int:
        """Internal errors in deciding that were caught."""

    @property
    def passages(self) -> Counter[tuple[str, str]]:
        """By lane and decision."""

    @property
    def temperatures(self) -> Counter[tuple[str, str]]:
        """By lane and outcome."""

    @property
    def decision_times(self) -> Histogram:
        """From the last thing seen to the decision."""


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What the parts count and report, beside their health. Looks only; changes nothing."""

    kiosk: KioskOptions
    began: Startup
    clock: Clock
    decisions: DecisionCounts
    devices: Callable[[], Sequence[DeviceStatus]]
    outbox: Callable[[], OutboxStatus]
    commit_times: Histogram
    link: Callable[[], LinkStatus]
    commands: Callable[[], CommandStats]
    list_ages: Callable[[], Iterable[Age]]
    venue: Callable[[], VenueState | None]
    lanes: LaneStatusKeeper
    in_force: Callable[[], Iterable[InForce]]
    recent_log: Callable[[], list[str]]
    slow: SlowSections = field(default_factory=SlowSections)

    def sections(self) -> dict[str, Any]:
        """For status.json."""
        now = self.clock.now()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "kiosk": fields_of(self.kiosk),
            "clock": now.state,
            "safe": self.began.safe,
            "config_version": self.began.version,
            "on_trial": self.began.still_on_trial,
            "decided": self.decisions.decided,
            "lists": [
                {"name": age.name, "fault": age.fault(now), "age_s": age.age_s(now)} for age in self.list_ages()
            ],
            **self.slow.sections(self.in_force),
            "lanes": self.lanes.rows(),
            "quiet_s": round(self.lanes.quiet_s(time.monotonic()), 1),
            "decision_p99_ms": _in_ms(self.decisions.decision_times.quantile_s(0.99)),
            "commit_p99_ms": _in_ms(self.commit_times.quantile_s(0.99)),
            "log": self.recent_log()[-_LOG_LINES:],
            "devices": [fields_of(one) for one in self.devices()],
            "outbox": _with_fault(self.outbox()),
            "link": _with_fault(self.link()),
            "commands": fields_of(self.commands()),
        }


def _in_ms(seconds: float | None) -> float | None:
    """None also for what is longer than everything that is told apart: JSON has no infinity."""
    return None if seconds is None or math.isinf(seconds) else round(1000 * seconds, 1)


def _with_fault(status: OutboxStatus | LinkStatus) -> dict[str, Any]:
    """Its findings in words."""
    found = fields_of(status)
    del found["findings"]
    return {**found, "fault": status.fault}

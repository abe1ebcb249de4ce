"""What there is to say of each part of the running agent: for health, `gatepost status` and the metrics."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from agent import __version__
from agent.health import Component, Health
from agent.problems import ProblemCode, found

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent.config import KioskOptions
    from agent.control import CommandReceiver
    from agent.devices.indicator_worker import Worker
    from agent.loop import Loop
    from agent.model import TimeBounds
    from agent.mqtt import Link, LinkStatus
    from agent.outbox import Outbox, OutboxStatus
    from agent.platform.clock import Clock
    from agent.problems import Finding
    from agent.ruleset import Ruleset
    from agent.supervisor.startup import Startup

LOOP_LIMIT_S = 8.0
"""A turn takes half a second at most; a card that stalls may hold up the log for some seconds."""
WRITER_LIMIT_S = 30.0
"""A sync of a dying card may take long."""
LINK_LIMIT_S = 60.0
"""A connect attempt may hang in name resolution; the link's own limits are shorter."""
ORDERS_LIMIT_S = 60.0
"""A new certificate is tried for half a minute."""
_ALWAYS_S = 1.0
_DEFECT = "a defect in judging was caught; keep the log (journalctl -u gatepost), then restart the agent"


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The parts, and what they say. Looks only; changes nothing."""

    kiosk: KioskOptions
    feeds: Sequence[Worker]
    outbox: Outbox
    link: Link
    loop: Loop
    clock: Clock
    rulebook: Ruleset
    orders: CommandReceiver
    began: Startup
    root_findings: Callable[[TimeBounds], tuple[Finding, ...]]
    """Why nothing more comes from the central server, or soon will not."""
    screening: Callable[[], Mapping[str, tuple[Finding, ...]]]
    """Lane → why its temperatures are not to be relied on."""

    def parts(self, paused_s: float = 0.0) -> list[Component]:
        """Every part; `paused_s`: for so long the whole machine stood still, which says nothing of its parts."""
        now_s, now = time.monotonic() - paused_s, self.clock.now()
        outbox, link, rules = self.outbox.status(), self.link.status(), self.rulebook
        defect = found(ProblemCode.INTERNAL_ERROR, _DEFECT if self.loop.internal_errors else "")
        parts = [
            Component("loop", now_s - self.loop.last_step_s, LOOP_LIMIT_S, defect, vital=True),
            Component("outbox", now_s - outbox.moved_s, WRITER_LIMIT_S, outbox.findings, vital=True),
            Component("mqtt", now_s - link.moved_s, LINK_LIMIT_S, link.findings),
            Component("orders", self.orders.status().silent_s - paused_s, ORDERS_LIMIT_S),
            Component("rules", 0.0, _ALWAYS_S, rules.findings),
            Component("clock", 0.0, _ALWAYS_S, self.clock.findings()),
            Component("privacy", 0.0, _ALWAYS_S, rules.privacy_findings(now)),
            Component("root", 0.0, _ALWAYS_S, self.root_findings(now)),
        ]
        parts += [Component(name, 0.0, _ALWAYS_S, findings) for name, findings in self.reservations().items()]
        parts += [Component(age.name, 0.0, _ALWAYS_S, age.findings(now)) for age in rules.ages]
        parts += [Component(f"{lane} screening", 0.0, _ALWAYS_S, told) for lane, told in self.screening().items()]
        for feed in self.feeds:
            one = feed.status()
            down = () if one.up else found(ProblemCode.DEVICE_DOWN, one.error or "not opened yet")
            parts.append(Component(f"{one.lane} {one.role}", one.silent_s - paused_s, one.limit_s, down))
        return parts

    def reservations(self) -> dict[str, tuple[Finding, ...]]:
        """Under which the agent runs at all: what → why, with what to do; empty when all is as it should be."""
        reasons = {
            "safe mode": found(ProblemCode.SAFE_MODE, self.began.safe),
            "configuration": found(ProblemCode.CONFIG_NOT_IN_FORCE, self.began.fault),
        }
        return {name: why for name, why in reasons.items() if why}

    def report(self, parts: Sequence[Component], health: Health, up_s: float) -> dict[str, Any]:
        """All of it, for status.json."""
        now = self.clock.now()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "kiosk": asdict(self.kiosk),
            "at_s": time.monotonic(),
            "up_s": round(up_s),
            "condition": health.condition,
            "problems": [
                {"code": each.code, "part": each.part, "severity": each.severity, "text": each.text}
                for each in health.problems
            ],
            "parts": [
                {
                    "name": part.name,
                    "up": part.up,
                    "silent_s": part.silent_s,
                    "limit_s": part.limit_s,
                    "error": part.error,
                    "vital": part.vital,
                }
                for part in parts
            ],
            "clock": now.state,
            "safe": self.began.safe,
            "config_version": self.began.version,
            "on_trial": self.began.still_on_trial,
            "decided": self.loop.decided,
            "lists": [
                {"name": age.name, "fault": age.fault(now), "age_s": age.age_s(now)} for age in self.rulebook.ages
            ],
            "devices": [asdict(feed.status()) for feed in self.feeds],
            "outbox": _with_fault(self.outbox.status()),
            "link": _with_fault(self.link.status()),
            "orders": asdict(self.orders.status()),
        }


def _with_fault(status: OutboxStatus | LinkStatus) -> dict[str, Any]:
    """Its findings in words."""
    plain = asdict(status)
    del plain["findings"]
    return {**plain, "fault": status.fault}

"""What there is to say of each part of the running agent: for health, `gatepost status` and the metrics."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from agent import __version__
from agent.health import Component, Health

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent.config import KioskOptions
    from agent.control import CommandReceiver
    from agent.devices.indicator_worker import Worker
    from agent.loop import Loop
    from agent.model import TimeBounds
    from agent.mqtt import Link
    from agent.outbox import Outbox
    from agent.platform.clock import Clock
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
    root_fault: Callable[[TimeBounds], str]
    """Why nothing more comes from the centre, or soon will not."""
    screening: Callable[[], Mapping[str, Sequence[str]]]
    """Lane → why its temperatures are not to be relied on, one sentence each."""

    def parts(self, paused_s: float = 0.0) -> list[Component]:
        """Every part; `paused_s`: for so long the whole machine stood still, which says nothing of its parts."""
        now_s, now = time.monotonic() - paused_s, self.clock.now()
        outbox, link, rules = self.outbox.status(), self.link.status(), self.rulebook
        defect = _DEFECT if self.loop.internal_errors else ""
        parts = [
            Component("loop", not defect, now_s - self.loop.last_step_s, LOOP_LIMIT_S, defect, vital=True),
            Component("outbox", not outbox.fault, now_s - outbox.moved_s, WRITER_LIMIT_S, outbox.fault, vital=True),
            Component("mqtt", link.connected and not link.fault, now_s - link.moved_s, LINK_LIMIT_S, link.fault),
            Component("orders", True, self.orders.status().silent_s - paused_s, ORDERS_LIMIT_S),
            Component("rules", not rules.fault, 0.0, _ALWAYS_S, rules.fault),
        ]
        timeless = self.clock.fault()
        parts.append(Component("clock", not timeless, 0.0, _ALWAYS_S, timeless))
        personal = rules.privacy_fault(now)
        parts.append(Component("privacy", not personal, 0.0, _ALWAYS_S, personal))
        ended = self.root_fault(now)
        parts.append(Component("root", not ended, 0.0, _ALWAYS_S, ended))
        parts += [Component(name, not why, 0.0, _ALWAYS_S, why) for name, why in self.reservations().items()]
        parts += [Component(age.name, not age.fault(now), 0.0, _ALWAYS_S, age.fault(now)) for age in rules.ages]
        parts += [
            Component(f"{lane} screening", not told, 0.0, _ALWAYS_S, "; ".join(told))
            for lane, told in self.screening().items()
        ]
        for feed in self.feeds:
            one = feed.status()
            parts.append(
                Component(f"{one.lane} {one.role}", one.up, one.silent_s - paused_s, one.limit_s, one.error)
            )
        return parts

    def reservations(self) -> dict[str, str]:
        """Under which the agent runs at all: what → why, with what to do; empty when all is as it should be."""
        found = {"safe mode": self.began.safe, "configuration": self.began.fault}
        return {name: why for name, why in found.items() if why}

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
            "problems": health.problems,
            "parts": [asdict(part) for part in parts],
            "clock": now.state,
            "safe": self.began.safe,
            "config": self.began.version,
            "on_trial": self.began.still_on_trial,
            "decided": self.loop.decided,
            "lists": [
                {"name": age.name, "fault": age.fault(now), "age_s": age.age_s(now)} for age in self.rulebook.ages
            ],
            "devices": [asdict(feed.status()) for feed in self.feeds],
            "outbox": asdict(self.outbox.status()),
            "link": asdict(self.link.status()),
            "orders": asdict(self.orders.status()),
        }

"""What there is to say of each part of the running agent: for health, `gatepost status` and the metrics."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from agent import __version__
from agent.health import Health, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent.clock import Clock
    from agent.config import Kiosk
    from agent.config.startup import Began
    from agent.feeds.signal_feed import Feed
    from agent.loop import Loop
    from agent.model import Now
    from agent.mqtt import Link
    from agent.orders import Orders
    from agent.outbox import Outbox
    from agent.rulebook import Rulebook

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
class Vitals:
    """The parts, and what they say. Looks only; changes nothing."""

    kiosk: Kiosk
    feeds: Sequence[Feed]
    outbox: Outbox
    link: Link
    loop: Loop
    clock: Clock
    rulebook: Rulebook
    orders: Orders
    began: Began
    root_fault: Callable[[Now], str]
    """Why nothing more comes from the centre, or soon will not."""
    screening: Callable[[], Mapping[str, Sequence[str]]]
    """Lane → why its temperatures are not to be relied on, one sentence each."""

    def parts(self, paused_s: float = 0.0) -> list[Part]:
        """Every part; `paused_s`: for so long the whole machine stood still, which says nothing of its parts."""
        now_s, now = time.monotonic() - paused_s, self.clock.now()
        outbox, link, rules = self.outbox.status(), self.link.status(), self.rulebook
        defect = _DEFECT if self.loop.defects else ""
        parts = [
            Part("loop", not defect, now_s - self.loop.turned_s, LOOP_LIMIT_S, defect, vital=True),
            Part("outbox", not outbox.fault, now_s - outbox.moved_s, WRITER_LIMIT_S, outbox.fault, vital=True),
            Part("mqtt", link.connected and not link.fault, now_s - link.moved_s, LINK_LIMIT_S, link.fault),
            Part("orders", True, self.orders.status().silent_s - paused_s, ORDERS_LIMIT_S),
            Part("rules", not rules.fault, 0.0, _ALWAYS_S, rules.fault),
        ]
        timeless = self.clock.fault()
        parts.append(Part("clock", not timeless, 0.0, _ALWAYS_S, timeless))
        personal = rules.privacy_fault(now)
        parts.append(Part("privacy", not personal, 0.0, _ALWAYS_S, personal))
        ended = self.root_fault(now)
        parts.append(Part("root", not ended, 0.0, _ALWAYS_S, ended))
        parts += [Part(name, not why, 0.0, _ALWAYS_S, why) for name, why in self.reservations().items()]
        parts += [Part(age.name, not age.fault(now), 0.0, _ALWAYS_S, age.fault(now)) for age in rules.ages]
        parts += [
            Part(f"{lane} screening", not told, 0.0, _ALWAYS_S, "; ".join(told))
            for lane, told in self.screening().items()
        ]
        for feed in self.feeds:
            one = feed.status()
            parts.append(Part(f"{one.lane} {one.part}", one.up, one.silent_s - paused_s, one.limit_s, one.why))
        return parts

    def reservations(self) -> dict[str, str]:
        """Under which the agent runs at all: what → why, with what to do; empty when all is as it should be."""
        found = {"safe mode": self.began.safe, "configuration": self.began.fault}
        return {name: why for name, why in found.items() if why}

    def report(self, parts: Sequence[Part], health: Health, up_s: float) -> dict[str, Any]:
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

"""What the parts of the running agent report beside their health: for `gatepost status` and the metrics."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from agent import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config import KioskOptions
    from agent.control import CommandReceiver, CommandStats
    from agent.devices import DeviceStatus
    from agent.devices.workers import Workers
    from agent.events.state import VenueState
    from agent.loop import Loop
    from agent.mqtt import Link, LinkStatus
    from agent.outbox import Outbox, OutboxStatus
    from agent.platform.clock import Clock
    from agent.ruleset import Ruleset
    from agent.supervisor.startup import Startup


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What the parts count and report, beside their health. Looks only; changes nothing."""

    kiosk: KioskOptions
    workers: Workers
    outbox: Outbox
    link: Link
    loop: Loop
    clock: Clock
    ruleset: Ruleset
    commands: CommandReceiver
    began: Startup
    venue: Callable[[], VenueState | None]

    def sections(self) -> dict[str, Any]:
        """For status.json."""
        now = self.clock.now()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "kiosk": asdict(self.kiosk),
            "clock": now.state,
            "safe": self.began.safe,
            "config_version": self.began.version,
            "on_trial": self.began.still_on_trial,
            "decided": self.loop.decided,
            "lists": [
                {"name": age.name, "fault": age.fault(now), "age_s": age.age_s(now)} for age in self.ruleset.ages
            ],
            "devices": [_plain(one) for one in self.workers.status()],
            "outbox": _with_fault(self.outbox.status()),
            "link": _with_fault(self.link.status()),
            "commands": _plain(self.commands.status()),
        }


def _with_fault(status: OutboxStatus | LinkStatus) -> dict[str, Any]:
    """Its findings in words."""
    plain = _plain(status)
    del plain["findings"]
    return {**plain, "fault": status.fault}


def _plain(status: DeviceStatus | OutboxStatus | LinkStatus | CommandStats) -> dict[str, Any]:
    """Its fields, as they are: `asdict` copies deeply what is written down at once."""
    return {field.name: getattr(status, field.name) for field in fields(status)}

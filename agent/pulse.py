"""Once a second: is every part moving? Feeds the watchdog only if so, and writes down how the kiosk is."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agent import __version__, systemd
from agent.feeds import SILENT_LIMIT_S
from agent.health import Condition, Health, Part, assess

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.clock import Clock
    from agent.config import Config
    from agent.feeds import GateFeed, SourceFeed
    from agent.loop import Loop
    from agent.mqtt import Link
    from agent.outbox import Outbox
    from agent.rulebook import Rulebook

log = logging.getLogger(__name__)

EVERY_S = 1.0
_LOOP_LIMIT_S = 5.0
_DEFECT = "a defect in judging was caught; keep the log (journalctl -u gatepost), then restart the agent"
_WRITER_LIMIT_S = 30.0
_LINK_LIMIT_S = 60.0
"""A connect attempt may hang in name resolution; the link's own limits are shorter."""


class Pulse(threading.Thread):
    """The health thread. `health` is its latest finding."""

    def __init__(
        self,
        config: Config,
        feeds: Sequence[SourceFeed | GateFeed],
        outbox: Outbox,
        link: Link,
        loop: Loop,
        clock: Clock,
        rulebook: Rulebook,
    ) -> None:
        """Looks at the parts; changes none of them."""
        super().__init__(name="pulse", daemon=True)
        self.health = Health(Condition.OK)
        self._kiosk = config.kiosk
        self._file = config.run.directory / "status.json"
        self._feeds, self._outbox, self._link, self._loop, self._clock = feeds, outbox, link, loop, clock
        self._rulebook = rulebook
        self._stopping = threading.Event()
        self._started_s = time.monotonic()
        self._file_fault = ""

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopping.is_set():
            self.beat()
            self._stopping.wait(EVERY_S)

    def stop(self) -> None:
        """End the thread and take the status file away: nobody runs any more."""
        self._stopping.set()
        if self.is_alive():
            self.join(EVERY_S)
        self._file.unlink(missing_ok=True)

    def beat(self) -> None:
        """One look."""
        before, self.health = self.health, assess(self._parts())
        if self.health.condition is Condition.STUCK:
            log.error("stuck: %s", "; ".join(self.health.problems))
        else:
            systemd.notify("WATCHDOG=1")
        if self.health != before:
            systemd.notify(f"STATUS={self.health.summary}")
        self._write()

    def _parts(self) -> list[Part]:
        now_s = time.monotonic()
        outbox, link = self._outbox.status(), self._link.status()
        parts = [
            Part("loop", not self._loop.defects, now_s - self._loop.turned_s, _LOOP_LIMIT_S, _DEFECT),
            Part("outbox", not outbox.fault, now_s - outbox.moved_s, _WRITER_LIMIT_S, outbox.fault),
            Part("mqtt", link.connected and not link.fault, now_s - link.moved_s, _LINK_LIMIT_S, link.fault),
        ]
        now = self._clock.now()
        rules = self._rulebook
        parts.append(Part("rules", not rules.fault, 0.0, EVERY_S, rules.fault))
        parts += [Part(age.name, not age.fault(now), 0.0, EVERY_S, age.fault(now)) for age in rules.ages]
        for feed in self._feeds:
            status = feed.status()
            name = f"{status.lane} {status.part}"
            parts.append(Part(name, status.up, status.silent_s, SILENT_LIMIT_S, status.why))
        return parts

    def _write(self) -> None:
        """Replace the status file; said once if that is not possible."""
        fresh = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps(self._report()), encoding="utf-8")
            fresh.replace(self._file)
            self._file_fault = ""
        except OSError as error:
            if str(error) != self._file_fault:
                self._file_fault = str(error)
                log.warning("status cannot be written: %s", error)

    def _report(self) -> dict[str, Any]:
        now = self._clock.now()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "kiosk": asdict(self._kiosk),
            "at_s": time.monotonic(),
            "up_s": round(time.monotonic() - self._started_s),
            "condition": self.health.condition,
            "problems": self.health.problems,
            "clock": now.state,
            "decided": self._loop.decided,
            "lists": [
                {"name": age.name, "fault": age.fault(now), "age_s": age.age_s(now)} for age in self._rulebook.ages
            ],
            "devices": [asdict(feed.status()) for feed in self._feeds],
            "outbox": asdict(self._outbox.status()),
            "link": asdict(self._link.status()),
        }


def read_report(directory: Path) -> dict[str, Any] | None:
    """The latest report of a running agent; None when there is none."""
    try:
        report: dict[str, Any] = json.loads((directory / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report

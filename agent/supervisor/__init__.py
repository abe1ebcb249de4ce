"""Once a second: is every part moving? Starts what hangs anew, feeds the watchdog, writes down how the kiosk is."""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from agent.devices.backoff import restarts_agent
from agent.health import Component, Condition, Health, assess
from agent.platform import malloc, systemd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from agent.supervisor.report import HealthReport

log = logging.getLogger(__name__)

EVERY_S = 1.0


class HealthMonitor(threading.Thread):
    """The health thread. `health` is its latest finding."""

    def __init__(self, vitals: HealthReport, directory: Path, restart: Callable[[str], None]) -> None:
        """`directory`: of status.json; `restart`: start the agent anew, because of …; returns at once."""
        super().__init__(name="pulse", daemon=True)
        self.health = Health(Condition.OK)
        self._vitals = vitals
        self._file = directory / "status.json"
        self._restart = restart
        self._stopping = threading.Event()
        self._ending = False
        self._started_s = self._beat_s = self._tidied_s = time.monotonic()
        self._paused_s = 0.0
        self._file_fault = ""

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopping.is_set():
            self.check()
            self._stopping.wait(EVERY_S)

    def ending(self) -> None:
        """The agent stops: that parts stand still is meant, and the watchdog is fed whatever they do."""
        self._ending = True

    def stop(self) -> None:
        """End the thread and take the status file away: nobody runs any more."""
        self._stopping.set()
        if self.is_alive():
            self.join(EVERY_S)
        self._file.unlink(missing_ok=True)

    def check(self) -> None:
        """One look."""
        paused_s = self._own_pause()
        if not self._ending:
            for feed in self._vitals.feeds:
                feed.replace_if_hung(paused_s)
        parts = self._vitals.parts(paused_s)
        before, self.health = self.health, assess(parts)
        self._watchdog()
        if self.health != before:
            systemd.notify(f"STATUS={self.health.summary}")
        self._write(parts)
        self._tidy()
        hopeless = [part.name for part in parts if part.hangs and not part.vital]
        if not self._ending and restarts_agent(hopeless, self._up_s()):
            self._restart(f"nothing else has helped: {', '.join(hopeless)}")

    def _own_pause(self) -> float:
        """How long the machine stood still lately: this thread should come round once a second. What it missed is
        forgotten second by second, so that the others have time to come round too.
        """
        now_s = time.monotonic()
        late_s, self._beat_s = now_s - self._beat_s - EVERY_S, now_s
        self._paused_s = max(0.0, late_s, self._paused_s - EVERY_S)
        return self._paused_s

    def _tidy(self) -> None:
        if self._beat_s - self._tidied_s >= malloc.EVERY_S:
            self._tidied_s = self._beat_s
            malloc.give_back()

    def _watchdog(self) -> None:
        """Feed it, or have it bite at once: waiting longer would help nobody."""
        if self.health.condition is not Condition.STUCK or self._ending:
            systemd.notify("WATCHDOG=1")
            return
        systemd.notify("WATCHDOG=trigger")  # first: the log may be what everybody waits for
        log.error("stuck: %s", "; ".join(map(str, self.health.problems)))

    def report(self) -> dict[str, Any]:
        """How the kiosk is at this moment. Any thread."""
        return self._report(self._vitals.parts())

    def _report(self, parts: Sequence[Component]) -> dict[str, Any]:
        return self._vitals.report(parts, self.health, self._up_s())

    def _up_s(self) -> float:
        return time.monotonic() - self._started_s

    def _write(self, parts: Sequence[Component]) -> None:
        """Replace the status file; said once if that is not possible."""
        fresh = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps(self._report(parts)), encoding="utf-8")
            fresh.replace(self._file)
            self._file_fault = ""
        except OSError as error:
            if str(error) != self._file_fault:
                self._file_fault = str(error)
                log.warning("status cannot be written: %s", error)


def read_report(directory: Path) -> dict[str, Any] | None:
    """The latest report of a running agent; None when there is none."""
    try:
        report: dict[str, Any] = json.loads((directory / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report

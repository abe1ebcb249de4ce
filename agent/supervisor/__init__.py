"""Once a second: checks that every part moves, replaces what hangs, pings the watchdog, and writes the status."""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent.platform import systemd
from agent.platform.files import replace_file
from agent.platform.periodic import aligned_wait_s
from agent.supervisor.health import Condition, Health, assess, restarts_agent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from agent.model import Component

log = logging.getLogger(__name__)

EVERY_S = 1.0
PAUSE_S = 0.1
"""What this thread comes later than that is a pause of the machine."""


class HealthMonitor:
    """The health thread. `health` is its latest finding about the parts that registered."""

    def __init__(self, directory: Path, restart: Callable[[str], None]) -> None:
        """`directory`: of status.json; `restart`: start the agent again, because of …; returns at once."""
        self.health = Health(Condition.OK)
        self._file = directory / "status.json"
        self._restart = restart
        self._probes: list[Callable[[], Iterable[Component]]] = []
        self._repairs: list[Callable[[float], None]] = []
        self._sections: list[Callable[[], Mapping[str, Any]]] = []
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._stopping = threading.Event()
        self._ending = False
        self._started_s = self._beat_s = time.monotonic()
        self._paused_s = 0.0
        self._file_fault = ""

    def register(
        self, probe: Callable[[], Iterable[Component]], repair: Callable[[float], None] | None = None
    ) -> None:
        """Ask `probe` once a second how its part is. `repair` restarts what hangs in it; its argument: for how long
        the whole machine stood still, seconds.
        """
        self._probes.append(probe)
        if repair is not None:
            self._repairs.append(repair)

    def publish(self, section: Callable[[], Mapping[str, Any]]) -> None:
        """Add what `section` gives to status.json."""
        self._sections.append(section)

    def start(self) -> None:
        """Begin; before the parts do, so that the watchdog is fed whatever they do."""
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.check()
            self._stopping.wait(aligned_wait_s(EVERY_S))

    def ending(self) -> None:
        """The agent stops: that parts stand still is meant, and the watchdog is fed whatever they do."""
        self._ending = True

    def stop(self, limit_s: float = EVERY_S) -> None:
        """End the thread and take the status file away: nobody runs any more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(min(limit_s, EVERY_S))
        self._file.unlink(missing_ok=True)

    def check(self) -> None:
        """One look."""
        paused_s = self._own_pause()
        if not self._ending:
            for repair in self._repairs:
                repair(paused_s)
        parts = self.components(paused_s)
        before, self.health = self.health, assess(parts)
        self._watchdog()
        if self.health != before:
            systemd.notify(f"STATUS={self.health.summary}")
        self._write(parts)
        hopeless = [part.name for part in parts if part.hangs and not part.vital]
        if not self._ending and restarts_agent(hopeless, self._up_s()):
            self._restart(f"nothing else has helped: {', '.join(hopeless)}")

    def _own_pause(self) -> float:
        """How long the machine stood still lately: this thread should come round once a second. What it missed is
        forgotten second by second, so that the others have time to come round too.
        """
        now_s = time.monotonic()
        late_s, self._beat_s = now_s - self._beat_s - EVERY_S, now_s
        self._paused_s = max(late_s if late_s > PAUSE_S else 0.0, self._paused_s - EVERY_S)
        return self._paused_s

    def _watchdog(self) -> None:
        """Feed it, or have it bite at once: waiting longer would help nobody."""
        if self.health.condition is not Condition.STUCK or self._ending:
            systemd.notify("WATCHDOG=1")
            return
        systemd.notify("WATCHDOG=trigger")  # first: the log may be what everybody waits for
        log.error("stuck: %s", "; ".join(map(str, self.health.problems)))

    def components(self, paused_s: float = 0.0) -> list[Component]:
        """Check every part; `paused_s`: for so long the whole machine stood still, which is no fault of a part."""
        found = [part for probe in self._probes for part in probe()]
        return [replace(part, silent_s=part.silent_s - paused_s) for part in found] if paused_s else found

    def report(self) -> dict[str, Any]:
        """How the kiosk is at this moment. Any thread."""
        return self._report(self.components())

    def _report(self, parts: Sequence[Component]) -> dict[str, Any]:
        found: dict[str, Any] = {
            "at_s": time.monotonic(),
            "up_s": round(self._up_s()),
            "condition": self.health.condition,
            "problems": [
                {"code": each.code, "part": each.part, "severity": each.severity, "text": each.text}
                for each in self.health.problems
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
        }
        for section in self._sections:
            found |= section()
        return found

    def _up_s(self) -> float:
        return time.monotonic() - self._started_s

    def _write(self, parts: Sequence[Component]) -> None:
        """Replace the status file; logged once if that is not possible."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._file, (json.dumps(self._report(parts)).encode(),), durable=False)
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

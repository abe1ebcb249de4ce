"""Periodic work: threads that wake together; and jobs, one after the other in one housekeeping thread, for work
that may wait for a disk and is not urgent.
"""

from __future__ import annotations

import logging
import threading
from time import monotonic
from typing import TYPE_CHECKING

from agent.model import Component
from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

log = logging.getLogger(__name__)

LIMIT_S = 300.0
"""A job that takes longer hangs: reading a list of ten million keys takes tens of seconds on a small board."""
STEP_S = 1.0
EARLY_S = 0.25
"""A job that is due so soon runs with those that are due."""
STOP_S = 1.0


def aligned_wait_s(period_s: float) -> float:
    """Seconds until the next whole multiple of a period. All that wait so wake at the same moments: the processor
    is woken once for all, and what one of them has brought into its cache, the next finds there.
    """
    return period_s - monotonic() % period_s


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do again and again."""

    name: str
    every_s: float
    """From the end of one run to the next, or `EARLY_S` less."""
    run: Callable[[], object]
    finish: Callable[[], object] | None = None
    """What is left to do once, when the agent stops."""


class Housekeeping:
    """One thread. An error in a job is logged, and the job runs again when it is due."""

    def __init__(self, jobs: Iterable[Job], clock: Callable[[], float] = monotonic) -> None:
        self._jobs = tuple(jobs)
        self._clock = clock
        self._due_s = {job: clock() + job.every_s for job in self._jobs}
        self._moved_s = clock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin: each job runs for the first time when its period has passed."""
        self._thread.start()

    def stop(self, limit_s: float = STOP_S) -> None:
        """End the thread within `limit_s`, and finish every job; nothing when it was never started."""
        self._stopping.set()
        if self._thread.ident is None:
            return
        self._thread.join(min(limit_s, STOP_S))
        for job in self._jobs:
            if job.finish is not None:
                _run_safely(job.name, job.finish)

    def step(self) -> None:
        """Run every job that is due, or is so within `EARLY_S`."""
        for job, due_s in self._due_s.items():
            if self._stopping.is_set():
                break
            self._moved_s = self._clock()
            if due_s - EARLY_S <= self._moved_s:
                _run_safely(job.name, job.run)
                self._due_s[job] = self._clock() + job.every_s
        self._moved_s = self._clock()

    def health(self) -> Iterable[Component]:
        """Whether the thread moves."""
        yield Component("housekeeping", self._clock() - self._moved_s, LIMIT_S)

    def _run(self) -> None:
        while not self._stopping.wait(aligned_wait_s(STEP_S)):
            self.step()


def _run_safely(name: str, job: Callable[[], object]) -> None:
    try:
        job()
    except Exception:  # an error in one job must not end the others
        log.exception("housekeeping: an internal error in %s; going on", name)

"""Tries a new configuration and keeps or restores the old one, remembers the last known good one, and notices when
errors demand safe mode.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from agent import __version__, config
from agent.config import BadConfig, references
from agent.config.overlay import Overlay
from agent.credentials.bundle import BadBundle
from agent.model import AgentChange
from agent.ruleset.load import bundle_store
from agent.supervisor.crash_loop import StartHistory
from agent.supervisor.rollout_state import RemoteConfig, RolloutState, trial_result

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.credentials.bundle import Bundle
    from agent.supervisor.health import Health
    from agent.supervisor.startup import Startup
    from agent.supervisor.state_files import StateFiles

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
MAX_INTERNAL_ERRORS = 10
"""Internal errors in judging that are too many to go on as if nothing were."""
SAFE_FOR_S = 3600.0
"""After a good hour in safe mode the agent tries to work as usual: whatever made it fall may have passed."""


class ConfigRollout:
    """Housekeeping calls `check` once a second."""

    def __init__(
        self,
        began: Startup,
        memory: StateFiles,
        internal_errors: Callable[[], int],
        record: Callable[[AgentChange], None],
        health: Callable[[], Health],
        restart: Callable[[str], None],
    ) -> None:
        """`internal_errors`: in judging, since the start; `record`: an event of the agent; `restart`: start
        the agent again because of …
        """
        self._began, self._memory, self._health = began, memory, health
        self._internal_errors, self._record = internal_errors, record
        self._restart_agent = restart
        self._restarting = False
        self._latched = bool(memory.starts.safe)
        self._started_s = time.monotonic()
        self._well_since_s: float | None = None
        self._told = memory.settings.tell if began.safe else None
        self._seen: tuple[int, int, int] | None = None

    def check(self) -> None:
        """One look at everything; none while the agent ends: the next start goes on from what is on disk."""
        if self._restarting:
            return
        up_s = time.monotonic() - self._started_s
        self._publish_notices()
        if self._began.safe:
            self._leave(up_s)
        elif self._internal_errors() >= MAX_INTERNAL_ERRORS:
            self._memory.count(
                lambda starts: starts.enter_safe_mode(f"{MAX_INTERNAL_ERRORS} internal errors in judging")
            )
            self._restart("too many internal errors: in safe mode from now on")
        elif self._began.on_trial:
            self._evaluate_trial(up_s)
        else:
            self._prove(up_s)
            self._stage()

    def _publish_notices(self) -> None:
        """What the central server is to be told: put, and forgotten a look later, when it is on disk."""
        tell = self._memory.settings.tell
        if tell is None:
            return
        if tell == self._told:
            self._memory.settle(lambda settings: replace(settings, tell=None))
        else:
            self._told = tell
            self._record(AgentChange(tell.word, __version__, config_version=tell.version, detail=tell.why))

    def _restart(self, why: str) -> None:
        self._restarting = True
        self._restart_agent(why)

    def _leave(self, up_s: float) -> None:
        """Leave safe mode: by command, or after a long time without an error."""
        if not self._latched:
            return  # a file with faults is the reason: the technician who corrects it restarts the agent
        if up_s >= SAFE_FOR_S:
            self._memory.count(StartHistory.recovered)
        if not self._memory.is_careful():
            self._memory.count(StartHistory.recovered)
            self._restart("back from safe mode")

    def _evaluate_trial(self, up_s: float) -> None:
        """The trial of what is in force."""
        trial, options = self._memory.settings.trial, self._began.config.health
        if trial is None:
            return
        worse = self._health().bad - trial.bad_before
        now_s = time.monotonic()
        self._well_since_s = None if worse else self._well_since_s or now_s
        well_s = 0.0 if self._well_since_s is None else now_s - self._well_since_s
        passed = trial_result(up_s, well_s, options.rollout_timeout_s, options.rollout_stable_s)
        if passed:
            self._memory.settle(RolloutState.passed)
            self._began = replace(self._began, on_trial=False)
        elif passed is False:
            why = f"not well within {options.rollout_timeout_s:.0f} s: {', '.join(sorted(worse))}"
            self._memory.settle(lambda settings: settings.rolled_back(__version__, why))
            self._restart(f"the central server's configuration {trial.pushed.version} is taken back: {why}")

    def _prove(self, up_s: float) -> None:
        """It has run for long: from now on it is what to go back to."""
        if up_s >= self._began.config.health.last_good_after_s:
            self._memory.settle(lambda settings: settings.proved(self._began.own, self._began.pushed))

    def _stage(self) -> None:
        """Put what the central server has sent on trial, if it holds."""
        bundle = self._new_bundle()
        if bundle is None or self._memory.settings.knows(bundle.digest, __version__):
            return
        pushed = RemoteConfig(bundle.version, bundle.digest, bundle.content, bundle.target)
        why = self._wrong_with(pushed)
        if why:
            log.warning("the central server's configuration %d is refused: %s", pushed.version, why)
            self._memory.settle(lambda settings: settings.refuse(pushed, __version__, why))
            return
        bad = self._health().bad
        self._memory.settle(lambda settings: settings.staged(pushed, bad))
        self._restart(f"the central server's configuration {pushed.version} is put on trial")

    def _new_bundle(self) -> Bundle | None:
        """What the central server sent last, when its file is another than at the last look."""
        options = self._began.config.codes
        if not options.bundles:
            return None
        folder = self._began.config.bundle_folder
        try:
            stat = (folder / "config.bundle").stat()
        except OSError:
            return None
        mark = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if mark == self._seen:
            return None
        self._seen = mark
        try:
            return bundle_store(folder).current("config")
        except BadBundle as error:
            log.warning("what the central server has sent of the configuration is not used: %s", error)
            return None

    def _wrong_with(self, pushed: RemoteConfig) -> str:
        """Everything, in one text as `gatepost check` has it; empty when it holds."""
        try:
            whole = config.parse(self._began.own, self._began.config.file, Overlay(pushed.version, pushed.text))
        except BadConfig as error:
            return str(error)
        return "\n".join(map(str, references.faults(whole)))

"""What the agent remembers from one start to the next: two small files, each replaced as a whole."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agent.platform.files import replace_file, state_folder
from agent.supervisor import crash_loop
from agent.supervisor import rollout_state as settings
from agent.supervisor.crash_loop import StartHistory
from agent.supervisor.rollout_state import RolloutState

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T", RolloutState, StartHistory)

log = logging.getLogger(__name__)

_OURS_ALONE = 0o600
"""The last good configuration may hold the broker's password."""


class StateFiles:
    """Of the agent that a configuration file describes. Any thread; what cannot be written is only kept here."""

    def __init__(self, file: Path) -> None:
        """`file`: the configuration. What is remembered lies beside it, for /etc/gatepost in /var/lib/gatepost."""
        folder = state_folder(file.absolute().parent)
        own = "" if file.stem == "agent" else f"{file.stem}."  # two configurations in one folder share no state
        self._starts_file = folder / f"{own}start-history.json"
        self._settings_file = folder / f"{own}config-rollout.json"
        self._lock = threading.Lock()
        self._written = True
        self.starts = _read(self._starts_file, crash_loop.from_plain, StartHistory())
        self.settings = _read(self._settings_file, settings.from_plain, RolloutState())

    def is_careful(self) -> bool:
        """Whether the file on disk says so now: somebody else may have changed it. On a disk that takes nothing,
        or gives nothing back, it is what this agent knows itself.
        """
        known = _read(self._starts_file, crash_loop.from_plain, self.starts) if self._written else self.starts
        return bool(known.safe)

    def count(self, step: Callable[[StartHistory], StartHistory]) -> None:
        """Take a step of the starts."""
        with self._lock:
            self.starts = self._save_if_changed(self._starts_file, self.starts, step(self.starts))

    def settle(self, step: Callable[[RolloutState], RolloutState]) -> None:
        """Take a step of the settings."""
        with self._lock:
            self.settings = self._save_if_changed(self._settings_file, self.settings, step(self.settings))

    def _save_if_changed(self, file: Path, before: T, after: T) -> T:
        if after != before or not file.exists():
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                replace_file(file, (json.dumps(asdict(after), default=sorted).encode(),), _OURS_ALONE)
                self._written = True
            except OSError as error:
                self._written = False
                log.warning("%s cannot be written: %s", file, error)
        return after


def _read(file: Path, from_plain: Callable[[Any], T], otherwise: T) -> T:
    """What the file holds. One that is damaged counts for nothing: the agent must start."""
    try:
        return from_plain(json.loads(file.read_bytes()))
    except FileNotFoundError:
        pass
    except Exception as error:  # noqa: BLE001 - whatever a card has made of it
        log.warning("%s is not used: %s", file, type(error).__name__)
    return otherwise

"""What the agent remembers from one start to the next: two small files. One that is lost is told; if it is the
starts, the agent is careful: it may have been in safe mode.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agent.platform.files import state_folder
from agent.platform.kept_json import KeptJson, LostFile
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
_CAREFUL = StartHistory().enter_safe_mode("how the agent was started before is lost")


class StateFiles:
    """Of the agent that a configuration file describes. Any thread; what cannot be written is only kept here."""

    def __init__(self, file: Path) -> None:
        """`file`: the configuration. What is remembered lies beside it, for /etc/gatepost in /var/lib/gatepost."""
        folder = state_folder(file.absolute().parent)
        own = "" if file.stem == "agent" else f"{file.stem}."  # two configurations in one folder share no state
        self._starts_file = KeptJson(folder / f"{own}start-history.json", _OURS_ALONE)
        self._settings_file = KeptJson(folder / f"{own}config-rollout.json", _OURS_ALONE)
        self._lock = threading.Lock()
        self._written = True
        self.failure: OSError | None = None
        """Why one of them could not be read or written last; the agent goes on without."""
        self.lost = ""
        """Which of the two was lost, in words; empty: neither."""
        self.starts = self._read(self._starts_file, crash_loop.from_plain, StartHistory(), _CAREFUL)
        self.settings = self._read(self._settings_file, settings.from_plain, RolloutState(), RolloutState())

    def is_careful(self) -> bool:
        """Whether the file on disk says so now: somebody else may have changed it. On a disk that takes nothing,
        or gives nothing back, it is what this agent knows itself.
        """
        if not self._written:
            return bool(self.starts.safe)
        return bool(self._read(self._starts_file, crash_loop.from_plain, self.starts, self.starts).safe)

    def count(self, step: Callable[[StartHistory], StartHistory]) -> None:
        """Take a step of the starts."""
        with self._lock:
            self.starts = self._save_if_changed(self._starts_file, self.starts, step(self.starts))

    def settle(self, step: Callable[[RolloutState], RolloutState]) -> None:
        """Take a step of the settings."""
        with self._lock:
            self.settings = self._save_if_changed(self._settings_file, self.settings, step(self.settings))

    def _save_if_changed(self, file: KeptJson, before: T, after: T) -> T:
        if after != before or not file.path.exists():
            try:
                file.write(json.loads(json.dumps(asdict(after), default=sorted)))
                self._written, self.failure = True, None
            except OSError as error:
                self._written, self.failure = False, error
                log.warning("%s cannot be written: %s", file.path, error)
        return after

    def _read(self, file: KeptJson, from_plain: Callable[[Any], T], never: T, lost: T) -> T:
        """What the file holds; `never`: nothing was ever kept, or we may not read it. The agent must start."""
        try:
            plain = file.read()
            return never if plain is None else from_plain(plain)
        except PermissionError as error:
            self.failure = error
            log.warning("%s is not used: %s", file.path, error)
            return never
        except Exception as error:  # noqa: BLE001 - whatever a card has made of it
            self.lost = str(error) if isinstance(error, LostFile) else f"{file.path} is not as it was written"
            log.warning("%s is not used: %s", file.path, self.lost)
            return lost

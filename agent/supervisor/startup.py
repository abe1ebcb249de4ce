"""The configuration that the agent starts with: its own file with the central server's overlay, or the last known
good one.

| what is found | what happens |
|---|---|
| the agent fell again and again | safe mode, with the last good configuration |
| its file has faults, or names what cannot be read | the same; without a last good one it ends |
| one on trial has faults, or the agent did not stay up with it | what was good before is in force again |
| a good one does not fit this release or the file below it | the file alone is in force; health says so |
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent import __version__, config
from agent.config import BadConfig, Config
from agent.config.overlay import Overlay
from agent.model import Component
from agent.model.lazy import dataclass
from agent.model.problems import ProblemCode, found
from agent.platform import access
from agent.platform.clock import boot_id, boottime_s
from agent.supervisor.crash_loop import StartHistory
from agent.supervisor.rollout_state import TRIES, RemoteConfig, RolloutState
from agent.supervisor.state_files import StateFiles

if TYPE_CHECKING:
    from collections.abc import Iterable

_MEND = "mend it, then: systemctl restart gatepost"


@dataclass(frozen=True, slots=True)
class Startup:
    """How the agent begins."""

    config: Config
    own: str = ""
    """Text of the kiosk's own file."""
    memory: StateFiles | None = None
    """None: nothing is remembered, and the configuration is what it is."""
    safe: str = ""
    """Why the agent is in safe mode; empty when it is not."""
    pushed: RemoteConfig | None = None
    """What the central server sent and is in force."""
    on_trial: bool = False
    """`pushed` was, when the agent began."""
    fault: str = ""
    """Why the central server's configuration is not in force though it was good once."""

    @property
    def version(self) -> int:
        """Of the central server's configuration that is in force; 0 for none."""
        return 0 if self.pushed is None else self.pushed.version

    def health(self) -> Iterable[Component]:
        """Under which reservations the agent runs at all, with what to do; none when all is as it should be."""
        if self.safe:
            yield Component("safe mode", findings=found(ProblemCode.SAFE_MODE, self.safe))
        if self.memory is not None and self.memory.lost:
            text = f"{self.memory.lost}: the central server's settings are tried again, if there were any"
            yield Component("start", findings=found(ProblemCode.STATE_LOST, text))
        if self.fault:
            yield Component("configuration", findings=found(ProblemCode.CONFIG_NOT_IN_FORCE, self.fault))

    @property
    def still_on_trial(self) -> bool:
        """Whether its trial goes on at this moment."""
        return self.on_trial and self.memory is not None and self.memory.settings.trial is not None


def begin(file: Path) -> Startup:
    """Count this start, and choose. Raises BadConfig or OSError when there is nothing to start with."""
    memory = StateFiles(file)
    memory.count(lambda starts: starts.begun(boot_id(), boottime_s()))
    safe = memory.starts.safe
    if safe and (began := _proven(file, memory, safe)) is not None:
        return began
    try:
        return replace(_usual(file, memory), safe=safe)
    except (BadConfig, OSError) as error:
        first = access.why(error, file) if isinstance(error, OSError) else str(error).splitlines()[0]
        began = _proven(file, memory, f"the configuration cannot be used: {first} ({_MEND})")
        if began is not None:
            return began
        memory.count(StartHistory.ended)  # a wrong configuration is no crash
        raise


def fallback(began: Startup, why: str) -> Startup | None:
    """What to start with when keys, table or calibration of `began` cannot be read; None for nothing."""
    memory = began.memory
    if memory is None:
        return None
    if began.on_trial:
        _roll_back(memory, why)
        return _usual(began.config.file, memory)
    if memory.settings.last_known_good is None:
        memory.count(StartHistory.ended)
        return None
    return replace(began, safe=f"{why} ({_MEND})")


def effective_config(file: Path) -> Config:
    """What is in force, for people who ask; counts nothing. Raises BadConfig or OSError."""
    settings = StateFiles(file).settings
    own = config.read(file)
    alone = Startup(config.parse(own, file), own)
    if settings.in_force is None:
        return alone.config
    try:
        return _with(alone, settings.in_force).config
    except BadConfig:
        return alone.config


def last_known_good(file: Path) -> Config | None:
    """The last that the agent ran well with, for people who ask; None when there is none. Counts nothing."""
    began = _proven(file, StateFiles(file), "")
    return None if began is None else began.config


def _usual(file: Path, memory: StateFiles) -> Startup:
    """The file, above it what is on trial, else what is good. Raises BadConfig or OSError for the file's faults."""
    own = config.read(file)
    alone = Startup(config.parse(own, file), own, memory)
    trial = memory.settings.trial
    if trial is not None:
        if trial.tries >= TRIES:
            _roll_back(memory, f"the agent did not stay up with it in {TRIES} starts")
        else:
            memory.settle(RolloutState.tried)
            try:
                return _with(alone, trial.pushed, on_trial=True)
            except BadConfig as error:
                _roll_back(memory, str(error).splitlines()[0])
    good = memory.settings.good
    if good is None:
        return alone
    try:
        return _with(alone, good)
    except BadConfig as error:
        first = str(error).splitlines()[0]
        return replace(
            alone, fault=f"{first} (this kiosk's own file is in force alone; have the central server send again)"
        )


def _with(alone: Startup, pushed: RemoteConfig, *, on_trial: bool = False) -> Startup:
    _demand_target(alone.config, pushed)
    whole = config.parse(alone.own, alone.config.file, _above(pushed))
    return replace(alone, config=whole, pushed=pushed, on_trial=on_trial)


def _proven(file: Path, memory: StateFiles, safe: str) -> Startup | None:
    """The last that the agent ran well with; None when there is none, or when this release cannot read it."""
    proven = memory.settings.last_known_good
    if proven is None:
        return None
    try:
        alone = Startup(config.parse(proven.own, file), proven.own, memory, safe)
        return alone if proven.pushed is None else _with(alone, proven.pushed)
    except BadConfig:
        return None


def _roll_back(memory: StateFiles, why: str) -> None:
    memory.settle(lambda settings: settings.rolled_back(__version__, why))


def _demand_target(own: Config, pushed: RemoteConfig) -> None:
    """What the central server has sent counts as long as the kiosk belongs to whom it was for. Raises BadConfig."""
    if pushed.target and pushed.target not in own.kiosk.targets:
        text = f"{_above(pushed).name} is for {pushed.target}, to which this kiosk does not belong"
        raise BadConfig([own.fault(("kiosk", "groups"), text)])


def _above(pushed: RemoteConfig) -> Overlay:
    return Overlay(pushed.version, pushed.text)

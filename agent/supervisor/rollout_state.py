"""Which configuration is in force, on trial, refused or last known good, and how that changes. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from agent.model.lazy import dataclass

NoticeType = Literal["config_applied", "config_rejected", "config_rolled_back"]
TRIES = 3
"""Starts that a configuration on trial has: a power cut is no reason to take it back, an agent that falls is."""


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """A configuration from the central server."""

    version: int
    digest: str
    text: str
    target: str = ""
    """Whom of the fleet it is for; empty for all."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One that has to show that everything works with it."""

    pushed: RemoteConfig
    bad_before: frozenset[str]
    """Names of the parts that were not well before it came."""
    tries: int = 0
    """Starts so far."""


@dataclass(frozen=True, slots=True)
class RejectedConfig:
    """A configuration that this release does not try again; another release may know other settings."""

    digest: str
    release: str


@dataclass(frozen=True, slots=True)
class LastKnownGood:
    """What the agent has run well with, whole: what it goes back to when all else fails."""

    own: str
    """Text of the kiosk's file."""
    pushed: RemoteConfig | None


@dataclass(frozen=True, slots=True)
class Notice:
    """What is to be reported to the central server."""

    word: NoticeType
    version: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class RolloutState:
    """All of it. Each step gives a new one; a power cut leaves the one before or the one after."""

    good: RemoteConfig | None = None
    """In force."""
    trial: Trial | None = None
    refused: RejectedConfig | None = None
    last_known_good: LastKnownGood | None = None
    tell: Notice | None = None

    @property
    def in_force(self) -> RemoteConfig | None:
        """What lies over the kiosk's own file now."""
        return self.trial.pushed if self.trial is not None else self.good

    def knows(self, digest: str, release: str) -> bool:
        """Whether this one was tried or refused already."""
        known = {pushed.digest for pushed in (self.good, self.in_force) if pushed is not None}
        return digest in known or self.refused == RejectedConfig(digest, release)

    def staged(self, pushed: RemoteConfig, bad: frozenset[str]) -> RolloutState:
        """Put on trial; the next start uses it."""
        return replace(self, trial=Trial(pushed, bad))

    def refuse(self, pushed: RemoteConfig, release: str, why: str) -> RolloutState:
        """Found wrong before it was used."""
        return replace(
            self,
            refused=RejectedConfig(pushed.digest, release),
            tell=Notice("config_rejected", pushed.version, why),
        )

    def tried(self) -> RolloutState:
        """The agent starts with it, once more."""
        return self if self.trial is None else replace(self, trial=replace(self.trial, tries=self.trial.tries + 1))

    def passed(self) -> RolloutState:
        """Everything works that worked before."""
        if self.trial is None:
            return self
        pushed = self.trial.pushed
        return replace(self, good=pushed, trial=None, tell=Notice("config_applied", pushed.version))

    def rolled_back(self, release: str, why: str) -> RolloutState:
        """The trial has failed: what was good before is in force again."""
        if self.trial is None:
            return self
        pushed = self.trial.pushed
        refused = RejectedConfig(pushed.digest, release)
        return replace(self, trial=None, refused=refused, tell=Notice("config_rolled_back", pushed.version, why))

    def proved(self, own: str, pushed: RemoteConfig | None) -> RolloutState:
        """This has run well for long."""
        return replace(self, last_known_good=LastKnownGood(own, pushed))


def trial_result(elapsed_s: float, well_s: float, rollout_timeout_s: float, rollout_stable_s: float) -> bool | None:
    """Of a trial that began `elapsed_s` ago, when everything has been well for the last `well_s` (0: it is not):
    True when it has passed, False when it has failed, None while there is still hope.
    """
    if well_s > 0 and well_s >= rollout_stable_s:
        return True
    failed = elapsed_s >= rollout_timeout_s and (well_s <= 0 or elapsed_s >= rollout_timeout_s + rollout_stable_s)
    return False if failed else None


def from_plain(plain: Any) -> RolloutState:
    """From JSON. Raises ValueError, KeyError or TypeError."""
    trial, refused, proven, tell = (plain[name] for name in ("trial", "refused", "last_known_good", "tell"))
    return RolloutState(
        plain["good"] and _pushed(plain["good"]),
        trial and Trial(_pushed(trial["pushed"]), frozenset(trial["bad_before"]), int(trial["tries"])),
        refused and RejectedConfig(**refused),
        proven and LastKnownGood(str(proven["own"]), proven["pushed"] and _pushed(proven["pushed"])),
        tell and _parse_notice(tell),
    )


def _pushed(plain: Any) -> RemoteConfig:
    match plain:
        case {"version": int(version), "digest": str(digest), "text": str(text), **rest}:
            return RemoteConfig(version, digest, text, str(rest.get("target", "")))
    raise ValueError("no configuration")


def _parse_notice(plain: Any) -> Notice:
    match plain:
        case {
            "word": "config_applied" | "config_rejected" | "config_rolled_back" as word,
            "version": int(version),
            "why": str(why),
        }:
            return Notice(word, version, why)
    raise ValueError("no word to the central server")

"""What becomes of a configuration from the central server, step by step; and a power cut at any of them."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.supervisor.rollout_state import TRIES, RemoteConfig, RolloutState, from_plain, trial_result

RELEASE = "1.0"


def pushed(version: int) -> RemoteConfig:
    return RemoteConfig(version, f"digest {version}", f"# {version}")


class Life(RuleBasedStateMachine):
    """The central server sends, the agent starts, runs well or falls; after each step the power may go."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = RolloutState()
        self.sent = 0
        self.good = 0
        self.told: list[tuple[str, int]] = []

    def keep(self, settings: RolloutState) -> None:
        """As after a power cut: what is on disk is read again."""
        self.settings = from_plain(json.loads(json.dumps(asdict(settings), default=sorted)))
        assert self.settings == settings

    @precondition(lambda self: self.settings.trial is None)
    @rule(holds=st.booleans())
    def send(self, holds: bool) -> None:
        self.sent += 1
        new = pushed(self.sent)
        assert not self.settings.knows(new.digest, RELEASE)
        if holds:
            self.keep(self.settings.staged(new, frozenset({"mqtt"})))
        else:
            self.keep(self.settings.refuse(new, RELEASE, "line 1: wrong"))
        assert self.settings.knows(new.digest, RELEASE), "or it would be looked at for ever"

    @rule()
    def start(self) -> None:
        trial = self.settings.trial
        if trial is not None and trial.tries >= TRIES:
            self.keep(self.settings.rolled_back(RELEASE, "it does not stay up"))
        else:
            self.keep(self.settings.tried())

    @precondition(lambda self: self.settings.trial is not None)
    @rule()
    def run_well(self) -> None:
        self.good = self.settings.in_force.version  # type: ignore[union-attr]
        self.keep(self.settings.passed())

    @precondition(lambda self: self.settings.trial is not None)
    @rule()
    def fail(self) -> None:
        self.keep(self.settings.rolled_back(RELEASE, "the link is gone"))

    @rule(own=st.text())
    def run_long(self, own: str) -> None:
        self.keep(self.settings.proved(own, self.settings.good))

    @invariant()
    def what_is_good_has_passed(self) -> None:
        good = self.settings.good
        assert (0 if good is None else good.version) == self.good
        if self.settings.trial is None:
            assert self.settings.in_force == good
        if self.settings.last_known_good is not None and self.settings.last_known_good.pushed is not None:
            assert self.settings.last_known_good.pushed.version <= self.good, "only what has passed is proven"

    @invariant()
    def a_trial_ends(self) -> None:
        assert self.settings.trial is None or self.settings.trial.tries <= TRIES


TestLife = Life.TestCase


def test_another_release_may_look_again() -> None:
    """What an older agent did not know is no reason to refuse it for ever."""
    refused = RolloutState().refuse(pushed(3), RELEASE, "unknown setting")
    assert refused.knows("digest 3", RELEASE)
    assert not refused.knows("digest 3", "1.1")


@pytest.mark.parametrize(
    ("elapsed_s", "well_s", "passed"),
    [
        (10, 0, None),
        (40, 29, None),
        (40, 30, True),
        (180, 0, False),
        (180, 5, None),
        (210, 5, False),
        (400, 30, True),
    ],
)
def test_a_trial(elapsed_s: float, well_s: float, passed: bool | None) -> None:
    assert trial_result(elapsed_s, well_s, 180, 30) is passed


@given(st.floats(0, 1000), st.floats(0, 1000), st.floats(1, 500), st.floats(0, 100))
def test_a_trial_ends_whatever_happens(
    elapsed_s: float, well_s: float, rollout_timeout_s: float, rollout_stable_s: float
) -> None:
    found = trial_result(elapsed_s, well_s, rollout_timeout_s, rollout_stable_s)
    if elapsed_s >= rollout_timeout_s + rollout_stable_s:
        assert found is not None
    if found:
        assert well_s >= rollout_stable_s
    if found is False:
        assert elapsed_s >= rollout_timeout_s


@pytest.mark.parametrize(
    "plain", [[], {}, None, {"good": 7, "trial": 0, "refused": 0, "last_known_good": 0, "tell": 0}]
)
def test_what_is_not_ours_is_told(plain: object) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        from_plain(plain)

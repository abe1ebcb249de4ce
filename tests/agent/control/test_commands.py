"""What a bundle is answered with: done only when this kiosk judges by it; of when a count is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from agent import credentials, policy
from agent.commands import CommandFailed
from agent.control.commands import Commands
from agent.credentials.bundle import Bundle
from agent.credentials.freshness import Age
from agent.model import Attestation, AttestationResult, ClockState, CommandStatus, Observation, TimeBounds
from agent.ruleset import Ruleset

if TYPE_CHECKING:
    from collections.abc import Callable

NOTHING = cast("Callable[..., Any]", None)
NOW_UTC = 1_800_000_000.0


@pytest.mark.parametrize("age_s", [-30.0, 0.0, 90.0, 599.0])
def test_a_count_is_of_the_time_when_it_was_issued(age_s: float) -> None:
    asked: list[Observation] = []

    def ask(seen: Observation, _limit_s: float) -> AttestationResult:
        asked.append(seen)
        return AttestationResult()

    said = {"inside": "7", "issued_at": repr(NOW_UTC - age_s)}
    _commands(ask).table["count"](said)
    stated = asked[0].item
    assert isinstance(stated, Attestation)
    assert stated.number == 7
    assert time.monotonic() - stated.at_s == pytest.approx(max(0.0, age_s) + 1.0, abs=60)
    assert time.monotonic() - stated.at_s >= max(0.0, age_s)


def test_a_count_of_long_ago_is_refused() -> None:
    with pytest.raises(CommandFailed) as caught:
        _commands(NOTHING).table["count"]({"inside": "7", "issued_at": repr(NOW_UTC - 700)})
    assert (caught.value.outcome, caught.value.reason) == (CommandStatus.REJECTED, "expired")


def _commands(ask: Callable[..., Any], ruleset: Ruleset | None = None) -> Commands:
    return Commands(
        (),
        cast("Any", ()),
        cast("Any", ruleset),
        cast("Any", None),
        ask=ask,
        flush=NOTHING,
        waiting=NOTHING,
        report=NOTHING,
        recent_log=NOTHING,
        restart=NOTHING,
        now=lambda: TimeBounds(NOW_UTC - 1, NOW_UTC + 1, ClockState.SYNCED),
    )


@pytest.mark.parametrize(("kind", "name"), [("list", "revoked"), ("policy", "office")])
def test_a_bundle_that_this_kiosk_does_not_judge_by_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / "issuers.toml").write_text("")
    ruleset = Ruleset(credentials.Options(), policy.Options(), tmp_path)
    commands = _commands(NOTHING, ruleset)
    taken = Bundle(kind, name, "city", 1, 0, 1, Age(kind, 0, 1, 2), "", "")
    with pytest.raises(CommandFailed) as caught:
        commands.apply_bundle(taken)
    assert (caught.value.outcome, caught.value.reason) == (CommandStatus.REJECTED, "not_in_use")

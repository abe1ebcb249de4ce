"""What a bundle is answered with: done only when this kiosk judges by it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from agent import credentials, policy
from agent.commands import CommandFailed
from agent.control.commands import Commands
from agent.credentials.bundle import Bundle
from agent.credentials.freshness import Age
from agent.model import CommandStatus
from agent.ruleset import Ruleset

if TYPE_CHECKING:
    from collections.abc import Callable

NOTHING = cast("Callable[..., Any]", None)


@pytest.mark.parametrize(("kind", "name"), [("list", "revoked"), ("policy", "office")])
def test_a_bundle_that_this_kiosk_does_not_judge_by_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / "issuers.toml").write_text("")
    ruleset = Ruleset(credentials.Options(), policy.Options(), tmp_path)
    commands = Commands(
        (),
        cast("Any", ()),
        ruleset,
        cast("Any", None),
        ask=NOTHING,
        flush=NOTHING,
        waiting=NOTHING,
        report=NOTHING,
        recent_log=NOTHING,
        restart=NOTHING,
        now=NOTHING,
    )
    taken = Bundle(kind, name, "city", 1, 0, 1, Age(kind, 0, 1, 2), "", "")
    with pytest.raises(CommandFailed) as caught:
        commands.apply_bundle(taken)
    assert (caught.value.outcome, caught.value.reason) == (CommandStatus.REJECTED, "not_in_use")

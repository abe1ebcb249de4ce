"""The watch over what the agent runs on, step by step; the whole of it is tried in tests/system/test_health.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.app import RESTART, App
from agent.model import AgentChange
from agent.supervisor import rollout
from agent.supervisor.crash_loop import StartHistory
from agent.supervisor.rollout import ConfigRollout
from agent.supervisor.rollout_state import RemoteConfig
from agent.supervisor.startup import begin
from agent.supervisor.state_files import StateFiles


@pytest.fixture
def start(kiosk_file: Path) -> Iterator[Callable[[], tuple[App, ConfigRollout]]]:
    """An app that is not run, and the one who watches over it."""
    made = []

    def build() -> tuple[App, ConfigRollout]:
        began = begin(kiosk_file)
        app = App(began.config, began)
        app._link.start()
        made.append(app)
        assert app._rollout is not None
        return app, app._rollout

    yield build
    for app in made:
        app._link.stop(0.0)


Start = Callable[[], tuple[App, ConfigRollout]]


def test_nothing_to_do(start: Start) -> None:
    app, watch = start()
    watch.check()
    assert app.status == 0


def test_too_many_defects(start: Start, kiosk_file: Path) -> None:
    app, watch = start()
    app._loop.internal_errors = rollout.MAX_INTERNAL_ERRORS - 1
    watch.check()
    assert app.status == 0
    app._loop.internal_errors += 1
    watch.check()
    assert app.status == RESTART
    assert "10 internal errors in judging" in StateFiles(kiosk_file).starts.safe
    assert start()[0]._state().safe


def test_a_good_hour_in_safe_mode(start: Start, kiosk_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    StateFiles(kiosk_file).count(lambda starts: starts.enter_safe_mode("a test"))
    app, watch = start()
    watch.check()
    assert app.status == 0
    monkeypatch.setattr(rollout, "SAFE_FOR_S", 0.0)
    watch.check()
    assert app.status == RESTART
    assert not StateFiles(kiosk_file).starts.safe


def test_somebody_recovers_it(start: Start, kiosk_file: Path) -> None:
    StateFiles(kiosk_file).count(lambda starts: starts.enter_safe_mode("a test"))
    app, watch = start()
    StateFiles(kiosk_file).count(StartHistory.recovered)
    watch.check()
    assert app.status == RESTART


def test_the_server_recovers_it(start: Start, kiosk_file: Path) -> None:
    StateFiles(kiosk_file).count(lambda starts: starts.enter_safe_mode("a test"))
    app, watch = start()
    assert app._commands.table["recover"]({}).result == {"was_safe": True}
    assert app.status == 0, "the reply goes first"
    watch.check()
    assert app.status == RESTART
    assert start()[0]._commands.table["recover"]({}).result == {"was_safe": False}


def test_what_is_taken_back_is_told_by_the_next_start_alone(
    start: Start, kiosk_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the agent takes to end: else the central server gets it twice, under two ids."""
    StateFiles(kiosk_file).settle(lambda settings: settings.staged(RemoteConfig(7, "ab" * 32, ""), frozenset()))
    app, watch = start()
    monkeypatch.setattr(rollout, "trial_result", lambda *_: False)
    for _ in range(3):
        watch.check()
    assert app.status == RESTART
    assert told(app) == []
    assert StateFiles(kiosk_file).settings.tell is not None
    app, watch = start()
    for _ in range(3):
        watch.check()
    assert told(app) == ["config_rolled_back"]
    assert StateFiles(kiosk_file).settings.tell is None


def told(app: App) -> list[str]:
    inbox = app._loop.inbox
    return [item.type for item in iter(lambda: inbox.pop(0.0), None) if isinstance(item, AgentChange)]

"""The watch over what the agent runs on, step by step; the whole of it is tried in tests/system/test_health.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.app import RESTART, App
from agent.config.startup import begin
from agent.pulse import probation
from agent.pulse.probation import Probation
from agent.vault.memory import Memory
from agent.vault.starts import Starts

CONFIG = """\
[kiosk]
id = "k1"
[clock]
trust = "system"
floor_file = "clock"
[screening]
crowd_file = "crowd.json"
[outbox]
path = "outbox.db"
[codes]
keys = "issuers.toml"
[run]
directory = "run"
[mqtt]
host = "127.0.0.1"
port = 1
[lanes.entry]
direction = "entry"
scanner = { driver = "line", port = "nothing-here" }
thermometer = { driver = "mlx90614", bus = "/dev/i2c-99" }
gate = { driver = "simulated" }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "issuers.toml").write_text("")
    path = tmp_path / "agent.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def start(file: Path) -> Iterator[Callable[[], tuple[App, Probation]]]:
    """An app that is not run, and the one who watches over it."""
    made = []

    def build() -> tuple[App, Probation]:
        began = begin(file)
        app = App(began.config, began)
        app._link.start()
        made.append(app)
        (watch,) = [thread for thread in app._beside if isinstance(thread, Probation)]
        return app, watch

    yield build
    for app in made:
        app._link.stop(0.0)


Start = Callable[[], tuple[App, Probation]]


def test_nothing_to_do(start: Start) -> None:
    app, watch = start()
    watch.look()
    assert app.status == 0


def test_too_many_defects(start: Start, file: Path) -> None:
    app, watch = start()
    app._loop.defects = probation.DEFECTS - 1
    watch.look()
    assert app.status == 0
    app._loop.defects += 1
    watch.look()
    assert app.status == RESTART
    assert "10 defects in judging" in Memory(file).starts.safe
    assert start()[0]._state().safe


def test_a_good_hour_in_safe_mode(start: Start, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Memory(file).count(lambda starts: starts.careful("a test"))
    app, watch = start()
    watch.look()
    assert app.status == 0
    monkeypatch.setattr(probation, "SAFE_FOR_S", 0.0)
    watch.look()
    assert app.status == RESTART
    assert not Memory(file).starts.safe


def test_somebody_recovers_it(start: Start, file: Path) -> None:
    Memory(file).count(lambda starts: starts.careful("a test"))
    app, watch = start()
    Memory(file).count(Starts.recovered)
    watch.look()
    assert app.status == RESTART


def test_the_centre_recovers_it(start: Start, file: Path) -> None:
    Memory(file).count(lambda starts: starts.careful("a test"))
    app, watch = start()
    assert app._commands.table["recover"]({}).result == {"was_safe": True}
    assert app.status == 0, "the reply goes first"
    watch.look()
    assert app.status == RESTART
    assert start()[0]._commands.table["recover"]({}).result == {"was_safe": False}

"""`gatepost wipe --commanded`: the last event is delivered before anything goes, unless it may be given up."""

from __future__ import annotations

import io
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.cli import main, wipe
from agent.commands import CommandFailed
from agent.commands.wipe import run as commanded
from agent.control.commands import Commands
from agent.events import Encoder, Topics
from agent.model import AgentChange, ClockState, Event, TimeBounds
from agent.outbox import Options, Outbox
from agent.platform.wipe import forget_fleet, wipe_request


class Kiosk:
    """A store and a service: each look at it, it has delivered one event more."""

    def __init__(self, folder: Path, waiting: int) -> None:
        self.store, self.folder = folder / "outbox.db", folder
        self.status = folder / "status.json"
        self.actions: list[str] = []
        self.late = 0
        """Events that come between the last look and the end of the service."""
        with closing(sqlite3.connect(self.store)) as db, db:
            db.execute("CREATE TABLE record (id INTEGER PRIMARY KEY, done INTEGER DEFAULT 0)")
        self.add(waiting)

    def add(self, count: int) -> None:
        with closing(sqlite3.connect(self.store)) as db, db:
            db.executemany("INSERT INTO record DEFAULT VALUES", [()] * count)

    def deliver(self, count: int) -> None:
        with closing(sqlite3.connect(self.store)) as db, db:
            db.execute("DELETE FROM record WHERE id IN (SELECT id FROM record LIMIT ?)", (count,))

    def act(self, action: str) -> None:
        self.actions.append(action)
        if action == "stop":
            self.add(self.late)
        else:
            self.late = 0
            self.deliver(99)

    def ask(self, events: str) -> Path:
        path = wipe_request(self.folder)
        path.write_text(json.dumps({"events": events}))
        return path


@pytest.mark.parametrize("answer", ["", "no\n", "yes\n", None])
def test_the_service_runs_on_until_somebody_has_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str | None
) -> None:
    """`None`: nobody is there to answer."""
    systemctl, called = tmp_path / "systemctl", tmp_path / "called"
    systemctl.write_text(f"#!/bin/sh\necho $1 >> {called}\n")
    systemctl.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert main(["wipe", "--discard"]) == 1
    assert not called.exists()


@pytest.mark.parametrize(("acknowledged", "waiting"), [(0, 3), (2, 1), (3, 0)])
def test_what_is_delivered_does_not_wait(tmp_path: Path, acknowledged: int, waiting: int) -> None:
    """The store keeps the last event, delivered or not: the chain goes on from it."""
    store = Outbox(Options(path=tmp_path / "own.db"), Encoder(Topics("east", "k1")))
    store.start()
    for _ in range(3):
        event = AgentChange("started", "1.0")
        store.store(Event(event, 0.0, TimeBounds(0.0, 1.0, ClockState.SYNCED)))
    assert store.flush(20)
    store.send_queue.acked(store.send_queue.claim_batch(acknowledged))
    store.stop()
    assert wipe.undelivered(tmp_path / "own.db") == waiting


def test_events_are_carried_away_whole_and_never_over_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next kiosk, the same stick and the same name: what the first one had is there alone."""
    kiosk, actions = Kiosk(tmp_path, 3), list[str]()
    stick = tmp_path / "stick"
    stick.mkdir()
    monkeypatch.setattr(wipe, "_service", actions.append)
    monkeypatch.setattr(wipe, "_forget", lambda: actions.append("forget") or 0)
    monkeypatch.setattr(wipe.outbox, "Options", lambda: Options(path=kiosk.store))
    words = ["wipe", "--yes", "--export", str(stick / "k01.db")]
    assert main(words) == 0
    assert wipe.undelivered(stick / "k01.db") == 3
    assert (stick / "k01.db").stat().st_mode & 0o777 == 0o600
    assert actions == ["stop", "forget"]
    kiosk.add(4)
    assert main(words) == 1
    assert "is there already" in capsys.readouterr().err
    assert wipe.undelivered(stick / "k01.db") == 3
    assert actions == ["stop", "forget"], "the kiosk runs on"
    assert main(["wipe", "--yes", "--export", "/var/lib/gatepost/x.db"]) == 1


def test_a_copy_that_is_not_whole_erases_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kiosk, actions = Kiosk(tmp_path, 3), list[str]()
    monkeypatch.setattr(wipe, "_service", actions.append)
    monkeypatch.setattr(wipe.outbox, "Options", lambda: Options(path=kiosk.store))
    monkeypatch.setattr(wipe.filecmp, "cmp", lambda *_, **__: False)
    assert main(["wipe", "--yes", "--export", str(tmp_path / "copy.db")]) == 1
    assert actions == ["stop", "start"]
    assert main(["wipe", "--yes", "--export", str(tmp_path / "nowhere/copy.db")]) == 1
    assert actions == ["stop", "start"] * 2
    assert wipe.undelivered(kiosk.store) == 3


def test_without_a_request_nothing_happens(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path, 0)
    assert not wipe.await_delivery(wipe_request(tmp_path), kiosk.store, kiosk.status, kiosk.act, 0)
    assert kiosk.actions == []


def test_all_events_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kiosk = Kiosk(tmp_path, 3)
    looks = []
    monkeypatch.setattr(wipe.time, "sleep", lambda _: (looks.append(kiosk.actions[:]), kiosk.deliver(1)))
    assert wipe.await_delivery(kiosk.ask("deliver"), kiosk.store, kiosk.status, kiosk.act)
    assert looks == [[], [], []], "the kiosk serves people until the last event is gone"
    assert kiosk.actions == ["stop"]


def test_what_comes_in_the_last_moment_is_delivered_too(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path, 0)
    kiosk.late = 2
    assert wipe.await_delivery(kiosk.ask("deliver"), kiosk.store, kiosk.status, kiosk.act, 0)
    assert kiosk.actions == ["stop", "start", "stop"]


def test_events_are_given_up_where_the_command_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kiosk = Kiosk(tmp_path, 3)
    monkeypatch.setattr(wipe, "_DISCARD_AFTER_S", 0.0)
    assert wipe.await_delivery(kiosk.ask("discard"), kiosk.store, kiosk.status, kiosk.act, 0)
    assert kiosk.actions == ["stop"]


@pytest.mark.parametrize(
    ("report", "waiting"),
    [
        ({"outbox": {"epoch": "ab", "waiting": 7}}, 7),
        ({"outbox": {"epoch": "ab", "waiting": 0}}, 0),
        ({"outbox": {"epoch": "", "waiting": 0}}, 1),
        ({}, 3),
    ],
)
def test_a_running_agent_has_its_store_for_itself_and_reports(tmp_path: Path, report: object, waiting: int) -> None:
    kiosk = Kiosk(tmp_path, 3)
    kiosk.status.write_text(json.dumps(report))
    assert wipe.still_waiting(kiosk.store, kiosk.status) == waiting
    os.utime(kiosk.status, (0, 0))
    assert wipe.still_waiting(kiosk.store, kiosk.status) == 3, "an agent that is gone does not count"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"events": 7}', '{"events": "deliver"}'])
def test_a_request_that_is_not_clear_gives_up_nothing(tmp_path: Path, text: str) -> None:
    wipe_request(tmp_path).write_text(text)
    assert wipe._discards(wipe_request(tmp_path)) is False


def test_the_agent_answers_once_its_request_is_on_disk(tmp_path: Path) -> None:
    """A kiosk that has answered is sold: nobody looks whether it was wiped."""
    kiosk = Commands.__new__(Commands)
    kiosk._folder = tmp_path
    kiosk.flush_events = lambda: 7  # type: ignore[method-assign]
    done = commanded(kiosk, {"events": "discard"})
    assert (done.result, done.then) == ({"waiting": 7}, None)
    assert json.loads(wipe_request(tmp_path).read_text()) == {"events": "discard"}
    with pytest.raises(CommandFailed, match="bad_arguments"):
        commanded(kiosk, {"events": "burn"})
    kiosk._folder = tmp_path / "full"
    with pytest.raises(CommandFailed, match="storage_error"):
        commanded(kiosk, {})


def test_root_forgets_the_fleet_and_not_its_releases(tmp_path: Path) -> None:
    helper, boot = tmp_path / "var/lib/gatepost-release", tmp_path / "boot/firmware"
    helper.mkdir(parents=True)
    boot.mkdir(parents=True)
    for path in (helper / "root.bundle", helper / "notice.json", boot / "gatepost.invitation"):
        path.write_text("canary")
    state = {
        "previous": "1.0",
        "trial": None,
        "bundle": 7,
        "digest": "ab",
        "done": ["ab"],
        "refused": [["9.9", "x"]],
    }
    (helper / "state.json").write_text(json.dumps(state))
    forget_fleet(tmp_path, ("/boot/firmware/gatepost.invitation", "/media/*/gatepost.invitation"))
    assert [path.name for path in (*helper.iterdir(), *boot.iterdir())] == ["state.json"]
    left = json.loads((helper / "state.json").read_text())
    assert left == state | {"bundle": 0, "digest": "", "done": []}
    (helper / "state.json").write_text("{")
    forget_fleet(tmp_path, ())

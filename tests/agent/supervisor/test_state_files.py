"""Two small files: whole after anything, and never a reason not to start; one that is lost makes it careful."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from agent.supervisor.crash_loop import StartHistory
from agent.supervisor.rollout_state import RemoteConfig, RolloutState
from agent.supervisor.state_files import StateFiles


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "agent.toml"


def test_what_was_kept_is_there_at_the_next_start(file: Path) -> None:
    memory = StateFiles(file)
    memory.count(lambda starts: starts.begun("b", 1.0))
    memory.settle(lambda settings: settings.staged(RemoteConfig(3, "d", "x = 1"), frozenset({"mqtt", "loop"})))
    again = StateFiles(file)
    assert (again.starts, again.settings) == (memory.starts, memory.settings)
    assert again.starts.at_s == (1.0,)


def test_only_the_agent_may_read_it(file: Path) -> None:
    """The last good configuration may hold a password."""
    StateFiles(file).settle(lambda settings: settings.proved("password = 'x'", None))
    assert stat.S_IMODE((file.parent / "config-rollout.json").stat().st_mode) == 0o600


def settings(**members: bytes) -> bytes:
    """The file of settings with these members."""
    names = ("good", "trial", "refused", "last_known_good", "tell")
    return b"{" + b", ".join(b'"%s": %s' % (name.encode(), members.get(name, b"null")) for name in names) + b"}"


JUNK = [
    b"",
    b"{",
    b"[]",
    b"\xff" * 100,
    b'{"boot": 1}',
    b"null",
    b"[" * 100_000,
    b'{"boot": "b", "safe": "", "at_s": [1' + b"0" * 400 + b"]}",
    settings(good=b'{"version": 1, "digest": "d", "text": 5}'),
    settings(last_known_good=b'{"own": "", "pushed": "x"}'),
    settings(tell=b'{"word": 5, "version": 1, "why": ""}'),
    settings(trial=b'{"pushed": {"version": 1, "digest": "d", "text": ""}, "bad_before": [], "tries": 1e999}'),
]


@pytest.mark.parametrize("junk", JUNK)
def test_a_damaged_file_makes_it_careful(file: Path, junk: bytes, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("start-history.json", "config-rollout.json"):
        (file.parent / name).write_bytes(junk)
    memory = StateFiles(file)
    assert memory.starts.safe
    assert memory.settings == RolloutState()
    assert memory.lost in caplog.text
    memory.count(lambda starts: starts.begun("b", 1.0))
    assert StateFiles(file).starts == memory.starts


def test_a_disk_that_takes_nothing_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "in the way").write_text("")
    memory = StateFiles(tmp_path / "in the way" / "agent.toml")
    memory.count(lambda starts: starts.enter_safe_mode("a test"))
    assert memory.starts.safe
    assert memory.is_careful(), "that the file is not there is no word of somebody who has recovered it"
    assert "cannot be written" in caplog.text


def test_somebody_else_may_recover_it(file: Path) -> None:
    memory = StateFiles(file)
    memory.count(lambda starts: starts.enter_safe_mode("a test"))
    assert memory.is_careful()
    StateFiles(file).count(StartHistory.recovered)
    assert not memory.is_careful()


def test_a_card_that_cannot_be_read_is_no_word_of_somebody_who_has_recovered_it(file: Path) -> None:
    memory = StateFiles(file)
    memory.count(lambda starts: starts.enter_safe_mode("a test"))
    (file.parent / "start-history.json").write_bytes(b"\xff" * 100)
    assert memory.is_careful()


def test_what_root_writes_belongs_to_whoever_has_the_folder(tmp_path: Path) -> None:
    """`sudo gatepost recover` must leave a file that the agent can read."""
    if os.geteuid():
        pytest.skip("only root can give files away")
    os.chown(tmp_path, 12345, 12345)
    StateFiles(tmp_path / "agent.toml").count(StartHistory.recovered)
    found = (tmp_path / "start-history.json").stat()
    assert (found.st_uid, found.st_gid) == (12345, 12345)

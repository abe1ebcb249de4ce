"""Whatever a card makes of a file that the kiosk keeps for itself: it is told, and the stricter counts."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.control import staff_state
from agent.control.journal import CommandJournal
from agent.control.verification import Command
from agent.model import ClockState, TimeBounds
from agent.platform.kept_json import KeptJson, LostFile
from agent.ruleset.accepted import AcceptedVersions, BadRecord
from agent.supervisor.crash_loop import StartHistory
from agent.supervisor.rollout_state import RemoteConfig
from agent.supervisor.state_files import StateFiles

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = TimeBounds(1.8e9, 1.8e9 + 1, ClockState.SYNCED)


class Kept(NamedTuple):
    """One state file: two steps that write it, and whether it is known to be lost."""

    name: str
    write: Callable[[Path, int], None]
    is_told: Callable[[Path], bool]
    is_strict: Callable[[Path], bool]


def begin(path: Path, number: int) -> None:
    journal = CommandJournal(path)
    journal.load()
    journal.begin(Command(f"c-{number}", "open", {}, 1.8e9, 1.8e9 + 60, f"{number:064x}"), NOW)


def journal(path: Path) -> CommandJournal:
    found = CommandJournal(path)
    found.load()
    return found


def close(path: Path, number: int) -> None:
    file = staff_state.StateFile(path)
    file.read(())
    file.write(staff_state.StaffState(closed={"entry"} if number > 1 else set()))


def record(path: Path, number: int) -> None:
    AcceptedVersions(path).store("keys", {"version": number})


def record_is_bad(path: Path) -> bool:
    try:
        AcceptedVersions(path).get("keys")
    except BadRecord:
        return True
    return False


def fall(path: Path, number: int) -> None:
    files = StateFiles(path.with_name("agent.toml"))
    files.count(
        (lambda starts: starts.begun("b", 1.0)) if number == 1 else (lambda starts: starts.enter_safe_mode("x"))
    )


def send(path: Path, number: int) -> None:
    StateFiles(path.with_name("agent.toml")).settle(
        lambda state: state.staged(RemoteConfig(number, "d", ""), frozenset())
    )


def state(path: Path) -> StateFiles:
    return StateFiles(path.with_name("agent.toml"))


KEPT = (
    Kept(
        "command-journal.json",
        begin,
        lambda path: bool(journal(path).lost),
        lambda path: (
            math.isfinite(journal(path).replay_guard(NOW).issued_utc)
            and journal(path).replay_guard(NOW).issued_utc > NOW.latest_utc
        ),
    ),
    Kept(
        "staff.json",
        close,
        lambda path: bool(staff_state.StateFile(path).read(["entry", "side"])[1]),
        lambda path: staff_state.StateFile(path).read(["entry", "side"])[0].closed == {"entry", "side"},
    ),
    Kept("files.accepted", record, record_is_bad, record_is_bad),
    Kept(
        "start-history.json", fall, lambda path: bool(state(path).lost), lambda path: bool(state(path).starts.safe)
    ),
    Kept(
        "config-rollout.json",
        send,
        lambda path: bool(state(path).lost),
        lambda path: state(path).settings.good is None,
    ),
)


def delete(path: Path, _old: Path) -> None:
    path.unlink()


def empty(path: Path, _old: Path) -> None:
    path.write_bytes(b"")


def change_a_digit(path: Path, _old: Path) -> None:
    data = bytearray(path.read_bytes())
    at = next(at for at in range(len(data) // 3, len(data)) if chr(data[at]).isdigit())
    data[at] ^= 1
    path.write_bytes(data)


def swell(path: Path, _old: Path) -> None:
    os.truncate(path, 1 << 40)


def put_back(path: Path, old: Path) -> None:
    shutil.copy(old, path)


@pytest.mark.parametrize("harm", [delete, empty, change_a_digit, swell, put_back])
@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.name)
def test_a_lost_file_is_no_file_that_never_was(
    kept: Kept, harm: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    path, old = tmp_path / kept.name, tmp_path / "old"
    assert not kept.is_told(path), "it was never there"
    kept.write(path, 1)
    shutil.copy(path, old)
    kept.write(path, 2)
    assert not kept.is_told(path)
    harm(path, old)
    assert kept.is_told(path)
    assert kept.is_strict(path)
    kept.write(path, 3)
    assert not kept.is_told(path), "it is kept again"


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_any_bit_of_file_or_mark(tmp_path_factory: pytest.TempPathFactory, at: int, bit: int) -> None:
    path = tmp_path_factory.mktemp("k") / "kept.json"
    KeptJson(path).write({"closed": ["entry"], "number": 12})
    mark = path.with_name("kept.json.known")
    both = len(path.read_bytes()) + len(mark.read_bytes())
    harmed, at = (path, at % both) if at % both < path.stat().st_size else (mark, at % both - path.stat().st_size)
    data = bytearray(harmed.read_bytes())
    data[at] ^= 1 << bit
    harmed.write_bytes(data)
    with contextlib.suppress(LostFile):
        assert KeptJson(path).read() == {"closed": ["entry"], "number": 12}


def test_a_mark_that_is_lost_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    KeptJson(path).write(1)
    path.with_name("kept.json.known").unlink()
    assert KeptJson(path).read() == 1
    path.unlink()
    with pytest.raises(LostFile, match="gone"):
        KeptJson(path).read()


def test_what_two_processes_write_in_turn_is_never_an_older_one(tmp_path: Path) -> None:
    agent, command = KeptJson(tmp_path / "kept.json"), KeptJson(tmp_path / "kept.json")
    for number in range(4):
        (agent, command)[number % 2].write(number)
        assert KeptJson(tmp_path / "kept.json").read() == number
        assert agent.read() == number


def test_starts_that_were_lost_leave_everybody_to_staff_until_somebody_recovers_it(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    StateFiles(file).count(lambda starts: starts.enter_safe_mode("a test"))
    (tmp_path / "start-history.json").unlink()
    again = StateFiles(file)
    assert "gatepost recover" in again.starts.safe
    again.count(lambda starts: starts.begun("b", 1.0))
    assert StateFiles(file).starts.safe
    StateFiles(file).count(StartHistory.recovered)
    assert not StateFiles(file).starts.safe

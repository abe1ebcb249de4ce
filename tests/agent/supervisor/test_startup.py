"""What the agent starts with, whatever it finds: its file, what the central server sent, what it remembers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent import __version__
from agent.config import BadConfig
from agent.supervisor.crash_loop import StartHistory
from agent.supervisor.rollout_state import TRIES, RemoteConfig, RolloutState
from agent.supervisor.startup import begin, effective_config, fallback
from agent.supervisor.state_files import StateFiles

OWN = """\
[kiosk]
id = "k1"
[lanes.entry]
direction = "entry"
scanner = { driver = "line", port = "nothing-here" }
thermometer = { driver = "mlx90614", bus = "/dev/i2c-99" }
gate = { driver = "simulated" }
"""
LATER = RemoteConfig(5, "five", "[checkpoint]\nrescan_after_refusal_s = 5.0\n")
UNKNOWN = RemoteConfig(6, "six", "[checkpoint]\nnot_invented_yet = 1\n")
Step = Callable[[RolloutState], RolloutState]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(OWN)
    return path


def good(pushed: RemoteConfig) -> Step:
    return lambda settings: settings.staged(pushed, frozenset()).passed()


def remember(file: Path, *steps: Step) -> None:
    memory = StateFiles(file)
    for step in steps:
        memory.settle(step)


def test_its_own_file_alone(file: Path) -> None:
    began = begin(file)
    assert (began.safe, began.fault, began.version, began.on_trial) == ("", "", 0, False)
    assert len(StateFiles(file).starts.at_s) == 1


def test_what_is_good_lies_above_it(file: Path) -> None:
    remember(file, good(LATER))
    began = begin(file)
    assert began.config.checkpoint.rescan_after_refusal_s == 5.0
    assert (began.version, began.on_trial) == (5, False)
    assert effective_config(file).checkpoint.rescan_after_refusal_s == 5.0


def test_a_trial_has_three_starts(file: Path) -> None:
    remember(file, lambda settings: settings.staged(LATER, frozenset()))
    for _ in range(TRIES):
        began = begin(file)
        assert (began.version, began.on_trial) == (5, True)
        assert began.memory is not None
        began.memory.count(StartHistory.ended)
    began = begin(file)
    assert (began.version, began.on_trial) == (0, False)
    tell = StateFiles(file).settings.tell
    assert tell is not None
    assert (tell.word, tell.version) == ("config_rolled_back", 5)


def test_a_failed_trial_leaves_what_was_good(file: Path) -> None:
    remember(file, good(LATER), lambda settings: settings.staged(UNKNOWN, frozenset()))
    began = begin(file)
    assert (began.version, began.on_trial) == (5, False)
    assert StateFiles(file).settings.knows("six", __version__)


def test_another_release_that_does_not_know_a_setting_lays_it_aside(file: Path) -> None:
    """And the release that knows it takes it up again: nothing is forgotten."""
    remember(file, good(UNKNOWN))
    began = begin(file)
    assert (began.version, began.safe) == (0, "")
    assert "not_invented_yet" in began.fault
    assert StateFiles(file).settings.good == UNKNOWN
    assert (
        effective_config(file).checkpoint.rescan_after_refusal_s == began.config.checkpoint.rescan_after_refusal_s
    )


def test_a_spoilt_file_and_nothing_to_go_back_to(file: Path) -> None:
    file.write_text("[kiosk]\n")
    with pytest.raises(BadConfig):
        begin(file)
    assert not StateFiles(file).starts.at_s, "a wrong configuration is no crash"
    file.unlink()
    with pytest.raises(OSError, match="No such file"):
        begin(file)


@pytest.mark.parametrize("spoil", [lambda file: file.unlink(), lambda file: file.write_bytes(b"\xff\x00[")])
def test_a_spoilt_file_and_a_last_good_one(file: Path, spoil: Callable[[Path], object]) -> None:
    remember(file, lambda settings: settings.proved(OWN, LATER))
    spoil(file)
    began = begin(file)
    assert "cannot be used" in began.safe
    assert "Errno" not in began.safe
    assert "systemctl restart gatepost" in began.safe
    assert (began.config.kiosk.id, began.version) == ("k1", 5)


def test_a_last_good_one_that_this_release_does_not_know(file: Path) -> None:
    remember(file, lambda settings: settings.proved(OWN, UNKNOWN))
    file.write_text("[kiosk]\n")
    with pytest.raises(BadConfig):
        begin(file)


def test_careful_with_the_last_good_one(file: Path) -> None:
    remember(file, lambda settings: settings.proved(OWN, LATER))
    StateFiles(file).count(lambda starts: starts.enter_safe_mode("a test"))
    file.write_text(OWN.replace("k1", "k2"))
    began = begin(file)
    assert "a test" in began.safe
    assert (began.config.kiosk.id, began.version) == ("k1", 5)


def test_careful_without_a_last_good_one(file: Path) -> None:
    StateFiles(file).count(lambda starts: starts.enter_safe_mode("a test"))
    began = begin(file)
    assert "a test" in began.safe
    assert began.config.kiosk.id == "k1"


def test_keys_that_cannot_be_read(file: Path) -> None:
    assert fallback(begin(file), "keys.toml: damaged") is None, "a kiosk that never worked ends"
    remember(file, lambda settings: settings.proved(OWN, None))
    began = fallback(begin(file), "keys.toml: damaged")
    assert began is not None
    assert began.safe.startswith("keys.toml: damaged (mend it")


def test_a_trial_that_names_what_cannot_be_read_is_taken_back(file: Path) -> None:
    remember(file, lambda settings: settings.staged(LATER, frozenset()))
    began = fallback(begin(file), "table nowhere: no such file")
    assert began is not None
    assert (began.version, began.safe) == (0, "")
    tell = StateFiles(file).settings.tell
    assert tell is not None
    assert tell.why == "table nowhere: no such file"


def test_what_was_sent_for_a_group_is_in_force_while_the_kiosk_belongs_to_it(file: Path) -> None:
    file.write_text(OWN.replace("[kiosk]", '[kiosk]\ngroups = ["north"]'))
    sent = RemoteConfig(5, "five", LATER.text, "@north")
    remember(file, good(sent))
    assert begin(file).version == 5
    remember(file, lambda settings: settings.proved(file.read_text(), sent))
    file.write_text(OWN)
    began = begin(file)
    assert (began.version, began.config.checkpoint.rescan_after_refusal_s) == (0, 2.0)
    assert "@north" in began.fault
    assert effective_config(file).checkpoint.rescan_after_refusal_s == 2.0
    remember(file, lambda settings: settings.staged(sent, frozenset()))
    assert begin(file).version == 0
    assert StateFiles(file).settings.trial is None

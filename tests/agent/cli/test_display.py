"""`gatepost display`: what it shows a lane's pictures with."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from agent import cli
from agent.cli import display

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = sys.executable
_CONFIG = """\
[kiosk]
id = "k"
simulated = true
[lanes.entry]
direction = "entry"
scanner = { driver = "line", port = "/dev/none" }
thermometer = { driver = "gy_mcu", port = "/dev/none2" }
gate = { driver = "simulated" }
"""


def test_a_board_is_small_where_a_program_is_missing_or_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    assert display._is_small(["cage", "-d", "--", "no-such-browser"])
    assert display._is_small(["no-such-compositor", "--", PYTHON])
    monkeypatch.setattr(display, "SMALL_KB", 1)
    assert not display._is_small([PYTHON, "-d", "--", PYTHON])
    monkeypatch.setattr(display, "SMALL_KB", 10**12)
    assert display._is_small([PYTHON, "-d", "--", PYTHON])


def test_without_pictures_it_is_the_browser_in_any_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    words = ["display", "entry", "--compositor", "", "--browser", "no-such-browser"]
    assert cli.main([*words, "--pictures", str(tmp_path / "none")]) == 1
    assert "no-such-browser cannot be started" in capsys.readouterr().err


def test_the_first_card_is_taken_then_the_frame_buffer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards, frame_buffer = tmp_path / "dri", tmp_path / "fb0"
    monkeypatch.setattr(display, "_CARDS", cards)
    monkeypatch.setattr(display, "_FRAME_BUFFER", frame_buffer)
    assert display._monitor() == ""
    frame_buffer.touch()
    assert display._monitor() == str(frame_buffer)
    cards.mkdir()
    for name in ("renderD128", "card1", "card0"):
        (cards / name).touch()
    assert display._monitor() == str(cards / "card0")


def test_pictures_of_a_lane_without_a_screen_cannot_be_baked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(_CONFIG)
    for lane in ("entry", "none"):
        assert cli.main(["display", lane, "--bake", str(tmp_path / "out"), "--config", str(config)]) == 1
        said = capsys.readouterr().err
        assert f"[lanes.{lane}.screen]" in said, said

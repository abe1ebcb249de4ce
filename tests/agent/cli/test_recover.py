"""`gatepost recover`: what it says is so on disk."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from agent import cli
from agent.supervisor.state_files import StateFiles


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "agent.toml"
    made.write_text("")
    StateFiles(made).count(lambda starts: starts.enter_safe_mode("a test"))
    return made


def test_it_leaves_safe_mode_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["recover", "--config", str(file)]) == 0
    assert "was in safe mode: a test" in capsys.readouterr().out
    assert cli.main(["recover", "--config", str(file)]) == 0
    assert capsys.readouterr().out == "not in safe mode\n"


def test_a_configuration_that_is_not_there_has_no_safe_mode(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["recover", "--config", str(file.with_name("agnet.toml"))]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "agnet.toml is not there" in said.err


def test_what_could_not_be_written_is_not_told_as_done(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = file.with_name("start-history.json")
    kept.unlink()
    kept.mkdir()
    assert cli.main(["recover", "--config", str(file)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert str(kept) in said.err


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's rights")
def test_who_may_not_read_it_is_not_told_that_all_is_well(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in file.parents:
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)
    os.seteuid(65534)
    try:
        status = cli.main(["recover", "--config", str(file)])
    finally:
        os.seteuid(0)
    said = capsys.readouterr()
    assert status == 1, said.out
    assert said.out == ""
    assert "may not open" in said.err
    assert StateFiles(file).starts.safe

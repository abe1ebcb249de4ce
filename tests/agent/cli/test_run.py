"""What `gatepost run` sets up before there is an agent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.run import SWITCH_S


def test_no_thread_keeps_the_interpreter_for_longer_than_a_moment(tmp_path: Path) -> None:
    script = "import sys; from agent import cli; print(cli.main(sys.argv[1:]), sys.getswitchinterval())"
    words = [sys.executable, "-c", script, "run", "--config", str(tmp_path / "none.toml")]
    status, interval = subprocess.run(
        words, capture_output=True, check=False, text=True, timeout=120
    ).stdout.split()[-2:]
    assert status == "78"
    assert float(interval) == pytest.approx(SWITCH_S)

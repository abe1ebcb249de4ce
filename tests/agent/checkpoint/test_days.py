"""Random days with a ground truth; the long run is `python tests/agent/checkpoint/days.py 20000`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from days import total

from agent.checkpoint import Checkpoint


def test_nobody_is_let_in_on_anothers_health_and_nobody_is_kept_in() -> None:
    wrong, counts = total(range(200))
    assert not wrong
    assert counts["honest, in vain"] <= 0.06 * counts["honest"]
    assert counts["readings that opened"] > 0
    assert counts["went out"] > 200


def test_the_days_find_an_agent_to_which_leaving_is_nothing(monkeypatch) -> None:
    monkeypatch.setattr(Checkpoint, "_abandon", lambda *_: [])
    assert total(range(20))[0]


def test_the_long_run_needs_no_settings_of_python(tmp_path) -> None:
    script = Path(__file__).parent / "days.py"
    said = subprocess.check_output([sys.executable, script, "2"], cwd=tmp_path, text=True, timeout=120)
    assert said.startswith("2 days, 0 wrong openings")

"""`-n 2`: nothing that goes wrong in a process is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = {
    "test_ends.py": """
import os
def test_before(): pass
def test_ends(): os._exit(7)
def test_after(): pass
""",
    "test_fails.py": """
import pytest
@pytest.fixture(scope="session", autouse=True)
def left(): yield; raise OSError("at the end of the session")
def test_fails(): print("what it printed"); assert 1 == 2
def test_skips(): pytest.skip("not here")
@pytest.mark.alone
def test_alone(tmp_path): (tmp_path / "made").touch()
""",
}


def test_what_fails_or_ends_a_process_is_reported_and_the_rest_runs(tmp_path: Path) -> None:
    for name, text in TESTS.items():
        (tmp_path / name).write_text(text)
    words = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "tests.processes", "-n", "2"]
    words += ["-p", "no:cacheprovider", "-W", "ignore", "-c", "/dev/null", "--rootdir", str(tmp_path)]
    done = subprocess.run([*words, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = done.stdout.splitlines()[-1]
    # the session ends twice: after what runs alone, and after the rest
    assert "4 failed, 3 passed, 1 skipped" in last, done.stdout + done.stderr
    assert "has ended (status 7)" in done.stdout
    assert done.stdout.count("has ended (status 1)") >= 2
    assert "at the end of the session" in done.stderr
    assert "what it printed" in done.stdout

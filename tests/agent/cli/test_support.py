"""`gatepost support`, `selftest`: what is in the archive, and what must not be; a release that works passes."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

GATEPOST = [sys.executable, "-c", "import sys; from agent.cli import main; sys.exit(main())"]
CONFIG = """
[kiosk]
id = "k1"
[mqtt]
host = "broker.example"
username = "k1"
password = "canary-password"
[lanes.entry]
direction = "entry"
scanner = { driver = "camera", device = "rtsp://name:canary-camera@127.0.0.1/stream" }
thermometer = { driver = "mlx90614" }
gate = { driver = "simulated" }
"""


def gatepost(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*GATEPOST, *map(str, words)], capture_output=True, text=True, check=False, timeout=120)


def test_the_archive_helps_and_holds_no_secret(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(CONFIG)
    done = gatepost("support", "-c", tmp_path / "agent.toml", "--out", tmp_path / "s.tar.gz")
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "s.tar.gz") as archive:
        texts = {
            each.name: (archive.extractfile(each) or sys.stdin.buffer).read().decode()
            for each in archive.getmembers()
        }
    assert {
        f"gatepost-support/{name}" for name in ("about.json", "site.txt", "show.txt", "check.txt", "status.json")
    } <= texts.keys()
    assert "broker.example" in texts["gatepost-support/show.txt"]
    assert not [name for name, text in texts.items() if "canary" in text]
    assert (tmp_path / "s.tar.gz").stat().st_mode & 0o077 == 0


def test_a_program_that_prints_no_text_spoils_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of USB devices are whatever their makers wrote."""
    lsusb = tmp_path / "bin/lsusb"
    lsusb.parent.mkdir()
    lsusb.write_text("#!/bin/sh\nprintf 'Bus 001 caf\\351 \\377\\n'\n")
    lsusb.chmod(0o755)
    monkeypatch.setenv("PATH", f"{lsusb.parent}:{os.environ['PATH']}")
    done = gatepost("support", "-c", tmp_path / "missing.toml", "--out", tmp_path / "s.tar.gz")
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "s.tar.gz") as archive:
        told = archive.extractfile("gatepost-support/usb.txt")
        assert told is not None
        assert told.read() == b"Bus 001 caf\\xe9 \\xff\n"


def test_this_release_passes_its_self_test() -> None:
    done = gatepost("selftest")
    assert (done.returncode, done.stderr) == (0, "")
    assert "a green code opens" in done.stdout


def test_check_looks_at_the_whole_place(tmp_path: Path) -> None:
    here = CONFIG.replace("broker.example", "127.0.0.1").replace("[mqtt]", "[mqtt]\nport = 1")
    (tmp_path / "agent.toml").write_text(here)
    done = gatepost("check", "-c", tmp_path / "agent.toml", "--site")
    assert "broker: 127.0.0.1:1: nobody listens there" in done.stderr
    for what in ("time server", "clock", "disk /var/lib", "watchdog", "memory"):
        assert f" {what}: " in done.stdout
    assert done.returncode == 1

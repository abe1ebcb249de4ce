"""The service, as systemd knows it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LIMIT_S = 3.0


def how_to_start(file: Path | str = "FILE") -> str:
    """What to do when nothing runs: to start again what fails to start helps nobody."""
    asked = ["systemctl", "show", "gatepost", "--property=LoadState,ActiveState,SubState,Result,ExecMainStatus"]
    try:
        told = subprocess.run(  # noqa: S603 - our own words
            asked, capture_output=True, text=True, errors="backslashreplace", check=False, timeout=_LIMIT_S
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        told = ""
    unit = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    if unit.get("LoadState") != "loaded":
        return f"No service is installed here: gatepost run --config {file}, or sudo apt install ./gatepost*.deb"
    if unit.get("ActiveState") == "failed" or unit.get("SubState") == "auto-restart":
        ended = f"{unit.get('Result')}, exit status {unit.get('ExecMainStatus')}"
        return (
            f"The service was started and failed ({ended}). Why: sudo gatepost check;"
            " journalctl -u gatepost -n 50. Then: sudo systemctl restart gatepost"
        )
    if unit.get("ActiveState") in ("activating", "active", "reloading"):
        return "The service is starting, or writes elsewhere (directory in [runtime]): journalctl -u gatepost -n 50"
    return "Start it with: sudo systemctl start gatepost"

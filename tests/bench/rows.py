"""What a measurement yields, and where its peers live."""

from __future__ import annotations

import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: what was measured, here and with the peer in the same run, and the bar for it."""

    what: str
    here: str
    peer: str = ""
    bar: str = ""
    met: bool | None = None
    """None: there is no bar."""


def peers(*packages: str, name: str = "peers") -> Path | None:
    """The Python of a venv that has these packages (`.venv-NAME`); None when they cannot be installed."""
    folder = ROOT / f".venv-{name}"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    stamp = folder / ("has-" + "-".join(package.replace("/", "_") for package in packages))
    if not stamp.exists():
        print(f"  installing {', '.join(packages)} into .venv-{name}", file=sys.stderr)
        done = subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=False)
        if done.returncode != 0:
            return None
        stamp.touch()
    return python

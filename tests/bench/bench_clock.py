"""Wrong clocks: random scripts of boots, power cuts, jumps, syncs and lies, and whether they make a wrong green."""

from __future__ import annotations

import os
import runpy
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPTS = int(os.environ.get("GATEPOST_CLOCK_SCRIPTS", "10_000"))
PLAY = Path(__file__).parents[1] / "agent" / "platform" / "clock_scripts.py"
STATES = ("synced", "holdover", "floor", "suspect")
HAPPENED = ("cut", "kill", "restart", "set_wall", "network", "unplug", "wait", "lie")


def run() -> Iterator[Row]:
    """Play them all."""
    play = runpy.run_path(str(PLAY))["play"]
    wrong: list[str] = []
    seen: Counter[str] = Counter()
    with TemporaryDirectory(prefix="gp-clock-") as folder:
        for seed in range(SCRIPTS):
            faults, happened = play(seed, Path(folder))
            wrong += faults
            seen += happened
    greens = sum("WRONG GREEN" in fault for fault in wrong)
    yield Row(f"wrong greens in {SCRIPTS} scripts", str(greens), bar="0", met=greens == 0)
    yield Row("anything else wrong", wrong[0] if wrong else "0", bar="0", met=not wrong)
    yield Row("codes shown, of which green", f"{seen['shown']}, {seen['green']}")
    yield Row("looks by state", ", ".join(f"{state} {seen[state]}" for state in STATES))
    yield Row("what happened", ", ".join(f"{what} {seen[what]}" for what in HAPPENED))

"""Power cut at any moment under the real outbox, on a real ext4: what it had promised, and whether it goes on.

A FUSE disk logs every write and flush; a cut keeps what was flushed and a random part of the rest, torn in a block.
`../shared/tools/powercut.py` does this (root, /dev/fuse, a loop device; `mfusepy` goes into `.venv-tools`).
A *lying* card also loses some writes that it had said were flushed: nothing can be promised there but to go on.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rows import ROOT, Row, peers

if TYPE_CHECKING:
    from collections.abc import Iterator

TOOL = ROOT.parent / "shared" / "tools" / "powercut.py"
LOAD = Path(__file__).parent / "outbox_load.py"
DEFAULT_JOURNAL = "SQLite's default journal, same method: the last acknowledged event lost in 16 of 40 cuts"


def run() -> Iterator[Row]:
    """Each card in turn; CUTS in the environment changes how many for the honest one."""
    if not TOOL.exists() or os.geteuid() != 0 or not Path("/dev/fuse").exists():
        yield Row("power cuts", "not measured: needs the logging disk, root and /dev/fuse")
        return
    cuts = int(os.environ.get("CUTS", "200"))
    for card, number, how in (
        ("honest", cuts, "write"),
        ("reordering", cuts // 3, "write"),
        ("lying", cuts // 10, "write"),
        ("honest", cuts // 10, "write careless"),
    ):
        found = _cuts(card, number, how)
        if found is None:
            yield Row(f"{card} card", "not measured: the logging disk did not come up")
            return
        told = f"{found['lost']} of {found['acknowledged']} lost in {found['cuts']} cuts"
        told += f"; {found['not_startable']} times it did not go on"
        if how != "write":
            yield Row("the same without syncing: the harness must see losses", told, "", "> 0", found["lost"] > 0)
        elif card == "lying":
            goes_on = found["not_startable"] == 0
            yield Row(f"{card} card", told, "", "goes on always", goes_on)
        else:
            yield Row(f"{card} card", told, DEFAULT_JOURNAL, "0 lost", not found["lost"] + found["not_startable"])


def _cuts(card: str, number: int, how: str) -> dict[str, int] | None:
    python = peers("mfusepy", name="tools")
    if python is None:
        return None
    words = [str(python), str(TOOL), "--card", card, "--cuts", str(number), "--seconds", "8"]
    words += ["--workload", f"exec {sys.executable} {LOAD} {how}", "--check", f"{sys.executable} {LOAD} check"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", done.stdout)}
    return found or None

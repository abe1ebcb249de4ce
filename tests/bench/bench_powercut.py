"""Power cut at any moment, on a real ext4: what had been promised, and whether it goes on.

First under the outbox alone, in haste; then under the whole agent, which on every cut must start, decide a code and
deliver all that it has. What counts as promised: that the outbox, or the agent's status, said that it was stored.

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
HERE = Path(__file__).parent
OUTBOX = HERE / "outbox_load.py"
AGENT = HERE / "agent_load.py"
DEFAULT_JOURNAL = "SQLite's default journal, same method: the last acknowledged event lost in 16 of 40 cuts"
CUTS = int(os.environ.get("CUTS", "200"))
AGENT_CUTS = int(os.environ.get("AGENT_CUTS", str(CUTS)))


def run() -> Iterator[Row]:
    """Each card in turn; CUTS and AGENT_CUTS in the environment change how many for the honest one."""
    if not TOOL.exists() or os.geteuid() != 0 or not Path("/dev/fuse").exists():
        yield Row("power cuts", "not measured: needs the logging disk, root and /dev/fuse")
        return
    for load, name, cuts in ((OUTBOX, "outbox", CUTS), (AGENT, "agent", AGENT_CUTS)):
        for card, number, how in (
            ("honest", cuts, "write"),
            ("reordering", cuts // 3, "write"),
            ("lying", cuts // 10, "write"),
            ("honest", cuts // 10, "write careless"),
        ):
            if number:
                yield _row(f"{name}, {card} card", _cuts(load, card, number, how), how, card)


def _row(what: str, found: dict[str, int] | str | None, how: str, card: str) -> Row:
    if found is None:
        return Row(what, "not measured: the logging disk cannot be installed")
    if isinstance(found, str):
        return Row(what, f"failed: {found}", "", "is measured", False)
    told = f"{found['lost']} of {found['acknowledged']} lost in {found['cuts']} cuts"
    told += f"; {found['not_startable'] + found['unmountable']} times it did not go on"
    if how != "write":
        return Row(f"{what}, without syncing: losses must be seen", told, "", "> 0", found["lost"] > 0)
    if card == "lying":
        return Row(what, told, "", "goes on always", not found["not_startable"])
    return Row(what, told, DEFAULT_JOURNAL, "0 lost", not found["lost"] + found["not_startable"])


def _cuts(load: Path, card: str, number: int, how: str) -> dict[str, int] | str | None:
    """What was counted; a sentence when the load or the disk failed; None when there is no such disk here."""
    python = peers("mfusepy", name="tools")
    if python is None:
        return None
    tool, seconds = ([TOOL], 8) if load is OUTBOX else ([HERE / "agent_cuts.py", TOOL], 20)
    words = [str(each) for each in (python, *tool, "--card", card, "--cuts", number, "--seconds", seconds)]
    words += ["--workload", f"exec {sys.executable} {load} {how}", "--check", f"{sys.executable} {load} check"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if "first_error=" in done.stdout:
        print(done.stdout.partition("first_error=")[2], file=sys.stderr)
    found = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", done.stdout)}
    return found or done.stderr.strip().rpartition("\n")[2] or "no word of it"

"""Hostile bundles: the same histories played by our verifier and by python-tuf's client, verdict by verdict.

A history is told in names and numbers (tests/faults/attacks.py); each side signs with keys and formats of its own.
First the named attacks, then histories by chance. HISTORIES in the environment changes how many. We may refuse what
python-tuf takes: it forgets what was signed with keys that have left, and takes another content under the same
version then; we remember.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rows import Row, peers

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from attacks import NAMED, History, Verdict, at_random, play

if TYPE_CHECKING:
    from collections.abc import Iterator

PEER = ("tuf==7.0.1", "securesystemslib[crypto]==1.6.0")
HISTORIES = int(os.environ.get("HISTORIES", "2000"))
SEED = int(os.environ.get("SEED", "0")) or random.randrange(1, 10**6)


def run() -> Iterator[Row]:
    """The named ones, then those by chance."""
    python = peers(*PEER, name="peers-tuf")
    if python is None:
        yield Row("hostile bundles", "not measured", "python-tuf cannot be installed")
        return
    for name, histories in (
        ("named", NAMED),
        (f"by chance, seed {SEED}", tuple(at_random(SEED + number) for number in range(HISTORIES))),
    ):
        theirs = _theirs(python, histories)
        now_s = int(time.time())
        ours = [_until_refused(play(history, now_s)) for history in histories]
        unlike = [each for each in zip(histories, ours, theirs, strict=True) if each[1] != each[2]]
        stricter = [history for history, a, b in unlike if _refused_here_alone(a, b)]
        for history, *verdicts in unlike:
            print(f"  not alike: {history.name}, {verdicts}", file=sys.stderr)
        refused = sum(not verdicts[-1][0] for verdicts in ours)
        there = sum(not verdicts[-1][0] for verdicts in theirs)
        yield Row(
            f"{len(histories)} histories, {name}",
            f"{refused} refused, {len(histories) - refused} taken; refused here alone {len(stricter)}",
            f"python-tuf: {there} refused, {len(histories) - there} taken",
            "nothing taken that it refuses",
            len(unlike) == len(stricter),
        )
    wrong = [each.name for each in NAMED if [taken for taken, _ in play(each, int(time.time()))] != [*each.taken]]
    attacks = sum(not each.taken[-1] for each in NAMED)
    yield Row("named attacks", f"{attacks - len(wrong)} of {attacks} refused", "", "all", not wrong)


def _theirs(python: Path, histories: tuple[History, ...]) -> list[list[Verdict]]:
    lines = "".join(json.dumps(history.as_json()) + "\n" for history in histories)
    program = [str(python), str(Path(__file__).with_name("peer_tuf.py"))]
    done = subprocess.run(program, input=lines, capture_output=True, text=True, check=True)
    return [_until_refused((taken, root) for taken, root in json.loads(line)) for line in done.stdout.splitlines()]


def _refused_here_alone(ours: list[Verdict], theirs: list[Verdict]) -> bool:
    """The same but for the last verdict here: refused, where the peer takes it under the same root."""
    (taken, root), before = ours[-1], ours[:-1]
    return not taken and before == theirs[: len(before)] and theirs[len(before)] == (True, root)


def _until_refused(verdicts: Iterator[Verdict]) -> list[Verdict]:
    """Up to the first refusal: what comes after it depends on what an implementation keeps of a failed update."""
    found = []
    for taken, root in verdicts:
        found.append((taken, root))
        if not taken:
            break
    return found

"""The chain of one kiosk's events: what is here, what is missing, what was given up. Pure."""

from __future__ import annotations

Run = tuple[int, int, str, str]
"""First and last sequence, the hash that the first names, that of the last."""


def joined(runs: list[Run]) -> list[Run]:
    """In order; where one follows the other and names its hash, they are one."""
    found: list[Run] = []
    for run in sorted(runs):
        if found and run[0] == found[-1][1] + 1 and run[2] == found[-1][3]:
            found[-1] = (found[-1][0], run[1], found[-1][2], run[3])
        else:
            found.append(run)
    return found


def advanced(up_to: int, head: str, runs: list[Run], lost: list[tuple[int, int]]) -> tuple[int, str, list[Run]]:
    """How far nothing is missing, the hash there, and the runs beyond. What a `loss` has named is not waited for."""
    rest = []
    for first, last, previous, digest in runs:
        if last <= up_to:
            continue  # it was given up, and came after all
        reached = up_to
        for begin, end in sorted(lost):
            if begin <= reached + 1:
                reached = max(reached, end)
        follows = previous == head if first == up_to + 1 else first <= reached + 1
        if follows and not rest:
            up_to, head = last, digest
        else:
            rest.append((first, last, previous, digest))
    return up_to, head, rest

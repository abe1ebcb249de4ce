"""The packaged tables of who may pass, each read once in a process, and only where it is needed: each is proved."""

from __future__ import annotations

import functools

from agent import policy
from agent.ruleset import load

PROFILES = tuple(path.stem for path in load.profiles())


@functools.cache
def profile(name: str = "default") -> policy.Table:
    """The table of this name."""
    return load.load_table(policy.Options(name))

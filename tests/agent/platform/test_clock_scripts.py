"""A wrong clock never makes a wrong green: some hundred random scripts here, 10,000 in `make bench-clock`."""

import runpy
from pathlib import Path

import pytest

SCRIPTS = runpy.run_path(str(Path(__file__).with_name("clock_scripts.py")))
IN_ONE_TEST = 40


@pytest.mark.parametrize("first", range(0, 120, IN_ONE_TEST))
def test_random_scripts(first, tmp_path):
    wrong, seen = [], SCRIPTS["Counter"]()
    for seed in range(first, first + IN_ONE_TEST):
        faults, happened = SCRIPTS["play"](seed, tmp_path)
        wrong += faults
        seen += happened
    assert not wrong
    assert min(seen[state] for state in ("synced", "holdover", "floor", "suspect")) > 10
    assert seen["green"] > 100
    assert {"cut", "kill", "restart", "set_wall", "network"} <= seen.keys()


@pytest.mark.parametrize("blind", ["_has_jumped", "_risen_floor_utc"])
def test_the_scripts_find_a_clock_that_does_not_look(monkeypatch, tmp_path, blind):
    """Without the floor, or without an eye for jumps, they find what is wrong."""
    answer = {"_has_jumped": lambda *_: False, "_risen_floor_utc": lambda *_: 0.0}[blind]
    monkeypatch.setattr(SCRIPTS["Clock"], blind, answer)
    assert any(SCRIPTS["play"](seed, tmp_path)[0] for seed in range(40))

"""What The Update Framework's own tests try on a client, tried on ours."""

from __future__ import annotations

import pytest
from attacks import NAMED, History, play

NOW_S = 1_800_000_000


@pytest.mark.parametrize("history", NAMED, ids=lambda history: history.name)
def test_what_must_become_of_it(history: History) -> None:
    verdicts = list(play(history, NOW_S))
    assert tuple(taken for taken, _ in verdicts) == history.taken
    assert verdicts[-1][1] == history.root

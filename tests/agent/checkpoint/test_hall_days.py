"""Random days of a hall with cards, tickets and a capacity; the long run is `python …/hall_days.py 3000`."""

from __future__ import annotations

import pytest
from days import total
from hall_days import HallDay, Kiosk

from agent.checkpoint import Checkpoint
from agent.model import Tristate
from agent.venue import room


def test_nobody_is_let_in_on_anothers_card_twice_on_a_ticket_or_into_a_full_room() -> None:
    wrong, counts = total(range(30), HallDay)
    assert not wrong
    assert counts["honest, in vain"] <= 0.05 * counts["honest"]
    assert counts["tickets"] > 25
    assert counts["went out"] > 12


@pytest.mark.parametrize(
    ("where", "what", "instead"),
    [
        (Checkpoint, "_abandon", lambda *_args: []),
        (Kiosk, "claim", lambda self, key: Tristate.YES if self.uses.of(key) else Tristate.NO),
        (room, "rights", lambda own, _peers, rules, _kiosk: rules.capacity - own.came + own.left),
    ],
    ids=["leaving is nothing", "the others are not asked", "each kiosk counts alone"],
)
def test_the_days_find_an_agent_that_is_wrong(monkeypatch: pytest.MonkeyPatch, where, what, instead) -> None:
    monkeypatch.setattr(where, what, instead)
    for seed in range(150, 350):
        if total(range(seed, seed + 1), HallDay)[0]:
            return
    pytest.fail("nothing found in 200 days")

"""Random days with staff; a long run is `python tests/agent/checkpoint/staff_days.py 3000`, or restless_days.py."""

from __future__ import annotations

import pytest
from days import total
from restless_days import RestlessDay
from staff_days import StaffDay

from agent.venue import Venue


def test_nobody_is_let_in_on_what_is_true_of_another() -> None:
    wrong, counts = total(range(30), StaffDay)
    assert not wrong
    assert counts["honest, in vain"] <= 0.15 * counts["honest"]
    assert counts["let in"] > 10
    assert counts["went out"] > 2


def test_nobody_is_while_clock_rules_and_devices_change() -> None:
    wrong, counts = total(range(30), RestlessDay)
    assert not wrong
    assert counts["let in"] > 10
    assert counts["other rules"] > 10


def test_the_days_find_a_venue_that_counts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Venue, "_count", staticmethod(lambda *_: []))
    assert total(range(25, 26), StaffDay)[0]

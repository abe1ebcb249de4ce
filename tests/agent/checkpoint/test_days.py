"""Random days with a ground truth; the long run is `python tests/agent/checkpoint/days.py 100000`."""

from __future__ import annotations

from days import total


def test_nobody_is_let_in_on_anothers_health_or_on_a_stale_list() -> None:
    wrong, counts = total(range(150))
    assert not wrong
    assert counts["honest, in vain"] <= 0.06 * counts["honest"]
    assert counts["readings that opened"] > 0

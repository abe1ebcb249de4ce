"""For how long nobody has waited at a lane: what an upgrade waits for."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

from agent.model import Event
from agent.supervisor.lane_status import LaneStatusKeeper


def test_a_kiosk_is_quiet_since_the_last_person_at_any_lane(passage_event: Callable[..., Event]) -> None:
    gate = SimpleNamespace(busy=False)
    keeper = LaneStatusKeeper(["out", "in"], lambda: gate.busy, began_s=50.0)
    assert keeper.quiet_s(50.0) == 0.0, "who was there before is not known"
    assert keeper.quiet_s(95.0) == 45.0
    keeper.on_effect(passage_event(2000).body)  # decided at 102 s, between two looks
    assert keeper.quiet_s(105.0) == 3.0
    gate.busy = True
    assert keeper.quiet_s(106.0) == 0.0
    gate.busy = False
    assert keeper.quiet_s(108.0) == 2.0

"""Other keys come while somebody stands at the lane or waits: who is who by then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lane_bench import NORMAL_C, ROOM_C, Bench

from agent.model import CodeStatus, Colour, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.model import TimeBounds


class KeysToCome(Bench):
    """Whose a code is can be read only once the keys are here."""

    has_keys = False

    def check(self, payloads: Sequence[bytes], now: TimeBounds) -> Verdict:
        if self.has_keys:
            return super().check(payloads, now)
        return Verdict(CodeStatus.VALID, "test", colour=Colour.YELLOW)

    def bring_keys(self) -> None:
        self.has_keys = True
        self.results += self.checkpoint.reevaluate()


@pytest.mark.parametrize("by", ["instrument", "override"])
def test_who_waited_for_keys_is_not_let_in_by_a_code_that_another_has_used(by: str) -> None:
    bench = KeysToCome(may_override=lambda case: not case.shown_again)
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=6)
    bench.wait(bench.options.temperature_timeout_s)
    bench.measure(ROOM_C, count=10)
    (waits,) = bench.waiting()
    bench.bring_keys()
    bench.come_after_a_gap(b"green:anna", "marked")
    assert bench.openings == ["marked"]
    if by == "instrument":
        bench.second(36.5, number=waits.number)
    else:
        bench.override(waits.number)
    assert bench.openings == ["marked"]


def test_who_stands_there_as_keys_come_is_not_let_in_by_a_code_that_another_uses() -> None:
    bench = KeysToCome()
    bench.show(b"green:anna", "in")
    bench.bring_keys()
    bench.come_after_a_gap(b"green:anna", "marked")
    bench.measure(NORMAL_C, "in", count=6)
    assert bench.openings == ["marked"]

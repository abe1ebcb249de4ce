"""Other keys or another calibration come while somebody stands at the lane or waits: who is who by then."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from lane_bench import LANES, NORMAL_C, NOW, ROOM_C, Bench

from agent import screening
from agent.checkpoint import Checkpoint, DecisionRules, Options
from agent.model import (
    NO_VENUE,
    Attestation,
    CodeStatus,
    Colour,
    Decision,
    DecisionInput,
    DeviceUp,
    Outcome,
    Role,
    Screening,
    Verdict,
)
from agent.model.effects import OpenGate

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


def test_a_code_that_staff_let_in_unread_lets_in_nobody_once_it_is_read() -> None:
    bench = KeysToCome(may_override=lambda _: True)
    bench.show(b"green:anna")
    bench.measure(NORMAL_C, count=6)
    bench.wait(bench.options.temperature_timeout_s)
    bench.measure(ROOM_C, count=10)
    (waits,) = bench.waiting()
    bench.override(waits.number)
    assert bench.openings == ["in"]
    bench.bring_keys()
    bench.come_after_a_gap(b"green:anna", "marked")
    assert bench.openings == ["in"]


def test_who_stands_there_as_keys_come_is_not_let_in_by_a_code_that_another_uses() -> None:
    bench = KeysToCome()
    bench.show(b"green:anna", "in")
    bench.bring_keys()
    bench.come_after_a_gap(b"green:anna", "marked")
    bench.measure(NORMAL_C, "in", count=6)
    assert bench.openings == ["marked"]


@pytest.mark.parametrize("drifted", [False, True])
def test_who_waits_is_normal_by_no_thermometer_that_was_found_off_since(drifted: bool) -> None:
    sites: dict[str, screening.ThermometerSite] = {}
    bench = Bench(sites=sites)
    rules = DecisionRules(
        bench.check,
        _admit_who_is_vouched_for,
        screening.Options(),
        lambda lane: sites.get(lane, screening.ThermometerSite()),
        venue=lambda _lane, _verdict, attested, _now, _at_s: replace(NO_VENUE, vouched="record" in attested),
    )
    bench.checkpoint = Checkpoint(LANES, rules, Options())
    for part in Role:
        bench.put("in", part, DeviceUp(bench.at_s, "fake"))
    bench.measure(NORMAL_C, count=130)
    bench.measure(ROOM_C, count=10)
    (waits,) = bench.waiting()
    assert waits.outcome is Screening.NORMAL
    error_c = -0.9 if drifted else 0.0
    check = screening.ReferenceCheck(error_c, NOW.earliest_utc, "black body 7", "Li Wei")
    sites["in"] = screening.ThermometerSite(check=check)
    bench.put("in", Role.CLINICAL, Attestation(bench.at_s, "record", "done", number=waits.number))
    assert [isinstance(each, OpenGate) for each in bench.results].count(True) == (not drifted)
    told = bench.passages[-1].temperature
    assert (told.outcome, told.reason) == ((Screening.DEVICE_FAULT, "drift") if drifted else (Screening.NORMAL, ""))


def _admit_who_is_vouched_for(case: DecisionInput) -> Decision:
    if case.facts.vouched and case.temperature.outcome is Screening.NORMAL:
        return Decision(Outcome.ADMIT, ("recorded",))
    return Decision(Outcome.REFER, ("no_code",))

"""Which cue a decision is shown as."""

from __future__ import annotations

import pytest

from agent.checkpoint.cues import cue_for
from agent.model import Decision, Outcome, Screening, Temperature
from agent.model.effects import Cue

NORMAL = Temperature(Screening.NORMAL)


@pytest.mark.parametrize("outcome", Outcome)
def test_an_answer_is_the_decision(outcome: Outcome) -> None:
    assert cue_for(Decision(outcome, ()), NORMAL) == outcome


@pytest.mark.parametrize(
    ("decision", "temperature", "cue"),
    [
        (
            Decision(Outcome.REFER, ("fever",)),
            Temperature(Screening.ELEVATED, next_step="second_reading"),
            Cue.RETRY,
        ),
        (Decision(Outcome.REFER, ("temperature_retest",), actions=("retest",)), NORMAL, Cue.RETRY),
        (Decision(Outcome.REFER, ("fever",)), Temperature(Screening.ELEVATED, next_step="rest"), Cue.REFER),
        (
            Decision(Outcome.REFUSE, ("code_red",)),
            Temperature(Screening.ELEVATED, next_step="second_reading"),
            Cue.REFUSE,
        ),
    ],
)
def test_only_who_can_be_measured_again_at_once_is_asked_to(
    decision: Decision, temperature: Temperature, cue: Cue
) -> None:
    assert cue_for(decision, temperature) is cue

"""A passage to store and send; apart from `conftest`, so that a child process need not load what all tests need."""

from __future__ import annotations

from agent.model import (
    ClockState,
    CodeStatus,
    Colour,
    Decision,
    Direction,
    Event,
    Outcome,
    Passage,
    Screening,
    Temperature,
    TimeBounds,
    Verdict,
)


def passage_event(number: int = 0, *, outcome: Outcome = Outcome.ADMIT) -> Event:
    """A passage whose `duration_ms` is `number`, so that it can be told from others wherever it turns up."""
    verdict = Verdict(CodeStatus.VALID, "gatepost", b"nobody's-subject", "city-health", Colour.GREEN)
    temperature = Temperature(Screening.NORMAL, 35.812, 0.5, 8, 37.3)
    decision = Decision(outcome, ("code_green", "temperature_normal"), "green and normal")
    passage = Passage(
        "in", Direction.ENTRY, verdict, temperature, decision, True, 100.0, 100.0 + number / 1000, True
    )
    now = TimeBounds(1_792_000_000.0, 1_792_000_000.2, ClockState.SYNCED)
    return Event(passage, 100.0 + number / 1000, now, "7d3c" * 8)

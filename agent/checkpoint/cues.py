"""Which cue a decision is shown as, and the one hint beside it that anybody may read. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.model import Outcome
from agent.model.effects import Cue
from agent.texts import CATALOGUE

if TYPE_CHECKING:
    from agent.model import Decision, Temperature


def cue_for(decision: Decision, temperature: Temperature) -> Cue:
    """What the person is told. Who is asked for a second reading need not wait for staff."""
    once_more = temperature.next_step == "second_reading" or bool({"retest", "renew_code"} & {*decision.actions})
    if decision.outcome is Outcome.REFER and once_more:
        return Cue.RETRY
    return Cue(decision.outcome)


_UNTOLD = frozenset({
    "certificate_valid", "code_green", "lane_closed", "leave", "retest", "staff_check", "temperature_normal",
    "temperature_retest", "ticket_valid",
})  # fmt: skip
"""Reasons and actions that tell nothing of a person's health, and have no hint of their own."""


_FULL = _UNTOLD | {"room_full", "wait_outside"}
"""What may stand in a decision whose picture is that there is no room."""


def hint_for(decision: Decision, cue: Cue) -> str:
    """The one public hint beside a cue: what to do, else why. None beside a reason that is not public: whatever
    stood there would tell that it is not the private one. Once more looks the same for all its causes.
    """
    codes = (*decision.actions, *decision.reasons)
    hints = CATALOGUE["hint"]
    if "room_full" in codes and {*codes} <= _FULL:
        return "full"
    if cue is Cue.RETRY or not hints.keys() | _UNTOLD >= set(codes):
        return ""
    return next((code for code in codes if code in hints), "")

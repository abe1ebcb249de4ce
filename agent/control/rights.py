"""Which actions a guard's page may take, and what it shows about a person who waits. Pure.

What is not in `VERBS` nobody may do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.credentials.staff_list import StaffRole
from agent.model import Outcome, Screening
from agent.texts import CATALOGUE

if TYPE_CHECKING:
    from agent.model import Decision, Temperature, Waits
    from agent.policy.explain import Explanation

_GUARDS = frozenset({StaffRole.GUARD, StaffRole.SUPERVISOR})
_ALL = frozenset(StaffRole)
_LEADERS = frozenset({StaffRole.SUPERVISOR})
SECONDS = _GUARDS
"""Who may confirm as the second person."""

VERBS: dict[str, frozenset[StaffRole]] = {
    "retest": _ALL,
    "remeasure": _GUARDS,
    "attest": _GUARDS,
    "state": _GUARDS,
    "step": _GUARDS,
    "left": _GUARDS,
    "override": _GUARDS,
    "open": _GUARDS,
    "all_out": _ALL,
    "close": _ALL,
    "reopen": _GUARDS,
    "accept": _GUARDS,
    "pair": _LEADERS,
    "unpair": _LEADERS,
}
"""Action → the roles that may do it."""
ADMITS = frozenset({"remeasure", "attest", "state", "override", "open", "reopen"})
"""What may let somebody in: only while it is known that the list of staff has not ended."""
STATEMENTS = frozenset({"feedback", "absence", "symptom", "duty", "count", "form"})
"""What may be stated of the venue; a badge is shown, not stated."""
STEPS = tuple(CATALOGUE["step"])
LETS_IN = (Outcome.ADMIT, Outcome.ADMIT_WITH_NOTICE)
_PREFERRED = tuple(CATALOGUE["change"])
_MEASURE_OF = {
    "wear_mask": "mask", "mask_missing": "mask", "register": "visitor", "record_missing": "visitor",
    "isolate": "case", "report": "case", "travel_risk": "travel",
    "temperature_missing": "retest", "temperature_retest": "retest", "has_left": "retest", "retest": "retest",
    "thermometer_fault": "temperature", "fever": "temperature", "room_full": "count", "room_unknown": "count",
    "no_code": "document", "show_id": "document", "permit_missing": "visitor",
}  # fmt: skip
"""Reason or action → the measure that answers it; the first that a decision names is the button."""
_FIXED = {"direction", "venue", "lane_type", "zone"}
"""Facts of the place: nobody at the gate can change them."""
_SERIOUS = {"watch_hit", "code_red", "test_positive"}
"""No measurement answers these: a case does."""


def first_measure(decision: Decision, temperature: Temperature) -> str:
    """What a guard does next about somebody."""
    codes = (*decision.reasons, *decision.actions)
    if _SERIOUS & {*codes}:
        return "case"
    if temperature.next_step == "clinical_reading":
        return "temperature"
    if temperature.next_step in ("second_reading", "rest"):
        return "retest"
    return next((_MEASURE_OF[code] for code in codes if code in _MEASURE_OF), "retest")


def would_change(explanation: Explanation) -> str:
    """The one fact that would let the person in; `nothing` when there is none."""
    facts = {change.fact for change in explanation.changes if change.outcome in LETS_IN} - _FIXED
    if not facts:
        return "nothing"
    return next((fact for fact in _PREFERRED if fact in facts), "other")


def card(
    lane: str, waits: Waits, case: str, explanation: Explanation, ago_s: float, *, may_override: bool
) -> dict[str, Any]:
    """Somebody who waits, as the page shows him; `case`: that of his last passage. No name: there is none here."""
    decision, temperature = waits.decision, waits.temperature
    resting = temperature.next_step == "rest"
    return {
        "lane": lane,
        "number": waits.number,
        "case": case,
        "ago_s": round(ago_s, 1),
        "outcome": decision.outcome,
        "reasons": list(decision.reasons),
        "actions": list(decision.actions),
        "with_code": waits.with_code,
        "measured": temperature.outcome not in (Screening.UNASKED, Screening.INDETERMINATE),
        "attempt": temperature.attempt,
        "surface_c": temperature.surface_c,
        "threshold_c": temperature.threshold_c,
        "next_step": temperature.next_step,
        "rest_s": round(waits.rest_s) if resting else None,
        "change": would_change(explanation),
        "measure": first_measure(decision, temperature),
        "may_override": may_override and decision.outcome is Outcome.REFER,
    }

"""Every sentence that a person reads at the gate or on a page: by subject and code, in each language. Pure data.

A reason is added in one place: here.
"""

from __future__ import annotations

from agent.texts.cues import CUES, HINTS, PICTURES
from agent.texts.decisions import EXPLANATIONS, OUTCOMES
from agent.texts.guard_page import PAGE
from agent.texts.problems import PARTS, PROBLEMS
from agent.texts.reasons import REASONS
from agent.texts.staff import (
    ABSENCES,
    CHANGES,
    FEEDBACKS,
    GUARD_REASONS,
    KINDS,
    MEASURES,
    OVERRIDE_REASONS,
    REFUSALS,
    ROLES,
    ROUND_STATES,
    STEPS,
    SYMPTOMS,
)
from agent.texts.temperature import NEXT_STEPS, TEMPERATURE
from agent.texts.text import LANGUAGES, Text, Texts

__all__ = ["CATALOGUE", "LANGUAGES", "Text", "Texts", "sentence"]

CATALOGUE: dict[str, Texts] = {
    "cue": CUES,
    "picture": PICTURES,
    "hint": HINTS,
    "outcome": OUTCOMES,
    "explanation": EXPLANATIONS,
    "reason": REASONS,
    "temperature": TEMPERATURE,
    "next_step": NEXT_STEPS,
    "refusal": REFUSALS,
    "change": CHANGES,
    "measure": MEASURES,
    "override": OVERRIDE_REASONS,
    "step": STEPS,
    "feedback": FEEDBACKS,
    "case": KINDS,
    "absence": ABSENCES,
    "symptom": SYMPTOMS,
    "round": ROUND_STATES,
    "role": ROLES,
    "problem": PROBLEMS,
    "part": PARTS,
    "guard_reason": GUARD_REASONS,
    "page": PAGE,
}
"""Subject → code → text. Codes of one subject are one enumeration of the agent; tests hold them equal."""


def sentence(subject: str, code: str, language: str = "en") -> str:
    """What a code of a subject says; an unknown code or language gives the code, so that nothing is hidden."""
    text = CATALOGUE[subject].get(code)
    return text[LANGUAGES.index(language)] if text is not None and language in LANGUAGES else code

"""Every sentence that a person reads at the gate or on a page: by subject and code, in each language. Pure data.

A reason is added in one place: here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CATALOGUE", "LANGUAGES", "Text", "Texts", "did_you_mean", "sentence"]

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


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """How a message about an unknown word goes on: "; did you mean X?" with the nearest of `known`, or nothing."""
    import difflib  # noqa: PLC0415 - 3 ms that only a mistake costs

    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""

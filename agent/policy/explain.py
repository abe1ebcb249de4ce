"""Why a table decided as it did, and which single fact would have changed it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.model.lazy import dataclass
from agent.policy.facts import DIMENSIONS, Facts
from agent.policy.table import Row, Table, facts_for, row_of
from agent.texts import sentence

if TYPE_CHECKING:
    from agent.model import Outcome


@dataclass(frozen=True, slots=True)
class Change:
    """Another value of one fact, and the outcome that it would have led to."""

    fact: str
    values: tuple[str, ...]
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Explanation:
    """One decision, with its neighbours."""

    table: str
    facts: Facts
    row: Row
    changes: tuple[Change, ...]


def explain(table: Table, facts: Facts) -> Explanation:
    """The row that decided, and every single fact that would have changed the outcome."""
    row = row_of(table, facts_for(table, facts))
    changes = []
    for name, values in DIMENSIONS.items():
        others: dict[Outcome, list[str]] = {}
        for value in values:
            other: dict[str, Any] = {name: value}
            outcome = row_of(table, facts_for(table, facts._replace(**other))).decision.outcome
            if outcome is not row.decision.outcome:
                others.setdefault(outcome, []).append(value)
        changes += [Change(name, tuple(found), outcome) for outcome, found in others.items()]
    return Explanation(table.name, facts, row, tuple(changes))


def in_words(explanation: Explanation, language: str = "en") -> list[str]:
    """The explanation as sentences, English (`en`) or Chinese (`zh`)."""
    decision, when = explanation.row.decision, explanation.row.when
    either = sentence("explanation", "or", language)

    def words(template: str, **values: str) -> str:
        return sentence("explanation", template, language).format(**values)

    outcome = outcome_in_words(decision.outcome, language)
    lines = [words("decided", row=decision.rule, table=explanation.table, outcome=outcome)]
    lines += [sentence("reason", code, language) for code in (*decision.reasons, *decision.actions)]
    conditions = ", ".join(f"{name} {either.join(sorted(values))}" for name, values in when.items())
    lines.append(words("because", conditions=conditions) if when else words("always"))
    lines += [
        words(
            "change",
            fact=change.fact,
            values=either.join(change.values),
            outcome=outcome_in_words(change.outcome, language),
        )
        for change in explanation.changes
    ]
    return lines if explanation.changes else [*lines, words("nothing")]


def outcome_in_words(outcome: Outcome, language: str = "en") -> str:
    """The outcome as people say it."""
    return sentence("outcome", outcome, language)

"""Why a table decided as it did, and which single fact would have changed it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.policy.facts import DIMENSIONS, Facts
from agent.policy.reasons import sentence
from agent.policy.table import Row, Table, facts_for, row_of

if TYPE_CHECKING:
    from agent.model import Outcome

_WORDS = {
    "en": {
        "decided": "Row “{row}” of table {table} decided: {outcome}.",
        "because": "It asks for {conditions}.",
        "always": "It asks for nothing: no row before it matched.",
        "or": " or ",
        "change": "With {fact} {values}: {outcome}.",
        "nothing": "No other single fact would have changed the outcome.",
    },
    "zh": {
        "decided": "由规则表 {table} 的“{row}”一行判定：{outcome}。",
        "because": "该行的条件：{conditions}。",
        "always": "该行没有条件：前面各行均不符合。",
        "or": " 或 ",
        "change": "若 {fact} 为 {values}：{outcome}。",
        "nothing": "改变任何单独一项都不会改变结果。",
    },
}
_OUTCOMES = {
    "en": {
        "admit": "admit",
        "admit_with_notice": "admit with a notice",
        "refer": "refer to staff",
        "refuse": "refuse",
    },
    "zh": {"admit": "放行", "admit_with_notice": "放行并提示", "refer": "转人工核验", "refuse": "不予放行"},
}


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
    words, outcomes = _WORDS[language], _OUTCOMES[language]
    decision, when = explanation.row.decision, explanation.row.when
    lines = [
        words["decided"].format(row=decision.rule, table=explanation.table, outcome=outcomes[decision.outcome])
    ]
    lines += [sentence(code, language) for code in (*decision.reasons, *decision.actions)]
    conditions = ", ".join(f"{name} {words['or'].join(sorted(values))}" for name, values in when.items())
    lines.append(words["because"].format(conditions=conditions) if when else words["always"])
    lines += [
        words["change"].format(
            fact=change.fact, values=words["or"].join(change.values), outcome=outcomes[change.outcome]
        )
        for change in explanation.changes
    ]
    return lines if explanation.changes else [*lines, words["nothing"]]


def outcome_in_words(outcome: Outcome, language: str = "en") -> str:
    """The outcome as people say it."""
    return _OUTCOMES[language][outcome]

"""Why, in words: the row that decided, and what would have changed it, in two languages."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import policy
from agent.model import Direction, Screening
from agent.policy.explain import explain, in_words
from agent.policy.facts import DIMENSIONS, CodeFact, Facts, Zone
from agent.texts import CATALOGUE, LANGUAGES
from tests.profiles import PROFILES, profile

FACTS = st.builds(Facts, *(st.sampled_from(values) for values in DIMENSIONS.values()))
HAN = re.compile("[一-鿿]")


def test_the_row_and_its_neighbours() -> None:
    facts = Facts(Direction.ENTRY, CodeFact.GREEN, Screening.NORMAL, zone=Zone.HIGH)
    found = explain(profile("office"), facts)
    assert found.row.name == "high risk: no test"
    changes = {(change.fact, value): change.outcome for change in found.changes for value in change.values}
    assert changes["test", "pcr_24h"] == "admit"
    assert changes["code", "red"] == "refuse"
    words = "\n".join(in_words(found))
    assert "Row “high risk: no test” of table office decided: refer to staff." in words
    assert "No recent test is on record." in words
    assert "With test pcr_24h or pcr_48h: admit." in words


@given(FACTS)
def test_every_change_that_is_told_is_one(facts: Facts) -> None:
    outcome = policy.decide(profile("office"), facts).outcome
    for change in explain(profile("office"), facts).changes:
        for value in change.values:
            changed = policy.decide(profile("office"), facts._replace(**{change.fact: value}))  # type: ignore[arg-type]  # a name of Facts
            assert changed.outcome is change.outcome is not outcome


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_languages(language: str) -> None:
    lines = in_words(explain(profile("office"), Facts(Direction.ENTRY, CodeFact.RED, Screening.NORMAL)), language)
    assert all(lines)
    assert bool(HAN.search("".join(lines))) is (language == "zh")


def test_an_outcome_that_nothing_changes() -> None:
    lines = in_words(explain(profile("office"), Facts(Direction.EXIT, CodeFact.GREEN, Screening.NORMAL)))
    assert lines


def test_every_code_of_every_profile_has_its_sentences() -> None:
    for name in PROFILES:
        for row in profile(name).rows:
            assert set(row.decision.reasons + row.decision.actions) <= set(CATALOGUE["reason"])

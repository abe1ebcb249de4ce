"""One catalogue: no code without a text, no text without a code, each in both languages."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from agent import texts
from agent.model import Outcome, Role
from agent.model.effects import Cue
from agent.model.problems import ProblemCode
from agent.texts import CATALOGUE, LANGUAGES
from tests.profiles import PROFILES, profile

AGENT = Path(__file__).parents[3] / "agent"
HAN = re.compile("[一-鿿]")
TEMPLATES = {"explanation"}
FOR_SITES = {"under_age"}
"""Reasons that only a site's own table uses."""


def words_of(*files: str) -> set[str]:
    """Every word that stands as a text of its own in these files."""
    trees = [ast.parse(path.read_text()) for file in files for path in sorted(AGENT.glob(file))]
    return {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_cue_and_outcome_has_its_text_and_no_other_has() -> None:
    assert set(CATALOGUE["cue"]) == set(Cue)
    assert set(CATALOGUE["outcome"]) == set(Outcome)
    assert set(CATALOGUE["problem"]) == set(ProblemCode)
    assert set(CATALOGUE["part"]) == set(Role)
    assert set(CATALOGUE["guard_reason"]) <= set(CATALOGUE["reason"])


def test_every_reason_of_a_profile_has_its_text() -> None:
    for name in PROFILES:
        for row in profile(name).rows:
            assert set(row.decision.reasons + row.decision.actions) <= set(CATALOGUE["reason"])


@pytest.mark.parametrize(
    ("subject", "files"),
    [
        ("temperature", ("screening/*.py", "checkpoint/*.py")),
        ("next_step", ("screening/*.py",)),
        ("explanation", ("policy/explain.py",)),
    ],
)
def test_no_text_is_left_over(subject: str, files: tuple[str, ...]) -> None:
    parts = {f"{role}_down" for role in ("thermometer", "range")}
    assert set(CATALOGUE[subject]) - parts <= words_of(*files)


def test_every_reason_of_the_code_has_its_text() -> None:
    """What `Decision(outcome, reasons, actions=…)` is given in the code itself."""
    found = set()
    for path in sorted(AGENT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Decision":
                given = [*node.args[1:2], *(each.value for each in node.keywords if each.arg == "actions")]
                found |= {
                    each.value
                    for part in given
                    for each in ast.walk(part)
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                }
    assert {"gate_fault", "another_code", "staff_check"} <= found <= set(CATALOGUE["reason"])


def test_reasons_are_used() -> None:
    tables = "".join(path.read_text() for path in (AGENT.parent / "config" / "policy").glob("*.toml"))
    used = words_of("checkpoint/*.py", "policy/*.py", "ruleset/*.py", "screening/*.py", "credentials/*.py") | set(
        re.findall(r'"(\w+)"', tables)
    )
    assert set(CATALOGUE["reason"]) - FOR_SITES <= used


@pytest.mark.parametrize("subject", CATALOGUE)
def test_both_languages_say_it(subject: str) -> None:
    for code, text in CATALOGUE[subject].items():
        assert text.en.replace("°C", "").isascii() or subject in TEMPLATES, code
        assert HAN.search(text.zh), code
        assert not HAN.search(text.en), code
        if subject in ("cue", "picture", "hint", "reason", "temperature", "next_step"):
            assert re.fullmatch(r"[A-Z][^\n]*[.]", text.en), code
            assert text.zh.endswith("。"), code


def test_hints_are_codes_of_reasons() -> None:
    assert set(CATALOGUE["hint"]) <= set(CATALOGUE["reason"])


def test_an_unknown_code_stands_for_itself() -> None:
    assert texts.sentence("reason", "not_a_code") == "not_a_code"
    assert texts.sentence("reason", "fever", "fr") == "fever"
    assert texts.sentence("reason", "fever", LANGUAGES[1]) == "体温偏高。"

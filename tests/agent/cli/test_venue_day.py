"""A venue's day in fast motion: who ran such an entrance would recognise it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent import cli
from agent.cli.demo.venue_day import Day
from agent.venue.rules import parse_venue

ROOT = Path(__file__).parents[3]
PROFILES = sorted((ROOT / "config/venue").glob("*.toml"))


def test_the_day_of_a_school(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--day", "school"]) == 0
    said = capsys.readouterr().out
    for part in (
        "REPORT round morning: 76 of 80 checked, 0 to staff unmeasured, 4 absent, 1 of them ill",
        "REPORT round noon: 75 of 80 checked",
        "visitor: refer – Not on the list of this place",
        "There is no room at the moment",
        "one out, one in",
        "drill: refuse [drill]",
        "0 unanswered; besides, of drills: 1",
        "the last go home; inside: 0",
    ):
        assert part in said, part
    assert len(re.findall(r"^\d\d:\d\d  REPORT", said, re.MULTILINE)) == 4


def test_the_day_is_always_the_same() -> None:
    assert list(Day().play()) == list(Day().play())


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_venue_profile_is_read(path: Path) -> None:
    assert parse_venue(path.read_text(encoding="utf-8"), path.name).name == path.stem


def test_there_is_a_profile_for_every_kind_of_place() -> None:
    assert {path.stem for path in PROFILES} >= {
        "school", "kindergarten", "care_home", "medical", "prison", "psychiatric_hospital", "office", "transport",
    }  # fmt: skip
    assert len(PROFILES) == 13


def test_the_example_of_the_venue_page_is_a_venue() -> None:
    page = (ROOT / "docs/venue.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(name = .*?)```", page, re.DOTALL)
    rules = parse_venue(example)
    assert [each.name for each in rules.rounds] == ["morning", "noon"]


def test_the_practices_page_names_tests_that_there_are() -> None:
    page = (ROOT / "docs/practices.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \|", page, re.MULTILINE)
    assert rows == [str(number) for number in range(1, 35)]
    for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page):
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), name

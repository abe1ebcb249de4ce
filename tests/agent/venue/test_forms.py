"""Forms as data: clear choices, private answers that are never shown again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from kiosk_bench import Kiosk

from agent.model.reasons import StatementRefusal
from agent.venue.forms import BadForm, parse_form

ROOT = Path(__file__).parents[3] / "config/forms"
FORMS = {path.stem: parse_form(path.read_text(encoding="utf-8"), path.name) for path in ROOT.glob("*.toml")}
FIELD = 'name = "x"\ntitle = {en = "X", zh = "X"}\n[[field]]\nname = "a"\n'
VISITOR = {"reason": "visit", "name": "Li Wei", "telephone": "138 0000 0000"}


def test_the_forms_that_come_with_the_agent() -> None:
    assert {*FORMS} == {"visitor", "fever_drug", "cargo", "driver", "absence", "symptoms", "inspection"}
    assert all(form.name == name for name, form in FORMS.items())


def test_choices_are_clear_and_all_else_is_private() -> None:
    clear, private = FORMS["visitor"].read(VISITOR)
    assert (clear, {*private}) == ({"reason": "visit"}, {"name", "telephone"})


def test_all_faults_are_told_and_no_answer_is_repeated() -> None:
    with pytest.raises(BadForm) as found:
        FORMS["visitor"].read({"reason": "Li Wei", "telephone": "Li Wei", "hat": "Li Wei"})
    assert len(found.value.faults) == 4
    assert "Li Wei" not in str(found.value)


def test_an_answer_that_a_pattern_could_be_tried_against_for_hours_does_not_fit() -> None:
    form = parse_form(FIELD + 'pattern = "(a|aa)+b"')
    with pytest.raises(BadForm, match="does not fit"):
        form.read({"a": "a" * 100})


def test_without_a_sealing_key_nothing_private_is_taken() -> None:
    kiosk = Kiosk()
    kiosk.force = replace(kiosk.force, forms=FORMS, can_seal=False)
    answer = kiosk.state("form", form="visitor", private=VISITOR)
    assert (answer.reason, "paper" in answer.text) == (StatementRefusal.NO_SEALING_KEY, True)
    assert kiosk.state("form", form="inspection", answers={"subject": "masks", "finding": "mend"}).reason is None
    assert kiosk.state("form", form="dance").reason is StatementRefusal.NO_SUCH_FORM
    assert [record.form for record in kiosk.records] == ["inspection"]


def test_private_answers_go_to_be_sealed_and_nowhere_else() -> None:
    kiosk = Kiosk()
    kiosk.force = replace(kiosk.force, forms=FORMS)
    assert kiosk.state("form", form="visitor", answers=VISITOR).reason is None
    (record,) = kiosk.records
    assert (record.answers, {*record.private}) == ({"reason": "visit"}, {"name", "telephone"})
    assert "Li Wei" not in repr(record)
    assert b"Li Wei" not in kiosk.saved()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[[[", "not TOML"),
        ('name = "x"\ntitle = {en = "X", zh = "X"}\n', "[[field]]"),
        ('name = "x"\ntitle = {en = "X", zh = "X"}\n[[field]]\nname = "a"\nclear = true', "free text in the clear"),
        ('name = "x"\ntitle = {en = "X", zh = "X"}\n[[field]]\nname = "a"\npattern = "["', "pattern"),
        ('name = "X!"\ntitle = {en = "X"}\n[[field]]\nname = "a"', "needs a name"),
        ('name = inf\ntitle = {en = "X", zh = "X"}\n[[field]]\nname = "a"', "needs a name"),
        ('name = "x"\ntitle = {en = 7, zh = "X"}\n[[field]]\nname = "a"', "each a text of one line"),
        (FIELD + 'choices = ["b"]\nclear = "no"', "a: clear is true or false, without quotes, not 'no'"),
        (FIELD + "optional = 1", "a: optional is true or false, without quotes, not 1"),
        (FIELD + 'choices = ["b\\u0000"]', "choices is a list of words"),
        (FIELD + "pattern = 7", "pattern"),
    ],
)
def test_what_is_wrong_with_a_form(text: str, part: str) -> None:
    with pytest.raises(BadForm) as found:
        parse_form(text)
    assert part in str(found.value)

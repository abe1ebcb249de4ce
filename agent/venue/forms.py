"""Forms as data: what is asked, which answers are choices, which are private. Pure.

A form is TOML, one file each:

    name = "visitor"
    title.en = "Visitor"
    title.zh = "访客登记"
    records = true                              # the person whom it is about counts as recorded by it

    [[field]]
    name = "reason"
    title = {en = "Reason", zh = "事由"}         # left out: the name stands there
    choices = ["delivery", "visit", "work"]     # only choices may be clear; there is no free text in the clear
    choice_titles.zh = ["送货", "探访", "施工"]   # in the order of the choices; left out: the choices themselves
    clear = true

    [[field]]
    name = "telephone"
    pattern = "[0-9+ -]{5,20}"                  # private: sealed at once, never readable on the kiosk
    optional = true
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import field
from typing import TYPE_CHECKING, Any, TypeGuard

from agent.model.lazy import dataclass
from agent.model.patterns import TextPattern

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
MOST_FIELDS = 40
LONGEST_ANSWER = 120


class BadForm(ValueError):
    """A form that cannot be used, or answers that do not fit one; `faults` has one sentence each."""

    def __init__(self, name: str, faults: list[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"form {name}: " + "; ".join(faults))


@dataclass(frozen=True, slots=True)
class Field:
    """One question."""

    name: str
    choices: tuple[str, ...] = ()
    pattern: str = ""
    """Of a private answer; it must fit as a whole."""
    clear: bool = False
    optional: bool = False
    title: Mapping[str, str] = field(default_factory=dict)
    """Language → how a page calls it."""
    choice_titles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Language → how a page calls the choices, in their order."""


@dataclass(frozen=True, slots=True)
class Form:
    """All questions of one form."""

    name: str
    title: Mapping[str, str]
    fields: tuple[Field, ...]
    records: bool = False
    """The person whom it is about, by number, counts as recorded once it is filled in."""

    @property
    def is_private(self) -> bool:
        """Whether it asks for anything that must be sealed."""
        return any(not each.clear for each in self.fields)

    def read(self, answers: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Clear and private answers. Raises BadForm with every fault; it never repeats a private answer."""
        known = {each.name for each in self.fields}
        faults = [f"there is no question {name!r}" for name in answers if name not in known]
        clear: dict[str, str] = {}
        private: dict[str, str] = {}
        for each in self.fields:
            answer = answers.get(each.name, "").strip()
            if not answer:
                if not each.optional:
                    faults.append(f"{each.name} is not answered")
                continue
            if each.choices and answer not in each.choices:
                faults.append(f"{each.name} is one of {', '.join(each.choices)}")
            elif not each.choices and not _fits(each.pattern, answer):
                faults.append(f"{each.name} does not fit {each.pattern or f'1 to {LONGEST_ANSWER} characters'}")
            else:
                (clear if each.clear else private)[each.name] = answer
        if faults:
            raise BadForm(self.name, faults)
        return clear, private


def _fits(pattern: str, answer: str) -> bool:
    if not 0 < len(answer) <= LONGEST_ANSWER or not answer.isprintable():
        return False
    return not pattern or TextPattern(pattern).fullmatch(answer) is not None


def parse_form(text: str, name: str = "form") -> Form:
    """A form from its text. Raises BadForm."""
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadForm(name, [f"not TOML: {error}"]) from None
    faults: list[str] = []
    fields = content.get("field", [])
    if content.keys() - {"name", "title", "records", "field"} or not isinstance(fields, list) or not fields:
        faults.append("has name, title, records and [[field]] tables, and nothing else")
        fields = []
    if len(fields) > MOST_FIELDS:
        faults.append(f"asks up to {MOST_FIELDS} questions, not {len(fields)}")
    made = tuple(_field(entry, faults) for entry in fields)
    if len({each.name for each in made}) < len(made):
        faults.append("asks one question twice")
    title = content.get("title", {})
    form_name = content.get("name", "")
    if not isinstance(form_name, str) or not _NAME.fullmatch(form_name):
        faults.append("needs a name of small letters, for example visitor")
    if not _are_titles(title) or not {"en", "zh"} <= title.keys():
        faults.append("needs title.en and title.zh, each a text of one line")
        title = {}
    records = content.get("records", False)
    if not isinstance(records, bool):
        faults.append(f"records is true or false, not {records!r}")
    if faults:
        raise BadForm(name, faults)
    return Form(form_name, title, made, records)


def _field(entry: Any, faults: list[str]) -> Field:
    match entry:
        case {"name": str(name), **rest} if _NAME.fullmatch(name):
            pass
        case _:
            faults.append("a field needs a name of small letters, for example telephone")
            return Field("")
    if rest.keys() - {"title", "choices", "choice_titles", "pattern", "clear", "optional"}:
        faults.append(f"{name}: has title, choices, choice_titles, pattern, clear and optional, and nothing else")
    choices, pattern = rest.get("choices", []), rest.get("pattern", "")
    clear, optional = rest.get("clear", False), rest.get("optional", False)
    for setting, value in (("clear", clear), ("optional", optional)):
        if not isinstance(value, bool):
            faults.append(f"{name}: {setting} is true or false, without quotes, not {value!r}")
    if not isinstance(choices, list) or not all(_is_line(each) for each in choices):
        faults.append(f"{name}: choices is a list of words")
        choices = []
    if clear and not choices:
        faults.append(f"{name}: only choices may be clear; there is no free text in the clear")
    if fault := _fault_of_pattern(pattern):
        faults.append(f"{name}: pattern {fault}")
    title, choice_titles = rest.get("title", {}), rest.get("choice_titles", {})
    if not _are_titles(title):
        faults.append(f'{name}: title is a text for each language, for example {{en = "Name", zh = "姓名"}}')
        title = {}
    if not isinstance(choice_titles, dict) or not all(_are_words(each, choices) for each in choice_titles.values()):
        faults.append(f"{name}: choice_titles has as many words for each language as there are choices")
        choice_titles = {}
    return Field(
        name,
        tuple(choices),
        str(pattern),
        clear is True,
        optional is True,
        title,
        {language: tuple(words) for language, words in choice_titles.items()},
    )


def _fault_of_pattern(pattern: object) -> str:
    if not isinstance(pattern, str):
        return f"is a text in quotes, not {pattern!r}"
    try:
        TextPattern(pattern)
    except ValueError as error:
        return f"is no regular expression: {error}"
    return ""


def _are_titles(titles: object) -> TypeGuard[dict[str, str]]:
    return isinstance(titles, dict) and all(_is_line(each) for each in titles.values())


def _are_words(words: object, choices: list[str]) -> bool:
    return isinstance(words, list) and len(words) == len(choices) and all(_is_line(word) for word in words)


def _is_line(text: object) -> bool:
    return isinstance(text, str) and bool(text) and text.isprintable()

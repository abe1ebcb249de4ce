"""What is wrong with a setting, in the technician's words: pydantic speaks of inputs, types and patterns. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
LEVEL = "^(debug|info|warning|error)$"
_FORMS = {
    NAME: "should be letters, digits, `.`, `_`, `-`, beginning with a letter or digit, at most 64",
    LEVEL: "should be debug, info, warning or error",
}
"""What a pattern asks for."""
_KINDS = {
    "missing": "is missing and has no default",
    "int_type": "should be a whole number, without quotes",
    "float_type": "should be a number, without quotes",
    "string_type": 'should be text in quotes: "like this"',
    "path_type": 'should be text in quotes: "like this"',
    "bool_type": "should be true or false, without quotes",
}
"""What pydantic calls a fault → what it asks for."""
_TOML = {
    "Invalid value": 'a text needs straight quotes, "like this"; numbers, true and false have none',
    "Invalid statement": "a line is NAME = VALUE, [SECTION] or # COMMENT",
    "Cannot overwrite a value": "this setting stands there twice",
    "Cannot declare": "this section stands there twice",
    "Duplicate inline table key": "this setting stands there twice",
    "Expected '=' after a key": "a line is NAME = VALUE",
    "Illegal character": "a text ends with a quote on the same line",
    "Unterminated string": "a text ends with a quote on the same line",
    "Expected newline or end of document": "one setting a line; a text needs quotes around all of it",
}
"""How tomllib's sentence begins → what to do."""


def sentence(detail: Mapping[str, Any]) -> str:
    """Of one finding of pydantic's."""
    kind, message = str(detail["type"]), str(detail["msg"])
    if kind in _KINDS:
        return _KINDS[kind]
    if kind == "string_pattern_mismatch":
        return _FORMS.get(detail["ctx"]["pattern"], message)
    for shop, plain in (("Input should", "should"), ("Value error, ", ""), ("String should", "should")):
        message = message.replace(shop, plain)
    if detail["loc"][-1:] == ("address",):
        message = re.sub(r"\d+", lambda found: hex(int(found[0])), message)
    return message


def syntax(message: str, text: str) -> tuple[int, str]:
    """Where tomllib stopped reading, as a line, and why."""
    place = message.rpartition("(at line ")[2].partition(",")[0]
    line = int(place) if place.isdigit() else text.count("\n") + 1
    what = message.partition(" (at")[0]
    remedy = next((f" ({each})" for beginning, each in _TOML.items() if what.startswith(beginning)), "")
    return line, f"is not TOML: {what}{remedy}"

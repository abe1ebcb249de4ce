"""Errors of a setting, in sentences for the technician. Pure.

Every sentence says what the setting takes, in what unit, what it was given, and an example. All of that comes from
the declaration of the setting: its type and constraints, its default, and the end of its name, which is the unit.
"""

from __future__ import annotations

import dataclasses
import math
import re
import typing
from collections.abc import Sequence
from dataclasses import MISSING
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.config.typed import HOLDS, choices, declared, without_marks
from agent.model import bounds
from agent.model.bounds import Ge, Gt, Le, Lt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.config.typed import Misfit

NAME = f"^{bounds.NAME}$"
LEVEL = "^(debug|info|warning|error)$"
NAME_FORM = "letters A to Z and a to z, digits, `.`, `_`, `-`, beginning with a letter or digit, at most 64"
_FORMS = {NAME: NAME_FORM, LEVEL: "debug, info, warning or error"}
"""What a pattern asks for."""
_EXAMPLES = {NAME: "kiosk-1", LEVEL: "info"}
_UNITS = {
    "s": "seconds",
    "ms": "milliseconds",
    "c": "°C",
    "mm": "millimetres",
    "mb": "megabytes",
    "h": "hours",
    "hours": "hours",
    "days": "days",
    "v": "volts",
    "fps": "pictures a second",
    "baud": "bits a second",
}
"""How a setting's name ends → its unit."""
_YEAR_S = 366 * 86_400.0
_SENSE: Mapping[str, tuple[float, float]] = {
    "s": (-math.inf, _YEAR_S),
    "ms": (-math.inf, _YEAR_S * 1e3),
    "h": (-math.inf, _YEAR_S / 3600),
    "hours": (-math.inf, _YEAR_S / 3600),
    "days": (-math.inf, 3660.0),
    "years": (-math.inf, 1000.0),
    "mb": (-math.inf, 1e12),
    "mm": (-math.inf, 1e5),
    "c": (-273.15, 3000.0),
}
"""Least and most of a setting without limits of its own, by its unit: what is beyond breaks the system's calls."""
_MOST_WHOLE, _MOST = 2**31 - 1, 1e15
"""The same of a whole number, and of any other."""
_BOUNDS = {Gt: "greater than {}", Ge: "at least {}", Lt: "less than {}", Le: "at most {}"}
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_STRANGE_HEADER = re.compile(r"\s*\[[^\[\]\"'#]*(?:[^\x00-\x7f]|\w\s+\w)[^\[\]\"'#]*\]")
"""A section with what is no name in it, as a space or another script's letters."""
_WITH_UNIT = re.compile(r"=\s*([-+]?\d+(?:\.\d+)?)\s*([^\W\d_]+|°C|°F|%|µm)\s*(?:#.*)?$")
"""A number with something after it that may be its unit."""
_LONGEST_SHOWN = 60
_LEAST_F, _MOST_F = 86.0, 113.0
"""Between these a temperature is likely one of the skin or the body in Fahrenheit: 30 to 45 °C."""
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


def sentence(misfit: Misfit, cls: type, given: Mapping[str, Any]) -> str:
    """Of one misfit of `cls`, whose settings were `given`."""
    if misfit.value is MISSING:
        return "is missing and has no default"
    if not misfit.path:
        return misfit.text + _numbers(misfit.text, cls, given)
    return should_be(cls, str(misfit.path[0]), misfit.value)


def beyond(cls: type, given: Mapping[str, Any]) -> Iterator[str]:
    """The settings of `cls` that hold a number outside all sense: none, infinite, or beyond its unit's limits."""
    for name, value in given.items():
        if not all(-_MOST <= number <= _MOST for number in _all_numbers(value)):
            yield name
            continue
        base, marks = without_marks(declared(cls)[name][1])
        if base in (int, float) and isinstance(value, int | float):
            marks = _with_sense(base, marks, name, value)
            if not all(HOLDS[type(mark)](value, mark) for mark in marks if type(mark) in HOLDS):
                yield name


def bad_texts(cls: type, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The settings with a text that none can have, and why: no path, name or address holds a control character, and
    an empty path would be the configuration's folder.
    """
    for name, value in given.items():
        field, of_type = declared(cls)[name]
        texts = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
        if found := re.search(r"[\x00-\x1f\x7f-\x9f]", "".join(texts)):
            yield name, f"has a control character (U+{ord(found[0]):04X}) in its text: take it out"
        elif "" in texts and without_marks(of_type)[0] is Path:
            shown = f' (for example {name} = "{field.default}")' if isinstance(field.default, Path) else ""
            yield name, f"is empty: give a path{shown}, or leave the setting out"


def _with_sense(base: Any, marks: tuple[object, ...], name: str, value: object) -> tuple[object, ...]:
    """With the limits that every setting of its unit has, where it has none of its own and the value is beyond."""
    if base not in (int, float) or not isinstance(value, int | float):
        return marks
    least, most = _SENSE.get(_ending(name), (-math.inf, _MOST_WHOLE if base is int else math.inf))
    if value < least and not any(isinstance(mark, Gt | Ge) for mark in marks):
        marks = (Ge(least), *marks)
    if value > most and not any(isinstance(mark, Lt | Le) for mark in marks):
        marks = (*marks, Le(most))
    return marks


def _all_numbers(value: object) -> Iterator[float]:
    """Those of lists too."""
    if isinstance(value, list):
        for each in value:
            yield from _all_numbers(each)
    elif isinstance(value, int | float):
        yield value


def subject(message: str, cls: type, given: Mapping[str, Any]) -> tuple[str, ...]:
    """The setting whose line a sentence about several belongs to: the one it begins with, or the only one that
    stands in the file; empty when that is not plain.
    """
    named = [name for name in declared(cls) if name in given and re.search(rf"\b{name}\b", message)]
    first = [name for name in named if message.startswith(f"{name} ")]
    return tuple(first or (named if len(named) == 1 else ()))


def should_be(cls: type, name: str, value: object) -> str:
    """What a setting of `cls` takes, and that it is not this value."""
    field, of_type = declared(cls)[name]
    base, marks = without_marks(of_type)
    marks = _with_sense(base, marks, name, value)
    unit = f", in {_UNITS[_ending(name)]}" if base in (int, float) and _ending(name) in _UNITS else ""
    told = "" if _is_hidden(base, marks, value) else f", not {_toml(value, name)}"
    hint = _other_scale(name, value)
    example = _example(field, base, marks, value)
    shown = "" if example is None else f" (for example {name} = {_toml(example, name)})"
    quoted = "text in quotes, of " * (bool(_pattern(marks)) and not isinstance(value, str))
    return f"should be {quoted}{_takes(base, marks, name)}{unit}{told}{shown}{hint}"


def _takes(base: Any, marks: Sequence[object], name: str) -> str:  # noqa: PLR0911 - one for each kind
    """What a type with its constraints takes, in words."""
    if (form := _FORMS.get(_pattern(marks))) is not None:
        return form
    bounds = " and ".join(
        words.format(_plain(mark.limit, name))
        for kind, words in _BOUNDS.items()
        for mark in marks
        if isinstance(mark, kind)
    )
    if base is float or base is int:
        return f"a {'whole ' * (base is int)}number, without quotes{f', {bounds}' if bounds else ''}"
    if base is bool:
        return "true or false, without quotes"
    if options := [repr(written) for written, _ in choices(base)]:
        return " or ".join(filter(None, (", ".join(options[:-1]), options[-1])))
    if typing.get_origin(base) in (tuple, list):
        args = typing.get_args(base)
        each, each_marks = without_marks(args[0])
        count = f"{len(args)} " if Ellipsis not in args and len(args) > 1 else ""
        what = {str: "texts", Path: "texts", float: "numbers", int: "whole numbers"}.get(each)
        return f"a list of {count}{what or f'which each is {_takes(each, each_marks, name)}'}, in [ ]"
    if base in (str, Path):
        return 'text in quotes: "like this"'
    return f"of another kind ({getattr(base, '__name__', base)})"


def _example(field: dataclasses.Field[Any], base: Any, marks: Sequence[object], value: object) -> Any:
    """A value that would do: what was meant, if that is plain; else the default, or what the constraints allow."""
    if isinstance(value, str) and base is float and _DECIMAL_COMMA.fullmatch(value):
        return float(value.replace(",", "."))
    if typing.get_origin(base) in (tuple, list) and isinstance(value, str) and str in typing.get_args(base):
        return [value]
    if field.default not in (dataclasses.MISSING, None, "", ()) and not isinstance(field.default, Path):
        return field.default
    if (pattern := _pattern(marks)) in _EXAMPLES:
        return _EXAMPLES[pattern]
    return next((made for _, made in choices(base)), None)


def _numbers(message: str, cls: type, given: Mapping[str, Any]) -> str:
    """The numbers that a sentence about several settings is about, each with its unit."""
    found = []
    for name, (field, _) in declared(cls).items():
        value = given.get(name, field.default)
        if re.search(rf"\b{name}\b", message) and isinstance(value, int | float) and not isinstance(value, bool):
            unit = _UNITS.get(_ending(name), "")
            found.append(f"{name} = {_toml(value, name)} {unit}".rstrip() + _other_scale(name, value))
    return f" (here {', '.join(found)})" if found else ""


def _other_scale(name: str, value: object) -> str:
    """What the value would be, if it was meant in another unit."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return ""
    if _ending(name) == "c" and _LEAST_F <= value <= _MOST_F:
        return f"; {value:g} °F are {(value - 32) / 1.8:.1f} °C"
    if _ending(name) == "s" and 1000 <= value <= _YEAR_S * 1e3:  # noqa: PLR2004 - a second in milliseconds
        return f"; {value:g} ms are {value / 1000:g} s"
    return ""


def _is_hidden(base: Any, marks: Sequence[object], value: object) -> bool:
    """Free text may hold a password, and what is long helps nobody."""
    is_free = base in (str, Path) and not _pattern(marks) and not isinstance(value, bool | int | float)
    return "secret" in marks or is_free or len(_toml(value, "")) > _LONGEST_SHOWN


def _pattern(marks: Sequence[object]) -> str:
    return next((str(found) for mark in marks if (found := getattr(mark, "pattern", None))), "")


def _ending(name: str) -> str:
    return name.rpartition("_")[2]


def _toml(value: object, name: str) -> str:
    """As it is written in the file."""
    match value:
        case Enum():
            return _toml(value.value, name)
        case bool():
            return str(value).lower()
        case int() if name == "address":
            return hex(value)
        case str():
            return f'"{value}"'
        case list() | tuple():
            return f"[{', '.join(_toml(each, name) for each in value)}]"
        case _:
            return str(value)


def _plain(limit: float, name: str) -> str:
    """A limit without the zeroes of a float."""
    return _toml(limit, name) if isinstance(limit, int) else f"{limit:.10g}"


def syntax(message: str, text: str) -> tuple[int, str]:
    """Where tomllib stopped reading, as a line, and why."""
    place = message.rpartition("(at line ")[2].partition(",")[0]
    line = int(place) if place.isdigit() else text.count("\n") + 1
    what = message.partition(" (at")[0]
    written = text.split("\n")[line - 1 : line]
    if comma := re.search(r"=\s*([-+]?\d+,\d+)\s*(?:#.*)?$", "".join(written)):
        return line, f"{comma[1]} is no number: write it with a point, {comma[1].replace(',', '.')}"
    if found := _WITH_UNIT.search("".join(written)):
        return line, f"a number stands alone, without its unit: {found[1]} for {found[1]} {found[2]}"
    if header := _STRANGE_HEADER.match("".join(written)):
        return line, f"{header[0]} is no section: a name in it is {NAME_FORM} (for example [lanes.main-entry])"
    remedy = next((f" ({each})" for beginning, each in _TOML.items() if what.startswith(beginning)), "")
    return line, f"is not TOML: {what}{remedy}"

"""Values of TOML as the types that a dataclass declares: strict, a whole number for a float aside. Pure.

The types are those that settings have: texts, numbers, true and false, paths, enumerations, literals, tuples of
these, and `| None`; with bounds of `drivers.bounds` and `Matches`.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from dataclasses import MISSING
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from agent.model.bounds import Ge, Gt, Le, Lt
from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Matches:
    """What a text matches from its first letter to its last."""

    pattern: str


class Misfit(Exception):
    """A value that does not fit its setting; or settings that do not fit each other."""

    def __init__(self, path: tuple[str | int, ...], value: object = None, text: str = "") -> None:
        """`path`: the setting, and the place in its list; empty: of several settings, and `text` is what their
        class says. `value`: `MISSING` for a setting that is not there.
        """
        super().__init__(text)
        self.path, self.value, self.text = path, value, text


class Misfits(Exception):
    """All that does not fit one class."""

    def __init__(self, each: list[Misfit]) -> None:
        """`each`: at least one."""
        super().__init__()
        self.each = each


@cache
def declared(cls: type) -> dict[str, tuple[dataclasses.Field[Any], Any]]:
    """Each setting with its type."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {entry.name: (entry, hints[entry.name]) for entry in dataclasses.fields(cls)}


def without_marks(of_type: Any) -> tuple[Any, tuple[object, ...]]:
    """A type without `Annotated` and `| None`, and what it was annotated with."""
    marks: tuple[object, ...] = ()
    while True:
        if typing.get_origin(of_type) is Annotated:
            of_type, *more = typing.get_args(of_type)
            marks += tuple(more)
        elif typing.get_origin(of_type) in (typing.Union, types.UnionType):
            of_type = next(each for each in typing.get_args(of_type) if each is not type(None))
        else:
            return of_type, marks


def made_of(cls: type, given: Mapping[str, object]) -> Any:
    """An instance of a dataclass whose fields are `given`. Raises Misfits."""
    fields, values, misfits = declared(cls) if given else {}, {}, []
    for name, value in given.items():
        try:
            values[name] = fitted(fields[name][1], value)
        except Misfit as misfit:
            misfits.append(Misfit((name, *misfit.path), misfit.value))
    misfits += [
        Misfit((entry.name,), MISSING)
        for entry in dataclasses.fields(cls)
        if entry.name not in given and entry.default is entry.default_factory is MISSING
    ]
    if misfits:
        raise Misfits(misfits)
    try:
        return cls(**values)
    except ValueError as error:
        raise Misfits([Misfit((), text=str(error))]) from None


def fitted(of_type: Any, value: object) -> Any:
    """The value as that type has it. Raises Misfit."""
    base, marks = without_marks(of_type)
    made: Any
    if typing.get_origin(base) is tuple and isinstance(value, list):
        made = _tuple(typing.get_args(base), value)
    elif base is float and type(value) is int:
        made = float(value)
    elif base in (str, int, float, bool) and type(value) is base:
        made = value
    elif base is Path and isinstance(value, str):
        made = Path(value)
    else:
        made = next((made for written, made in choices(base) if written == value), None)
        if made is None:
            raise Misfit((), value)
    if not all(HOLDS[type(mark)](made, mark) for mark in marks if type(mark) in HOLDS):
        raise Misfit((), value)
    return made


def choices(base: Any) -> list[tuple[object, object]]:
    """(as it is written, as it is) of each value of an enumeration; empty for another type."""
    if typing.get_origin(base) is Literal:
        return [(each, each) for each in typing.get_args(base)]
    if isinstance(base, type) and issubclass(base, Enum):
        return [(each.value, each) for each in base]
    return []


HOLDS: Mapping[type, Callable[[Any, Any], object]] = {
    Gt: lambda value, mark: value > mark.limit,
    Ge: lambda value, mark: value >= mark.limit,
    Lt: lambda value, mark: value < mark.limit,
    Le: lambda value, mark: value <= mark.limit,
    Matches: lambda value, mark: re.fullmatch(mark.pattern, value),
}
"""What a constraint asks for."""


def _tuple(args: tuple[Any, ...], value: list[object]) -> tuple[Any, ...]:
    types_of = [args[0]] * len(value) if args[1:] == (Ellipsis,) else list(args)
    if len(types_of) != len(value):
        raise Misfit((), value)
    made = []
    for index, (of_type, item) in enumerate(zip(types_of, value, strict=True)):
        try:
            made.append(fitted(of_type, item))
        except Misfit as misfit:
            raise Misfit((index, *misfit.path), misfit.value) from None
    return tuple(made)

"""How `--help` looks, and the message for a word that is not understood.

Text is filled to the terminal's width; an example stays on a line of its own.
"""

from __future__ import annotations

import argparse
import itertools
import math
import re
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from agent.texts import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

_EXAMPLE = re.compile(r" {4}|(?:sudo (?:-u \w+ )?)?gatepost ")
"""How the line of an example begins. Not by its indentation alone: a formatter of code removes what all lines of a
docstring have in common."""
_INDENT = "    "
_LONGEST_SHOWN = 40


class Parser(argparse.ArgumentParser):
    """A command, or an action of one."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"formatter_class": Formatter, **options})
        self.register("action", "parsers", _Actions)
        self._mixes = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Arguments may stand between options too: `command open --to a/b lane=in`; argparse alone takes them only
        together (its `parse_intermixed_args` cannot do actions of a command).
        """
        plain = all(each.nargs not in (argparse.PARSER, argparse.REMAINDER) for each in self._actions)
        if self._mixes or not plain:
            return super().parse_known_args(args, namespace)
        self._mixes = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixes = False

    def _print_message(self, message: str, file: Any = None) -> None:
        """Of help: argparse says nothing of an output that does not take it."""
        if file is sys.stdout:
            file.write(message)
        else:
            super()._print_message(message, file)

    def _get_values(self, action: argparse.Action, arg_strings: Any) -> Any:
        """The values of an option. An empty one, as a variable of a shell that is not set leaves it, is no value:
        `--target ""` must not mean all. What is required has a sentence of its own.
        """
        may_be_left_out = action.option_strings and not action.required and action.type is not or_nothing
        if may_be_left_out and not all(each.strip() for each in arg_strings):
            raise argparse.ArgumentError(action, "its value is empty: give one, or leave the option out")
        return super()._get_values(action, arg_strings)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """One of the choices, written as they are typed."""
        choices = action.choices
        if choices is None or value in choices:
            return
        if isinstance(choices, range):
            raise argparse.ArgumentError(action, f"{value} should be from {choices[0]} to {choices[-1]}")
        known = [str(each) for each in choices]
        raise argparse.ArgumentError(
            action, f"{value!r} should be one of {', '.join(known)}{did_you_mean(str(value), known)}"
        )


def or_nothing(text: str) -> str:
    """A type of argument: a text that may be empty."""
    return text


def _shown(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.12g}"


def number(least: float, most: float, example: float) -> Callable[[str], Any]:
    """A type of argument: a number within these limits, a whole one where all three are."""
    whole = all(isinstance(each, int) for each in (least, most, example))

    def read(text: str) -> float:
        try:
            plain = text.isascii() and "_" not in text
            value = math.nan if not plain else int(text) if whole else float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f"{text[:_LONGEST_SHOWN]!r} should be a {'whole ' * whole}number"
                f" from {_shown(least)} to {_shown(most)}, for example {example:g}"
            )
        return value

    read.example = example  # type: ignore[attr-defined]  # for readers of the arguments
    return read


_YEAR_DAYS = 366
seconds = number(0.0, _YEAR_DAYS * 86_400.0, 30.0)
version = number(0, 2**53, 7)
"""Of a bundle or a list: as large as JSON carries a number in every language."""
hours = number(0.0, 36_500 * 24.0, 24.0)
days = number(0.0, 36_500.0, 9.0)
share = number(0.5, 0.999, 0.95)
"""A specificity: below a half, a coin does as well."""
fever_c = number(35.0, 42.0, 38.0)
skin_c = number(0.0, 60.0, 35.6)
"""A temperature of skin, or of a black body in its place, °C."""
count = number(0, 1_000_000, 120)
uses, party, roster_number = number(0, 100, 1), number(1, 100, 2), number(0, 65_535, 17)
"""Of a permit: how often on a day, how many people, and the number of a seat or a person."""
port = number(0, 65_535, 8883)
chunk_kb = number(4, 1024, 256)
spread_s = number(0, 7 * 86_400, 3600)


class Formatter(argparse.HelpFormatter):
    """Keeps paragraphs and examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.strip("\n").split("\n\n")
        return "\n\n".join(_laid_out(each, width, indent) for each in paragraphs)


class _Actions(argparse._SubParsersAction):  # type: ignore[type-arg]  # noqa: SLF001 - the class that add_subparsers makes
    """What an action is for stands in its own help too."""

    def add_parser(self, name: str, **options: Any) -> Any:
        options.setdefault("description", options.get("help"))
        return super().add_parser(name, **options)


def _laid_out(paragraph: str, width: int, indent: str) -> str:
    runs = itertools.groupby(paragraph.split("\n"), lambda line: _EXAMPLE.match(line) is not None)
    return "\n".join(
        "\n".join(f"{indent}{_INDENT}{line.removeprefix(_INDENT)}" for line in lines)
        if is_example
        else textwrap.fill(" ".join(lines), width, initial_indent=indent, subsequent_indent=indent)
        for is_example, lines in runs
    )

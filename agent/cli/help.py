"""How `--help` looks, and what is said of a word that does not do.

Text is filled to the terminal's width; an example stays on a line of its own.
"""

from __future__ import annotations

import argparse
import difflib
import itertools
import math
import re
import textwrap
from typing import Any

_EXAMPLE = re.compile(r" {4}|(?:sudo (?:-u \w+ )?)?gatepost ")
"""How the line of an example begins. Not by its indentation alone: a formatter of code removes what all lines of a
docstring have in common."""
_INDENT = "    "


class Parser(argparse.ArgumentParser):
    """A command, or an action of one."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"formatter_class": Formatter, **options})
        self.register("action", "parsers", _Actions)

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """A number is a finite one; argparse's own words for others are Python's."""
        try:
            value = super()._get_value(action, arg_string)
        except argparse.ArgumentError:
            if action.type not in (int, float):
                raise
            value = math.nan
        if isinstance(value, float) and not math.isfinite(value):
            whole = "whole " * (action.type is int)
            usual = action.default if type(action.default) in (int, float) else 10
            raise argparse.ArgumentError(action, f"{arg_string!r} should be a {whole}number, for example {usual:g}")
        return value

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """One of the choices, written as they are typed."""
        choices = action.choices
        if choices is None or value in choices:
            return
        if isinstance(choices, range):
            raise argparse.ArgumentError(action, f"{value} should be from {choices[0]} to {choices[-1]}")
        known = [str(each) for each in choices]
        near = "".join(f"; did you mean {each}?" for each in difflib.get_close_matches(str(value), known, n=1))
        raise argparse.ArgumentError(action, f"{value!r} should be one of {', '.join(known)}{near}")


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

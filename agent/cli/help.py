"""How `--help` looks: text is filled to the terminal's width; an example stays on a line of its own."""

from __future__ import annotations

import argparse
import itertools
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

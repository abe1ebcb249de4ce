"""Where each key stands in a TOML text: tomllib gives values without lines, and a fault needs its line. Pure."""

from __future__ import annotations

import re
import tomllib
from typing import Any

_HEADER = re.compile(r"\s*\[\[?\s*(?P<key>[^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""\s*(?P<key>(?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")


def lines_of(text: str) -> dict[tuple[str, ...], int]:
    """Path of every section and key → its line, from 1. `text` is valid TOML."""
    found: dict[tuple[str, ...], int] = {}
    section: tuple[str, ...] = ()
    unfinished = ""
    for number, line in enumerate(text.splitlines(), 1):
        if unfinished:
            unfinished = _unfinished(f"{unfinished}\n{line}")
        elif header := _HEADER.match(line):
            section = _parts(header["key"])
            for depth in range(1, len(section) + 1):
                found.setdefault(section[:depth], number)
        elif key := _KEY.match(line):
            found[(*section, *_parts(key["key"]))] = number
            unfinished = _unfinished(line)
    return found


def _parts(dotted: str) -> tuple[str, ...]:
    """The names of a dotted key, unquoted."""
    parts: list[str] = []
    tree: Any = tomllib.loads(f"{dotted} = 0")
    while isinstance(tree, dict):
        name, tree = next(iter(tree.items()))
        parts.append(name)
    return tuple(parts)


def _unfinished(assignment: str) -> str:
    """The text of an assignment that goes on in the next line (an array, a long string), else nothing."""
    try:
        tomllib.loads(assignment)
    except tomllib.TOMLDecodeError:
        return assignment
    return ""

"""One table for a fleet: a row for each kiosk, a column for each setting that differs, over one common file. Pure.

    kiosk.site,kiosk.id,mqtt.host,lanes.entry.gate.port
    east-gate,k01,broker.example,/dev/gatepost/1-1.2-serial

A column's name is the path of a setting. An empty cell leaves the setting as the common file has it. A cell is a
number or true/false where TOML would read it so, else text; `"12"` in quotes is text, `["a", "b"]` a list.
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.config.overlay import laid_over
from agent.config.toml_text import toml_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_COLUMN = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")
_PLAIN = re.compile(r"true|false|[+-]?\d+(\.\d+)?|\"[^\"\n]*\"|\[.*\]")
_SITE, _KIOSK = "kiosk.site", "kiosk.id"


class BadFleetTable(ValueError):
    """A table that cannot be used; `str()` names line, column and what is expected."""


@dataclass(frozen=True, slots=True)
class FleetRow:
    """One kiosk."""

    line: int
    """In the table, from 1."""
    site: str
    kiosk: str
    text: str
    """Its whole configuration."""


def render(table: str, common: str = "") -> list[FleetRow]:
    """The configuration of each row, over the common file's text. Raises BadFleetTable, ValueError."""
    base = tomllib.loads(common)
    reader = csv.reader(io.StringIO(table.removeprefix("\ufeff")))
    try:
        return list(_rows(reader, base))
    except csv.Error as error:
        raise BadFleetTable(f"line {reader.line_num}: is no CSV: {error}") from None


def _rows(reader: Any, base: dict[str, Any]) -> Iterator[FleetRow]:
    columns = _columns(next(reader, []))
    seen: dict[tuple[str, str], int] = {}
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        line = reader.line_num
        if len(cells) != len(columns):
            raise BadFleetTable(f"line {line}: has {len(cells)} cells, the first line has {len(columns)}")
        said = {column: cell.strip() for column, cell in zip(columns, cells, strict=True)}
        name = (said[_SITE], said[_KIOSK])
        if not all(name):
            raise BadFleetTable(f"line {line}: names no {_KIOSK if name[0] else _SITE}")
        if name in seen:
            raise BadFleetTable(f"line {line}: {'/'.join(name)} stands on line {seen[name]} already")
        seen[name] = line
        tree = dict(base)
        for column, cell in said.items():
            if cell:
                literal = column in (_SITE, _KIOSK)
                tree = laid_over(tree, _nested(column.split("."), cell if literal else _value(cell, line, column)))
        yield FleetRow(line, *name, toml_text(tree))


def _columns(cells: Sequence[str]) -> list[str]:
    """The first line. Raises BadFleetTable."""
    columns = [cell.strip() for cell in cells]
    for column in columns:
        if not _COLUMN.fullmatch(column):
            raise BadFleetTable(f"line 1: {column!r} is no path of a setting; an example is mqtt.host")
    if missing := {_SITE, _KIOSK} - set(columns):
        raise BadFleetTable(f"line 1: has no column {' and '.join(sorted(missing))}; a kiosk is named by both")
    if len(set(columns)) < len(columns):
        raise BadFleetTable("line 1: names a column twice")
    return columns


def _nested(path: Sequence[str], value: object) -> dict[str, Any]:
    return {path[0]: _nested(path[1:], value) if path[1:] else value}


def _value(cell: str, line: int, column: str) -> object:
    if not _PLAIN.fullmatch(cell):
        return cell
    try:
        return tomllib.loads(f"value = {cell}")["value"]
    except ValueError as error:
        if cell[0] not in '["':
            return cell  # 007 is a name
        raise BadFleetTable(f"line {line}: {column}: {cell} cannot be read: {error}") from None

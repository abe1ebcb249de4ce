"""What may pass, as data: facts of one passage in, Decision with reasons out. Pure.

Usage: `table = load_table(options)`, then `decide(table, facts_of(direction, verdict, screening, now, site=…))`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt

from agent.packaged import packaged
from agent.policy.facts import Facts, Seen, Site, Traveller, Venue, Zone, facts_of
from agent.policy.reasons import sentence
from agent.policy.table import BadTable, Table, decide, read

__all__ = [
    "BadTable",
    "Facts",
    "Options",
    "Seen",
    "Site",
    "Table",
    "Traveller",
    "Venue",
    "Zone",
    "decide",
    "facts_of",
    "load_table",
    "parse_table",
    "profiles",
    "sentence",
    "site_of",
]


@dataclass(frozen=True, slots=True)
class Options:
    """What may pass here."""

    table: str = "default"
    """Name of a venue profile that comes with the agent (`gatepost policy list`), or path of a table (TOML)."""
    venue: Venue = Venue.PUBLIC_PLACE
    """Kind of place: community, office, project_site, business, public_place, entry_point, transport, medical, …"""
    zone: Zone = Zone.LOW
    """Risk of the area: low, medium, high."""
    series_tests: Annotated[int, Ge(0)] = 0
    """How many negative tests this place requires within `series_days`; 0: none."""
    series_days: Annotated[float, Gt(0)] = 3.0
    """See `series_tests`; days."""


def site_of(options: Options) -> Site:
    """What is the same for every passage."""
    return Site(Zone(options.zone), Venue(options.venue), options.series_tests, options.series_days)


def profiles() -> list[Path]:
    """The tables that come with the agent."""
    return sorted(path for path in packaged("policy").glob("*.toml") if not path.name.startswith("_"))


def load_table(options: Options, root: Path | None = None) -> Table:
    """The table that the options name, proved; a path is relative to `root`. Raises BadTable."""
    is_path = options.table.endswith(".toml")
    path = (root or Path()) / options.table if is_path else packaged(f"policy/{options.table}.toml")
    return read(_whole(_document(path)), str(path))


def parse_table(text: str, name: str) -> Table:
    """A whole table from TOML text, as the centre sends it. Raises BadTable."""
    try:
        return read(tomllib.loads(text), name)
    except tomllib.TOMLDecodeError as error:
        raise BadTable(name, [f"not TOML: {error}"]) from None


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadTable(str(path), [error.strerror or "cannot be read"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadTable(str(path), [f"not TOML: {error}"]) from None


def _whole(document: dict[str, Any]) -> dict[str, Any]:
    """With the rows, invariants and cases of the packaged `_NAME.toml` before its own, if it says first = NAME."""
    head = document.get("table")
    first = head.pop("first", None) if isinstance(head, dict) else None
    if not isinstance(first, str):
        return document
    begin = _document(packaged(f"policy/_{Path(first).name}.toml"))
    parts = {key: begin.get(key, []) + document.get(key, []) for key in ("row", "never", "case")}
    return document | {key: entries for key, entries in parts.items() if entries}

"""What may pass, as data: facts of one passage in, Decision with reasons out. Pure.

Usage: `table = load_table(options)`, then `decide(table, facts_of(direction, verdict, screening, now, site=…))`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt

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
    "profile_path",
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


def profile_path(name: str) -> Path:
    """Where the profile of that name lies: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "defaults" / "config" / "policy"
    folder = installed if installed.is_dir() else package.parent / "config" / "policy"
    return folder / f"{name}.toml"


def load_table(options: Options, root: Path | None = None) -> Table:
    """The table that the options name, proved; a path is relative to `root`. Raises BadTable."""
    is_path = options.table.endswith(".toml")
    path = (root or Path()) / options.table if is_path else profile_path(options.table)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadTable(str(path), [error.strerror or "cannot be read"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadTable(str(path), [f"not TOML: {error}"]) from None
    return read(document, str(path))

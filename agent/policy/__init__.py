"""The policy: facts of one passage in, Decision with reasons out. Pure.

Usage: `decide(table, facts_of(direction, verdict, screening, now, site=…))`, table from `agent.ruleset.load`.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Annotated, Any

from agent.model import Decision, Outcome
from agent.model.bounds import Ge, Gt, Le
from agent.model.lazy import dataclass
from agent.policy.facts import Facts, Passback, SiteFacts, VenueKind, Zone, facts_of
from agent.policy.table import BadTable, Table, decide, permits, read
from agent.policy.tickets import parse_service

__all__ = [
    "BadTable",
    "Facts",
    "Options",
    "Passback",
    "SiteFacts",
    "Table",
    "VenueKind",
    "Zone",
    "begins_with",
    "decide",
    "facts_of",
    "left_to_staff",
    "parse_service",
    "parse_table",
    "permits",
    "site_of",
]

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Options:
    """Who may pass here."""

    table: str = "default"
    """Name of a venue profile that comes with the agent (`gatepost policy list`), or path of a table (TOML)."""
    venue: VenueKind = VenueKind.PUBLIC_PLACE
    """Kind of place: residential, office, construction_site, retail, public_place, port_of_entry, medical, …"""
    zone: Zone = Zone.LOW
    """Risk of the area, where no zones are in force: low, medium, high, controlled, locked."""
    series_tests: Annotated[int, Ge(0)] = 0
    """How many negative tests this place requires within `series_days`; 0: none."""
    series_spacing_h: Annotated[float, Ge(1), Le(48)] = 20.0
    """Least time between two tests of a series, hours: tests that are closer together count as one."""
    series_days: Annotated[float, Gt(0)] = 3.0
    """See `series_tests`; days."""


def left_to_staff(decision: Decision) -> Decision:
    """What safe mode makes of a decision about somebody who comes in: nobody is let in, nobody sent away."""
    grounds = decision.reasons if decision.outcome in (Outcome.REFER, Outcome.REFUSE) else ()
    return Decision(Outcome.REFER, ("safe_mode", *grounds), rule="safe-mode", actions=("staff_check",))


def site_of(options: Options) -> SiteFacts:
    """What is the same for every passage. A table that is called as a kind of place is for it."""
    venue = VenueKind(options.venue)
    if venue is VenueKind.PUBLIC_PLACE and options.table in set(VenueKind):
        venue = VenueKind(options.table)
    return SiteFacts(
        Zone(options.zone), venue, options.series_tests, options.series_days, options.series_spacing_h * 3600
    )


def parse_table(text: str, name: str, beginning: Callable[[str], str] | None = None) -> Table:
    """A proved table from TOML text. Raises BadTable.

    `beginning` gives the text of a named table whose rows, invariants and tests come before this one's, where it
    says `extends = NAME`; without it, as for tables from the central server, a table must be whole.
    """
    document = _document(text, name)
    begins = _begins_with(document, name)
    if begins and beginning is not None:
        del document["table"]["extends"]
        begin = _document(beginning(begins), name)
        for key in ("row", "invariant", "test"):
            own = document.get(key, [])
            if isinstance(own, list) and (begin.get(key) or own):
                document[key] = [*begin.get(key, []), *own]
    return read(document, name)


def begins_with(text: str, name: str) -> str:
    """Which rows a table begins with, by `extends = NAME`; `` when it is whole. Raises BadTable."""
    return _begins_with(_document(text, name), name)


def _begins_with(document: dict[str, Any], name: str) -> str:
    head = document.get("table")
    first = head.get("extends", "") if isinstance(head, dict) else ""
    if not isinstance(first, str) or not re.fullmatch(r"[a-z_]*", first):
        raise BadTable(name, [f'extends is a name of small letters, as extends = "guards", not {first!r}'])
    return first


def _document(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadTable(name, [f"not TOML: {error}"]) from None

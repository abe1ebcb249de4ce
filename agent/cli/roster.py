"""`gatepost roster build FILE.csv`: pack a roster for kiosks; it names nobody. `roster show`: what is in one.

The table has the columns `issuer` and `subject` (the holder's pseudonym in the issuer's codes) or `card` (the
number of a card or fob), and `role`; it may have `number`, `group`, `place`, `from`, `until`, `weekdays` (12345),
`uses`, `party`.

    gatepost roster build class.csv --out roster.json
    gatepost roster show roster.json
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import given
from agent.cli.help import party, roster_number, uses, version
from agent.credentials import list_text
from agent.credentials.formats import card
from agent.credentials.trust import issuer_name
from agent.model import Permit, PermitKind
from agent.platform.files import replace_file
from agent.venue.entries import ROLES
from agent.venue.permits import KEY_BYTES, BadRoster, build_roster, parse_roster, parse_weekdays, parse_windows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COLUMNS = {
    "issuer", "subject", "card", "role", "number", "group", "place", "from", "until", "weekdays", "uses", "party",
}  # fmt: skip

_COLUMNS = ", ".join(sorted(COLUMNS))


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `roster`."""
    parser = subparsers.add_parser("roster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", help="pack a table")
    build.add_argument("table", type=Path, help="CSV, UTF-8")
    build.add_argument("--out", type=Path, required=True, help="where to write it: roster.json")
    build.add_argument(
        "--version", type=version, help="rises with each roster: a kiosk then notices an older one in its place"
    )
    show = verbs.add_parser("show", help="roles and groups of a packed roster")
    show.add_argument("roster", type=Path, help="packed by `roster build`: roster.json")


def run(args: argparse.Namespace) -> int:
    """0 done, 1 refused."""
    try:
        if args.verb == "build":
            given.demand_own(args.out, b'{"kinds"', "roster")
            rows = io.StringIO(given.text(args.table), newline="")
            content = build_roster(_somebody(read_table(csv.DictReader(rows))))
            if args.version:
                content["version"] = args.version
            replace_file(args.out, (json.dumps(content, ensure_ascii=False).encode(),))
        else:
            content = _packed(args.roster)
        roster = parse_roster(content)
    except (BadRoster, csv.Error) as error:
        print(f"{args.table if args.verb == 'build' else args.roster}: {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    for (role, group), count in sorted(roster.counts.items()):
        print(f"{count:6} {role} {group}".rstrip())
    print(f"{len(roster):6} in all")
    return 0


def _packed(file: Path) -> Any:
    """What `roster build` has written, not yet read. Raises ValueError, OSError."""
    try:
        return json.loads(given.text(file))
    except (json.JSONDecodeError, RecursionError):
        raise BadRoster("is no roster: `gatepost roster build` makes one of a table") from None


def _somebody(permits: list[Permit]) -> list[Permit]:
    """The same. Raises BadRoster for none."""
    if not permits:
        raise BadRoster("the table names nobody: below the columns stands one line for each person")
    return permits


def read_table(rows: csv.DictReader[str]) -> list[Permit]:
    """Permits of a table. Raises BadRoster with the line and its fault."""
    names = rows.fieldnames or ()
    if unknown := sorted(repr(name) for name in {*names} - COLUMNS):
        hint = "separate columns by commas; " if any(mark in "".join(names) for mark in ";\t") else ""
        raise BadRoster(f"line 1: there is no column {', '.join(unknown)}; {hint}columns are {_COLUMNS}")
    if "role" not in names:
        raise BadRoster(f"line 1: it has no column role; columns are {_COLUMNS}")
    permits = []
    people: dict[bytes, int] = {}
    numbers: dict[int, int] = {}
    for row in rows:
        line = rows.line_num
        try:
            permit = _permit({name: (value or "").strip() for name, value in row.items() if name})
        except (BadRoster, ValueError) as error:
            raise BadRoster(f"line {line}: {error}") from None
        if (other := people.setdefault(permit.key, line)) != line:
            raise BadRoster(f"line {line}: the same person as on line {other}: one line for each")
        if permit.number and (other := numbers.setdefault(permit.number, line)) != line:
            raise BadRoster(
                f"line {line}: two people have the number {permit.number}, the other is on line {other}: "
                "each number may stand once, or be 0 for none"
            )
        permits.append(permit)
    return permits


def _permit(row: Mapping[str, str]) -> Permit:
    if row.get("card"):
        key = card.card_key(row["card"])
    elif row.get("issuer") and row.get("subject"):
        key = list_text.key_of("subject", issuer_name(row["issuer"]), row["subject"])
    else:
        raise BadRoster("it has neither a card nor issuer and subject")
    window: dict[str, object] = {name: row[name] for name in ("from", "until") if row.get(name)}
    if row.get("weekdays"):
        window["weekdays"] = parse_weekdays(row["weekdays"])
    if row["role"] not in ROLES[1:]:
        raise BadRoster(f"role is one of {', '.join(ROLES[1:])}, not {row['role']!r}")
    kind = PermitKind(
        row["role"],
        row.get("place", ""),
        parse_windows([window]) if window else (),
        _number(row, "uses", uses, 0),
        _number(row, "party", party, 1),
    )
    return Permit(key[:KEY_BYTES], kind, row.get("group", ""), _number(row, "number", roster_number, 0))


def _number(row: Mapping[str, str], column: str, read: Callable[[str], int], default: int) -> int:
    """Of a column; empty: the default."""
    try:
        return read(row[column]) if row.get(column) else default
    except argparse.ArgumentTypeError as error:
        raise BadRoster(f"{column} {error}") from None

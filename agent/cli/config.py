"""`gatepost config`: write the configurations of a fleet from one table; list the files of a configuration.

gatepost config render fleet.csv --common site.toml --out fleet    one folder for each kiosk: SITE/KIOSK/agent.toml
gatepost config files                                              the files that are read, in their order
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent import config
from agent.cli import configuration, given
from agent.config import fleet
from agent.platform.files import replace_file

if TYPE_CHECKING:
    import argparse

_SECRETS = 0o600
"""A table may hold passwords."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `config`."""
    parser = subparsers.add_parser("config", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    render = actions.add_parser("render", help="write the configuration of each kiosk of a table")
    render.add_argument("table", type=Path, help="CSV: a row for each kiosk, a column for each setting")
    render.add_argument("--common", type=Path, help="a configuration file that all have in common")
    render.add_argument("--out", type=Path, default=Path("fleet"), help="folder to write to (default: fleet)")
    files = actions.add_parser("files", help="the files that are read, in their order")
    configuration.add_argument(files)


def run(args: argparse.Namespace) -> int:
    """0; 1 with every fault on standard error, and then nothing is written."""
    return _render(args) if args.action == "render" else _files(args.config)


def _files(file: Path) -> int:
    for part in (file, *config.drop_ins(file)):
        print(part)
    return 0


def _render(args: argparse.Namespace) -> int:
    try:
        common, table = given.text(args.common) if args.common else "", given.text(args.table)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        rows = fleet.render(table, common)
    except ValueError as error:
        print(f"{args.table if isinstance(error, fleet.BadFleetTable) else args.common}: {error}", file=sys.stderr)
        return 1
    faults = 0
    for row in rows:
        try:
            config.parse(row.text, Path("/etc/gatepost/agent.toml"))
        except config.BadConfig as error:
            faults += len(error.faults)
            for fault in error.faults:
                print(
                    f"{args.table}:{row.line}: {row.site}/{row.kiosk}: {fault.path}: {fault.text}", file=sys.stderr
                )
    if faults:
        print(f"{faults} fault{'s' * (faults != 1)}: nothing is written.", file=sys.stderr)
        return 1
    for row in rows:
        folder = args.out / row.site / row.kiosk
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / "agent.toml", (row.text.encode(),), _SECRETS)
    print(
        f"{len(rows)} kiosks in {args.out}: `gatepost authority new --settings {args.out}` brings each agent.toml"
        " to its kiosk; without an authority, copy it to /etc/gatepost there."
    )
    return 0

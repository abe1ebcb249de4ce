"""`gatepost fleet`: the state of all kiosks at a broker, from their retained states; for the central server.

It shows which kiosks are offline, which software, configuration and bundles are in force where, what is too old or
ends soon, and open cases. With --watch it continues, and shows since when a kiosk is offline. See docs/fleet.md.

    gatepost fleet broker.example --username wall --password-file wall.password
    gatepost fleet localhost:1883 --plain --json
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from agent.cli import broker_login
from agent.cli.help import number
from agent.events.fleet import KioskRow, as_json, row_of, table
from agent.events.state import ALL_STATES
from agent.mqtt import LinkLost

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable


class _NewestStates:
    """The newest state of each kiosk."""

    def __init__(self) -> None:
        self.rows: dict[str, KioskRow] = {}
        self.offline_since: dict[str, float] = {}

    def read(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """States, as they came."""
        for topic, payload in messages:
            if (row := row_of(topic, payload)) is not None:
                self._add_row(row)
            elif not payload:
                self.rows.pop("/".join(topic.split("/")[2:4]), None)

    def _add_row(self, row: KioskRow) -> None:
        before = self.rows.get(row.kiosk)
        self.rows[row.kiosk] = row
        if row.state == "online":
            self.offline_since.pop(row.kiosk, None)
        elif before is not None and before.state == "online":
            self.offline_since[row.kiosk] = time.time()


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `fleet`."""
    parser = subparsers.add_parser("fleet", description=__doc__)
    parser.add_argument("broker", help="HOST or HOST:PORT; 8883 is usual with TLS")
    broker_login.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="for programs; with --watch a line each time")
    parser.add_argument("--watch", action="store_true", help="go on, until Ctrl-C")
    parser.add_argument(
        "--seconds",
        type=number(0.5, 3600.0, 2.0),
        default=2.0,
        help="seconds between two views of --watch (default: 2)",
    )


def run(args: argparse.Namespace) -> int:
    """0 when all kiosks are online; 3 when some are not; 1 when there is none, or the broker cannot be used."""
    fleet = _NewestStates()
    try:
        with broker_login.connect(args, "3.1.1") as connection:  # for the sake of thousands of states
            fleet.read(connection.read_retained(ALL_STATES))
            _show(fleet, args)
            while args.watch:
                until_s = time.monotonic() + args.seconds
                while (left_s := until_s - time.monotonic()) > 0:
                    fleet.read(connection.read(left_s))
                _show(fleet, args)
    except BrokenPipeError:
        raise  # the reader of our output has left
    except (LinkLost, OSError, ValueError) as error:
        print(f"{args.broker}: {error}", file=sys.stderr)
        return 1
    if not fleet.rows:
        whose = args.username or "we"
        print(
            f"{args.broker}: no state of a kiosk (does one run, and may {whose} read {ALL_STATES}? RabbitMQ gives"
            " nothing retained to a wildcard: there use the table kiosk of docs/server)",
            file=sys.stderr,
        )
        return 1
    return 3 if any(row.state != "online" for row in fleet.rows.values()) else 0


def _show(fleet: _NewestStates, args: argparse.Namespace) -> None:
    rows = [fleet.rows[kiosk] for kiosk in sorted(fleet.rows)]
    if args.json:
        print(json.dumps(as_json(rows, fleet.offline_since), indent=None if args.watch else 1), flush=True)
        return
    if args.watch:
        print(f"\n{time.strftime('%H:%M:%S')}")
    print("\n".join(table(rows, fleet.offline_since, time.time())), flush=True)

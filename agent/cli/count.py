"""`gatepost count [N]`: how many people are inside; with a number: what staff have counted.

gatepost count
gatepost count 120
"""

from __future__ import annotations

import argparse
from typing import Any

from agent.cli import configuration, venue
from agent.cli.help import count


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `count`."""
    parser = subparsers.add_parser("count", description=__doc__)
    configuration.add_argument(parser)
    parser.add_argument("inside", nargs="?", type=count, help="how many people are inside: 120")
    venue.add_badge(parser)


def run(args: argparse.Namespace) -> int:
    """0 done, 1 refused, 3 not running."""
    if args.inside is None:
        return venue.show(args, lambda view: [_line(view["occupancy"])])
    return venue.state(args, "count", number=args.inside)


def _line(occupancy: dict[str, Any]) -> str:
    of = f" of {occupancy['capacity']}" if occupancy["capacity"] else ""
    doubt = "" if occupancy["exact"] else "; entries were lost: count, and type gatepost count N"
    if occupancy["unheard"]:
        doubt += f"; not connected: {', '.join(occupancy['unheard'])}"
    return f"{occupancy['inside']}{of} inside, {occupancy['came']} came today, room: {occupancy['room']}{doubt}"

"""`gatepost duty [NAME]`: a duty of venue.toml was done, for example disinfection; without NAME: when each was.

gatepost duty
gatepost duty disinfect --by G07
"""

from __future__ import annotations

import argparse
from typing import Any

from agent.cli import configuration, venue


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `duty`."""
    parser = subparsers.add_parser("duty", description=__doc__)
    configuration.add_argument(parser)
    parser.add_argument("name", nargs="?", help="name of the duty: disinfect")
    venue.add_badge(parser)


def run(args: argparse.Namespace) -> int:
    """0 done, 1 refused, 3 not running."""
    if args.name is None:
        return venue.show(args, _lines)
    return venue.state(args, "duty", value=args.name)


def _lines(view: dict[str, Any]) -> list[str]:
    ages = view["duties"]
    if not ages:
        return ["venue.toml names no duty"]
    unknown = "not done today" if view["report"] is not None else "unknown: the kiosk does not know the time yet"
    return [
        f"{name}: {unknown}" if age_s is None else f"{name}: done {age_s / 3600:.1f} h ago"
        for name, age_s in ages.items()
    ]

"""`gatepost record TYPE VALUE`: what staff see and state. It adds a fact, and the signed table decides again.

About somebody who waits on a lane: `mask worn`, `document seen`, `record done`, `travel clear`.
About the venue: `absence ill --number 12`, `symptom cough --group class-1`, `badge G07`.

    gatepost record document seen --lane entry
    gatepost record record done --lane entry --for 7
    gatepost record absence ill --number 12
"""

from __future__ import annotations

import argparse

from agent.cli import configuration, venue
from agent.cli.help import count
from agent.texts import LANGUAGES
from agent.venue.attestations import ABOUT_A_PERSON


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `record`."""
    parser = subparsers.add_parser("record", description=__doc__)
    configuration.add_argument(parser)
    parser.add_argument("type", choices=[*ABOUT_A_PERSON, "absence", "symptom", "badge"])
    parser.add_argument("value", nargs="?", default="", help="worn, seen, done, clear, ill, cough … by the type")
    parser.add_argument("--lane", default="", help="where the person waits: entry")
    parser.add_argument(
        "--for", dest="waits", type=count, default=0, metavar="NUMBER", help="of whom: 7, as listed"
    )
    parser.add_argument("--number", type=count, default=0, help="on the roster: 12")
    parser.add_argument("--group", default="", help="of the roster: class-1")
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="of the reasons")
    venue.add_badge(parser)


def run(args: argparse.Namespace) -> int:
    """0 done, 1 refused, 3 not running."""
    number = args.waits if args.type in ABOUT_A_PERSON else args.number
    return venue.state(args, args.type, value=args.value, lane=args.lane, number=number, group=args.group)

"""`gatepost remeasure LANE °C`: re-decide the last person of a lane with a clinical thermometer reading.

The person's code is checked again and the decision is made again with this temperature: the gate opens, or the
decision stands. Either is an event, with the basis `clinical`. When several people wait, give the number of the one
whom you have measured; without a temperature the command lists who waits, the latest first. For root or the user
gatepost, while the agent runs.

    sudo -u gatepost gatepost remeasure entry 36.8
    sudo -u gatepost gatepost remeasure entry
    sudo -u gatepost gatepost remeasure entry 36.8 --for 7
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from agent.cli import configuration, running
from agent.cli.help import number
from agent.texts import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterator


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `remeasure`."""
    parser = subparsers.add_parser("remeasure", description=__doc__)
    configuration.add_argument(parser)
    parser.add_argument("lane", help="where the person was decided last")
    parser.add_argument(
        "celsius", type=_celsius, nargs="?", help="what the thermometer shows, °C: 36.8; without it: who waits"
    )
    parser.add_argument(
        "--for", dest="number", type=number(1, 999, 7), metavar="NUMBER", help="number of the person, as listed: 7"
    )
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="language of the reasons")


def run(args: argparse.Namespace) -> int:
    """0 decided, 1 refused, 3 not running."""
    config = configuration.read(args.config)
    if config is None:
        return 1
    if args.lane not in config.lanes:
        print(f"no lane {args.lane}; there are {', '.join(config.lanes)}", file=sys.stderr)
        return 1
    directory, lane = config.runtime.directory, args.lane
    if args.celsius is None:
        return running.print_answer(lambda: running.waiting(directory, lane), lambda who: _waiting(lane, who))
    return running.print_answer(
        lambda: running.temperature(directory, lane, args.celsius, args.number or 0),
        lambda decided: [f"{lane}: {args.celsius:.1f} °C: {running.format_decision(decided, args.language)}"],
    )


def _waiting(lane: str, people: list[dict[str, Any]]) -> Iterator[str]:
    if not people:
        yield f"{lane}: nobody waits"
    for each in people:
        code = "" if each["with_code"] else ", without a code"
        yield f"{lane}: {each['number']} waits, decided {each['ago_s']:.0f} s ago: {each['outcome']}{code}"


def _celsius(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no temperature: write it as 36.8") from None

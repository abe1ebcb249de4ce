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
from typing import Any

from agent.cli import configuration, running
from agent.texts import LANGUAGES, sentence


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `remeasure`."""
    parser = subparsers.add_parser("remeasure", description=__doc__)
    configuration.add_argument(parser)
    parser.add_argument("lane", help="where the person was decided last")
    parser.add_argument(
        "celsius", type=_celsius, nargs="?", help="what the thermometer shows, °C: 36.8; without it: who waits"
    )
    parser.add_argument(
        "--for", dest="number", type=int, choices=range(1, 1000), metavar="NUMBER", help="of whom, as listed: 7"
    )
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="of the reasons")


def run(args: argparse.Namespace) -> int:
    """0 decided, 1 refused, 3 not running."""
    config = configuration.read(args.config)
    if config is None:
        return 1
    if args.lane not in config.lanes:
        print(f"no lane {args.lane}; there are {', '.join(config.lanes)}", file=sys.stderr)
        return 1
    try:
        if args.celsius is None:
            _list(args.lane, running.waiting(config.runtime.directory, args.lane))
            return 0
        decided = running.temperature(config.runtime.directory, args.lane, args.celsius, args.number or 0)
    except running.NotRunning as error:
        print(error, file=sys.stderr)
        return 3
    except running.RequestRefused as error:
        print(error, file=sys.stderr)
        return 1
    said = [sentence("reason", code, args.language) for code in (*decided["reasons"], *decided["actions"])]
    gate = "the gate opens" if decided["gate_opened"] else "the gate stays shut"
    print(f"{args.lane}: {args.celsius:.1f} °C: {decided['decision']}, {gate}. {' '.join(said)}")
    return 0


def _list(lane: str, waiting: list[dict[str, Any]]) -> None:
    if not waiting:
        print(f"{lane}: nobody waits")
    for each in waiting:
        code = "" if each["with_code"] else ", without a code"
        print(f"{lane}: {each['number']} waits, decided {each['ago_s']:.0f} s ago: {each['outcome']}{code}")


def _celsius(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no temperature: write it as 36.8") from None

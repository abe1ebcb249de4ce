"""`gatepost report`: the venue's day so far. The day's report itself is sent after the day has ended.

gatepost report
gatepost report --json
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from agent.cli import configuration, venue


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `report`."""
    parser = subparsers.add_parser("report", description=__doc__)
    configuration.add_argument(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    """0 done, 1 refused, 3 not running."""
    return venue.show(args, lambda view: [json.dumps(view, ensure_ascii=False)] if args.json else lines(view))


def lines(view: dict[str, Any]) -> list[str]:
    """The view in words."""
    day = view["report"]
    if day is None:
        return ["the time is not known yet: no day can be reported"]
    cases, drift = day["cases"], f"{day['drift']:+d}"
    people = f"{day['came']} came, {day['left']} left, {day['inside']} inside, at most {day['most']}"
    doubt = "" if day["exact"] else "; entries were lost: staff have to count"
    return [
        f"{view['venue']}, {day['day']} so far",
        f"  people: {people}; corrections {drift}{doubt}",
        f"  cases: {cases['opened']} opened, {cases['answered']} answered, {cases['unanswered']} open",
        *(f"  {role}: {_counts(counts)}" for role, counts in day["decisions"].items()),
        *(f"  round {name}: {_checked(counts)}" for name, counts in day["rounds"].items()),
        *(f"  CLUSTER: {each['count']} of {each['group']} with {each['symptom']}" for each in day["clusters"]),
        *(f"  duty {name}: {counts['done']} of {counts['asked']} done" for name, counts in day["duties"].items()),
    ]


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {decision}" for decision, count in counts.items())


def _checked(counts: dict[str, int | None]) -> str:
    expected = "" if counts["expected"] is None else f" of {counts['expected']}"
    return f"{counts['checked']}{expected} checked"

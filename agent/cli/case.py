"""`gatepost case [ID FEEDBACK]`: the open cases of the venue; with feedback a case is closed.

gatepost case
gatepost case KTRWA fever_clinic --by G07
"""

from __future__ import annotations

import argparse
from typing import Any

from agent.cli import configuration, venue
from agent.venue.cases import FEEDBACK


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `case`."""
    parser = subparsers.add_parser("case", description=__doc__)
    configuration.add_argument(parser)
    parser.add_argument("case", nargs="?", help="its five letters: KTRWA")
    parser.add_argument("feedback", nargs="?", choices=FEEDBACK[1:], help="the outcome: closes the case")
    venue.add_badge(parser)


def run(args: argparse.Namespace) -> int:
    """0 done, 1 refused, 3 not running."""
    if args.case is None or args.feedback is None:
        return venue.show(args, lambda view: _lines(view, args.case))
    return venue.state(args, "feedback", value=args.feedback, case=args.case)


def _lines(view: dict[str, Any], wanted: str | None) -> list[str]:
    cases = [each for each in view["cases"] if wanted is None or each["case"] == wanted.upper()]
    if not cases:
        return ["no case is open" if wanted is None else f"case {wanted.upper()} is not open"]
    return [_line(each) for each in cases]


def _line(case: dict[str, Any]) -> str:
    age = "since before the clock was known" if case["age_s"] is None else f"{case['age_s'] / 60:.0f} min"
    marks = "".join([", OVERDUE" if case["overdue"] else "", ", a drill" if case["drill"] else ""])
    return f"{case['case']}  {case['kind']}  {case['lane']}  {age}{marks}"

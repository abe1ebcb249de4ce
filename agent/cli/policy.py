"""`gatepost policy`: prove a table, list the profiles that come with the agent, explain a decision.

gatepost policy check my-table.toml
"""

from __future__ import annotations

import argparse
import sys
import time

from agent import policy
from agent.policy import explain
from agent.policy.facts import COMBINATIONS, DIMENSIONS
from agent.policy.table import facts_from
from agent.ruleset import load


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `policy`."""
    parser = subparsers.add_parser("policy", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="prove tables: complete, no row without effect, invariants, tests")
    check.add_argument("table", nargs="+", help="table (TOML) or name of a profile")
    actions.add_parser("list", help="the profiles that come with the agent")
    why = actions.add_parser("explain", help="which row decides these facts, and what would have changed it")
    why.add_argument("table", help="table (TOML) or name of a profile")
    why.add_argument(
        "facts", nargs="*", default=[], type=_fact, metavar="FACT=VALUE", help="for example code=green zone=high"
    )
    why.add_argument("--language", choices=("en", "zh"), default="en")


def run(args: argparse.Namespace) -> int:
    """0 when everything holds; 1 with every fault on standard error."""
    return {"check": _check, "list": _list, "explain": _explain}[args.action](args)


def _check(args: argparse.Namespace) -> int:
    faults = 0
    for name in args.table:
        began_s = time.perf_counter()
        try:
            table = load.load_table(policy.Options(name))
        except policy.BadTable as error:
            faults += 1
            print(f"{error.name}: refused", file=sys.stderr)
            for problem in error.problems:
                print(f"  {problem}", file=sys.stderr)
            continue
        took_ms = (time.perf_counter() - began_s) * 1000
        print(
            f"{table.name} version {table.version}: proved. {len(table.rows)} rows, {len(table.tests)} cases and "
            f"{len(table.invariants)} invariants hold for all {COMBINATIONS:,} combinations ({took_ms:.0f} ms)"
        )
    return 1 if faults else 0


def _list(_args: argparse.Namespace) -> int:
    for path in load.profiles():
        table = load.load_table(policy.Options(path.stem))
        print(f"{path.stem:<19}{table.title.get('en', '')}  {table.title.get('zh', '')}")
    return 0


def _explain(args: argparse.Namespace) -> int:
    try:
        table = load.load_table(policy.Options(args.table))
    except policy.BadTable as error:
        print(error, file=sys.stderr)
        return 1
    facts = {"direction": "entry", "code": "green", "temperature": "normal", **dict(args.facts)}
    found = explain.explain(table, facts_from({name: [value] for name, value in facts.items()}))
    print("\n".join(explain.in_words(found, args.language)))
    return 0


def _fact(text: str) -> tuple[str, str]:
    """`name=value`, both known. Raises argparse.ArgumentTypeError that lists what is."""
    name, _, value = text.partition("=")
    if name not in DIMENSIONS:
        raise argparse.ArgumentTypeError(f"{name!r}: the facts are {', '.join(DIMENSIONS)}")
    if value not in set(DIMENSIONS[name]):
        raise argparse.ArgumentTypeError(f"{name} is one of {', '.join(DIMENSIONS[name])}")
    return name, value

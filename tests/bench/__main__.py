"""`make bench`: every measurement as a table, with its peer beside it. `make bench-NAME`: one of them.

A measurement is a file `bench_NAME.py` here, with a docstring (its first line is the table's title) and a function
`run() -> Iterator[Row]`. Peers live in a venv of their own (`peers()`); else its column says so.

Each run leaves a file of what it found under `.cache/bench/`. `make bench ARGS="--against FILE"` shows beside it
what an earlier run found. Times are worth a comparison on a quiet machine only: the first line and the file tell
its load.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # the measurements share `rows`

import results  # noqa: E402 - from there
from rows import ROOT  # noqa: E402 - the same


def main() -> int:
    names = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("name", nargs="*", choices=[[], *names], default=[], help=f"of {', '.join(names)}")
    parser.add_argument("--json", type=Path, help="where to write what was found; .cache/bench/TIME.json")
    parser.add_argument("--against", type=Path, help="the file of an earlier run, to be shown beside this one")
    asked = parser.parse_args()
    try:
        earlier = results.load(asked.against) if asked.against else None
    except (OSError, ValueError) as error:
        parser.error(str(error))
    console = Console(width=None if sys.stdout.isatty() else 160)
    machine = results.Machine.now()
    console.print(machine.sentence(), style="dim")
    if earlier is not None:
        console.print(f"before: {earlier.machine.sentence()}", style="dim")
    found = results.Results(machine)
    file = asked.json or ROOT / ".cache" / "bench" / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    for name in asked.name or names:
        _measure(name, console, found, earlier)
        found.save(file)
    missed = found.missed()
    console.print("every bar is met" if not missed else f"not met: {len(missed)} of {found.bars()} bars")
    for each in missed:
        console.print(f"  NO  {each}")
    console.print(f"written to {file}", style="dim")
    return 0


def _measure(name: str, console: Console, found: results.Results, earlier: results.Results | None) -> None:
    """Run one measurement, print its table, note its rows."""
    spec = importlib.util.spec_from_file_location(f"bench_{name}", HERE / f"bench_{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    title = (module.__doc__ or name).strip().splitlines()[0]
    table = Table(title=f"{name}: {title}", title_justify="left")
    for column in ("what", "here", *(["before"] if earlier else []), "peer", "bar", "met"):
        table.add_column(column)
    begun_s = time.monotonic()
    for row in module.run():
        found.add(name, row)
        met = {True: "yes", False: "NO", None: ""}[row.met]
        before = [results.beside(row, earlier.row(name, row.what))] if earlier else []
        table.add_row(row.what, row.here, *before, row.peer, row.bar, met)
        console.print(f"  {name}: {row.what}: {row.here}", style="dim")
    table.caption = f"{time.monotonic() - begun_s:.0f} s"
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())

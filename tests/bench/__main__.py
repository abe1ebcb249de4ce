"""`make bench`: every measurement as a table, with its peer beside it. `make bench-NAME`: one of them.

A measurement is a file `bench_NAME.py` here, with a docstring (its first line is the table's title) and a function
`run() -> Iterator[Row]`. Peers live in a venv of their own (`peers()`); else its column says so.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # the measurements share `rows`


def main() -> int:
    names = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("name", nargs="*", choices=[[], *names], default=[], help=f"of {', '.join(names)}")
    chosen = parser.parse_args().name or names
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}", style="dim"
    )
    missed = 0
    for name in chosen:
        missed += _measure(name, console)
    console.print("every bar is met" if not missed else f"{missed} bars are not met")
    return 0


def _measure(name: str, console: Console) -> int:
    """Run one measurement, print its table; how many bars were missed."""
    spec = importlib.util.spec_from_file_location(f"bench_{name}", HERE / f"bench_{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    title = (module.__doc__ or name).strip().splitlines()[0]
    table = Table(title=f"{name}: {title}", title_justify="left")
    for column in ("what", "here", "peer", "bar", "met"):
        table.add_column(column)
    begun_s, missed = time.monotonic(), 0
    for row in module.run():
        missed += row.met is False
        met = {True: "yes", False: "NO", None: ""}[row.met]
        table.add_row(row.what, row.here, row.peer, row.bar, met)
        console.print(f"  {name}: {row.what}: {row.here}", style="dim")
    table.caption = f"{time.monotonic() - begun_s:.0f} s"
    console.print(table)
    return missed


if __name__ == "__main__":
    sys.exit(main())

"""`gatepost watch`: the whole kiosk on one screen of 80 by 24, as it is, until Ctrl-C. Works over SSH.

What stands in `gatepost status`, drawn again each second: devices with the items a second that they give, outbox,
link, lists, and what is wrong with its remedy.

    sudo gatepost watch
    sudo gatepost watch --once      print it once, for a pipe
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from agent.cli import configuration
from agent.supervisor import read_report
from drivers.contract import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping
    from pathlib import Path

EVERY_S = 1.0
_OLD_S = 5.0
_LEAST_LINES = 20
_STYLES = {"ok": "bold green", "degraded": "bold yellow", "stuck": "bold red"}

Report = dict[str, Any]


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `watch`."""
    parser = subparsers.add_parser("watch", description=__doc__)
    configuration.add_argument(parser)
    parser.add_argument("--once", action="store_true", help="print it once instead of drawing it again each second")


def run(args: argparse.Namespace) -> int:
    """0 after Ctrl-C or once it was printed, 1 for a wrong configuration, 3 when no agent runs."""
    config = configuration.read(args.config)
    if config is None:
        return 1
    rates = Rates()
    if args.once or not sys.stdout.isatty():
        report = read_report(config.runtime.directory)
        Console(highlight=False).print(page(report, rates, time.monotonic(), _LEAST_LINES))
        return 0 if report is not None else 3
    return _follow(config.runtime.directory, rates)


def _follow(directory: Path, rates: Rates) -> int:
    console = Console(highlight=False)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            at_s = time.monotonic()
            live.update(page(read_report(directory), rates, at_s, console.height), refresh=True)
            time.sleep(EVERY_S)


class Rates:
    """How many items a second each device gives, from one report to the next."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], tuple[float, int]] = {}

    def of(self, report: Report) -> dict[tuple[str, str], float]:
        """(lane, role) → items a second since the report before; nothing for a device that is new."""
        at_s, found = float(report["at_s"]), {}
        for device in report["devices"]:
            key = (device["lane"], device["role"])
            before_s, items = self._before.get(key, (at_s, device["items"]))
            if at_s > before_s:
                found[key] = max(0, device["items"] - items) / (at_s - before_s)
            if at_s > before_s or key not in self._before:
                self._before[key] = (at_s, device["items"])
        return found


def page(report: Report | None, rates: Rates, now_s: float, height: int) -> RenderableType:
    """The screen. Faults come first where there is not room for all devices."""
    if report is None:
        return Text("No agent runs here, or it writes elsewhere: gatepost status", "bold red")
    devices = sorted(report["devices"], key=lambda device: device["up"])
    problems = list(report["problems"])
    room = max(_LEAST_LINES, height) - 8 - min(len(problems), 4)
    return Group(
        _head(report, now_s - float(report["at_s"])),
        _devices(devices[:room], rates.of(report)),
        *([Text(f"  … and {len(devices) - room} more devices, all up", "dim")] if len(devices) > room else []),
        Text("\n".join(_totals(report))),
        *(
            Text("! " + _format_problem(problem), "bold red", no_wrap=True, overflow="ellipsis")
            for problem in problems[:4]
        ),
    )


def _head(report: Report, age_s: float) -> Text:
    kiosk, condition = report["kiosk"], str(report["condition"])
    head = Text.assemble(
        (f"{kiosk['id']} at {kiosk['site']} ", "bold"),
        (condition.upper(), _STYLES.get(condition, "bold red")),
        f"  gatepost {report['version']}, clock {report['clock']}, {report['decided']} decided",
    )
    if age_s > _OLD_S:
        head.append(
            f"\nThis is {age_s:.0f} s old: the agent has stopped or hangs (journalctl -u gatepost)", "bold red"
        )
    if report["safe"]:
        head.append(
            f"\nSAFE MODE, everybody at an entry goes to staff: {printable(str(report['safe']))}", "bold red"
        )
    return head


def _devices(devices: list[Mapping[str, Any]], rates: Mapping[tuple[str, str], float]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, expand=True)
    for name in ("", "lane", "device", "driver", "items", "per s"):
        table.add_column(name, no_wrap=True, justify="right" if name in ("items", "per s") else "left")
    table.add_column("", ratio=1, no_wrap=True, overflow="ellipsis")
    for device in devices:
        rate = rates.get((device["lane"], device["role"]))
        table.add_row(
            Text("✓", "green") if device["up"] else Text("✗", "bold red"),
            printable(device["lane"]),
            device["role"],
            device["driver"],
            str(device["items"]),
            "" if rate is None else f"{rate:.1f}",
            "" if device["up"] else Text(printable(device["error"]), "red"),
        )
    return table


def _totals(report: Report) -> Iterator[str]:
    outbox, link = report["outbox"], report["link"]
    yield "outbox  " + ", ".join(f"{outbox[name]} {name}" for name in ("stored", "delivered", "waiting", "lost"))
    wait_s = link.get("next_try_s")
    trying = "trying now" if wait_s is None else f"next try in {wait_s:.0f} s"
    yield "link    " + ("connected" if link["connected"] else f"not connected, {trying}")
    for kept in report["lists"][:3]:
        age = "age unknown" if kept["age_s"] is None else f"{kept['age_s'] / 3600:.1f} h old"
        yield f"list    {printable(kept['name'])}: {printable(kept['fault'] or age)}"


def _format_problem(problem: object) -> str:
    """A problem in words."""
    text = problem.get("text", "") if isinstance(problem, dict) else problem
    return printable(str(text))

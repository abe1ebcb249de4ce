"""`gatepost watch`: the state of the whole kiosk on one screen of 80 by 24, until `q`. Works over SSH.

Lanes with their last decision, limit and room; devices with the items a second that they give; outbox, link with
its next attempt, lists with ages and versions, heat and throttling, problems with remedies, the end of the log.

    sudo gatepost watch
    sudo gatepost watch --once      print it once, for a pipe
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import termios
import time
import tty
from contextlib import contextmanager
from dataclasses import dataclass, replace
from textwrap import indent
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from agent.cli import configuration
from agent.supervisor import read_report
from agent.web.overview import Overview, Rates, Report, overview

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from agent.web.overview import DeviceRow

EVERY_S = 1.0
_LEAST_LINES = 22
_STYLES = {"ok": "bold green", "degraded": "bold yellow", "stuck": "bold red"}
_HELP = """\
?      these keys                         l   the log alone, and back
/      only devices with a text           r   restart the service, after y
Enter  all that is wrong, in full         c   the camera as it sees
Esc    back to everything                 q   end"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `watch`."""
    parser = subparsers.add_parser("watch", description=f"{__doc__}\nKeys:\n{indent(_HELP, '    ')}")
    configuration.add_argument(parser)
    parser.add_argument("--once", action="store_true", help="print it once instead of drawing it again each second")


def run(args: argparse.Namespace) -> int:
    """0 after `q` or Ctrl-C, or once it was printed, 1 for a wrong configuration, 3 when no agent runs."""
    config = configuration.read(args.config)
    if config is None:
        return 1
    rates = Rates()
    if args.once or not (sys.stdout.isatty() and sys.stdin.isatty()):
        report = read_report(config.runtime.directory)
        Console(highlight=False).print(page(report, rates, time.monotonic(), _LEAST_LINES))
        return 0 if report is not None else 3
    return _follow(config.runtime.directory, rates, args.config)


# -- keys


@dataclass(frozen=True, slots=True)
class WatchKeys:
    """What the keys have chosen."""

    shows: str = ""
    """`help`, `problems` or `log` in place of everything."""
    needle: str = ""
    """Only devices with this text."""
    is_typing: bool = False
    asks_restart: bool = False
    act: str = ""
    """`quit`, `restart` or `camera`: to be done now."""

    def press(self, key: str) -> WatchKeys:  # noqa: PLR0911 - one a key
        """What one key changes; any other key takes back a question."""
        chosen = replace(self, act="", asks_restart=False)
        if self.is_typing:
            return replace(chosen, **self._type(key))
        if self.asks_restart:
            return replace(chosen, act="restart" if key == "y" else "")
        match key:
            case "q":
                return replace(chosen, act="quit")
            case "/":
                return replace(chosen, shows="", needle="", is_typing=True)
            case "r":
                return replace(chosen, asks_restart=True)
            case "c":
                return replace(chosen, act="camera")
            case "\x1b":
                return WatchKeys()
            case "?" | "\r" | "\n" | "l":
                shows = {"?": "help", "l": "log"}.get(key, "problems")
                return replace(chosen, shows="" if self.shows == shows else shows)
        return chosen

    def press_all(self, typed: str) -> WatchKeys:
        """What came at once, up to the first key that is to be done now; the rest was meant for another screen."""
        keys = self
        for key in typed:
            keys = keys.press(key)
            if keys.act:
                break
        return keys

    def _type(self, key: str) -> dict[str, Any]:
        if key in "\r\n\x1b":
            return {"is_typing": False, "needle": "" if key == "\x1b" else self.needle}
        if key == "\x7f":
            return {"needle": self.needle[:-1]}
        return {"needle": self.needle + key} if key.isprintable() else {}


_NONE = WatchKeys()


def _follow(directory: Path, rates: Rates, config: Path) -> int:
    console, keys = Console(highlight=False), WatchKeys()
    while keys.act != "quit":
        with _single_keys(), Live(console=console, screen=True, auto_refresh=False) as live:
            keys = replace(keys, act="")
            while not keys.act:
                at_s = time.monotonic()
                view = page(read_report(directory), rates, at_s, console.height, keys)
                live.update(view, refresh=True)
                keys = keys.press_all(_typed(at_s + EVERY_S))
        if keys.act == "restart":
            subprocess.run(["systemctl", "restart", "gatepost"], check=False)  # noqa: S607 - found by PATH
        elif keys.act == "camera":
            subprocess.run([sys.argv[0], "camera", "--config", str(config)], check=False)  # noqa: S603 - our own words
    return 0


def _typed(until_s: float) -> str:
    """What is typed until then; at once when something is."""
    ready, _, _ = select.select([sys.stdin], [], [], max(0.0, until_s - time.monotonic()))
    return os.read(sys.stdin.fileno(), 64).decode(errors="ignore") if ready else ""


@contextmanager
def _single_keys() -> Iterator[None]:
    """Keys come one by one and are not shown; Ctrl-C works as always."""
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


# -- the screen


def page(report: Report | None, rates: Rates, now_s: float, height: int, keys: WatchKeys = _NONE) -> RenderableType:
    """The screen. What is down comes first where there is not room for all."""
    if report is None:
        return Text("No agent runs here, or it writes elsewhere: gatepost status", "bold red")
    seen = overview(report, rates.of(report), now_s)
    match keys.shows:
        case "help":
            return Group(_head(seen), Text(_HELP))
        case "problems":
            return Group(_head(seen), Text("\n".join(f"! {each}" for each in seen.problems) or "Nothing is wrong."))
        case "log":
            return Group(_head(seen), *(_line(line) for line in seen.log))
    return _everything(seen, height, keys)


def _everything(seen: Overview, height: int, keys: WatchKeys) -> RenderableType:
    devices = [row for row in seen.devices if keys.needle in f"{row.lane} {row.role} {row.driver} {row.text}"]
    problems = seen.problems[:3]
    others = 2 + len(seen.warnings) + len(seen.lanes) + len(seen.facts) + len(problems) + 1
    room = max(3, height - 1 - others)
    hidden = max(0, len(devices) - room)
    shown = devices[: room - 1] if hidden else devices
    log_lines = max(0, height - 1 - others - len(shown) - bool(hidden))
    return Group(
        _head(seen),
        *(_line(f"lane    {line}") for line in seen.lanes),
        _devices(shown),
        *([Text(f"  … and {len(devices) - len(shown)} more devices", "dim")] if hidden else []),
        *(_line(f"{name:<8}{text}") for name, text in seen.facts),
        *(_line(f"! {each}", "bold red") for each in problems),
        *(_line(line, "dim") for line in seen.log[len(seen.log) - log_lines :]),
        _foot(keys),
    )


def _foot(keys: WatchKeys) -> Text:
    if keys.asks_restart:
        return Text("restart the service? y", "bold yellow")
    if keys.is_typing or keys.needle:
        return Text(f"/{keys.needle}", "bold")
    return Text("? keys  / find  Enter problems  l log  r restart  c camera  q end", "dim")


def _head(seen: Overview) -> Text:
    head = Text.assemble(
        (f"{seen.title} ", "bold"),
        (seen.condition.upper(), _STYLES.get(seen.condition, "bold red")),
        f"  {seen.head}",
    )
    for warning in seen.warnings:
        head.append(f"\n{warning}", "bold red")
    return head


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _devices(rows: list[DeviceRow]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, expand=True)
    for name in ("", "lane", "device", "driver", "items", "per s"):
        table.add_column(name, no_wrap=True, justify="right" if name in ("items", "per s") else "left")
    table.add_column("", ratio=1, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(
            Text("✓", "green") if row.up else Text("✗", "bold red"),
            row.lane,
            row.role,
            row.driver,
            str(row.items),
            "" if row.rate is None else f"{row.rate:.1f}",
            Text(row.text, "red"),
        )
    return table

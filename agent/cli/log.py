"""`gatepost log`: the service's log in readable lines, the latest last. From the journal, or from standard input.

sudo gatepost log
sudo gatepost log -f          go on with what comes, until Ctrl-C
gatepost log -                journalctl -u gatepost -o cat, from a pipe
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from calendar import timegm
from typing import TYPE_CHECKING, Any

from agent.cli.help import count
from agent.log import MARKS
from drivers.contract import plain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

_LINES = 40
_SERIOUS = ("warning", "error", "critical")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `log`."""
    parser = subparsers.add_parser("log", description=__doc__)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes, until Ctrl-C")
    parser.add_argument(
        "-n",
        "--lines",
        type=count,
        default=_LINES,
        help=f"how many of the last lines (default: {_LINES})",
    )
    parser.add_argument("source", nargs="?", choices=["-"], help="read the log's JSON lines from standard input")


def run(args: argparse.Namespace) -> int:
    """0 after the last line; what journalctl ends with when it fails."""
    if args.source:
        _print(io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace"))
        return 0
    words = ["journalctl", "--unit=gatepost", "--output=cat", f"--lines={args.lines}", "--no-pager"]
    words += ["--follow"] if args.follow else []
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, errors="replace") as journal:  # noqa: S603 - our own words
        if journal.stdout is not None:
            _print(journal.stdout)
    return journal.returncode


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(readable(line), flush=True)


def readable(line: str) -> str:
    """One line of the log for a person: local time, mark, sentence. What is no line of the agent stays as it is."""
    try:
        said: Any = json.loads(line)
        at_utc = timegm(time.strptime(said["at"][:19], "%Y-%m-%dT%H:%M:%S"))
        message, level = str(said["message"]), str(said["level"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return plain(line.rstrip("\n"))
    mark = MARKS.get(said.get("decision"), ("!" if level in _SERIOUS else "·", ""))[0]
    return f"{time.strftime('%H:%M:%S', time.localtime(at_utc))} {mark:<2} {plain(message)}"

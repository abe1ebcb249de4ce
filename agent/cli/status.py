"""`gatepost status`: the state of the running agent: what works, what does not, and what to do.

sudo gatepost status
sudo gatepost status --json      for programs; the exit status is 0, 1 (something is wrong), 3 (not running)
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import configuration
from agent.cli.service import how_to_start
from agent.supervisor import read_report
from agent.web.overview import OLD_S, span

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `status`."""
    parser = subparsers.add_parser("status", description=__doc__)
    configuration.add_argument(parser)
    parser.add_argument(
        "--directory", type=Path, help="where the agent writes status.json (default: as configured)"
    )
    parser.add_argument("--json", action="store_true", help="everything, as JSON")


def run(args: argparse.Namespace) -> int:
    """0 all is well, 1 something is wrong, 3 not running."""
    directory = args.directory
    if directory is None:
        config = configuration.read(args.config)
        if config is None:
            return 1
        directory = config.runtime.directory
    report = read_report(directory)
    if report is None:
        print(f"not running: no {directory}/status.json. {how_to_start(args.config)}", file=sys.stderr)
        return 3
    try:
        age_s = time.monotonic() - report["at_s"]
        lines = list(_lines(report, age_s))
    except (KeyError, TypeError):
        print(f"{directory}/status.json: not written by this version of the agent", file=sys.stderr)
        return 3
    print(json.dumps({**report, "age_s": round(age_s, 1)}, indent=2) if args.json else "\n".join(lines))
    if age_s > OLD_S:
        return 3
    return 0 if report["condition"] == "ok" else 1


def _lines(report: dict[str, Any], age_s: float) -> Iterator[str]:
    kiosk = report["kiosk"]
    yield (
        f"{kiosk['id']} at {kiosk['site']}: {report['condition'].upper()}   gatepost {report['version']},"
        f" pid {report['pid']}, up {span(report['up_s'])}, clock {report['clock']}"
    )
    if age_s > OLD_S:
        yield f"  ! this report is {span(age_s)} old: the agent has stopped or hangs; see: journalctl -u gatepost"
    if report["safe"]:
        yield f"  ! SAFE MODE, everybody at an entry goes to staff: {report['safe']}"
    if report["config_version"]:
        yield f"  · central server's configuration {report['config_version']}{' on trial' * report['on_trial']}"
    yield from (_device(device) for device in report["devices"])
    for kept in report["lists"]:
        age = "age unknown" if kept["age_s"] is None else f"{span(kept['age_s'])} old"
        yield f"  {'✗' if kept['fault'] else '✓'} {kept['name']}: {kept['fault'] or age}"
    outbox, link = report["outbox"], report["link"]
    told = {
        "loop": f"{_counted(report['decided'], 'passage')} decided",
        "outbox": ", ".join(f"{outbox[name]} {name}" for name in ("stored", "delivered", "waiting", "lost")),
        "mqtt": ", ".join(filter(None, (_linked(link), _refused(link)))),
        "commands": _commands(report["commands"]),
        "rules": "in force",
    }
    shown = {kept["name"] for kept in report["lists"]}
    shown |= {"safe mode", *(f"{device['lane']} {device['role']}" for device in report["devices"])}
    for part in report["parts"]:
        if part["name"] in told or (not part["up"] and part["name"] not in shown):
            yield _part(part, told.get(part["name"], ""))


def _linked(link: dict[str, Any]) -> str:
    if link["connected"]:
        return "connected"
    wait_s = link.get("next_try_s")
    return "not connected, " + ("trying now" if wait_s is None else f"next try in {span(wait_s)}")


def _refused(link: dict[str, Any]) -> str:
    """Receipts that were not taken: no fault as long as others are, but anyone who writes the central server asks
    why.
    """
    count, why = link.get("refused_receipts", 0), link.get("refusal")
    return f"{count} receipts refused{f' ({why})' if why else ''}" if count else ""


def _commands(counts: dict[str, Any]) -> str:
    """What came from the central server; why the latest message that was not answered was not."""
    told = f"{_counted(counts['succeeded'], 'command')} and bundles succeeded, {counts['rejected']} not"
    if counts["unauthenticated"]:
        told += f", {counts['unauthenticated']} not answered ({counts['refusal']})"
    return told


def _device(device: dict[str, Any]) -> str:
    """One device: what it did, or since when it is down and why; how often it fell and hung."""
    simulated = " simulated" if device["simulated"] else ""
    counts = [f"{_counted(device['items'], 'item')}{simulated}"] if device["up"] else [device["error"]]
    if device["down_s"] is not None:
        counts.append(f"down for {span(device['down_s'])}")
    counts += [_counted(device[f"{name}s"], name) for name in ("fault", "restart") if device[f"{name}s"]]
    if device["abandoned"]:
        counts.append(f"hanging: {_counted(device['abandoned'], 'thread')}")
    mark = "✓" if device["up"] else "✗"
    return f"  {mark} {device['lane']:<8} {device['role']:<12} {device['driver']:<14} {', '.join(counts)}"


def _part(part: dict[str, Any], told: str) -> str:
    """One part of the agent itself: what it did; what is wrong, and the remedy."""
    hangs = part["silent_s"] > part["limit_s"]
    fault = (
        f"hangs for {span(part['silent_s'])} {part['error']}".rstrip()
        if hangs
        else ""
        if part["up"]
        else part["error"]
    )
    words = ": ".join(filter(None, (told, fault)))
    return f"  {'✗' if fault or not part['up'] else '✓'} {part['name']:<8} {words}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"

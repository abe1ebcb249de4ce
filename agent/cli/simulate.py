"""`gatepost simulate`: many simulated kiosks at a broker: to load it and the central server, or to show a fleet.

Each has the real outbox, encoder and link; people come by the hour of the day. It ends with 0 when every event that
was decided was delivered, 3 when not, or when nobody came. Start it only at a broker that is for trials. See
docs/fleet.md.

    gatepost simulate 500 localhost:1883 --plain
    gatepost simulate 2000 localhost:1883 --plain --speed 60 --outage-every 300 --outage 20 --restart-every 600
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import sys
import tempfile
import time
from dataclasses import asdict, replace
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import broker_login
from agent.cli.help import number, seconds
from agent.cli.simulated_fleet import FleetCounts, SimulationPlan, run_share
from agent.mqtt.options import broker_address
from agent.ruleset.load import BundleStore

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

NOT_ALL = 3
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
_KIOSKS = number(1, 100_000, 500)
_PEOPLE = number(1, 1_000_000, 2000)
_PER_PROCESS = 1000


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `simulate`."""
    parser = subparsers.add_parser("simulate", description=__doc__)
    parser.add_argument("kiosks", type=_KIOSKS, metavar="N", help="how many kiosks")
    parser.add_argument("broker", nargs="+", help="HOST or HOST:PORT; of a cluster all nodes")
    broker_login.add_arguments(parser)

    def add(name: str, kind: Callable[[str], float], default: float, help_text: str) -> None:
        parser.add_argument(name, type=kind, default=default, help=f"{help_text} (default: %(default)g)")

    add("--people", _PEOPLE, 2000, "people who come to each kiosk in a day")
    add("--hour", number(0.0, 24.0, 7.5), 7.5, "hour of the day at the start")
    add("--speed", number(0.001, 86_400.0, 60.0), 1.0, "how many times faster than real the day goes")
    add("--seconds", seconds, 0.0, "seconds for which people come; 0: until Ctrl-C")
    add("--drain", seconds, 60.0, "most seconds to deliver what waits at the end")
    add("--outage-every", seconds, 0.0, "seconds between outages of the network; 0: none")
    add("--outage", seconds, 10.0, "seconds that each lasts")
    add("--restart-every", seconds, 0.0, "mean seconds between restarts of each kiosk; 0: none")
    add("--every", number(0.2, 3600.0, 5.0), 5.0, "seconds between lines")
    add("--processes", number(0, 64, 2), 0, "0: one for 1000 kiosks")
    parser.add_argument("--folder", type=Path, help="for the kiosks' disks (default: a new one in memory)")
    parser.add_argument(
        "--bundles",
        type=Path,
        help="folder with a root: kiosks keep an event until a receipt that is signed by its role",
    )
    parser.add_argument("--protocol", choices=("auto", "5", "3.1.1"), default="auto", help="as in [mqtt]")
    parser.add_argument("--json", action="store_true", help="lines for programs")


def run(args: argparse.Namespace) -> int:
    """0 when all that was decided was delivered; 3 when not, or when nothing was; 1 when it cannot begin."""
    try:
        host, port = broker_address(args.broker[0])
        options = replace(broker_login.options(args, host, port), more_hosts=tuple(args.broker[1:]))
    except (OSError, ValueError) as error:
        print(f"{' '.join(args.broker)}: {error}", file=sys.stderr)
        return 1
    if args.bundles is not None and not BundleStore(args.bundles).has_root():
        print(f"--bundles {args.bundles}: no root.bundle there, by which receipts count", file=sys.stderr)
        return 1
    options = replace(
        options, protocol=args.protocol, fleet_size=args.kiosks, keepalive_s=60, state_interval_s=300.0
    )
    if args.bundles is not None:
        options = replace(options, delivery="receipt")
    with _folder(args.folder) as place:
        processes = args.processes or -(-args.kiosks // _PER_PROCESS)
        shares = [range(args.kiosks)[first::processes] for first in range(processes)]
        plans = [
            SimulationPlan(
                options, share, str(place), args.people, args.speed, args.hour, args.seconds, args.drain,
                args.outage_every, args.outage, args.restart_every, args.every, args.bundles,
            )
            for share in shares if share
        ]  # fmt: skip
        try:
            counts = _follow(plans, args)
        except EOFError:
            print("a process of the simulation has ended: is there too little memory?", file=sys.stderr)
            return 1
    done = 0 < counts.decided == counts.delivered
    if not counts.decided:
        print("nobody came, so nothing is shown: more --seconds, --people or --speed", file=sys.stderr)
    elif not args.json:
        print(f"decided {counts.decided} {'=' if done else '≠'} delivered {counts.delivered} (events)")
    return 0 if done else NOT_ALL


@contextlib.contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """For the kiosks' disks; one that is not given goes at the end."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    memory = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="gatepost-simulated-", dir=memory) as made:
        yield Path(made)


def _follow(plans: list[SimulationPlan], args: argparse.Namespace) -> FleetCounts:
    """Run them, each a process; the last counts of all."""
    context = multiprocessing.get_context("spawn")
    ends: list[Connection] = []
    processes = []
    for plan in plans:
        ours, theirs = context.Pipe()
        processes.append(context.Process(target=run_share, args=(plan, theirs), daemon=True))
        processes[-1].start()
        theirs.close()
        ends.append(ours)
    begun_s = time.monotonic()
    try:
        for counts in _reports(ends, args.every):
            _show(counts, time.monotonic() - begun_s, is_json=args.json)
    finally:
        for process in processes:
            process.join(10.0)
            process.kill()
    return counts


def _reports(ends: list[Connection], every_s: float) -> Iterator[FleetCounts]:
    """What all together have done, now and then, and at the end."""
    latest: dict[Connection, FleetCounts] = {}
    running, due_s = list(ends), 0.0
    while running:
        try:
            ready = connection.wait(running, every_s)
            for end in [each for each in running if each in ready]:
                is_last, latest[end] = end.recv()
                if is_last:
                    running.remove(end)
        except KeyboardInterrupt:
            for end in running:
                end.send("stop")
        if time.monotonic() >= due_s and len(latest) == len(ends):
            due_s = time.monotonic() + every_s
            yield sum(latest.values(), FleetCounts())
    yield sum(latest.values(), FleetCounts())


def _show(counts: FleetCounts, at_s: float, *, is_json: bool) -> None:
    if is_json:
        print(json.dumps({"at_s": round(at_s, 2), **asdict(counts)}), flush=True)
        return
    print(
        f"{at_s:7.1f} s  {counts.online} of {counts.kiosks} online, {counts.connections} connections,"
        f" {counts.decided} decided, {counts.delivered} delivered, {counts.waiting} wait, {counts.lost} lost",
        flush=True,
    )
    if not counts.online and counts.fault:
        print(f"           {counts.fault}", flush=True)

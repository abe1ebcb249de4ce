"""`gatepost wipe`: make this kiosk forget its keys, lists, events and configuration: for its end.

sudo gatepost wipe --export /media/stick/outbox.db     events that were never delivered are carried away first
sudo gatepost wipe --discard                           or given up

It stops the service, and overwrites and removes all of /etc/gatepost and /var/lib/gatepost. Then the kiosk is
as a new one and waits for an invitation. Revoke its certificate as well (docs/enrolment.md).
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from agent import outbox
from agent.platform import access
from agent.platform.files import state_folder
from agent.platform.wipe import wipe

if TYPE_CHECKING:
    import argparse

_STOP_S = 60.0


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `wipe`."""
    parser = subparsers.add_parser("wipe", description=__doc__)
    parser.add_argument("--export", type=Path, help="copy the store of undelivered events to this file first")
    parser.add_argument("--discard", action="store_true", help="give up events that were never delivered")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace) -> int:
    """0 when nothing is left."""
    folders = (access.SETTINGS, state_folder(access.SETTINGS))
    store = outbox.Options().path
    subprocess.run(["systemctl", "stop", "gatepost.service"], check=False, timeout=_STOP_S)  # noqa: S607 - as installed
    waiting = undelivered(store)
    if waiting and not (args.export or args.discard):
        print(
            f"{waiting} events were never delivered. --export FILE carries them away, --discard gives them up."
            " Or start the service again, with a network: sudo systemctl start gatepost",
            file=sys.stderr,
        )
        return 1
    if not args.yes and input("Everything of this kiosk will be gone. Type its end (wipe): ").strip() != "wipe":
        print("Nothing was done. sudo systemctl start gatepost", file=sys.stderr)
        return 1
    if args.export:
        export(store, args.export)
        print(f"{waiting} events are in {args.export}.")
    count = wipe(folders)
    print(f"{count} files are gone. Revoke this kiosk now: gatepost authority revoke SITE/KIOSK")
    return 0


def undelivered(store: Path) -> int:
    """Events in a store that nobody has acknowledged; one that cannot be read counts as one."""
    if not store.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM record").fetchone()[0])
    except sqlite3.Error:
        return 1


def export(store: Path, target: Path) -> None:
    """Copy the store with what its journal still holds. Raises OSError."""
    for suffix in ("", "-wal", "-shm"):
        beside = store.with_name(store.name + suffix)
        if beside.exists():
            shutil.copyfile(beside, target.with_name(target.name + suffix))

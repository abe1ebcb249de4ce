"""`gatepost wipe`: delete the keys, lists, events and configuration of this kiosk, to take it out of service.

sudo gatepost wipe --export /media/stick/k01.db         export undelivered events first
sudo gatepost wipe --discard                           or drop them

It stops the service, and overwrites and removes all of /etc/gatepost and /var/lib/gatepost. What stays there are
two times: commands that were issued or expire before them count for nothing, so that none of them ends this kiosk
again. Then the kiosk is as a new one and waits for an invitation. Revoke its certificate as well
(docs/enrolment.md).
"""

from __future__ import annotations

import errno
import filecmp
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from agent import outbox
from agent.commands import Options as CommandOptions
from agent.control.journal import CommandJournal
from agent.control.verification import AHEAD_S
from agent.enrolment.service import PLACES
from agent.platform import access
from agent.platform.files import state_folder, sync_folder
from agent.platform.wipe import forget_fleet, wipe, wipe_request

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

_STOP_S = 60.0
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_STATUS = access.MADE_AT_START[0] / "status.json"
_LOOK_S = 2.0
_STALE_S = 15.0
"""A report is written once a second; an older one is of an agent that is gone."""
_DISCARD_AFTER_S = 30.0
"""So long the answer to a command that gives up events has to be delivered."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `wipe`."""
    parser = subparsers.add_parser("wipe", description=__doc__)
    parser.add_argument("--export", type=Path, help="copy the store of undelivered events to this new file first")
    parser.add_argument("--discard", action="store_true", help="give up events that were never delivered")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--commanded", action="store_true", help="for gatepost-wipe.service: the central server has commanded it"
    )


def run(args: argparse.Namespace) -> int:
    """0 when nothing is left."""
    store = outbox.Options().path
    if args.commanded:
        if not await_delivery(wipe_request(state_folder(access.SETTINGS)), store, _STATUS):
            return 0
        return _forget()
    if not args.yes and input("Everything of this kiosk will be gone. Type wipe to go on: ").strip() != "wipe":
        print("Nothing was done.", file=sys.stderr)
        return 1
    if args.export and (wrong := _unfit(args.export)):
        print(wrong, file=sys.stderr)
        return 1
    _service("stop")
    waiting = undelivered(store)
    if waiting and not (args.export or args.discard):
        _service("start")
        print(
            f"{waiting} events were never delivered, so nothing was done. --export FILE carries them away,"
            " --discard gives them up.",
            file=sys.stderr,
        )
        return 1
    if args.export:
        try:
            export(store, args.export)
        except OSError:
            _service("start")
            raise
        print(f"{waiting} events are in {args.export}.")
    return _forget()


def await_delivery(
    request: Path,
    store: Path,
    status: Path,
    service: Callable[[str], object] | None = None,
    look_s: float = _LOOK_S,
) -> bool:
    """Wait until every event is delivered, or may be given up, and stop the service; False: there is no request.

    What came between the last look and the end of the service is delivered first, too.
    """
    service, began_s = service or _service, time.monotonic()
    while request.exists():
        discards = _discards(request)
        if still_waiting(store, status) == 0 or (discards and time.monotonic() - began_s >= _DISCARD_AFTER_S):
            service("stop")
            if discards or undelivered(store) == 0:
                return True
            service("start")
        time.sleep(look_s)
    return False


def _discards(request: Path) -> bool:
    try:
        return bool(json.loads(request.read_bytes())["events"] == "discard")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _forget() -> int:
    """Everything goes; the service then waits for an invitation. Raises OSError."""
    _service("stop")
    forget_fleet(Path("/"), PLACES)
    journal = CommandOptions().journal_file
    commands = CommandJournal(journal)
    commands.load()
    commands.forget_all(time.time() + AHEAD_S)
    # the request goes last: a power cut repeats all
    count = wipe((access.SETTINGS, state_folder(access.SETTINGS)), but=(journal,))
    print(f"{count} files are gone. Revoke this kiosk now: gatepost authority revoke SITE/KIOSK")
    _service("start")
    return 0


def _service(action: str) -> None:
    subprocess.run(["systemctl", action, "gatepost.service"], check=False, timeout=_STOP_S)  # noqa: S603, S607 - ours


def still_waiting(store: Path, status: Path) -> int:
    """Events that nobody has acknowledged: by the running agent's report, as it has the store for itself; else by
    the store.
    """
    try:
        if time.time() - status.stat().st_mtime < _STALE_S:
            outbox = json.loads(status.read_bytes())["outbox"]
            return int(outbox["waiting"]) if outbox["epoch"] else 1
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return undelivered(store)


def undelivered(store: Path) -> int:
    """Events in a store that nobody has acknowledged; one that cannot be read counts as one."""
    if not store.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM record WHERE NOT done").fetchone()[0])
    except sqlite3.Error:
        return 1


def _unfit(target: Path) -> str:
    """Why events may not be carried to this file; empty when they may."""
    taken = [each for each in _parts(target) if each.exists()]
    if taken:
        return f"--export {taken[0]}: is there already, of another kiosk perhaps: give another name"
    if any(target.absolute().is_relative_to(each) for each in (access.SETTINGS, state_folder(access.SETTINGS))):
        return f"--export {target}: would be erased with all that is there: give a file on a stick"
    return ""


def _parts(store: Path) -> list[Path]:
    """A store and its journal."""
    return [store.with_name(store.name + suffix) for suffix in ("", "-wal", "-shm")]


def export(store: Path, target: Path) -> None:
    """Copy the store with what its journal still holds, for its owner's eyes, and read again what has arrived.
    Raises OSError; then the copy counts for nothing.
    """
    for source, copy in zip(_parts(store), _parts(target), strict=True):
        if not source.exists():
            continue
        with source.open("rb") as read, os.fdopen(os.open(copy, _NEW, 0o600), "wb") as written:
            shutil.copyfileobj(read, written)
            written.flush()
            os.fsync(written.fileno())
            os.posix_fadvise(written.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if not filecmp.cmp(source, copy, shallow=False):
            raise OSError(errno.EIO, "the copy is not what was copied, is the stick broken?", str(copy))
    sync_folder(target.absolute().parent)

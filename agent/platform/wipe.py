"""Wipe a kiosk: every file is overwritten, then removed. Raises OSError.

A memory card writes elsewhere than where it is told (wear levelling), so an overwritten file may live on in a spare
block until the card has used it again: anyone who fears a laboratory destroys the card. Against everybody else, who
reads what the file system shows or what lies in its free blocks, overwriting holds.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from typing import TYPE_CHECKING

from agent.platform.files import replace_file, sync_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

_PIECE = 1 << 20
_HELPER = "var/lib/gatepost-release"
"""Where root's helper for releases keeps what it must remember."""


def wipe_request(folder: Path) -> Path:
    """Where the agent asks for the end of its kiosk; `folder`: where it keeps what it writes."""
    return folder / "wipe.json"


def forget_fleet(root: Path, invitations: Iterable[str]) -> None:
    """What lies elsewhere: the root by which releases are verified, and invitations that were followed. Which
    releases are installed, and which failed, stays.
    """
    for place in (f"{_HELPER}/root.bundle", f"{_HELPER}/notice.json", *(each.lstrip("/") for each in invitations)):
        for found in root.glob(place):
            overwrite(found)
            found.unlink()
    state = root / _HELPER / "state.json"
    try:
        plain = {**json.loads(state.read_bytes()), "bundle": 0, "digest": "", "done": []}
    except (OSError, ValueError, TypeError):
        return
    replace_file(state, (json.dumps(plain).encode(),))


def wipe(folders: Iterable[Path], but: Collection[Path] = ()) -> int:
    """Remove all that is in these folders `but` these files, links not followed; how many. The folders stay. What
    the disk does not overwrite is removed all the same, and holds up nothing else. Raises OSError for it at the
    end; then the request to wipe stays, so that it is tried again.
    """
    failed: list[OSError] = []
    folders = [folder for folder in folders if folder.is_dir() and not folder.is_symlink()]
    count = sum(_wipe_folder(folder, but, failed) for folder in folders)
    if failed:
        raise failed[0]
    return count


def _wipe_folder(folder: Path, but: Collection[Path], failed: list[OSError]) -> int:
    count = 0
    for entry in sorted(folder.iterdir()):
        if entry in but or (failed and entry == wipe_request(folder)):
            continue
        is_folder = entry.is_dir() and not entry.is_symlink()
        count += _wipe_folder(entry, (), failed) if is_folder else 1
        for step in (overwrite, _remove):
            try:
                step(entry)
            except OSError as error:
                failed.append(error)
    sync_folder(folder)
    return count


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        entry.rmdir()
    else:
        entry.unlink()


def overwrite(file: Path) -> None:
    """Fill with chance bytes, which are on the disk when this returns; what is no plain file is left as it is."""
    found = file.lstat()
    if not stat.S_ISREG(found.st_mode):
        return
    descriptor = os.open(file, os.O_WRONLY | os.O_NOFOLLOW)
    try:
        left = found.st_size
        while left > 0:
            left -= os.write(descriptor, secrets.token_bytes(min(left, _PIECE)))
        os.fsync(descriptor)
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)

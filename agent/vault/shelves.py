"""Lists on disk: mapped for reading, replaced in one step, changed by a second file beside them."""

from __future__ import annotations

import functools
import mmap
from typing import TYPE_CHECKING

from agent import access
from agent.codes import lists
from agent.vault.durable import replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def open_list(path: Path) -> lists.CodeList:
    """Base at `path` with its changes at `path`.delta. Raises BadList for the base only: damaged changes are left
    aside, and the list is as old as its base until they come again.
    """
    base = _open_file(path)
    try:
        delta = _open_file(_delta_path(path))
    except lists.BadList:
        return lists.CodeList(base)
    if delta.head.kind != base.head.kind or delta.head.version <= base.head.version:
        return lists.CodeList(base)
    return lists.CodeList(base, delta)


def write_list(path: Path, head: lists.Head, keys: bytes, values: bytes | None = None) -> lists.Head:
    """Build a list and replace the one at `path` in one step. Returns the head as written."""
    built = lists.build(head, keys, values)
    replace_file(path, built.chunks)
    return built.head


def change_list(path: Path, head: lists.Head, changes: Mapping[bytes, int]) -> lists.CodeList:
    """Put changes (key → value; GONE takes it off) on top of the base at `path`, durably; readers go on meanwhile.

    `head` dates the result. Returns the new list; the old one stays usable until it is let go.
    """
    current = open_list(path)
    before = lists.entries(current.delta) if current.delta is not None else {}
    return set_changes(path, head, before | dict(changes))


def set_changes(path: Path, head: lists.Head, changes: Mapping[bytes, int]) -> lists.CodeList:
    """As `change_list`, but these are all changes since the base: those before are forgotten."""
    built = lists.build(head, b"".join(changes), bytes(changes.values()))
    replace_file(_delta_path(path), built.chunks)
    return open_list(path)


def is_sound(path: Path) -> bool:
    """Whether every byte of the base is as its head says. Reads the whole file, once for each version of it."""
    stat = path.stat()
    return _is_sound(path, stat.st_ino, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _is_sound(path: Path, *_version: int) -> bool:
    return _open_file(path).is_sound()


def _open_file(path: Path) -> lists.ListFile:
    """Map one file; the mapping goes when the list is let go."""
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise lists.BadList(access.why(error, path)) from None
    except ValueError:
        raise lists.BadList(f"list {path}: is empty") from None
    try:
        return lists.parse(mapped)
    except lists.BadList as error:
        mapped.close()
        raise lists.BadList(f"list {path}: {error}") from None


def _delta_path(path: Path) -> Path:
    return path.with_name(path.name + ".delta")

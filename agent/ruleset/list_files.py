"""Lists on disk: read where they lie, replaced in one step, changed by a second file beside them."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from agent.credentials import lists
from agent.platform import access
from agent.platform.files import move_file, open_file, read_bytes, replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


MOST_CHANGE_BYTES = 32 << 20
"""Changes are held in memory; two million of them are a new base."""


def open_list(path: Path) -> lists.CodeList:
    """Base at `path`, not proved, with its changes at `path`.delta. Raises BadList."""
    return _with_changes(path, _open_file(path))


def prove_list(path: Path) -> lists.CodeList:
    """As `open_list`, with every byte proved. Raises BadList."""
    return _with_changes(path, prove_base(path))


def swap_in_next_base(path: Path, head: lists.ListHeader) -> None:
    """Put `path`.next in the base's place, if it is whole and has this very head. Raises OSError."""
    beside = next_path(path)
    try:
        if _open_file(beside).head != head:
            return
        prove_base(beside)
    except lists.BadList:
        return  # none, or not whole yet
    move_file(beside, path)


def next_path(path: Path) -> Path:
    """Where a base may lie before the central server has spoken of it, while the one before is still in force."""
    return path.with_name(path.name + ".next")


def prove_base(path: Path) -> lists.ListFile:
    """The base alone, read whole when its file is another one than before. Raises BadList."""
    try:
        stat = path.stat()
    except OSError as error:
        raise lists.BadList(access.why(error, path)) from None
    mark = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    with _PROVING:
        known = _proved.get(path)
        if known is None or known[0] != mark or known[1].is_damaged:
            _proved.pop(path, None)
            try:
                known = mark, _open_file(path).prove()
            except lists.DamagedList as error:
                raise lists.BadList(f"list {path}: {error}") from None
            _proved[path] = known
    return known[1]


def _with_changes(path: Path, base: lists.ListFile) -> lists.CodeList:
    """Raises BadList for changes that are damaged: what they took off or revoked is not known."""
    changes = _delta_path(path)
    try:
        data = read_bytes(changes, MOST_CHANGE_BYTES)
    except FileNotFoundError:
        return lists.CodeList(base)
    except OSError as error:
        raise lists.BadList(access.why(error, changes)) from None
    try:
        delta = lists.parse(data).prove()
    except lists.BadList as error:
        raise lists.BadList(f"list {changes}: {error}") from None
    if (delta.head.kind, delta.head.issuer) != (base.head.kind, base.head.issuer):
        raise lists.BadList(f"list {changes}: are changes of another list")
    if delta.head.version <= base.head.version:
        return lists.CodeList(base)
    if not base.head.sha256.startswith(delta.head.base):
        raise lists.BadList(f"list {changes}: are changes of another base; the base is to be here before them")
    return lists.CodeList(base, delta)


def write_list(path: Path, head: lists.ListHeader, keys: bytes, values: bytes | None = None) -> lists.ListHeader:
    """Build a list and replace the one at `path` in one step. Returns the head as written."""
    built = lists.build(head, keys, values)
    replace_file(path, built.chunks)
    return built.head


def change_list(path: Path, head: lists.ListHeader, changes: Mapping[bytes, int]) -> lists.CodeList:
    """Put changes (key → value; GONE takes it off) on top of the base at `path`, durably; readers go on meanwhile.

    `head` dates the result. Returns the new list; the old one stays usable until it is let go. Raises BadList.
    """
    current = open_list(path)
    before = lists.entries(current.delta) if current.delta is not None else {}
    return set_changes(path, head, before | dict(changes))


def set_changes(path: Path, head: lists.ListHeader, changes: Mapping[bytes, int]) -> lists.CodeList:
    """As `change_list`, but these are all changes since the base: those before are forgotten. Raises BadList."""
    of_changes = _open_file(path).head.head_of_changes(head)
    built = lists.build(of_changes, b"".join(changes), bytes(changes.values()))
    if sum(map(len, built.chunks)) > MOST_CHANGE_BYTES:
        raise lists.BadList(f"list {path}: {len(changes)} changes are too many: build a new base")
    replace_file(_delta_path(path), built.chunks)
    return open_list(path)


class _UnmappedFile:
    """A file that is read, never mapped: one that is cut off or cannot be read is an error and not a signal."""

    def __init__(self, path: Path) -> None:
        self._fd = -1
        self._fd = open_file(path)
        self._size = os.fstat(self._fd).st_size

    def __len__(self) -> int:
        return self._size

    def read(self, start: int, end: int) -> bytes:
        """These bytes, fewer when they are gone. Raises OSError."""
        return os.pread(self._fd, end - start, start)

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def _open_file(path: Path) -> lists.ListFile:
    """Open one file; it is closed when the list is let go."""
    try:
        return lists.parse(_UnmappedFile(path))
    except OSError as error:
        raise lists.BadList(access.why(error, path)) from None
    except lists.BadList as error:
        raise lists.BadList(f"list {path}: {error}") from None


def _delta_path(path: Path) -> Path:
    return path.with_name(path.name + ".delta")


_proved: dict[Path, tuple[tuple[int, ...], lists.ListFile]] = {}
"""The bases in use: reading one whole takes long enough not to do it for each change on top."""
_PROVING = threading.Lock()

"""A list's base that comes in pieces: put together beside the one in force, and handed over when it is whole.

| file | content |
|---|---|
| NAME.gpl.part | the pieces that have come so far; it has the length of the whole base from the beginning |
| NAME.gpl.next | the whole base: put in force when the lists are read (`list_files.swap_in_next_base`) |

Nothing else is stored: after a restart, or a power cut during a write, each piece is compared with its signed
digest again, and one that does not fit is fetched again.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from agent.credentials import lists
from agent.model.lazy import dataclass
from agent.ruleset.list_files import next_path

if TYPE_CHECKING:
    from pathlib import Path

    from agent.credentials.base_chunks import BaseChunks

RESERVE_BYTES = 64 << 20
"""A base is not fetched onto a disk that would have less than this left: events come first."""


@dataclass(frozen=True, slots=True)
class WantedBase:
    """A base that was signed and is not here."""

    name: str
    """Of the list, as its bundle calls it."""
    path: Path
    """Of the list in force."""
    head: lists.ListHeader
    chunks: BaseChunks

    @property
    def size(self) -> int:
        """Of the whole file, bytes."""
        return lists.file_bytes(self.head)


def part_path(path: Path) -> Path:
    """Where a base is put together."""
    return path.with_name(path.name + ".part")


class Assembly:
    """One base that is being put together. For one thread; `close` it."""

    def __init__(self, wanted: WantedBase, reserve_bytes: int = RESERVE_BYTES) -> None:
        """Open what has come so far, and prove it. Raises OSError: ENOSPC when there is no room for the whole."""
        self.wanted, self._chunks = wanted, wanted.chunks
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(part_path(wanted.path), flags, 0o640)
        try:
            self._make_room(reserve_bytes)
            self._missing = [index for index in range(len(self._chunks)) if not self._is_here(index)]
        except OSError:
            self.close()
            raise

    def _make_room(self, reserve_bytes: int) -> None:
        size = self.wanted.size
        has, disk = os.fstat(self._file), os.fstatvfs(self._file)
        more = max(0, size - has.st_blocks * 512)
        free = disk.f_bavail * disk.f_frsize
        if more and free - more < reserve_bytes:
            need_mb, free_mb, keep_mb = (-(-each // 10**6) for each in (size, free, reserve_bytes))
            why = f"the base has {need_mb} MB, {free_mb} MB are free, and {keep_mb} MB must stay free for events"
            raise OSError(errno.ENOSPC, why)
        os.posix_fallocate(self._file, 0, size)
        os.ftruncate(self._file, size)

    def _is_here(self, index: int) -> bool:
        start, end = self._chunks.span(index, self.wanted.size)
        return self._chunks.is_chunk(index, os.pread(self._file, end - start, start))

    @property
    def missing(self) -> list[int]:
        """Which chunks have not come yet, in order."""
        return self._missing

    @property
    def progress(self) -> str:
        """In words."""
        count = len(self._chunks)
        return f"{count - len(self._missing)} of {count} pieces have come"

    def add_chunk(self, index: int, data: bytes) -> bool:
        """Take a chunk, durably; whether it is the one that was signed. Raises OSError."""
        if not 0 <= index < len(self._chunks) or not self._chunks.is_chunk(index, data):
            return False
        if index in self._missing:
            start, done = self._chunks.span(index, self.wanted.size)[0], 0
            while done < len(data):
                done += os.pwrite(self._file, data[done:], start + done)
            os.fdatasync(self._file)  # a large heap of unwritten bytes would hold up the events' own syncs
            self._missing.remove(index)
        return True

    def finish(self) -> bool:
        """Hand over what is whole: whether it was. Raises OSError."""
        if self._missing:
            return False
        os.fsync(self._file)
        part_path(self.wanted.path).replace(next_path(self.wanted.path))
        folder = os.open(self.wanted.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return True

    def close(self) -> None:
        """What has come stays for the next time."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

"""The shelf between the writer and the link: the oldest undelivered records, in order, in memory.

The writer lays records out and collects what is done; the link takes, acknowledges and, when the connection is
gone, puts back. Neither ever waits for the other: the lock is held for a few lines of memory work.
"""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.model import Record

ROOM = 512
"""Records kept ahead of the link."""
DONE_TO_WAKE = 256
"""Acknowledged records for whose deletion the writer is woken."""
MEMORY_ONLY = 1 << 62
"""Keys from here on belong to records that are in no file."""
HUNGRY_S = 2.0
URGENT = 2
"""Records of this rank and above overtake a backlog that does not fit on the shelf."""


class Shelf:
    """Undelivered records. The link calls `take`, `sent`, `set_aside`, `rewind`, `reload`; the writer the rest."""

    def __init__(self, wake_writer: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._wake_writer = wake_writer
        self._wake_link: Callable[[], None] = lambda: None
        self._ready: deque[Record] = deque()
        self._urgent: deque[Record] = deque()
        self._ahead: set[int] = set()
        """Keys that overtook: not to be laid out again when the backlog comes to them."""
        self._out: dict[int, Record] = {}
        self._done: set[int] = set()
        self._laid_to = -MEMORY_ONLY
        self._all_laid = False
        self._writer_woken = False
        self._hungry_s = -HUNGRY_S
        self._on_disk = 0
        self._in_memory = 0
        self.delivered = 0

    # -- the link's side --------------------------------------------------------------------------------

    def listen(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, from the writer's thread, whenever there is something new to take."""
        self._wake_link = wake

    def take(self, limit: int) -> list[Record]:
        """Up to `limit` records that are not on their way yet: what is urgent, then the oldest."""
        with self._lock:
            taken = [self._urgent.popleft() for _ in range(min(limit, len(self._urgent)))]
            taken += [self._ready.popleft() for _ in range(min(limit - len(taken), len(self._ready)))]
            self._out.update((record.key, record) for record in taken)
            if not taken:
                self._hungry_s = monotonic()
            wakes = self._wants_writer()
        if wakes:
            self._wake_writer()
        return taken

    def sent(self, records: Iterable[Record]) -> None:
        """These were acknowledged and may be deleted. Records that were not taken are ignored."""
        with self._lock:
            for record in records:
                if self._out.get(record.key) is not record:
                    continue
                del self._out[record.key]
                self._ahead.discard(record.key)
                self.delivered += 1
                if record.key >= MEMORY_ONLY:
                    self._in_memory -= 1
                else:
                    self._done.add(record.key)
            wakes = self._wants_writer()
        if wakes:
            self._wake_writer()

    def set_aside(self, record: Record) -> None:
        """The broker refuses this one: go on with the others. It stays on disk and comes back with `reload`."""
        with self._lock:
            if self._out.pop(record.key, None) is not None and record.key >= MEMORY_ONLY:
                self._ready.append(record)

    def rewind(self) -> None:
        """The connection is gone: what was on its way is to be sent again, first and in order."""
        with self._lock:
            self._ready.extendleft(reversed(self._out.values()))
            self._out.clear()

    def reload(self) -> None:
        """Lay out again everything on disk that is not done: what was set aside comes back in its order."""
        with self._lock:
            self._ready = deque(record for record in self._ready if record.key >= MEMORY_ONLY)
            self._urgent.clear()
            self._ahead &= self._out.keys()
            self._laid_to, self._all_laid = -MEMORY_ONLY, False
            self._writer_woken = True
        self._wake_writer()

    def _wants_writer(self) -> bool:
        """Whether to wake the writer (once): to lay out more, or to delete a good many."""
        low = not self._all_laid and len(self._ready) < ROOM // 2
        if self._writer_woken or not (low or len(self._done) >= DONE_TO_WAKE):
            return False
        self._writer_woken = True
        return True

    # -- the writer's side ------------------------------------------------------------------------------

    def room(self) -> tuple[int, int]:
        """How many records from disk are wanted, and beyond which key."""
        with self._lock:
            self._writer_woken = False
            wanted = ROOM - len(self._ready)
            if self._all_laid or wanted < ROOM // 2:
                return 0, 0
            return wanted, self._laid_to

    def lay(self, records: list[Record], wanted: int) -> None:
        """Add what the disk has beyond the last laid; fewer than `wanted` means that this is all."""
        with self._lock:
            known = self._out.keys() | self._done | self._ahead
            self._ready.extend(record for record in records if record.key not in known)
            if records:
                self._laid_to = records[-1].key
            self._all_laid = len(records) < wanted
        self._wake_link()

    def committed(self, new: list[Record], gone: Iterable[int], on_disk: int) -> None:
        """`new` and no longer `gone` are on disk, which now holds `on_disk` records that are not done."""
        with self._lock:
            self._done.difference_update(gone)
            self._on_disk = on_disk
            if not new:
                return
            if self._all_laid and len(self._ready) < ROOM:
                self._ready.extend(new)
                self._laid_to = new[-1].key
            else:
                self._all_laid = False
                urgent = [record for record in new if record.rank >= URGENT]
                self._urgent.extend(urgent[: ROOM - len(self._urgent)])
                self._ahead.update(record.key for record in self._urgent)
        self._wake_link()

    def lay_from_memory(self, records: list[Record]) -> None:
        """Add records that no disk has."""
        with self._lock:
            self._ready.extend(records)
            self._in_memory += len(records)
        self._wake_link()

    def hungry(self) -> bool:
        """Whether the link lately asked and got nothing: it is connected and idle."""
        with self._lock:
            return not (self._ready or self._urgent or self._out) and monotonic() - self._hungry_s < HUNGRY_S

    def done(self) -> frozenset[int]:
        """Keys of what may be deleted."""
        with self._lock:
            return frozenset(self._done)

    def on_the_way(self) -> set[int]:
        """Keys that the link holds."""
        with self._lock:
            return set(self._out)

    def drop(self, keys: Iterable[int]) -> None:
        """These had to go: they are not on disk any more."""
        gone = set(keys)
        with self._lock:
            self._ready = deque(record for record in self._ready if record.key not in gone)
            self._urgent = deque(record for record in self._urgent if record.key not in gone)
            self._ahead -= gone

    def contents(self) -> list[Record]:
        """What is in memory of the file's records, in order."""
        with self._lock:
            known = (*self._out.values(), *self._ready, *self._urgent)
            return sorted((r for r in known if r.key < MEMORY_ONLY), key=lambda r: r.key)

    def clear(self) -> None:
        """There is a new file: forget all keys of the old one. It is laid out from the start."""
        with self._lock:
            self._ready = deque(r for r in (*self._out.values(), *self._ready) if r.key >= MEMORY_ONLY)
            self._out.clear()
            self._urgent.clear()
            self._ahead.clear()
            self._done.clear()
            self._laid_to, self._all_laid, self._on_disk = -MEMORY_ONLY, False, 0

    def waiting(self) -> int:
        """Records not yet acknowledged, on disk and in memory."""
        with self._lock:
            return self._on_disk - len(self._done) + self._in_memory

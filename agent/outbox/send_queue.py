"""The send queue between the writer and the link: the oldest undelivered records, in order, in memory.

The writer lays records out and collects what is done; the link takes, acknowledges and, when the connection is
gone, puts back. Neither ever waits for the other: the lock is held for a few lines of memory work.

A record is done when the broker has acknowledged it; or, with `expect_receipts`, when the central server has
confirmed it: until then it stays on disk, and `redeliver` lays the oldest out once more.
"""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable

    from agent.model import Record

ROOM = 512
"""Records kept ahead of the link."""
DONE_TO_WAKE = 256
"""Acknowledged records for whose deletion the writer is woken."""
MEMORY_ONLY = 1 << 62
"""Keys from here on belong to records that are in no file."""
HUNGRY_S = 2.0
URGENT = 2
"""Records of this rank and above overtake a backlog that does not fit on the send queue."""
A_FEW = 64
"""Records sent again to see whether the central server confirms them now."""
NOWHERE = -MEMORY_ONLY
"""Below all keys."""


class SendQueue:
    """Undelivered records. What the link calls comes first; the rest is for the writer."""

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
        self._laid_to = NOWHERE
        self._all_laid = False
        self._again = 0
        """Records still to be laid out once more, before going on behind `_resume`."""
        self._resume = NOWHERE
        self._until_confirmed = False
        self._unconfirmed: dict[int, Record] = {}
        """Of the records that no disk has, those that the broker acknowledged and the central server did not."""
        self._refused_from = MEMORY_ONLY
        self.acked_to = NOWHERE
        """The broker has acknowledged everything on disk up to this key, and nobody has confirmed it yet."""
        self.again_to = NOWHERE
        """The last key that `redeliver` laid out ..."""
        self.again_next = NOWHERE
        """... and the first beyond, where there is one."""
        self._held = False
        self._writer_woken = False
        self._hungry_s = -HUNGRY_S
        self._on_disk = 0
        self._oldest: int | None = None
        self._in_memory = 0
        self.delivered = 0

    # -- the link's side --------------------------------------------------------------------------------

    def listen(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, from the writer's thread, whenever there is something new to take."""
        self._wake_link = wake

    def claim_batch(self, limit: int) -> list[Record]:
        """Up to `limit` records that are not on their way yet: what is urgent, then the oldest."""
        with self._lock:
            taken: list[Record] = []
            if self._held:
                taken = [record for record in self._ready if record.key >= MEMORY_ONLY][:limit]
                for record in taken:
                    self._ready.remove(record)
            else:
                while len(taken) < limit and (pile := self._urgent or self._ready):
                    taken.append(pile.popleft())
            self._out.update((record.key, record) for record in taken)
            if not taken:
                self._hungry_s = monotonic()
            wakes = self._wants_writer()
        if wakes:
            self._wake_writer()
        return taken

    def has_ready(self) -> bool:
        """Whether there is something to claim."""
        return bool(self._ready or self._urgent)

    def hold(self) -> None:
        """Until `clear` give out only what no disk has: the rest is to get other ids."""
        with self._lock:
            self._held = True

    def release(self) -> None:
        """Give out again."""
        with self._lock:
            was_held, self._held = self._held, False
        if was_held:
            self._wake_link()

    def expect_receipts(self) -> None:
        """From now on a record is done when the central server has confirmed it. Before anything is taken."""
        self._until_confirmed = True

    def acked(self, records: Iterable[Record]) -> None:
        """The broker acknowledged these. Records that were not taken are ignored."""
        with self._lock:
            for record in records:
                if self._out.get(record.key) is not record:
                    continue
                del self._out[record.key]
                if self._until_confirmed:
                    self._acknowledged(record)
                    continue
                self._ahead.discard(record.key)
                self.delivered += 1
                if record.key >= MEMORY_ONLY:
                    self._in_memory -= 1
                else:
                    self._done.add(record.key)
            if self._until_confirmed and not self._again:
                self._advance()
            wakes = self._wants_writer()
        if wakes:
            self._wake_writer()

    def _acknowledged(self, record: Record) -> None:
        """The broker has it, the central server may not: the disk keeps it, or the send queue when no disk has
        it.
        """
        if record.key >= MEMORY_ONLY:
            self._unconfirmed[record.key] = record
        elif record.key == self._refused_from:
            self._refused_from = MEMORY_ONLY

    def _advance(self) -> None:
        """Move `acked_to` up to before the first record that is still to be acknowledged."""
        first = min(self._out, default=MEMORY_ONLY)
        if self._ready and first > self._ready[0].key:
            first = self._ready[0].key
        self.acked_to = max(self.acked_to, min(first - 1, self._refused_from - 1, max(self._laid_to, self._resume)))

    def overdue(self) -> int | None:
        """The oldest record that the broker has acknowledged and the central server has not confirmed; its key."""
        with self._lock:
            if self._oldest is not None:
                return self._oldest if self._oldest <= self.acked_to else None
            return next(iter(self._unconfirmed), None)

    def redeliver(self, count: int) -> None:
        """Lay the `count` oldest out once more: it seems that they did not arrive. Then go on as before."""
        with self._lock:
            for key in list(self._unconfirmed)[:count]:
                self._ready.append(self._unconfirmed.pop(key))  # behind all others: `_advance` looks at the first
            if not self._again:
                self._resume = max(self._resume, self._laid_to)
            self._laid_to, self._all_laid, self._again = NOWHERE, False, count
            self._writer_woken = True
        self._wake_writer()
        self._wake_link()

    def is_empty(self, *, refused: bool = False) -> bool:
        """Whether there is nothing left to send; `refused`: nor anything that the broker has refused."""
        with self._lock:
            if refused and self._refused_from != MEMORY_ONLY:
                return False
            return self._all_laid and not (self._ready or self._urgent or self._out)

    def park(self, record: Record) -> None:
        """The broker refuses this one: go on with the others. It stays on disk and comes back with `reload`."""
        with self._lock:
            if self._out.pop(record.key, None) is None:
                return
            if record.key >= MEMORY_ONLY:
                self._ready.append(record)
            else:
                self._refused_from = min(self._refused_from, record.key)

    def requeue(self) -> None:
        """The connection is gone: what was on its way is to be sent again, first and in order."""
        with self._lock:
            self._ready.extendleft(reversed(self._out.values()))
            self._out.clear()
            self._hungry_s = -HUNGRY_S

    def reload(self) -> None:
        """Lay out again what is on disk and not done: what was set aside comes back in its order.

        With receipts that would be all that the central server has not confirmed yet: then only the oldest come
        back.
        """
        if self._until_confirmed:
            self.redeliver(A_FEW)
            return
        with self._lock:
            self._ready = deque(record for record in self._ready if record.key >= MEMORY_ONLY)
            self._urgent.clear()
            self._ahead &= self._out.keys()
            self._laid_to, self._all_laid, self._refused_from = NOWHERE, False, MEMORY_ONLY
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
            return min(wanted, self._again) + 1 if self._again else wanted, self._laid_to

    def fill(self, records: list[Record], wanted: int, confirmed: Container[int] = ()) -> None:
        """Add what the disk has beyond the last laid, but for `confirmed`; fewer than `wanted`: this is all."""
        with self._lock:
            known = self._out.keys() | self._done | self._ahead | {record.key for record in self._ready}
            if self._again:  # there is one more than is to be laid out
                wanted -= 1
                self.again_next = records[wanted].key if len(records) > wanted else NOWHERE
                records = records[:wanted]
            self._ready.extend(
                record for record in records if record.key not in known and record.key not in confirmed
            )
            if records:
                self._laid_to = records[-1].key
            if self._again:
                self._again -= len(records)
                self.again_to = self._laid_to
                if len(records) < wanted or self._laid_to >= self._resume:
                    self._again = 0
                if not self._again:
                    self._laid_to = max(self._laid_to, self._resume)
            else:
                self._all_laid = len(records) < wanted
            if self._until_confirmed:
                self._ahead = {key for key in self._ahead if key > self._laid_to}
        self._wake_link()

    def confirmed(self, low: int, high: int, count: int) -> None:
        """The central server has the `count` records that there were from `low` to `high`: none of them is to be
        sent.
        """
        with self._lock:
            self.delivered += count
            for pile in (self._out, self._unconfirmed):
                for key in [key for key in pile if low <= key <= high]:
                    del pile[key]
            self._ready = deque(record for record in self._ready if not low <= record.key <= high)
            self._urgent = deque(record for record in self._urgent if not low <= record.key <= high)
            self._ahead = {key for key in self._ahead if not low <= key <= high}
            if low >= MEMORY_ONLY:
                self._in_memory -= count
            elif low <= self._refused_from <= high:
                self._refused_from = MEMORY_ONLY
        self._wake_link()

    def in_memory(self) -> dict[int, Record]:
        """The records that no disk has, by their keys."""
        with self._lock:
            known = (*self._unconfirmed.values(), *self._out.values(), *self._ready)
            return {record.key: record for record in known if record.key >= MEMORY_ONLY}

    def set_oldest(self, key: int | None) -> None:
        """The oldest record on disk that nobody has confirmed."""
        with self._lock:
            changed, self._oldest = key != self._oldest, key
        if changed:
            self._wake_link()

    def committed(self, new: list[Record], gone: Collection[int], on_disk: int) -> None:
        """`new` and no longer `gone` are on disk, which now holds `on_disk` records that are not done."""
        with self._lock:
            if gone:
                self._done.difference_update(gone)
            self._on_disk = on_disk
            if not new:
                return
            if self._oldest is None:
                self._oldest = new[0].key
            if self._all_laid and len(self._ready) < ROOM:
                self._ready.extend(new)
                self._laid_to = new[-1].key
            else:
                self._all_laid = False
                urgent = [record for record in new if record.rank >= URGENT]
                self._urgent.extend(urgent[: ROOM - len(self._urgent)])
                self._ahead.update(record.key for record in self._urgent)
        self._wake_link()

    def fill_from_memory(self, records: list[Record]) -> None:
        """Add records that no disk has."""
        with self._lock:
            self._ready.extend(records)
            self._in_memory += len(records)
        self._wake_link()

    def wants_records(self, limit: int) -> bool:
        """Whether the link lately asked and got nothing: it is idle; and fewer than `limit` are in memory only."""
        with self._lock:
            if self._in_memory >= limit:
                return False
            is_free = self._held or not (self._ready or self._urgent or self._out)
            return is_free and monotonic() - self._hungry_s < HUNGRY_S

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
            if self._refused_from in gone:
                self._refused_from = MEMORY_ONLY

    def contents(self) -> list[Record]:
        """What is in memory of the file's records, in order."""
        with self._lock:
            known = (*self._out.values(), *self._ready, *self._urgent)
            return sorted((r for r in known if r.key < MEMORY_ONLY), key=lambda r: r.key)

    def clear(self, gone: Container[int] = (), lowered: int | None = None) -> None:
        """There is a new file: forget all keys of the old one. It is laid out from the start.

        Those done that are not `gone` were so too late: the new file has them, their keys `lowered`. None: they
        have other keys there, which say nothing of the old ones.
        """
        with self._lock:
            self._held = False
            self._done = set() if lowered is None else {key - lowered for key in self._done if key not in gone}
            self._ready = deque(r for r in (*self._out.values(), *self._ready) if r.key >= MEMORY_ONLY)
            self._out.clear()
            self._urgent.clear()
            self._ahead.clear()
            self._laid_to = self._resume = self.acked_to = self.again_to = self.again_next = NOWHERE
            self._all_laid, self._again, self._on_disk, self._oldest = False, 0, 0, None
            self._refused_from = MEMORY_ONLY

    def waiting(self) -> int:
        """Records not yet acknowledged, on disk and in memory."""
        with self._lock:
            return self._on_disk - len(self._done) + self._in_memory

"""What the central server has confirmed: receipts are compared with what was written, and say what may be deleted
from the disk.

A receipt names ranges of sequences and, for each, the hash of its last payload. It counts when at least one of
these hashes can be compared with a record that is still here, and none of them differs: a central server that has
another kiosk's chain, or one that a copied card has written, confirms nothing. One of which nothing is here any
more is late, and says nothing new.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from agent.outbox.send_queue import MEMORY_ONLY, NOWHERE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.model import ChainPosition
    from agent.outbox.receipt import Receipt
    from agent.outbox.receipts import ReceiptQueue
    from agent.outbox.send_queue import SendQueue
    from agent.outbox.store import Store

AT_ONCE = 4096
"""Keys that one commit lets go of at most: events wait for a commit, it must not take long."""


class Wrong(ValueError):
    """A receipt that does not fit what was written here; `str()` is one sentence."""


class Foreign(Wrong):
    """One of another epoch: a broker may have kept it, or somebody sends it again."""


class Acknowledgements:
    """Ranges of keys that are confirmed and still on disk: they go with a later commit. For the writer's thread."""

    def __init__(self, send_queue: SendQueue, answers: ReceiptQueue) -> None:
        self._send_queue, self._answers = send_queue, answers
        self._ranges: list[tuple[int, int]] = []
        self.count = 0
        """How many records on disk they hold."""

    def on_receipt(self, store: Store | None, memory: ChainPosition) -> None:
        """Take the receipts that came. `memory`: the epoch of records that no disk has, and its last sequence."""
        for receipt in self._answers.next_receipt():
            try:
                if receipt.epoch == memory.epoch:
                    self._apply_to_memory(receipt, memory.sequence)
                elif store is not None:  # else it is lost: the central server's next one says the same and more
                    self._apply(store, receipt)
            except Foreign as foreign:
                self._answers.refuse(str(foreign))
            except Wrong as wrong:
                self._answers.complain(str(wrong))

    def on_acknowledged(self, store: Store) -> None:
        """Tell the send queue how many records are on disk, and which is the oldest that nobody has confirmed."""
        self._count(store)
        self._send_queue.committed([], (), store.count - self.count)
        self._send_queue.set_oldest(self._oldest(store))

    def next(self) -> list[tuple[int, int]]:
        """What one commit may let go of; `gone` says that it has."""
        chosen: list[tuple[int, int]] = []
        room = AT_ONCE
        for low, high in self._ranges:
            if room <= 0:
                break
            chosen.append((low, min(high, low + room - 1)))
            room -= high - low + 1
        return chosen

    def gone(self, store: Store, chosen: Sequence[tuple[int, int]]) -> None:
        """The store has let go of these."""
        if chosen:
            upto = chosen[-1][1]
            self._ranges = [(max(low, upto + 1), high) for low, high in self._ranges if high > upto]
            self._count(store)

    def clear(self) -> None:
        """There is a new file."""
        self._ranges, self.count = [], 0

    def __contains__(self, key: object) -> bool:
        return isinstance(key, int) and any(low <= key <= high for low, high in self._ranges)

    def _apply(self, store: Store, receipt: Receipt) -> None:
        """Raises Wrong, and nothing has changed."""
        base = store.base(receipt.epoch)
        if base is None:
            raise Foreign(f"it is about epoch {receipt.epoch}, of which nothing is here")
        for low, high in _keys(receipt, base, store.last if base == 0 else None, store.hash_at):
            self._send_queue.confirmed(low, high, self._add(store, low, high))
            self._answers.accept()
        self.on_acknowledged(store)

    def _apply_to_memory(self, receipt: Receipt, last: int) -> None:
        """The same for records that no disk has. Raises Wrong."""
        held = self._send_queue.in_memory()
        hashes = {key: sha256(record.payload).hexdigest() for key, record in held.items()}
        for low, high in _keys(receipt, MEMORY_ONLY, MEMORY_ONLY + last, lambda key: hashes.get(key, "")):
            self._send_queue.confirmed(low, high, sum(low <= key <= high for key in held))
            self._answers.accept()

    def _add(self, store: Store, low: int, high: int) -> int:
        """One more range; how many records of the store it newly holds."""
        first = store.first_after(low - 1)
        if first is None or first > high:
            return 0
        low, before, apart = first, self.count, []
        for other in self._ranges:
            if other[1] < low - 1 or other[0] > high + 1:
                apart.append(other)
            else:
                self.count -= store.count_of(*other)
                low, high = min(low, other[0]), max(high, other[1])
        self._ranges = sorted((*apart, (low, high)))
        self.count += store.count_of(low, high)
        return self.count - before

    def _count(self, store: Store) -> None:
        self.count = sum(store.count_of(low, high) for low, high in self._ranges)

    def _oldest(self, store: Store) -> int | None:
        """The oldest record on disk that nobody has confirmed; its key."""
        key = store.first_after(NOWHERE)
        for low, high in self._ranges:
            if key is None or key < low:
                break
            key = store.first_after(high)
        return key


def _keys(
    receipt: Receipt, base: int, last: int | None, hash_at: Callable[[int], str]
) -> Sequence[tuple[int, int]]:
    """The ranges of keys that a receipt rightly confirms; none for a late one. Raises Wrong.

    `last`: the newest key of that epoch, where it is known; `hash_at`: `` for a record that is not here.
    """
    proved = False
    for part in receipt.ranges:
        key = base + part.last
        if last is not None and key > last:
            made = last - base
            raise Wrong(f"it confirms event {part.last}, we have only made {made}: did the card lose some?")
        here = hash_at(key)
        if here and here != part.sha256:
            raise Wrong(f"it has another hash of event {part.last} than we: the central server has another chain")
        proved = proved or bool(here)
    return [(base + part.first, base + part.last) for part in receipt.ranges] if proved else []

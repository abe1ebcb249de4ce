"""Receipts on their way from the link to the writer, and what was wrong with those that were not accepted."""

from __future__ import annotations

import logging
import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.outbox.receipt import Receipt

log = logging.getLogger(__name__)

MOST = 64
"""Receipts that wait for the writer; an older one that is pushed out costs a repeat, nothing else."""
COMPLAIN_EVERY_S = 60.0
"""How often at most a receipt that is not taken is spoken of."""


class ReceiptQueue:
    """The link puts, the writer takes; either may refuse."""

    def __init__(self, wake_writer: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._wake_writer = wake_writer
        self._waiting: deque[Receipt] = deque(maxlen=MOST)
        self._complained_s = -COMPLAIN_EVERY_S
        self.refused = 0
        """Since the start; anybody who may publish can send some."""
        self.refusal = ""
        """What was wrong with one of the last minute's; empty since one was taken."""
        self.complaint = ""
        """What the central server has signed and does not fit what was written here; empty since one did."""

    def add(self, receipt: Receipt) -> None:
        """The central server says that it has these; the writer finds out whether that is so."""
        with self._lock:
            wakes = not self._waiting
            self._waiting.append(receipt)
        if wakes:
            self._wake_writer()

    def next_receipt(self) -> list[Receipt]:
        """What came since."""
        if not self._waiting:
            return []
        with self._lock:
            taken = list(self._waiting)
            self._waiting.clear()
        return taken

    def refuse(self, why: str) -> None:
        """A receipt was not taken. Anyone who sends many can neither fill the log nor have us say ever new
        things.
        """
        now_s = monotonic()
        with self._lock:
            self.refused += 1
            is_due = now_s - self._complained_s >= COMPLAIN_EVERY_S
            if is_due:
                self._complained_s = now_s
            if is_due or not self.refusal:
                self.refusal = why
        if is_due:
            log.warning("outbox: a receipt is not taken: %s (%d so far)", why, self.refused)

    def complain(self, why: str) -> None:
        """A receipt was not taken, and nobody but the central server can have made it."""
        self.refuse(why)
        self.complaint = why

    def accept(self) -> None:
        """A receipt was taken."""
        self.refusal = self.complaint = ""

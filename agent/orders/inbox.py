"""What was heard and not yet looked at: bounded, whatever a broker sends, and yet no bundle is lost for good.

Orders and bundles wait apart and are taken in turn: much of one kind does not hide the other. A bundle for which
there is no room is *missed*: the broker has it retained, and it is to be asked for all of them again. Then what was
looked at since the first was missed is passed over, so that each time others find room, until all were looked at.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from hashlib import sha256

from agent.orders.judging import MAX_BYTES

MOST_ORDERS, MOST_BUNDLES = 64, 256
MOST_BUNDLE_BYTES = 4 << 20
MOST_LOOKED_AT = 4096


class Inbox:
    """Any thread may put; one takes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._orders: deque[bytes] = deque()
        self._bundles: deque[bytes] = deque()
        self._bundle_bytes = 0
        self._looked_at: OrderedDict[bytes, None] = OrderedDict()
        """SHA-256 of bundles."""
        self._order_is_next = True
        self._missed = False

    def put(self, payload: bytes, *, is_order: bool) -> bool:
        """Whether there is room for it, or need. Never waits for whoever takes."""
        with self._changed:
            if is_order:
                if len(payload) > MAX_BYTES or len(self._orders) >= MOST_ORDERS:
                    return False
                self._orders.append(payload)
            elif self._looked_at and sha256(payload).digest() in self._looked_at:
                return True
            elif len(self._bundles) >= MOST_BUNDLES or self._bundle_bytes + len(payload) > MOST_BUNDLE_BYTES:
                self._missed = True
                return False
            else:
                self._bundles.append(payload)
                self._bundle_bytes += len(payload)
            self._changed.notify()
        return True

    def take(self, within_s: float) -> tuple[bool, bytes] | None:
        """The next one, and whether it is for orders; None when nothing came, or `wake` was called."""
        with self._changed:
            if self.is_empty():
                self._changed.wait(within_s)
            if self._orders and (self._order_is_next or not self._bundles):
                self._order_is_next = False
                return True, self._orders.popleft()
            self._order_is_next = True
            if not self._bundles:
                return None
            payload = self._bundles.popleft()
            self._bundle_bytes -= len(payload)
            self._looked_at[sha256(payload).digest()] = None
            if len(self._looked_at) > MOST_LOOKED_AT:
                self._looked_at.popitem(last=False)
            return False, payload

    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not (self._orders or self._bundles)

    def ask_again(self) -> bool:
        """Whether to ask for all bundles now, as some were missed and there is room; it is taken for done. When
        none is missed any more, what was looked at is forgotten: the centre may mean to send it again.
        """
        with self._changed:
            if not self._missed:
                self._looked_at.clear()
            is_time = self._missed and self.is_empty()
            self._missed = self._missed and not is_time
            return is_time

    def look_again(self) -> None:
        """Something has changed: what was refused may be taken now."""
        with self._changed:
            self._looked_at.clear()
            self._missed = True

    def wake(self) -> None:
        """Have `take` return."""
        with self._changed:
            self._changed.notify_all()

"""Receipts of the central server: verified on the link's thread, and handed to the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.model import Mark
from agent.outbox import receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.outbox.receipts import ReceiptQueue


class ReceiptVerifier:
    """Puts what is signed, and for this kiosk, into the outbox's queue; counts what is not."""

    def __init__(self, source: str, receipts: ReceiptQueue, verify: Callable[[bytes], Mapping[str, Any]]) -> None:
        """`source`: this kiosk's; `verify`: what the central server has signed, or raises ValueError or OSError."""
        self._source = source
        self._receipts = receipts
        self._verify = verify

    def add(self, payload: bytes, compare: Callable[[Mark], None]) -> None:
        """Take a receipt. `compare` first gets how far our store had come by the central server's word."""
        if len(payload) > receipt.MAX_BYTES:
            self._receipts.refuse("it is too long")
            return
        try:
            found = receipt.parse(self._verify(payload), self._source)
        except (ValueError, OSError) as error:
            self._receipts.refuse(str(error))
            return
        last = max((part.last for part in found.ranges), default=0)
        compare(Mark(found.epoch, last, is_signed=True))
        self._receipts.add(found)

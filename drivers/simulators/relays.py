"""Relay boards, from their sellers' protocol sheets. They keep what they did, with the time."""

from __future__ import annotations

import itertools
import threading
import time

START = 0xA0
ORDER_BYTES = 4


class LcusRelay:
    """LC Technology LCUS board: A0, channel, 0 or 1, low byte of the sum; 9600 baud, never answers; latches."""

    baud = 9600
    period_s = 0.0

    def __init__(self) -> None:
        self.changes: list[tuple[float, int, bool]] = []
        """(monotonic seconds, channel, on) for each order that changed a relay."""
        self.changed = threading.Condition()
        """Notified with each change."""
        self._on: dict[int, bool] = {}
        self._heard = bytearray()

    def is_on(self, channel: int = 1) -> bool:
        """Whether a relay is pulled in."""
        return self._on.get(channel, False)

    def pulses(self, channel: int = 1) -> list[tuple[float, float]]:
        """(start, length) of each completed pulse, seconds."""
        with self.changed:
            edges = [(at_s, on) for at_s, of, on in self.changes if of == channel]
        return [
            (start_s, end_s - start_s)
            for (start_s, on), (end_s, after) in itertools.pairwise(edges)
            if on and not after
        ]

    def speak(self) -> bytes:
        """Silent."""
        return b""

    def hear(self, data: bytes) -> bytes:
        """Obey whole, correct orders; skip anything else."""
        self._heard += data
        while len(self._heard) >= ORDER_BYTES:
            start, channel, state, check = self._heard[:ORDER_BYTES]
            if start == START and state in (0, 1) and (start + channel + state) % 256 == check:
                self._switch(channel, on=bool(state))
                del self._heard[:ORDER_BYTES]
            else:
                del self._heard[:1]
        return b""

    def _switch(self, channel: int, *, on: bool) -> None:
        if self.is_on(channel) != on:
            with self.changed:
                self._on[channel] = on
                self.changes.append((time.monotonic(), channel, on))
                self.changed.notify_all()

"""What all card readers share: a card is sighted once while it stays; the payload is made from its number.

A payload is `card:KIND:NUMBER`, for instance `card:em4100:0F00C0FFEE`. It says which card is shown, never that its
holder is the right one: a card proves possession and no more, and many kinds are copied with a phone.
"""

from __future__ import annotations

import time

from drivers.contract import CARD, BadReply, DriverError, Sighting

PATIENCE = 4
"""Looks for a card in a row that fail before the reader is given up."""
AWAY_S = 1.0
"""Without an answer for so long, a card has left the field; then the same one is sighted again."""


def payload(kind: str, number: str) -> bytes:
    """What a scanner hands over for a card."""
    return f"card:{kind}:{number}".encode()


class CardPresence:
    """Readers repeat a card for as long as it lies in the field: the first answer is the sighting. Pure."""

    def __init__(self, away_s: float = AWAY_S) -> None:
        self._away_s = away_s
        self._number = b""
        self._seen_s = float("-inf")

    def sighting(self, number: bytes, at_s: float, *, simulated: bool) -> Sighting | None:
        """A sighting of `number` (a payload) when it has come; None while it only stays."""
        stays = number == self._number and at_s - self._seen_s < self._away_s
        self._number, self._seen_s = number, at_s
        return None if stays else Sighting(number, at_s, simulated, CARD)

    def reset(self) -> None:
        """Nothing lies in the field."""
        self._number, self._seen_s = b"", float("-inf")


class PolledCardReader:
    """A driver is this with `find`: it looks for a card again and again, and rides out a short fault."""

    def __init__(self, period_s: float, away_s: float) -> None:
        """`period_s`: between two looks; `away_s`: without it, the same card counts as shown again."""
        self._period_s = period_s
        self._presence = CardPresence(away_s)
        self._due_s = 0.0
        self._failures = 0

    @property
    def simulated(self) -> bool:
        """True when no real device is behind the wire; known once open."""
        raise NotImplementedError

    def find(self) -> bytes | None:
        """One look: the payload of the card that is there, empty for no card; None: the reader does not answer.
        Raises DeviceGone, and BadReply on junk.
        """
        raise NotImplementedError

    def silence(self) -> DriverError:
        """The fault of a reader that does not answer."""
        raise NotImplementedError

    def begin(self) -> None:
        """After opening: nothing lies in the field, and no look has failed."""
        self._presence.reset()
        self._due_s, self._failures = 0.0, 0

    def read(self, limit_s: float) -> Sighting | None:
        """The next card."""
        wait_s = self._due_s - time.monotonic()
        if wait_s > 0:
            time.sleep(min(wait_s, limit_s))
        if wait_s > limit_s:
            return None
        asked_s = time.monotonic()
        self._due_s = asked_s + self._period_s
        try:
            found = self.find()
        except BadReply:
            found = None
            if self._failures + 1 >= PATIENCE:
                raise
        self._failures = 0 if found is not None else self._failures + 1
        if self._failures >= PATIENCE:
            raise self.silence()
        return self._presence.sighting(found, asked_s, simulated=self.simulated) if found else None

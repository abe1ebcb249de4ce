"""What all card readers share: a card is sighted once while it stays, and how its number becomes a payload.

A payload is `card:KIND:NUMBER`, for instance `card:em4100:0F00C0FFEE`. It says which card is shown, never that its
holder is the right one: a card proves possession and no more, and many kinds are copied with a phone.
"""

from __future__ import annotations

from drivers.contract import CARD, Sighting

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

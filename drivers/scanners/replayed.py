"""A scanner that plays back a recording of codes, with its timing.

Source: the recording itself, made by `gatepost devices record` (format: drivers/recording.py).

Wiring: none; a file. Quirks: everything it says is marked simulated. Accuracy: what was recorded.
"""

from __future__ import annotations

from drivers.contract import Departure, Proof, Sighting
from drivers.recording import Player, PlayerOptions

BUS, PROOF = "file", Proof.SIMULATOR


class Options(PlayerOptions):
    """Settings of a recording that is played."""


class Driver(Player):
    """Items as they were recorded."""

    kind = "scanners"

    def read(self, limit_s: float) -> Departure | Sighting | None:
        """The next item when it is due."""
        item = self.play(limit_s)
        return item if isinstance(item, Departure | Sighting) else None

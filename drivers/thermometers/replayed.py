"""A thermometer that plays back a recording of readings, with its timing.

Source: the recording itself, made by `gatepost devices record` (format: drivers/recording.py).

Wiring: none; a file. Quirks: everything it says is marked simulated. Accuracy: what was recorded.
"""

from __future__ import annotations

from drivers.contract import Proof, Reading
from drivers.recording import Player, PlayerOptions

BUS, PROOF = "file", Proof.SIMULATOR


class Options(PlayerOptions):
    """Settings of a recording that is played."""


class Driver(Player):
    """Items as they were recorded."""

    kind = "thermometers"

    def read(self, limit_s: float) -> Reading | None:
        """The next item when it is due."""
        item = self.play(limit_s)
        return item if isinstance(item, Reading) else None

"""A thermometer that plays back a recording of readings, with its timing.

Source: the recording itself, made by `gatepost devices record` (format: drivers/recording.py).

Wiring: none; a file. Quirks: everything it says is marked simulated. Accuracy: what was recorded.
"""

from __future__ import annotations

from drivers.contract import Proof, Reading
from drivers.recording import Player, PlayerOptions

BUS, PROOF = "file", Proof.SIMULATOR
Options = PlayerOptions


class Driver(Player):
    """Items as they were recorded."""

    kind = "thermometers"
    items = (Reading,)

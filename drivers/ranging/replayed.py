"""A ranger that plays back a recording of distances, with its timing.

Source: the recording itself, made by `gatepost devices record` (format: drivers/recording.py).

Wiring: none; a file. Quirks: everything it says is marked simulated. Accuracy: what was recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Gt

from drivers.contract import Distance
from drivers.recording import Player


@dataclass(frozen=True)
class Options:
    """Settings of a recording that is played."""

    file: Path
    """The recording."""
    speed: Annotated[float, Gt(0)] = 1.0
    """How much faster than it was recorded."""
    loop: bool = False
    """Begin again at the end; otherwise it falls silent."""


class Driver(Player):
    """Items as they were recorded."""

    def __init__(self, options: Options) -> None:
        super().__init__(options.file, "ranging", speed=options.speed, loop=options.loop)

    def read(self, limit_s: float) -> Distance | None:
        """The next item when it is due."""
        item = self.play(limit_s)
        return item if isinstance(item, Distance) else None

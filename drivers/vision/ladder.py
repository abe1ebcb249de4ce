"""One cheap pass over every picture, then hard steps, the next one resumed on the next picture."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from drivers.vision.steps import CHEAP, HARD, SMALLEST_PX, STEPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.vision.code import Code
    from drivers.vision.opencv import Picture


class Ladder:
    """Reads one picture after another, within a budget of CPU time for the hard steps of each."""

    def __init__(self, budget_s: float, cheap: Sequence[str] = CHEAP, hard: Sequence[str] = HARD) -> None:
        """`budget_s`: no second hard step is begun later than this after the picture was; 0: none at all."""
        self._budget_s = budget_s
        self._cheap = tuple(cheap)
        self._hard = tuple(hard)
        self._next = 0

    def read(self, picture: Picture) -> list[Code]:
        """The codes of the first step that reads any."""
        if min(picture.shape) < SMALLEST_PX:
            return []
        began_s = time.thread_time()
        if codes := self.read_cheap(picture):
            return codes
        for turn in range(len(self._hard)):
            spent_s = time.thread_time() - began_s
            if spent_s >= self._budget_s and (turn or not self._budget_s):
                break  # a slow machine still takes one step a picture, or it would never take any
            name = self._hard[self._next]
            self._next = (self._next + 1) % len(self._hard)
            if codes := run(name, picture):
                self._next = 0
                return codes
        return []

    def read_cheap(self, picture: Picture) -> list[Code]:
        """The codes of the first cheap step that reads any."""
        for name in self._cheap:
            if codes := run(name, picture):
                return codes
        return []

    @property
    def exhausted(self) -> bool:
        """Every hard step has had its turn since the last success: begins again with the first."""
        return self._next == 0


def run(name: str, picture: Picture) -> list[Code]:
    """What one step reads, marked with its name."""
    return [replace(code, rung=name) for code in STEPS[name](picture)]

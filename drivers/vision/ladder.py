"""One cheap pass over every picture, then hard steps, the next one resumed on the next picture, then the hunt."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from drivers.vision import beyond
from drivers.vision.code import BEYOND
from drivers.vision.evidence import Evidence
from drivers.vision.order import ALL, CHEAP, HUNT
from drivers.vision.steps import SMALLEST_PX, STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drivers.vision.code import Code
    from drivers.vision.opencv import Picture

_LARGEST_LIVE_PX = 3_000_000
"""Between two frames no enlarged view beyond this is searched: each piece would take longer than a frame."""


class Ladder:
    """Reads one picture after another, within a budget of CPU time for the hard part of each."""

    def __init__(self, budget_s: float, order: Sequence[str] = ALL) -> None:
        """`budget_s`: what would end later than this after its picture was begun is left for the next one, but one
        step is always taken; 0: no hard ones at all. `order`: names of the steps; the cheap ones among them are
        taken on every picture.
        """
        self._budget_s = budget_s
        self._cheap = tuple(name for name in order if name in CHEAP)
        self._hard = tuple(name for name in order if name not in CHEAP)
        self._next = 0
        self._cost_s: dict[str, float] = {}
        self._hunt: Iterator[Code | None] | None = None
        self._hunted: Picture | None = None
        self._evidence = Evidence()
        self._largest_px = beyond.LARGEST_PX if budget_s == float("inf") else _LARGEST_LIVE_PX

    def read(self, picture: Picture) -> list[Code]:
        """The codes of the first step that reads any."""
        if min(picture.shape) < SMALLEST_PX:
            return []
        began_s = time.thread_time()
        if codes := self.read_cheap(picture):
            self.restart()
            return codes
        if not self._budget_s or not self._hard:
            return []
        while not (codes := self._take_one(picture)) and self._next:
            if time.thread_time() - began_s + self._expected_s() > self._budget_s:
                break
        return codes

    def read_cheap(self, picture: Picture) -> list[Code]:
        """The codes of the first cheap step that reads any."""
        for name in self._cheap:
            if codes := _run(name, picture):
                return codes
        return []

    def read_beside(self, picture: Picture, codes: Sequence[Code]) -> list[Code]:
        """`codes`, and what else any of the cheap steps reads: one that reads a phone may miss its neighbour."""
        found = {code.payload: code for name in self._cheap for code in _run(name, picture)}
        return list((found | {code.payload: code for code in codes}).values())

    def read_again(self, picture: Picture, before: Code) -> list[Code]:
        """What is where `before` was a frame ago: by the cheap steps, then by what read it then."""
        if min(picture.shape) < SMALLEST_PX:
            return []
        if codes := self.read_cheap(picture):
            return codes
        if before.rung == BEYOND:
            code = beyond.follow(picture, before)
            return [code] if code is not None else []
        return _run(before.rung, picture) if before.rung in self._hard else []

    def restart(self) -> None:
        """Another scene: begin with the first hard step again."""
        self._next = 0
        self._hunt = None
        self._evidence.clear()

    @property
    def exhausted(self) -> bool:
        """Everything has had its turn since the last success, and another look at the same scene would not help."""
        return self._next == 0 and not self._evidence.wants_more

    def _take_one(self, picture: Picture) -> list[Code]:
        """One hard step, or one piece of the hunt, which goes on with the picture it was begun on."""
        began_s = time.thread_time()
        name = self._hard[self._next]
        codes = self._hunt_on(picture) if name == HUNT else _run(name, picture)
        if self._hunt is None:
            self._next = (self._next + 1) % len(self._hard)
        self._cost_s[name] = time.thread_time() - began_s
        if codes:
            self.restart()
        return codes

    def _hunt_on(self, picture: Picture) -> list[Code]:
        if self._hunt is None:
            self._hunt = beyond.hunt(picture, self._evidence, self._largest_px)
            self._hunted = picture
        try:
            found = next(self._hunt)
        except StopIteration:
            self._hunt = None
            return []
        if found is not None and self._hunted is not picture:
            found = beyond.find_again(picture, found)
        return [found] if found is not None else []

    def _expected_s(self) -> float:
        """What the next step took last time."""
        return self._cost_s.get(self._hard[self._next], 0.0)


def _run(name: str, picture: Picture) -> list[Code]:
    """What one step reads, marked with its name."""
    return [replace(code, rung=name) for code in STEPS[name](picture)]

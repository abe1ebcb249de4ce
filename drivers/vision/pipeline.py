"""One cheap pass over every picture, then hard steps, the next one resumed on the next picture, then the hunt."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from drivers.vision import decoders, hunt, symbologies
from drivers.vision.hunt.accumulator import Evidence
from drivers.vision.steps import SMALLEST_PX, STEPS, scaled
from drivers.vision.steps_order import ALL, CHEAP, HUNT, NEURAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drivers.vision.code import Code
    from drivers.vision.neural import Neural
    from drivers.vision.opencv import Picture

_LARGEST_LIVE_PX = 3_000_000
"""Between two frames no enlarged view beyond this is searched: each piece would take longer than a frame."""

_SECOND_VIEW = 0.8
"""Scale at which the neural reader is asked again about a picture that stands alone."""


class Pipeline:
    """Reads one picture after another, within a budget of CPU time for the hard part of each."""

    def __init__(
        self,
        budget_s: float,
        order: Sequence[str] = ALL,
        neural: Neural | None = None,
        symbols: Sequence[str] = (),
    ) -> None:
        """`budget_s`: what would end later than this after its picture was begun is left for the next one, but one
        step is always taken; 0: no hard ones at all; infinite: each picture stands alone. `order`: names of the
        steps; the cheap ones among them are taken on every picture. `neural`: the reader apart, where there is one.
        `symbols`: what else is looked for beside QR codes (see `symbologies`).
        """
        self._neural = neural
        self._symbols = tuple(symbols)
        self._looks = 0
        self._budget_s = budget_s
        self._cheap = tuple(name for name in order if name in CHEAP)
        self._hard = tuple(name for name in order if name not in CHEAP and (neural or name != NEURAL))
        self._next = 0
        self._cost_s: dict[str, float] = {}
        self._hunt: Iterator[Code | None] | None = None
        self._hunted: Picture | None = None
        self._guess: Code | None = None
        self._evidence = Evidence()
        self._alone = budget_s == float("inf")
        self._largest_px = hunt.LARGEST_PX if self._alone else _LARGEST_LIVE_PX

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
        if self._neural is not None and (codes := self._neural.answer()):
            self._neural.offer(picture)  # a guess has to be made again
            return codes
        guess, self._guess = self._guess, None
        if guess is not None and (again := hunt.follow(picture, guess)) is not None:
            return [again]
        while not (codes := self._run_one(picture)) and self._next:
            if time.thread_time() - began_s + self._expected_s() > self._budget_s:
                break
        return codes

    def read_cheap(self, picture: Picture) -> list[Code]:
        """The codes of the first cheap step that reads any."""
        for name in self._cheap:
            if codes := _run(name, picture):
                return codes
        return self._read_symbols(picture)

    def _read_symbols(self, picture: Picture) -> list[Code]:
        """The other symbols, on every third picture."""
        self._looks += 1
        if not self._symbols or (self._looks % symbologies.EVERY and not self._alone):
            return []
        return [replace(code, step=symbologies.STEP) for code in decoders.symbols(picture, self._symbols)]

    def read_beside(self, picture: Picture, codes: Sequence[Code]) -> list[Code]:
        """`codes`, and what else any of the cheap steps reads: one that reads a phone may miss its neighbour."""
        found = {code.payload: code for name in self._cheap for code in _run(name, picture)}
        return list((found | {code.payload: code for code in codes}).values())

    def read_again(self, picture: Picture, before: Code) -> list[Code]:
        """What is where `before` was a frame ago: by the cheap steps, then by what read it then."""
        if min(picture.shape) < SMALLEST_PX:
            return []
        if before.step == symbologies.STEP:
            found = decoders.symbols(picture, (before.symbology,))
            return [replace(code, step=symbologies.STEP) for code in found]
        if codes := self.read_cheap(picture):
            return codes
        if before.step == HUNT:
            code = hunt.follow(picture, before)
            return [code] if code is not None else []
        return _run(before.step, picture) if before.step in self._hard and before.step in STEPS else []

    def restart(self) -> None:
        """Another scene: begin with the first hard step again."""
        self._next = 0
        self._hunt = self._hunted = None
        self._guess = None
        self._evidence.clear()
        self.pass_over()

    def pass_over(self) -> None:
        """A picture is not read: what was asked about an earlier one is not to be told of a later one."""
        if self._neural is not None:
            self._neural.forget()

    @property
    def exhausted(self) -> bool:
        """Everything has had its turn since the last success, and another look at the same scene would not help."""
        waits = self._evidence.wants_more or (self._neural is not None and self._neural.is_busy)
        return self._next == 0 and not waits

    def _run_one(self, picture: Picture) -> list[Code]:
        """One hard step, or one piece of the hunt, which goes on with the picture it was begun on."""
        began_s = time.thread_time()
        name = self._hard[self._next]
        codes = self._by_hand(name, picture) if name in {HUNT, NEURAL} else _run(name, picture)
        if self._hunt is None:
            self._next = (self._next + 1) % len(self._hard)
        self._cost_s[name] = time.thread_time() - began_s
        if codes:
            self.restart()
        if codes and codes[0].is_guess:  # what made it has to make it again: at the same place, else from the start
            self._next = self._hard.index(name)
            self._guess = codes[0] if name == HUNT else None
        return codes

    def _by_hand(self, name: str, picture: Picture) -> list[Code]:
        """The two steps that may take many frames. Of a picture that stands alone a guess has to hold twice."""
        codes = self._hunt_on(picture) if name == HUNT else self._read_neural(picture)
        return [code for code in codes if self._is_sure(code, picture)] if self._alone else codes

    def _is_sure(self, code: Code, picture: Picture) -> bool:
        if not code.is_guess:
            return True
        if code.step == HUNT:
            return hunt.agrees(picture, code)
        return any(again.payload == code.payload for again in self._read_neural(scaled(picture, _SECOND_VIEW)))

    def _read_neural(self, picture: Picture) -> list[Code]:
        """What the neural reader says; while frames follow one another, later (see `read`)."""
        if self._neural is None:
            return []
        self._neural.offer(picture)
        return self._neural.answer(float("inf")) if self._alone else []

    def _hunt_on(self, picture: Picture) -> list[Code]:
        if self._hunt is None:
            self._hunt = hunt.hunt(picture, self._evidence, self._largest_px)
            self._hunted = picture
        try:
            found = next(self._hunt)
        except StopIteration:
            self._hunt = self._hunted = None
            return []
        if found is not None and self._hunted is not picture:
            found = hunt.find_again(picture, found)
        return [found] if found is not None else []

    def _expected_s(self) -> float:
        """What the next step took last time."""
        return self._cost_s.get(self._hard[self._next], 0.0)


def _run(name: str, picture: Picture) -> list[Code]:
    """What one step reads, marked with its name."""
    return [replace(code, step=name) for code in STEPS[name](picture)]

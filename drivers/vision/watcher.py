"""Frames in, sightings and departures out: motion gate, region of interest, pipeline, track.

A frame in which nothing moved is not read again; a moving code is looked for where it was last; the whole
picture is searched only when that fails. That is what makes a day of mostly idle frames cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from drivers.contract import Departure, Sighting
from drivers.vision import sheet
from drivers.vision.opencv import Picture, cv2
from drivers.vision.tracker import Box, Track

if TYPE_CHECKING:
    from drivers.vision.code import Code
    from drivers.vision.pipeline import Pipeline
    from drivers.vision.sheet import Pairs

Fractions: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom of a part of the picture, each from 0 to 1."""

_THUMB_PX = (64, 36)
_CHANGED_LEVELS = 12
"""A thumbnail pixel that differs by more has changed; sensor noise, averaged over 20 x 20 pixels, stays below."""
_CHANGED_PIXELS = 2
_AGREE_S = 3.0
"""Within this time a second frame has to agree with a reading that needed erasures."""
_MARGIN = 0.6
"""How far around its last place a code is looked for, in sides of the code."""
_LOOK_EVERY = 15
"""A still picture is read again after so many frames: a change may be too small for the gate."""
_WHOLE_EVERY = 15
"""While a code is followed, every so many frames the whole picture is looked at: for one that is nearer."""


class Watcher:
    """One camera's view: what is shown to it, told once."""

    def __init__(
        self, pipeline: Pipeline, away_s: float, *, region: Fractions | None = None, simulated: bool = False
    ) -> None:
        """`away_s`: a code out of view for so long has left; `region`: the part that is looked at."""
        self.simulated = simulated
        self._pipeline = pipeline
        self._region = region
        self._track = Track(away_s)
        self._thumb: Picture | None = None
        self._settled = False
        self._still = False
        self._seen: tuple[list[Code], Box | None] = ([], None)
        self._together: Pairs = frozenset()
        self._guesses: dict[bytes, float] = {}
        self._frames = 0

    @property
    def idle(self) -> bool:
        """Nothing moved in the last frame, so nothing may in the next: a small picture of it is enough to see."""
        return self._still

    @property
    def vacant(self) -> bool:
        """Nothing moved in the last frame, and no code is in view: one that replaced it might be just as long."""
        return self._still and not self._seen[0] and self._track.subject is None

    def see(self, picture: Picture, at_s: float) -> list[Sighting | Departure]:
        """What this frame tells: nothing mostly; a departure comes before the sighting that follows it."""
        told = self.glance(picture, at_s)
        return self.examine(picture, at_s) if told is None else told

    def glance(self, small: Picture, at_s: float) -> list[Sighting | Departure] | None:
        """What a frame tells in which nothing moved; None: it is for `examine`. `small`: it at any scale."""
        self._frames += 1
        self._still = self._unchanged(_part(small, self._region)) and self._settled
        if not self._still or self._frames % _LOOK_EVERY == 0:
            return None
        self._pipeline.pass_over()
        return self._reported(at_s)

    def examine(self, picture: Picture, at_s: float) -> list[Sighting | Departure]:
        """What a frame tells that is read; `glance` has seen it."""
        picture, still = _part(picture, self._region), self._still
        codes, looked_at = self._read(picture, at_s, only_cheap=still)
        if any(not self._track.is_reported(code.payload) for code in codes):
            codes, looked_at = self._pipeline.read_beside(picture, codes), None
        if codes or not still:  # what took hard steps to read is not gone because a cheap look misses it
            self._seen = self._agreed(codes, at_s), looked_at
            self._together = sheet.pairs(picture, self._seen[0])
        self._settled = still or bool(self._seen[0]) or (not codes and self._pipeline.exhausted)
        return self._reported(at_s)

    def _reported(self, at_s: float) -> list[Sighting | Departure]:
        codes, looked_at = self._seen
        left, new = self._track.update(codes, at_s, looked_at, self._together)
        items: list[Sighting | Departure] = []
        if left:
            items.append(Departure(at_s, self.simulated))
        if new and self._track.subject is not None:
            subject = self._track.subject
            items.append(Sighting(subject.payload, at_s, self.simulated, subject.symbology))
        return items

    def blind(self, at_s: float) -> list[Sighting | Departure]:
        """No frames come any more: the person who was in view is not known to be there."""
        self._thumb = None
        self._settled = self._still = False
        self._seen, self._together = ([], None), frozenset()
        return [Departure(at_s, self.simulated)] if self._track.clear() else []

    def _unchanged(self, picture: Picture) -> bool:
        """Nothing moved since the picture that was read last."""
        thumb = cv2.resize(picture, _THUMB_PX, interpolation=cv2.INTER_AREA)
        before, self._thumb = self._thumb, thumb if self._thumb is None else self._thumb
        if before is None:
            return False
        changed = np.count_nonzero(cv2.absdiff(thumb, before) > _CHANGED_LEVELS)
        if changed < _CHANGED_PIXELS:
            return True
        self._thumb = thumb
        return False

    def _agreed(self, codes: list[Code], at_s: float) -> list[Code]:
        """Leaves out what took guesses to read, until a second frame says the same."""
        sure = []
        for code in codes:
            before_s = self._guesses.get(code.payload)
            if not code.is_guess or (before_s is not None and at_s - before_s <= _AGREE_S):
                sure.append(code)
            if code.is_guess:
                self._guesses = {code.payload: at_s}
        return sure

    def _read(self, picture: Picture, at_s: float, *, only_cheap: bool) -> tuple[list[Code], Box | None]:
        followed = self._track.followed(at_s)
        if followed is not None:
            left, top, right, bottom = near = _around(followed, picture)
            again = self._pipeline.read_again(picture[top:bottom, left:right], followed.moved(1.0, -left, -top))
            codes = [code.moved(1.0, left, top) for code in again]
            if codes and self._frames % _WHOLE_EVERY:
                return codes, near
            if codes:
                return [*codes, *self._pipeline.read_cheap(picture)], None
        return self._pipeline.read_cheap(picture) if only_cheap else self._pipeline.read(picture), None


def _part(picture: Picture, region: Fractions | None) -> Picture:
    if region is None:
        return picture
    height, width = picture.shape
    left, top, right, bottom = region
    return picture[int(top * height) : int(bottom * height), int(left * width) : int(right * width)]


def _around(code: Code, picture: Picture) -> tuple[int, int, int, int]:
    """The code's last place with a margin, within the picture."""
    height, width = picture.shape
    left, top, right, bottom = code.box()
    margin = _MARGIN * code.side()
    return (
        max(0, int(left - margin)),
        max(0, int(top - margin)),
        min(width, int(right + margin) + 1),
        min(height, int(bottom + margin) + 1),
    )

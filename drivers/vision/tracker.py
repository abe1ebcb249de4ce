"""Which codes are in view, so that each is told once and its leaving is known. Pure: time is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from drivers.vision.steps_order import HUNT, NEURAL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drivers.vision.code import Code
    from drivers.vision.sheet import Pairs

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom, pixels."""

NEARER = 1.5
"""A code counts when its area is this much larger than that of every other one in view. Of two of like size it is
not known whose turn it is: neither is told, and two phones side by side do not take turns."""
_PATIENCE, _SLOW = 2, {HUNT, NEURAL}
"""A code that takes many frames to be read is missed for so many times longer while it is there."""
FRESH_S = 0.2
"""For so long a code is looked for where it was."""
BESIDE_S = 0.25
"""A code elsewhere takes over when one that was told has not been read for this long; one in the same place, at
once."""


@dataclass(slots=True)
class _Seen:
    code: Code
    last_s: float
    told: bool = False


class Track:
    """The codes in view and the one that counts: the nearest, that is the clearly largest."""

    def __init__(self, away_s: float) -> None:
        """`away_s`: a code not read for so long where it was looked for has left."""
        self._away_s = away_s
        self._seen: dict[bytes, _Seen] = {}
        self._subject: bytes | None = None

    @property
    def subject(self) -> Code | None:
        """The code sighted last, while it is in view."""
        return self._seen[self._subject].code if self._subject is not None else None

    def followed(self, now_s: float) -> Code | None:
        """The subject, while its place is fresh."""
        if self._subject is None or now_s - self._seen[self._subject].last_s > FRESH_S:
            return None
        return self._seen[self._subject].code

    def is_reported(self, payload: bytes) -> bool:
        """It is in view and had its turn."""
        return payload in self._seen and self._seen[payload].told

    def update(
        self, codes: Iterable[Code], now_s: float, looked_at: Box | None = None, together: Pairs = frozenset()
    ) -> tuple[bool, bool]:
        """Take note of what one picture showed. Answers (the old subject has left, there is a new one).

        `looked_at`: the part of the picture that was searched, None for all of it. Codes outside of it are taken
        to be still there. `together`: those on one sheet; they are one person's, and each is told, one by one.
        """
        present = {code.payload: code for code in sorted(codes, key=lambda code: code.area())}
        left = self._forget(present, now_s, looked_at)
        heir = self._heir(present, now_s, together)
        for payload, code in present.items():
            self._seen[payload] = _Seen(code, now_s, self.is_reported(payload))
        if heir is not None:
            self._subject = heir
            self._seen[heir].told = True
        return left, heir is not None

    def clear(self) -> bool:
        """The camera is blind: forget all. True when a subject was in view."""
        had = self._subject is not None
        self._seen.clear()
        self._subject = None
        return had

    def _forget(self, present: dict[bytes, Code], now_s: float, looked_at: Box | None) -> bool:
        for payload, seen in list(self._seen.items()):
            if payload in present:
                continue
            if looked_at is not None and not _covers(looked_at, seen.code.box()):
                seen.last_s = now_s
            elif now_s - seen.last_s >= self._away_s * (_PATIENCE if seen.code.step in _SLOW else 1):
                del self._seen[payload]
        if self._subject is not None and self._subject not in self._seen:
            self._subject = None
            return True
        return False

    def _heir(self, present: dict[bytes, Code], now_s: float, together: Pairs) -> bytes | None:
        """The payload that becomes the subject by this look, if any does: the largest, when it was not told yet and
        nothing of like size is beside it, but for what stands on one sheet with it.
        """
        untold = [code for code in present.values() if not self.is_reported(code.payload)]
        if not untold:
            return None
        largest = max(untold, key=lambda code: code.area())
        rivals = [
            code
            for code in present.values()
            if code.payload != largest.payload and frozenset((code.payload, largest.payload)) not in together
        ]
        rivals += [
            seen.code
            for payload, seen in self._seen.items()
            if payload not in present
            and not _overlap(largest.box(), seen.code.box())
            and (not seen.told or now_s - seen.last_s < BESIDE_S)
        ]
        nearest = max((rival.area() for rival in rivals), default=0.0)
        return largest.payload if largest.area() >= NEARER * nearest else None


def _covers(outer: Box, inner: Box) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and outer[2] >= inner[2] and outer[3] >= inner[3]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]

"""Which codes are in view, so that each is told once and its leaving is known. Pure: time is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from drivers.vision.code import BEYOND

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drivers.vision.code import Code

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom, pixels."""

NEARER = 1.3
"""A second code takes over from one that is read beside it when its area is this much larger: two phones side by
side do not take turns."""
_PATIENCE = 2
"""A code that takes a hunt over many frames to be read is missed for longer while it is there."""
FRESH_S = 0.2
"""For so long a code is looked for where it was."""
BESIDE_S = 0.25
"""A code elsewhere takes over when the subject has not been read for this long; one in the same place, at once."""


@dataclass(slots=True)
class _Seen:
    code: Code
    last_s: float
    told: bool = False


class Track:
    """The codes in view and the one that counts: the nearest, that is the largest."""

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

    def look(self, codes: Iterable[Code], now_s: float, looked_at: Box | None = None) -> tuple[bool, bool]:
        """Take note of what one picture showed. Answers (the old subject has left, there is a new one).

        `looked_at`: the part of the picture that was searched, None for all of it. Codes outside of it are taken
        to be still there.
        """
        present = {code.payload: code for code in codes}
        left = self._forget(present, now_s, looked_at)
        heir = self._heir(present, now_s)
        for payload, code in present.items():
            told = payload in self._seen and self._seen[payload].told
            self._seen[payload] = _Seen(code, now_s, told)
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
            elif now_s - seen.last_s >= self._away_s * (_PATIENCE if seen.code.rung == BEYOND else 1):
                del self._seen[payload]
        if self._subject is not None and self._subject not in self._seen:
            self._subject = None
            return True
        return False

    def _heir(self, present: dict[bytes, Code], now_s: float) -> bytes | None:
        """The payload that becomes the subject by this look, if any does: the largest that was not told yet."""
        untold = [c for p, c in present.items() if p not in self._seen or not self._seen[p].told]
        if not untold:
            return None
        largest = max(untold, key=lambda code: code.area())
        if self._subject is not None:
            subject = self._seen[self._subject]
            if self._subject in present:
                if largest.area() < NEARER * present[self._subject].area():
                    return None
            elif not _overlap(largest.box(), subject.code.box()) and now_s - subject.last_s < BESIDE_S:
                return None
        return largest.payload


def _covers(outer: Box, inner: Box) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and outer[2] >= inner[2] and outer[3] >= inner[3]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]

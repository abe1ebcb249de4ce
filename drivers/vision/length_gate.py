"""Whether a frame may go undecoded: the length of its JPEG is what an unchanged scene's would be. Pure.

A camera's noise moves the length of an idle scene's frames by a few tenths of a percent, and a code that comes into
view by far more: it is all edges. So most frames of an idle scene need not be decoded to know that nothing came.
What changes without a change in length is found by the next frame that is decoded, `BLIND_S` later at most.
"""

from __future__ import annotations

BLIND_S = 0.5
"""A frame that comes later than this after one that was decoded is decoded: of 30 a second one in sixteen. Of 200
codes held before photographs one had a length that did not tell, and had to wait for it."""
_LEARNT = 8
"""Frames of an unchanged scene that are decoded before the first goes undecoded."""
_SHARE = 1 / 16
"""Weight of a new length in the means: light that fades over seconds is followed."""
_JUMP = 3.0
"""Mean deviations from the mean: of noise alone, one frame in sixty is so far off, and is decoded for nothing."""
_LEAN = 1.5
"""The same for a frame and the one before it, both to the same side: a small change that stays."""
_FINEST = 0.001
"""Of the length: the least that is taken for the noise, for a simulation's frames may be alike."""
_COARSEST = 0.006
"""Of the length: a larger mean deviation is no noise. Something moves, perhaps outside the lane's region, and could
hide a code: then every frame is decoded.
"""


class LengthGate:
    """The lengths of an unchanged scene's frames. One thread may ask `may_drop` while another one learns: what it
    sees is at most a frame old.
    """

    def __init__(self, blind_s: float = BLIND_S) -> None:
        """`blind_s`: how long frames may go undecoded."""
        self._blind_s = blind_s
        self._mean = self._deviation = 0.0
        self._count = 0
        self._decoded_s = 0.0
        self._before = 0
        self._leant = 0.0
        """By how many mean deviations the length before was off the mean."""
        self.dropped_s = 0.0
        """When the frame came that was dropped last. It differs from the one before it: the camera lives."""

    def may_drop(self, length: int, at_s: float) -> bool:
        """Whether a frame of `length` bytes, captured at `at_s`, need not be decoded."""
        before, self._before = self._before, length
        if self._count < _LEARNT or length == before or not 0 <= at_s - self._decoded_s <= self._blind_s:
            return False
        if self._deviation > _COARSEST * self._mean:
            return False
        leant, self._leant = self._leant, (length - self._mean) / max(self._deviation, _FINEST * self._mean)
        if abs(self._leant) >= _JUMP or min(self._leant, leant) >= _LEAN or max(self._leant, leant) <= -_LEAN:
            return False
        self.dropped_s = at_s
        return True

    def learn(self, length: int, at_s: float) -> None:
        """A frame was decoded, and nothing had changed."""
        self._decoded_s = at_s
        if not self._count:
            self._mean, self._deviation = float(length), 0.0
        share = max(_SHARE, 1 / (self._count + 1))
        self._deviation += share * (abs(length - self._mean) - self._deviation)
        self._mean += share * (length - self._mean)
        self._count += 1

    def reset(self) -> None:
        """Something changed: the scene's lengths are to be learnt again."""
        self._count = 0

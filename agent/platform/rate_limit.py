"""Rate limit: so many at once, then so many a second. Pure."""

from __future__ import annotations


class TokenBucket:
    """One stream of messages or requests. Time is given, and never goes back."""

    def __init__(self, burst: int, per_s: float, at_s: float) -> None:
        self.burst, self.per_s = burst, per_s
        self._left, self._filled_s = float(burst), at_s

    def allows(self, at_s: float) -> bool:
        """Whether one more is within the limit; then it counts."""
        self._left = min(float(self.burst), self._left + (at_s - self._filled_s) * self.per_s)
        self._filled_s = at_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

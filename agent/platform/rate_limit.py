"""How much may be said to those who need not prove who they are."""

from __future__ import annotations

from time import monotonic


class TokenBucket:
    """So many at once, then one in so many seconds."""

    def __init__(self, burst: int, every_s: float) -> None:
        self._burst, self._every_s = burst, every_s
        self._left, self._filled_s = float(burst), monotonic()

    def spend(self) -> bool:
        """Whether one more is allowed now; then it is gone."""
        now_s = monotonic()
        self._left = min(float(self._burst), self._left + (now_s - self._filled_s) / self._every_s)
        self._filled_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

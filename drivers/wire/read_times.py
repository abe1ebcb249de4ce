"""When what is read from a line came: it may have waited there while its reader was held up. Pure."""

from __future__ import annotations

import math

HELD_UP_S = 0.5
"""A reader that looks again, or wakes, later than this was stopped: by a page that the card gives back late, a
suspended machine, a debugger."""
SILENT_S = 0.005
"""A line that has given nothing for so long holds nothing that waited: the kernel hands that on at once."""


class ReadTimes:
    """Of one reader, which looks again and again."""

    def __init__(self) -> None:
        self._looked_s = math.inf
        self._waited_since_s = math.inf

    def of(self, began_s: float, limit_s: float, now_s: float) -> float:
        """When the bytes came that a read has given which began at `began_s`, was to take `limit_s` and is done
        now: now, or as early as they may have come when the reader was held up. All are `time.monotonic()`.
        """
        is_held_up = began_s - self._looked_s > HELD_UP_S or now_s - began_s > limit_s + HELD_UP_S
        if is_held_up:
            self._waited_since_s = min(self._waited_since_s, self._looked_s, began_s)
        elif now_s - began_s >= SILENT_S:
            self._waited_since_s = math.inf
        self._looked_s = now_s
        return min(now_s, self._waited_since_s)

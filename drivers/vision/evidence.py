"""What several frames say together about a code that none of them can be read in.

Glare moves and noise averages out: what the modules lean to is summed over frames that show a symbol of the same
version. A sum over two different codes is noise to Reed-Solomon, and refused.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from drivers.vision import soft

if TYPE_CHECKING:
    from drivers.vision.opencv import Picture

_FRAMES = 8
"""Looks that are kept; older ones may be of another phone."""


class Evidence:
    """The last looks at symbols that could not be read."""

    def __init__(self) -> None:
        self._looks: deque[tuple[int, Picture]] = deque(maxlen=_FRAMES)
        self._gained = False

    def begin(self) -> None:
        """Another frame is looked at."""
        self._gained = False

    @property
    def wants_more(self) -> bool:
        """The last frame added something, and more like it may do."""
        return self._gained and len(self._looks) < _FRAMES

    def add(self, lean: Picture, version: int) -> soft.Symbol | None:
        """One more look; the symbol, once the sum can be read."""
        self._looks.append((version, lean))
        self._gained = True
        same = [look for each, look in self._looks if each == version]
        found = soft.decoded(np.sum(same, axis=0), version) if len(same) > 1 else None
        if found is not None:
            self.clear()  # so that a second reading is one of its own
        return found

    def clear(self) -> None:
        """Somebody else stands there now."""
        self._looks.clear()
        self._gained = False

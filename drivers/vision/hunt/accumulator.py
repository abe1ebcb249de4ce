"""Evidence from several frames for a code that can be read in none of them alone.

Glare moves and noise averages out: what the modules lean to is summed over frames that show a symbol of the same
version. A sum over two different codes is noise to Reed-Solomon, and refused.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from drivers.vision import soft

if TYPE_CHECKING:
    from drivers.vision.grid import Plane
    from drivers.vision.opencv import Picture

_FRAMES = 8
"""Frames that are kept; older ones may be of another phone."""


@dataclass(frozen=True, slots=True)
class Look:
    """A symbol in one frame that could not be read: where it lies, and what its modules lean to."""

    plane: Plane
    lean: Picture


class Evidence:
    """The last frames' looks at symbols that could not be read; of each frame the one that fits best."""

    def __init__(self) -> None:
        self._looks: deque[Look] = deque(maxlen=_FRAMES)
        self._offered: Look | None = None
        self._gained = False

    @property
    def wants_more(self) -> bool:
        """The last frame added something, and more like it may do."""
        return self._gained and len(self._looks) < _FRAMES

    @property
    def has_offer(self) -> bool:
        """This frame shows something that looks like a code."""
        return self._offered is not None

    def offer(self, look: Look) -> None:
        """A look at something in this frame."""
        if self._offered is None or look.plane.fit > self._offered.plane.fit:
            self._offered = look

    def conclude(self) -> tuple[soft.Symbol, Plane] | None:
        """The frame is done with: the symbol, if what was seen until now can be read together."""
        look, self._offered = self._offered, None
        self._gained = look is not None
        if look is None:
            return None
        self._looks.append(look)
        same = [each.lean for each in self._looks if each.plane.version == look.plane.version]
        found = soft.decoded(np.sum(same, axis=0), look.plane.version) if len(same) > 1 else None
        if found is None:
            return None
        self.clear()  # so that a second reading is one of its own
        return found, look.plane

    def clear(self) -> None:
        """Somebody else stands there now."""
        self._looks.clear()
        self._offered = None
        self._gained = False

"""What a screen of baked pictures shows at a moment: what a browser would, and green for no longer. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from agent.web.baked import key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.web.baked import PictureKey

BEAT_S = 0.9
"""Without a beat for so long nobody is let in."""
OVER_S = 0.3
"""The next picture is to come this soon after one has ended."""


class ShownPicture:
    """The pictures of one lane in time, monotonic seconds."""

    def __init__(self, staff: PictureKey) -> None:
        """`staff`: the picture of everything that is not known."""
        self._staff = staff
        self._picture: Mapping[str, Any] | None = None
        self._until_s = self._rest_until_s = self._beat_s = -math.inf
        self.number = 0
        """Of the picture that the agent has sent last."""

    def on_picture(self, picture: Mapping[str, Any], at_s: float) -> None:
        """The agent shows another one."""
        for_ms = picture["for_ms"]
        self._picture, self.number = picture, picture["number"]
        self._until_s = at_s + for_ms / 1000 + OVER_S if for_ms > 0 else math.inf
        self._rest_until_s = at_s + picture["rest_s"]
        self._beat_s = at_s

    def on_beat(self, at_s: float) -> None:
        """The agent moves."""
        self._beat_s = at_s

    def on_lost(self) -> None:
        """Nothing is known any more."""
        self._picture = None

    def now(self, at_s: float) -> tuple[PictureKey, tuple[str, ...], Mapping[str, Any] | None]:
        """Name of the picture; lines of digits over it; the code for a tablet over it."""
        picture = self._picture
        if picture is None or at_s >= self._until_s or at_s - self._beat_s > BEAT_S:
            return self._staff, (), None
        figure = tuple(picture["figure"])
        if picture["rest_s"] > 0:
            left_s = max(0, math.ceil(self._rest_until_s - at_s))
            figure = (f"{left_s // 60}:{left_s % 60:02}",)
        return key_of(picture), figure, picture["code"]

"""What a simulated camera shows."""

from __future__ import annotations

from drivers.simulators.camera import Scenery
from drivers.vision.opencv import to_jpeg


def test_a_picture_is_drawn_when_its_turn_comes_and_never_again() -> None:
    scenery, drawn = Scenery(320, 240), []

    def encode(picture):
        drawn.append(picture)
        return to_jpeg(picture)

    shown = []
    for turn in range(8):
        shown.append(scenery.jpeg(b"a code", turn, encode))
        assert len(drawn) == min(turn + 1, 4)
    assert len(set(shown)) == 4
    assert shown[:4] == shown[4:]

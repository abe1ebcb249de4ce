"""From a picture to the bytes of the codes in it.

    opencv    OpenCV, set up for a kiosk          zxing, zbar   one decoder library each
    steps     the rungs of the ladder, pure       decoders      which of them are there
    ladder    rungs under a budget of CPU time    code          a code found: bytes and corners
    eye       frames in, sightings and departures out

`read` and `read_fast` take one still picture; importing this package imports none of the libraries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivers.vision.opencv import Picture

FAST_S = 0.030


def read(gray: Picture) -> list[str]:
    """The texts in one grayscale picture (uint8, height x width), by the whole ladder."""
    return _read(gray, float("inf"), "")


def read_fast(gray: Picture) -> list[str]:
    """As `read`, but begins no further step after 30 ms of CPU time."""
    return _read(gray, FAST_S, "hunt")


def _read(gray: Picture, budget_s: float, without: str) -> list[str]:
    # the libraries are for those who look at pictures
    from drivers.vision.ladder import Ladder  # noqa: PLC0415
    from drivers.vision.steps import HARD, bounded  # noqa: PLC0415

    ladder = Ladder(budget_s, hard=[name for name in HARD if name != without])
    return list(dict.fromkeys(code.text() for code in ladder.read(bounded(gray))))

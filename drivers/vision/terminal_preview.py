"""A picture in a terminal: half blocks (any terminal with colours), sixel, or kitty's own way."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import numpy as np

from drivers.vision.opencv import Picture, cv2, to_png

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.vision.code import Point

_KITTY_CHUNK = 4096
_SIXEL_LEVELS = 16


def marked(picture: Picture, corners: tuple[Point, ...]) -> Picture:
    """The picture (height, width, 3), the code framed in green."""
    coloured: Picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    if corners:
        outline = np.array(corners).round().astype(np.int32)
        cv2.polylines(
            coloured, [outline], isClosed=True, color=(0, 220, 0), thickness=max(2, picture.shape[1] // 320)
        )
    return coloured


def fitted(coloured: Picture, width: int, height: int) -> Picture:
    """The picture made to fit into so many pixels."""
    factor = min(width / coloured.shape[1], height / coloured.shape[0])
    size = (max(1, round(coloured.shape[1] * factor)), max(2, round(coloured.shape[0] * factor)))
    smaller: Picture = cv2.resize(coloured, size, interpolation=cv2.INTER_AREA)
    return smaller


def half_blocks(coloured: Picture) -> str:
    """Two rows of pixels a line: the upper as letter colour, the lower as ground."""
    pairs = zip(coloured[0::2], coloured[1::2], strict=False)
    return "\n".join(
        "".join(_block(above, below) for above, below in zip(*pair, strict=True)) + "\x1b[0m" for pair in pairs
    )


def _block(above: Picture, below: Picture) -> str:
    return "\x1b[38;2;{};{};{};48;2;{};{};{}m▀".format(*above[::-1], *below[::-1])


def kitty(coloured: Picture) -> str:
    """As PNG within kitty's graphics escapes."""
    data = b64encode(to_png(coloured)).decode("ascii")
    chunks = [data[at : at + _KITTY_CHUNK] for at in range(0, len(data), _KITTY_CHUNK)]
    parts = []
    for number, chunk in enumerate(chunks):
        head = "a=T,f=100," if number == 0 else ""
        parts.append(f"\x1b_G{head}m={int(number < len(chunks) - 1)};{chunk}\x1b\\")
    return "".join(parts)


def sixel(coloured: Picture) -> str:
    """In sixteen grays and one green (DEC VT340 graphics: six rows of pixels a band)."""
    gray = cv2.cvtColor(coloured, cv2.COLOR_BGR2GRAY)
    levels = gray // (256 // _SIXEL_LEVELS)
    levels[np.ptp(coloured.astype(np.int16), axis=2) > 60] = _SIXEL_LEVELS  # noqa: PLR2004 - only the frame has colour
    palette = [f"#{n};2;{n * 100 // 15};{n * 100 // 15};{n * 100 // 15}" for n in range(_SIXEL_LEVELS)]
    bands = [_band(levels[top : top + 6]) for top in range(0, len(levels), 6)]
    return "\x1bPq" + "".join(palette) + f"#{_SIXEL_LEVELS};2;0;86;0" + "-".join(bands) + "\x1b\\"


def _band(rows: Picture) -> str:
    parts = []
    for level in np.unique(rows):
        bits = ((rows == level) << np.arange(len(rows))[:, None]).sum(axis=0)
        parts.append(f"#{level}" + "".join(_runs(bits)))
    return "$".join(parts)


def _runs(bits: Picture) -> Iterator[str]:
    ends = np.flatnonzero(np.diff(bits, append=-1)) + 1
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        letter = chr(63 + int(bits[start]))
        yield f"!{end - start}{letter}" if end - start > 3 else letter * int(end - start)  # noqa: PLR2004 - shorter as it is

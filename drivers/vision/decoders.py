"""Which decoder libraries are there. Either one is enough; what is missing is said once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from drivers.vision.code import Code
    from drivers.vision.opencv import Picture

log = logging.getLogger(__name__)

zxing: ModuleType | None
try:
    from drivers.vision import zxing
except ImportError as error:
    zxing = None
    log.warning("zxing-cpp is not installed, zbar reads alone: fewer codes, more CPU (%s)", error.name)

zbar: ModuleType | None
try:
    from drivers.vision import zbar
except ImportError:
    zbar = None
    log.warning("libzbar is not installed, zxing-cpp reads alone (Debian: apt install libzbar0 or libzbar0t64)")

if zxing is None and zbar is None:
    raise ImportError("neither zxing-cpp nor pyzbar with libzbar is installed: no code can be read")


def first(picture: Picture, *, wide: bool = False, histogram: bool = False) -> list[Code]:
    """The codes that zxing-cpp reads (see `zxing.read`), or zbar in its absence."""
    if zxing is None:
        return second(picture)
    codes: list[Code] = zxing.read(picture, wide=wide, histogram=histogram)
    return codes


def second(picture: Picture) -> list[Code]:
    """The codes that zbar reads; none in its absence."""
    if zbar is None:
        return []
    codes: list[Code] = zbar.read(picture)
    return codes


def symbols(picture: Picture, names: Sequence[str]) -> list[Code]:
    """The symbols that are no QR codes (see `zxing.symbols`); none without zxing-cpp."""
    codes: list[Code] = [] if zxing is None else zxing.symbols(picture, names)
    return codes


def others(picture: Picture) -> list[str]:
    """Names of the symbols that are no QR codes; none without zxing-cpp."""
    names: list[str] = [] if zxing is None else zxing.others(picture)
    return names

"""Which symbols a lane reads; no library, so that a config can name them.

QR codes are read by all steps, the others by one, on every `EVERY`th picture in which no QR code is: on a busy
picture of 1280 x 720 all three take about as long as reading QR codes four times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

QR = "qr"
OTHERS = ("aztec", "pdf417", "datamatrix")
ALL = (QR, *OTHERS)
EVERY = 3
STEP = "symbols"
"""Name of the step that reads the others."""


def check(names: Sequence[str]) -> None:
    """Raises ValueError with one sentence when `names` are no symbologies, each at most once, QR among them."""
    unknown = [name for name in names if name not in ALL]
    if unknown:
        raise ValueError(f"there is no symbology {unknown[0]!r}; there are {', '.join(ALL)}")
    if QR not in names or len(set(names)) != len(names):
        raise ValueError('symbologies has "qr", and each other at most once, for example ["qr", "aztec"]')

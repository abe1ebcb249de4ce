"""QR codes as pictures; segno is met here only. It is another library than the ones that read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import segno

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

QUIET_MODULES = 4
"""The white margin that ISO/IEC 18004 asks for."""


def modules(payload: bytes, level: Literal["l", "m", "q", "h"] = "m") -> npt.NDArray[np.uint8]:
    """The code's modules, 1 for black, without margin. Raises ValueError when the payload is too long."""
    return np.array([list(row) for row in _made(payload, level).matrix], np.uint8)


def drawn(payload: bytes, module_px: int, level: Literal["l", "m", "q", "h"] = "m") -> npt.NDArray[np.uint8]:
    """The code in black on white with its margin, uint8."""
    framed = np.pad(modules(payload, level), QUIET_MODULES)
    return (255 - 255 * np.kron(framed, np.ones((module_px, module_px), np.uint8))).astype(np.uint8)


def save(payload: bytes, path: Path, module_px: int = 8, level: Literal["l", "m", "q", "h"] = "m") -> None:
    """Write the code to a file, as the suffix says: .png, .svg, .pdf, .txt."""
    _made(payload, level).save(str(path), scale=module_px, border=QUIET_MODULES)


def _made(payload: bytes, level: str) -> segno.QRCode:
    try:
        # byte mode, so that the code holds these very bytes; no ECI header, which would declare a character set
        return segno.make_qr(payload, error=level, mode="byte", boost_error=False)
    except segno.DataOverflowError as error:
        raise ValueError("too long for a QR code of this error correction level") from error

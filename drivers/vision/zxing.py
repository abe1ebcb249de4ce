"""zxing-cpp, met here only: reads twenty points more of real photographs than zbar, at a thirteenth of the CPU.

Version 3 has wheels for x86-64 and aarch64; Debian's own packages are 1.4 (bookworm) and 2.3 (trixie), which
know fewer options: what the installed one takes is found out once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import zxingcpp

from drivers.vision.code import Code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.vision.opencv import Picture


def _accepted(**wanted: object) -> dict[str, Any]:
    """Those of the options that the installed version knows (its docstring lists them)."""
    known = zxingcpp.read_barcodes.__doc__ or ""
    return {name: value for name, value in wanted.items() if f"{name}:" in known}


_FORMAT: Any = getattr(zxingcpp.BarcodeFormat, "QRCodeModel2", zxingcpp.BarcodeFormat.QRCode)
_PLAIN = _accepted(text_mode=zxingcpp.TextMode.Plain)
_BARE = _accepted(try_rotate=False, try_downscale=False, try_invert=False) | _PLAIN
_WIDE = _accepted(try_rotate=False, try_downscale=True, try_invert=True) | _PLAIN


_SYMBOLS = _accepted(try_downscale=True) | _PLAIN
_OTHERS = [
    getattr(zxingcpp.BarcodeFormat, name)
    for name in ("Aztec", "DataMatrix", "PDF417", "MicroQRCode", "RMQRCode", "MaxiCode", "Code128", "EAN13")
    if hasattr(zxingcpp.BarcodeFormat, name)
]
"""Symbols that no code for a gate is printed in, but that people hold up: boarding passes, parcels, goods."""
_SPELT = {
    "DataMatrix": "Data Matrix",
    "MicroQRCode": "Micro QR Code",
    "RMQRCode": "rMQR Code",
    "Code128": "Code 128",
}
_SPELT |= {"EAN13": "EAN-13"}


def others(picture: Picture) -> list[str]:
    """Names of the symbols in `picture` that are no QR codes, such as `Aztec`; sorted."""
    names = set()
    for each in _OTHERS:  # one by one: versions differ in how several are asked for
        found = zxingcpp.read_barcodes(picture, formats=each)
        names |= {
            barcode.format.name for barcode in found if barcode.valid and not barcode.format.name.startswith("QR")
        }
    return sorted(_SPELT.get(name, name) for name in names)


def read(picture: Picture, *, wide: bool = False, histogram: bool = False) -> list[Code]:
    """The QR codes in `picture`. `wide` adds smaller scales and white-on-black; `histogram` takes one threshold
    for the whole picture instead of a local one.
    """
    binarizer = zxingcpp.Binarizer.GlobalHistogram if histogram else zxingcpp.Binarizer.LocalAverage
    found = zxingcpp.read_barcodes(picture, formats=_FORMAT, binarizer=binarizer, **(_WIDE if wide else _BARE))
    return [_code(barcode) for barcode in found if len(barcode.bytes)]


_NAMES = {"aztec": "Aztec", "pdf417": "PDF417", "datamatrix": "DataMatrix"}


def symbols(picture: Picture, names: Sequence[str]) -> list[Code]:
    """The Aztec, PDF417 and Data Matrix symbols in `picture`, as far as their `names` are asked for."""
    codes = []
    for name in names:  # one by one: versions differ in how several are asked for
        wanted: Any = getattr(zxingcpp.BarcodeFormat, _NAMES[name])
        found = zxingcpp.read_barcodes(picture, formats=wanted, **_SYMBOLS)
        codes += [replace(_code(each, modules=0), symbology=name) for each in found if each.valid and each.bytes]
    return codes


def _code(barcode: Any, modules: int | None = None) -> Code:
    place = barcode.position
    corners = tuple(
        (float(corner.x), float(corner.y))
        for corner in (place.top_left, place.top_right, place.bottom_right, place.bottom_left)
    )
    # ISO/IEC 15424: modifier 2, 4 or 6 says that an ECI stands in the code
    declares = getattr(barcode, "symbology_identifier", "")[2:3] in {"2", "4", "6"}
    version = str((getattr(barcode, "extra", None) or {}).get("Version", ""))
    if modules is None:
        modules = 17 + 4 * int(version) if version.isdecimal() else 0
    return Code(bytes(barcode.bytes), corners, barcode.text if declares else None, modules=modules)  # type: ignore[arg-type] # four corners

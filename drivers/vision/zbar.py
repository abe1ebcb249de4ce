"""zbar, met here only, through pyzbar's bindings: the second opinion.

`pyzbar.decode` guesses character sets and turns UTF-8 into other scripts without a word (367 of 500 random
payloads came out changed). Its library can hand out the bytes as coded: configuration 4, "binary" (zbar.h,
`zbar_config_t`), which the bindings do not name. All symbols but QR stay off: decoders for others abort on some
pictures. Raises ImportError where libzbar is not installed (Debian: libzbar0, trixie: libzbar0t64).
"""

from __future__ import annotations

from ctypes import c_uint, c_void_p, cast, string_at
from typing import TYPE_CHECKING, Any

import numpy as np
from pyzbar import wrapper

from drivers.vision.code import Code

if TYPE_CHECKING:
    from drivers.vision.opencv import Picture

_ENABLE, _BINARY = 0, 4
_EVERY_SYMBOL, _QR = 0, 64
_Y800 = int.from_bytes(b"Y800", "little")
_PLACE_POINTS = 4


def read(picture: Picture) -> list[Code]:
    """The QR codes in `picture`."""
    pixels = np.ascontiguousarray(picture)
    scanner = wrapper.zbar_image_scanner_create()
    image = wrapper.zbar_image_create()
    try:
        for symbol, setting, value in ((_EVERY_SYMBOL, _ENABLE, 0), (_QR, _ENABLE, 1), (_QR, _BINARY, 1)):
            wrapper.zbar_image_scanner_set_config(scanner, symbol, setting, value)
        height, width = pixels.shape
        wrapper.zbar_image_set_format(image, _Y800)
        wrapper.zbar_image_set_size(image, width, height)
        wrapper.zbar_image_set_data(image, cast(pixels.ctypes.data, c_void_p), pixels.size, None)
        wrapper.zbar_scan_image(scanner, image)
        return _codes(image)
    finally:
        wrapper.zbar_image_destroy(image)
        wrapper.zbar_image_scanner_destroy(scanner)


def _codes(image: Any) -> list[Code]:
    found = []
    symbol = wrapper.zbar_image_first_symbol(image)
    while symbol:
        length = wrapper.zbar_symbol_get_data_length(symbol)
        payload = string_at(wrapper.zbar_symbol_get_data(symbol), length)
        points = [
            (
                float(wrapper.zbar_symbol_get_loc_x(symbol, c_uint(i))),
                float(wrapper.zbar_symbol_get_loc_y(symbol, c_uint(i))),
            )
            for i in range(wrapper.zbar_symbol_get_loc_size(symbol))
        ]
        if payload and len(points) == _PLACE_POINTS:
            a, b, c, d = points
            found.append(Code(payload, (a, b, c, d)))
        symbol = wrapper.zbar_symbol_next(symbol)
    return found

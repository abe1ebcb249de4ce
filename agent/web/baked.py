"""Pictures that a browser has painted beforehand, for boards that cannot run one: names, files, overlays. Pure.

A picture has two halves, each a file: the sign with its arrow, and the texts. Most pictures share one of them with
others. A half is found by what stands on it, so that of another release, or for other pixels, is not found, and the
screen sends people to the staff instead.

What changes while a picture stands (a count-down, the code for a tablet) is drawn over it: modules of the QR code
as squares, digits as seven segments.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from agent.web.options import TEXT_SHARE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

INDEX = "index.json"
_ON_SIGN, _ON_TEXT = ("sign", "tone", "arrow", "panel_px"), ("lines", "tone", "panel_px")
_PNG = b"\x89PNG\r\n\x1a\n"
_INDEXED, _RGB, _RGBA = 3, 2, 6
_CHANNELS = {_INDEXED: 1, _RGB: 3, _RGBA: 4}
_MOST_COLOURS = 256
_SEGMENTS = {
    "0": "abcdef", "1": "bc", "2": "abged", "3": "abgcd", "4": "fgbc", "5": "afgcd", "6": "afgedc", "7": "abc",
    "8": "abcdefg", "9": "abcdfg", "A": "abcefg", "B": "cdefg", "C": "adef", "D": "bcdeg", "E": "adefg",
    "F": "aefg", ":": ":", " ": "", "-": "g",
}  # fmt: skip
_SEGMENT_BOXES = {
    "a": (0.0, 0.0, 1.0, 0.14), "b": (0.76, 0.0, 1.0, 0.57), "c": (0.76, 0.43, 1.0, 1.0),
    "d": (0.0, 0.86, 1.0, 1.0), "e": (0.0, 0.43, 0.24, 1.0), "f": (0.0, 0.0, 0.24, 0.57),
    "g": (0.0, 0.43, 1.0, 0.57),
}  # fmt: skip
"""Left, top, right, bottom of a digit's width and height; `:` has two dots of its own."""
_DOTS = ((0.35, 0.25, 0.65, 0.38), (0.35, 0.62, 0.65, 0.75))
_DIGIT_WIDTH, _DIGIT_STEP = 0.55, 0.75
"""Of a digit's height."""


class BadPicture(ValueError):
    """Not a file that `encode` has made."""


class PictureKey(NamedTuple):
    """The names of a picture's two files, and how large its letters must be."""

    sign: str
    text: str
    font_px: int = 0
    """Least font size with which the panel can be read."""


def key_of(picture: Mapping[str, Any]) -> PictureKey:
    """Where this picture is; `picture`: as `pictures.compose` makes it."""
    return PictureKey(_name(picture, _ON_SIGN), _name(picture, _ON_TEXT), int(picture["font_px"]))


def _name(picture: Mapping[str, Any], parts: tuple[str, ...]) -> str:
    shown = json.dumps({part: picture[part] for part in parts}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(shown.encode()).hexdigest()[:20]


def sign_rows(height_px: int) -> int:
    """So many rows of a picture are the sign; below are the texts. As the page's grid has it."""
    return math.ceil(height_px * (1 - TEXT_SHARE))


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of a picture, pixels."""

    left: int
    top: int
    width: int
    height: int


# -- files: PNG without filters, so that a small board needs no time to read one


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """A file of rows of red, green and blue."""
    height, width, _ = pixels.shape
    packed = (pixels.astype(np.uint32) * (1 << 16, 1 << 8, 1)).sum(axis=2, dtype=np.uint32)
    colours, indices = np.unique(packed, return_inverse=True)
    if len(colours) > _MOST_COLOURS:
        return _file(width, height, _RGB, b"", pixels.reshape(height, 3 * width))
    palette = b"".join(int(colour).to_bytes(3, "big") for colour in colours)
    return _file(width, height, _INDEXED, palette, indices.reshape(height, width).astype(np.uint8))


def decode(data: bytes) -> NDArray[np.uint8]:
    """Rows of red, green and blue. Raises BadPicture."""
    try:
        return _decode(data)
    except (struct.error, zlib.error, ValueError, KeyError, IndexError) as error:
        raise BadPicture(f"not a picture: {error}") from None


def _decode(data: bytes) -> NDArray[np.uint8]:
    if not data.startswith(_PNG):
        raise BadPicture("no PNG")
    palette, content, head = b"", b"", None
    for name, body in _chunks(data):
        match name:
            case b"IHDR":
                head = struct.unpack(">IIBBBBB", body)
            case b"PLTE":
                palette = body
            case b"IDAT":
                content += body
    if head is None or head[2] != 8 or head[4:] != (0, 0, 0):  # noqa: PLR2004 - bits a channel
        raise BadPicture("another kind of PNG")
    width, height, _, kind, *_ = head
    channels = _CHANNELS[kind]
    size = height * (1 + width * channels)
    rows = np.frombuffer(zlib.decompressobj().decompress(content, size), np.uint8).reshape(height, -1)
    made = _unfiltered(rows, channels)
    if kind == _INDEXED:
        return np.frombuffer(palette, np.uint8).reshape(-1, 3)[made]
    return made.reshape(height, width, channels)[:, :, :3]


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_PNG)
    while at + 12 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        yield name, data[at + 8 : at + 8 + size]
        at += 12 + size


def _unfiltered(rows: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Bytes without the filters of PNG (RFC 2083, 6); those of a browser's screenshot are taken too."""
    filters, made = rows[:, 0], rows[:, 1:].copy()
    for number in np.flatnonzero(filters):
        row, above = made[number], made[number - 1] if number else np.zeros_like(made[0])
        match int(filters[number]):
            case 1:
                by_pixel = row.reshape(-1, channels)
                by_pixel[:] = np.cumsum(by_pixel, axis=0, dtype=np.uint64).astype(np.uint8)
            case 2:
                row += above
            case _:
                made[number] = _by_pixel(row, above, channels, paeth=filters[number] == 4)  # noqa: PLR2004
    return made


def _by_pixel(row: NDArray[np.uint8], above: NDArray[np.uint8], channels: int, *, paeth: bool) -> NDArray[np.uint8]:
    """The filters that need the pixel before."""
    made, up = [0] * channels + row.tolist(), [0] * channels + above.tolist()
    for at in range(channels, len(made)):
        left, over = made[at - channels], up[at]
        if paeth:
            corner = up[at - channels]
            guess = left + over - corner
            far = abs(guess - left), abs(guess - over), abs(guess - corner)
            before = (left, over, corner)[far.index(min(far))]
        else:
            before = (left + over) // 2
        made[at] = (made[at] + before) & 255
    return np.array(made[channels:], np.uint8)


def _file(width: int, height: int, kind: int, palette: bytes, rows: NDArray[np.uint8]) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    plain = np.hstack([np.zeros((height, 1), np.uint8), rows])
    chunks = [(b"IHDR", head), *([(b"PLTE", palette)] if palette else [])]
    chunks += [(b"IDAT", zlib.compress(plain.tobytes(), 9)), (b"IEND", b"")]
    return _PNG + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


# -- what is drawn over a picture


def draw_code(pixels: NDArray[np.uint8], box: Box, code: Mapping[str, Any]) -> None:
    """The QR code of a picture, black on white, as large as whole pixels a module allow."""
    size = int(code["size"])
    module = min(box.width, box.height) // size
    if module < 1:
        return
    drawn = np.full((size, size), 255, np.uint8)
    for x, y in re.findall(r"M(\d+) (\d+)h1v1h-1z", code["path"]):
        drawn[int(y), int(x)] = 0
    drawn = np.kron(drawn, np.ones((module, module), np.uint8))
    left, top = box.left + (box.width - len(drawn)) // 2, box.top + (box.height - len(drawn)) // 2
    pixels[top : top + len(drawn), left : left + len(drawn)] = drawn[:, :, np.newaxis]


def draw_figures(pixels: NDArray[np.uint8], box: Box, lines: list[str]) -> None:
    """Lines of digits and letters A to F in seven segments, the first one large; other letters are left out."""
    fore = _contrast(pixels[box.top, box.left])
    top, shares = box.top, [0.6, *([0.3 / (len(lines) - 1)] * (len(lines) - 1))] if len(lines) > 1 else [1.0]
    for text, share in zip(lines, shares, strict=True):
        shown = [letter for letter in text.removeprefix("SHA-256 ") if letter in _SEGMENTS]
        height = min(int(box.height * share * 0.8), int(box.width / (_DIGIT_STEP * max(1, len(shown)))))
        for number, letter in enumerate(shown):
            left = box.left + int(number * height * _DIGIT_STEP)
            boxes = _DOTS if letter == ":" else [_SEGMENT_BOXES[each] for each in _SEGMENTS[letter]]
            width = height * _DIGIT_WIDTH
            for x0, y0, x1, y1 in boxes:
                rows = slice(top + round(y0 * height), top + max(round(y1 * height), round(y0 * height) + 1))
                pixels[rows, left + round(x0 * width) : left + max(round(x1 * width), round(x0 * width) + 1)] = fore
        top += int(box.height * share)


def _contrast(back: NDArray[np.uint8]) -> tuple[int, int, int]:
    """Black or white, whichever is seen better on it."""
    red, green, blue = (int(each) for each in back)
    return (255, 255, 255) if 299 * red + 587 * green + 114 * blue < 128_000 else (0, 0, 0)  # noqa: PLR2004

"""From a picture to the bytes of the codes in it.

    opencv           OpenCV, set up for a kiosk         zxing, zbar       one decoder library each
    steps_order      The steps of the pipeline, by name   decoders          which of them are there
    steps            each step, pure                    code, text        a code found: bytes, corners, text
    pipeline         steps under a budget of CPU time   length_gate       which frames need not be decoded
    watcher          frames in, sightings out           tracker           who is in view, reported once
    hunt             what no library reads: finders → grid → soft (symbol, reedsolomon), evidence over frames
    framing_advice   a picture judged in words          terminal_preview  a picture in a terminal

`read`, `read_fast` and `read_bytes` take one still picture; importing this package imports none of the libraries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivers.vision.code import Code
    from drivers.vision.opencv import Picture

FAST_S = 0.030


def read(gray: Picture) -> list[str]:
    """The texts in one grayscale picture (uint8, height x width), by the whole pipeline."""
    return list(dict.fromkeys(code.text() for code in _codes(gray, float("inf"))))


def read_fast(gray: Picture) -> list[str]:
    """As `read`, but begins no further step after 30 ms of CPU time."""
    return list(dict.fromkeys(code.text() for code in _codes(gray, FAST_S, without="hunt")))


def read_bytes(gray: Picture) -> list[bytes]:
    """As `read`, but the payloads as coded: what a check of a code wants, whatever its bytes."""
    return list(dict.fromkeys(code.payload for code in _codes(gray, float("inf"))))


def read_symbols(gray: Picture) -> dict[bytes, str]:
    """The payloads of the Aztec, PDF417 and Data Matrix symbols in a picture, and the symbology of each."""
    from drivers.vision import decoders, symbologies  # noqa: PLC0415 - the libraries are for those who look at pictures
    from drivers.vision.steps import bounded  # noqa: PLC0415 - the same

    return {code.payload: code.symbology for code in decoders.symbols(bounded(gray), symbologies.OTHERS)}


def others(gray: Picture) -> list[str]:
    """Names of the symbols in a picture that are no QR codes, such as `Aztec` or `Code 128`."""
    from drivers.vision import decoders  # noqa: PLC0415 - the libraries are for those who look at pictures
    from drivers.vision.steps import bounded  # noqa: PLC0415 - the same

    return decoders.others(bounded(gray))


def _codes(gray: Picture, budget_s: float, without: str = "") -> list[Code]:
    # the libraries are for those who look at pictures
    from drivers.vision.pipeline import Pipeline  # noqa: PLC0415
    from drivers.vision.steps import bounded  # noqa: PLC0415
    from drivers.vision.steps_order import ALL  # noqa: PLC0415

    pipeline = Pipeline(budget_s, [name for name in ALL if name != without])
    return pipeline.read(bounded(gray))

"""The far end of `neural`: WeChat's neural reader, as a program for a Python of its own.

    python -I neural_reader.py MEMORY SOCKET      (numbers of inherited file descriptors)
      asked     width, height: the gray picture of that size stands in MEMORY
      answers   JSON: {"codes": [[text, [x, y] * 4], …]}, or {"absent": why} and ends

Imports nothing of Gatepost, and needs opencv-contrib-python-headless below 5 (the Caffe models cannot be loaded by
later ones) with the four model files anywhere below its venv. A reading that takes longer than ALARM_S kills it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

SIZE = struct.Struct("<II")
ALARM_S = 10
"""Should the near end be gone while a reading hangs."""
_NICE = 5
_MODELS = ("detect.prototxt", "detect.caffemodel", "sr.prototxt", "sr.caffemodel")


def main() -> None:
    """Answer until the near end hangs up."""
    memory, line = int(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))
    with suppress(OSError):  # the service's sandbox may forbid it
        os.nice(_NICE)
    try:
        reader = _reader()
    except (ImportError, AttributeError, OSError) as error:
        line.recv(SIZE.size)  # one that hangs up before it has heard all takes its answer along
        line.send(json.dumps({"absent": str(error)}).encode())
        return
    while asked := line.recv(SIZE.size):
        width, height = SIZE.unpack(asked)
        picture = np.frombuffer(os.pread(memory, width * height, 0), np.uint8).reshape(height, width)
        signal.alarm(ALARM_S)
        codes = _read(reader, picture)
        signal.alarm(0)
        line.send(json.dumps({"codes": codes}).encode())


def _reader() -> Any:
    import cv2  # noqa: PLC0415 - its absence is an answer

    cv2.setNumThreads(1)
    folder = next((path.parent for path in Path(sys.prefix).rglob(_MODELS[0])), None)
    if folder is None:
        raise FileNotFoundError(f"no {_MODELS[0]} below {sys.prefix}")
    return cv2.wechat_qrcode_WeChatQRCode(*(str(folder / name) for name in _MODELS))  # type: ignore[attr-defined] # of the contrib build


def _read(reader: Any, picture: Any) -> list[list[Any]]:
    try:
        texts, places = reader.detectAndDecode(picture)
    except UnicodeDecodeError:  # its binding knows UTF-8 alone
        return []
    return [[text, place.tolist()] for text, place in zip(texts, places, strict=True)]


if __name__ == "__main__":
    main()

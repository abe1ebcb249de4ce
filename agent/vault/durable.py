"""Replace a file so that after a power cut there is the old one or the new one, whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def replace_file(path: Path, chunks: Iterable[bytes | memoryview]) -> None:
    """Write beside, make durable, rename over. Raises OSError; then the old file stays."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

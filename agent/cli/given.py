"""Files that a person names: read with a bound, spoken of by name, and never replaced by something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.platform import files

if TYPE_CHECKING:
    from pathlib import Path


def data(file: Path) -> bytes:
    """What a file holds that has no business to be long. Raises OSError, also for a device or a pipe."""
    return files.read_bytes(file, files.MOST_TEXT_BYTES)


def text(file: Path) -> str:
    """The same as text, without a byte order mark. Raises OSError; ValueError, which names the file."""
    try:
        return files.read_text(file).removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise not_text(file) from None


def not_text(file: Path) -> ValueError:
    """What is said of a file in another encoding, or of none in any."""
    return ValueError(f"{file}: not UTF-8 text: save it as UTF-8; or is it another file?")


def demand_picture(file: Path) -> None:
    """Raise ValueError unless a PNG may be written there."""
    if file.suffix.lower() != ".png":
        raise ValueError(f"{file}: a picture is a .png, for example {file.with_suffix('.png').name}")
    demand_own(file, b"\x89PNG", "picture")


def demand_own(file: Path, begins: bytes, what: str) -> None:
    """Refuse to replace a file that begins in another way, so is none of these. Raises ValueError, OSError."""
    if not file.is_file():
        return
    with file.open("rb") as opened:
        found = opened.read(len(begins))
    if found and found != begins:
        raise ValueError(f"{file} is another file, and no {what}: it would be lost. Give another name")

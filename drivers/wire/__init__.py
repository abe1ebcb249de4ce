"""Where third-party hardware libraries are met, one file each, and how what the kernel says of devices is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def kernel_text(file: Path) -> str:
    """One line of a file in /sys or /proc. What is no UTF-8, such as the name of a program that the kernel has cut
    within a letter, is spelt out. Raises OSError.
    """
    return file.read_text("utf-8", "backslashreplace").strip()

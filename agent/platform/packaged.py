"""The folder of the files that come with the agent: in the installed package, or beside it in a checkout."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
PICTURES = _PACKAGE / "defaults" / "pictures"
"""The pictures of the lanes' screens, a folder a size. They come with a Debian package; a checkout has none."""


def packaged(name: str) -> Path:
    """A file of `config/`, for example `demo.toml` or `policy/default.toml`."""
    return _folder() / name


@cache
def packaged_text(path: Path) -> str:
    """Text of a packaged file. Read once: it changes with the release only, and `gatepost check` needs it again
    with the rights of a user who may not enter this folder. Raises OSError.
    """
    return path.read_text(encoding="utf-8")


@cache
def _folder() -> Path:
    installed = _PACKAGE / "defaults" / "config"
    return installed if installed.is_dir() else _PACKAGE.parent / "config"

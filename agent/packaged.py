"""Where the files that come with the agent lie: in the installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def packaged(name: str) -> Path:
    """A file of `config/`, for example `demo.toml` or `policy/default.toml`."""
    installed = _PACKAGE / "defaults" / "config"
    return (installed if installed.is_dir() else _PACKAGE.parent / "config") / name

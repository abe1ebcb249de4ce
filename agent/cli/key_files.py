"""Private keys that a command is given as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import given
from agent.crypto import signing

if TYPE_CHECKING:
    from pathlib import Path


def private_key(file: Path) -> signing.PrivateKey:
    """Raises BadKey, which names the file; OSError."""
    try:
        return signing.private_key(given.data(file))
    except signing.BadKey as error:
        raise signing.BadKey(
            f"{file}: {error} (made by `gatepost keys new NAME`, for example {file.with_suffix('.key').name})"
        ) from None

"""Private keys that a command is given as files."""

from __future__ import annotations

import tomllib
from base64 import b64encode
from typing import TYPE_CHECKING

from agent.cli import given
from agent.crypto import signing

if TYPE_CHECKING:
    from pathlib import Path

KEYS_FILE = "issuers.toml"
"""What `keys new` adds the public key of an issuer to."""


def formats_of(file: Path) -> set[str]:
    """What kiosks take of a private key, by the keys file that `keys new` wrote beside it; empty: not known."""
    beside = file.with_name(KEYS_FILE)
    if not beside.is_file():
        return set()
    public = b64encode(private_key(file).public.spki).decode()
    try:
        pinned = tomllib.loads(given.text(beside)).get("key", [])
        return {name for entry in pinned if entry.get("public") == public for name in entry.get("formats", ())}
    except (OSError, ValueError, AttributeError):
        return set()


def server_key(file: Path) -> signing.PrivateKey:
    """One for bundles, commands and invitations: no kiosk may be given codes and rules by the same. Raises
    ValueError, which names the file; OSError.
    """
    if formats := formats_of(file):
        raise ValueError(
            f"{file}: it signs codes ({', '.join(sorted(formats))}), by the keys file beside it; bundles, commands "
            "and invitations are signed by a key of `gatepost keys new NAME --server`"
        )
    return private_key(file)


def private_key(file: Path) -> signing.PrivateKey:
    """Raises BadKey, which names the file; OSError."""
    try:
        return signing.private_key(given.data(file))
    except signing.BadKey as error:
        raise signing.BadKey(
            f"{file}: {error} (made by `gatepost keys new NAME`, for example {file.with_suffix('.key').name})"
        ) from None

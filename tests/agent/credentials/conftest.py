"""An issuer with a pinned key, a moment in time, and the vectors that nobody on this project made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.credentials.formats import gatepost
from agent.credentials.trust import TrustedKey, TrustStore, key_uses, parse_trust_store
from agent.crypto import signing
from agent.model import ClockState, Colour, TimeBounds

UTC = 1_700_000_000.0
VECTORS = Path(__file__).parents[3].parent / "shared" / "data" / "codes"


@pytest.fixture(scope="session")
def key() -> signing.PrivateKey:
    return signing.new_private_key()


@pytest.fixture(scope="session")
def trust(key: signing.PrivateKey) -> TrustStore:
    return parse_trust_store([TrustedKey("demo", key.public.kid, frozenset(key_uses()), key.public)])


@pytest.fixture
def now() -> TimeBounds:
    return TimeBounds(UTC, UTC + 1, ClockState.SYNCED)


@pytest.fixture(scope="session")
def code(key: signing.PrivateKey) -> bytes:
    """A green code, valid for a thousand seconds around UTC."""
    claims = gatepost.claims(
        "demo", "holder-1", Colour.GREEN, issued_utc=int(UTC) - 500, expires_utc=int(UTC) + 500
    )
    return gatepost.issue(key, claims).encode()


@pytest.fixture(scope="session")
def vectors() -> Any:
    """Reads a file of `../shared/data/codes`, which lies beside the project."""

    def read(name: str) -> Any:
        if not (VECTORS / name).is_file():
            pytest.skip(f"../shared/data/codes/{name} is not beside the project")
        return json.loads((VECTORS / name).read_text())

    return read

"""A central server with its keys, for tests of commands and bundles."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from agent.credentials import bundle
from agent.crypto import signing
from agent.events import Topics
from agent.model import ClockState, TimeBounds
from agent.ruleset import load

UTC = 1_800_000_000
DAY = 86_400


class CentralServer:
    """Signs commands and bundles. Two keys of three must sign a command; one key signs all bundles."""

    def __init__(self) -> None:
        self.keys = {name: signing.new_private_key() for name in ("root", "a", "b", "c", "data", "thief")}
        self.version = 1

    def role(self, threshold: int, *names: str) -> dict[str, Any]:
        return {"threshold": threshold, "keyids": [self.keys[name].public.kid.hex() for name in names]}

    def root(self, version: int = 1, **changes: Any) -> bytes:
        roles = {
            "root": self.role(1, "root"),
            "command": self.role(2, "a", "b", "c"),
            **dict.fromkeys(("keys", "policy", "list", "privacy", "config"), self.role(1, "data")),
        }
        known = {
            key.public.kid.hex(): b64encode(key.public.spki).decode()
            for name, key in self.keys.items()
            if name != "thief"
        }
        content = {"keys": known, "roles": roles | changes}
        return self.bundle("root", content, version, signers=("root",))

    def bundle(
        self,
        kind: str,
        content: Any,
        version: int = 1,
        name: str = "",
        signers: tuple[str, ...] = ("data",),
        **members: Any,
    ) -> bytes:
        signed = {
            "type": kind,
            "name": name,
            "fleet": "city",
            "version": version,
            "issued_at": UTC - 10,
            "expires_at": UTC + DAY,
            "warn_age_s": 1000,
            "max_age_s": 2000,
            "content": content,
        }
        return bundle.sign(signed | members, [self.keys[name] for name in signers])

    @staticmethod
    def members(**changes: Any) -> dict[str, Any]:
        return {
            "id": "command-1",
            "fleet": "city",
            "target": "library/gate-3",
            "issued_at": UTC - 5,
            "expires_at": UTC + 60,
            "command": "open",
            "arguments": {"lane": "in"},
        } | changes

    def command(self, signers: tuple[str, ...] = ("a", "b"), role: str = "command", **changes: Any) -> bytes:
        return bundle.sign(self.members(**changes), [self.keys[name] for name in signers], role)


@pytest.fixture(scope="session")
def server() -> CentralServer:
    return CentralServer()


@pytest.fixture
def store(tmp_path, server) -> load.BundleStore:
    """A kiosk's bundles, with the central server's first root."""
    made = load.BundleStore(tmp_path / "bundles")
    made.install(server.root())
    return made


@pytest.fixture
def here() -> Topics:
    return Topics("library", "gate-3", ("north", "wave-1"))


class Time:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.lo_utc, self.hi_utc = float(UTC), UTC + 1.0

    def __call__(self) -> TimeBounds:
        return TimeBounds(self.lo_utc, self.hi_utc, ClockState.SYNCED)

    def pass_by(self, seconds: float) -> None:
        self.lo_utc += seconds
        self.hi_utc += seconds


@pytest.fixture
def now() -> Time:
    return Time()

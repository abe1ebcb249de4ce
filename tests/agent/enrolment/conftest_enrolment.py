"""An authority and a new kiosk, each in a folder of its own."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.credentials import bundle
from agent.crypto import signing
from agent.enrolment import authority, exchange
from agent.enrolment.authority import Authority, AuthoritySettings
from agent.enrolment.exchange import Answer
from agent.enrolment.invitation import Invitation
from agent.enrolment.kiosk import Enrolment

NOW = 1_800_000_000.0
DAY_S = 86_400
PIN = "A" * 43


def make_root(folder: Path, key: signing.PrivateKey, *, fleet: str = "city", enrols: bool = True) -> Path:
    roles = {"root": {"threshold": 1, "keyids": [key.public.kid.hex()]}}
    if enrols:
        roles["enrol"] = roles["root"]
    signed = {
        "type": "root", "name": "", "fleet": fleet, "version": 1, "issued_at": int(NOW),
        "expires_at": int(NOW) + 999 * DAY_S, "warn_age_s": DAY_S, "max_age_s": DAY_S,
        "content": {"keys": {key.public.kid.hex(): b64encode(key.public.spki).decode()}, "roles": roles},
    }  # fmt: skip
    path = folder / f"{fleet}-root.bundle"
    path.write_bytes(bundle.sign(signed, [key]))
    return path


@dataclass
class Office:
    """Those who invite."""

    authority: Authority
    folder: Path
    key: signing.PrivateKey

    def invite(
        self, site: str = "east", kiosk: str = "k1", days: int = 7, now: float = NOW
    ) -> tuple[Invitation, bytes]:
        return self.authority.invite(site, kiosk, days, [self.key], now)

    def answer(self, request: bytes, now: float = NOW) -> bytes:
        answered = self.authority.handle(request, now)
        assert answered is not None
        return answered[1]


@pytest.fixture
def office(tmp_path: Path) -> Office:
    key = signing.new_private_key()
    root = make_root(tmp_path, key)
    folder = tmp_path / "authority"
    authority.create(folder, AuthoritySettings("city", "broker.example", 8883, (PIN,), str(root)), NOW)
    return Office(Authority(folder), folder, key)


@pytest.fixture
def kiosk(tmp_path: Path) -> Enrolment:
    return Enrolment(tmp_path / "kiosk")


def exchanged(office: Office, kiosk: Enrolment, now: float = NOW) -> Answer:
    """Ask and answer once, without a network."""
    invited = kiosk.invitation()
    assert invited is not None
    request = kiosk.request("0.1.0", "serial")
    return exchange.parse_answer(office.answer(request, now), request, invited.token)

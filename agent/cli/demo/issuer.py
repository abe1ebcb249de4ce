"""An issuer of the demonstration's own, and what people may show: good codes, bad ones, and none of ours."""

from __future__ import annotations

import time

from agent.cli import keys
from agent.credentials.formats import gatepost
from agent.crypto import base45, signing
from agent.model import Colour

KINDS = ("green", "yellow", "red", "expired", "forged", "other", "none")
_DAY_S = 86400


class Issuer:
    """Signs codes with a key that lives as long as this object."""

    def __init__(self, name: str = "demo-health") -> None:
        self.name = name
        self._key = signing.new_private_key()
        self._issued = 0

    @property
    def key_table(self) -> str:
        """For the file of pinned keys."""
        return keys.key_table(self.name, self._key.public)

    def code(self, kind: str, subject: str = "") -> bytes | None:
        """A fresh code of one of KINDS, for a holder of his own unless `subject` names one; None for `none`."""
        if kind == "none":
            return None
        self._issued += 1
        if kind == "other":
            return f"https://example.org/menu/{self._issued}".encode()
        now = int(time.time())
        ends = now - _DAY_S if kind == "expired" else now + _DAY_S
        claims = gatepost.claims(
            self.name,
            subject or f"subject-{self._issued}",
            Colour(kind) if kind in (*Colour,) else Colour.GREEN,
            issued_utc=ends - 2 * _DAY_S,
            expires_utc=ends,
        )
        text = gatepost.issue(self._key, claims).encode()
        return _forge(text) if kind == "forged" else text


def _forge(text: bytes) -> bytes:
    """Turn one bit of the signature."""
    message = bytearray(base45.decode(text[len(gatepost.PREFIX) :]))
    message[-1] ^= 1
    return gatepost.PREFIX + base45.encode(bytes(message)).encode()

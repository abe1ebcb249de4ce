"""Bytes from a scanner in, a Verdict out. Pure: no clock, no network; time and trust are arguments.

trust = load_trust(options)
verdict = check(payload, trust, now)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent.codes import dcc, gatepost, nzcp, shc, vds_nc
from agent.codes.refusal import Refused
from agent.codes.trust import BadTrust, Trust, load_keys
from agent.model import CodeStatus, Now, Verdict

__all__ = ["BadTrust", "Options", "Trust", "check", "load_trust"]

MAX_PAYLOAD_BYTES = 1 << 14
"""The largest QR code holds 4,296 characters, a card file somewhat more; a scan engine can send megabytes."""


class CodeFormat(Protocol):
    """What each format file of this room offers."""

    FORMAT: str

    def recognises(self, payload: bytes) -> bool:
        """Whether this file is the one to check the payload."""

    def check(self, payload: bytes, trust: Trust, now: Now) -> Verdict:
        """Verdict on a payload that is recognised. Raises Refused."""


_FORMATS: tuple[CodeFormat, ...] = (gatepost, dcc, shc, nzcp, vds_nc)


@dataclass(frozen=True, slots=True)
class Options:
    """Whose codes this kiosk believes."""

    keys: str = "issuers.toml"
    """File of pinned issuer keys (made by `gatepost keys`); relative to the configuration file."""


def load_trust(options: Options, root: Path | None = None) -> Trust:
    """Trust as the options say, paths relative to `root`. Raises BadTrust with one sentence."""
    return load_keys((root or Path()) / options.keys)


def check(payload: bytes, trust: Trust, now: Now) -> Verdict:
    """What the bytes say and whether to believe it. Never raises, whatever they are."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        return Verdict(CodeStatus.UNRECOGNISED, "", reason="longer than any QR code")
    for code in _FORMATS:
        if code.recognises(payload):
            try:
                return code.check(payload, trust, now)
            except Refused as no:
                return Verdict(no.status, code.FORMAT, issuer=no.issuer, reason=no.reason)
    return Verdict(CodeStatus.UNRECOGNISED, "", reason="no format that this gate knows")

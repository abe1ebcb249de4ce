"""Key lists as issuers publish them → keys that kiosks may be given: at the central server, never on a kiosk. Pure.

Each file of this room offers `read(files, now_utc)` → `PublishedList`. What cannot be checked is left out, and why.
`keys_file` says what an import changes in a keys file. From there on the way is that of all keys: `gatepost keys
sign` wraps the file as a bundle, which kiosks take only under the signatures of their root.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime

from agent.crypto import signing

_NAMES = {number: name for name, number in signing.NAMES.items()}


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """One key that was found and checked."""

    issuer: str
    """As in the keys file."""
    kid: bytes
    format: str
    spki: bytes = field(repr=False)
    starts_utc: float = -math.inf
    ends_utc: float = math.inf
    algorithm: int | None = None
    certificate: bytes = field(default=b"", repr=False)
    """DER; it then says itself from when until when it counts, and what for."""
    company: str = ""
    """What its list calls the issuer: a comment."""

    def table(self) -> str:
        """Its [[key]] table; days are whole, so that what is read again is the same."""
        lines = [
            "[[key]]",
            f"issuer = {json.dumps(self.issuer, ensure_ascii=False)}"
            + (f"  # {self.company}" if self.company else ""),
        ]
        lines += [f'formats = ["{self.format}"]', f'kid = "{self.kid.hex()}"']
        if self.algorithm is not None:
            lines.append(f'algorithm = "{_NAMES[self.algorithm]}"')
        if self.certificate:
            return "\n".join((*lines, f'certificate = "{b64encode(self.certificate).decode()}"', ""))
        if self.starts_utc > -math.inf:
            lines.append(f"from = {day(self.starts_utc)}")
        if self.ends_utc < math.inf:
            lines.append(f"until = {day(self.ends_utc - 1)}")
        return "\n".join((*lines, f'public = "{b64encode(self.spki).decode()}"', ""))

    def line(self) -> str:
        """The key in a line, for the reader of the diff."""
        name = signing.public_key(self.spki).name
        algorithm = "" if self.algorithm is None else f" {_NAMES[self.algorithm]}"
        since = "…" if self.starts_utc == -math.inf else day(self.starts_utc)
        until = "…" if self.ends_utc == math.inf else day(self.ends_utc - 1)
        dates = "without dates" if since == until else f"{since} to {until}"
        return f"{self.issuer}  {readable_kid(self.kid)}  {name}{algorithm}  {dates}"


@dataclass(frozen=True, slots=True)
class PublishedList:
    """What a list holds, once it has been checked."""

    keys: tuple[PublishedKey, ...]
    left_out: tuple[str, ...] = ()
    """A line for each entry that is no key for a kiosk, and why."""


def readable_kid(kid: bytes) -> str:
    """A key id as text where it is some, as `1080/2`; else in hexadecimal."""
    text = kid.decode("ascii", "replace")
    return text if text.isascii() and text.isprintable() else kid.hex()


def day(utc: float) -> str:
    """The day of a time in POSIX seconds: `YYYY-MM-DD`, in UTC."""
    return datetime.fromtimestamp(utc, UTC).strftime("%Y-%m-%d")


def printable(text: str) -> str:
    """A name out of a list as it may stand in a comment: one line of printed characters."""
    return "".join(each for each in text if each.isprintable())[:60].strip()

"""Whom this gate believes: pinned issuer keys, each bound to an issuer and to the formats it may sign.

A keys file is TOML, one table per key:

    [[key]]
    issuer = "demo-health"          # name shown to staff; for Gatepost codes also the `iss` claim
    formats = ["gatepost"]          # what the key may sign
    public = "MCowBQYDK2VwAyEA…"    # base64 of the DER SubjectPublicKeyInfo, or …
    certificate = "MIIC…"           # … base64 of a DER certificate, whose key is pinned
    kid = "8f3a…"                   # hex; without it: the first 8 bytes of SHA-256 over `public` or `certificate`
"""

from __future__ import annotations

import binascii
import tomllib
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from agent.codes import signing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FORMATS = ("gatepost", "dcc", "shc", "nzcp", "vds-nc")


class BadTrust(ValueError):
    """A keys file that cannot be used; `str()` says which key and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """One pinned key."""

    issuer: str
    kid: bytes
    formats: frozenset[str]
    public: signing.PublicKey


@dataclass(frozen=True, slots=True)
class Trust:
    """All that checking a code needs to know beforehand. Immutable: a new one takes the place of the old."""

    keys: Mapping[bytes, tuple[TrustedKey, ...]] = field(default_factory=dict)
    """By key id; several issuers may share one by accident."""

    def candidates(self, kid: bytes, code_format: str) -> tuple[TrustedKey, ...]:
        """Keys that may have signed a code of that format under that id."""
        return tuple(key for key in self.keys.get(kid, ()) if code_format in key.formats)


def trust_of(keys: Iterable[TrustedKey]) -> Trust:
    """Trust in exactly these keys."""
    by_kid: dict[bytes, tuple[TrustedKey, ...]] = {}
    for key in keys:
        by_kid[key.kid] = (*by_kid.get(key.kid, ()), key)
    return Trust(by_kid)


def load_keys(path: Path) -> Trust:
    """Trust in the keys of one file. Raises BadTrust."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadTrust(f"keys file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadTrust(f"keys file {path}: not TOML: {error}") from None
    entries = document.pop("key", [])
    if document or not isinstance(entries, list):
        raise BadTrust(f"keys file {path}: only [[key]] tables are expected")
    keys = []
    for number, entry in enumerate(entries, 1):
        try:
            keys.append(_key(entry))
        except (signing.BadKey, ValueError) as error:
            raise BadTrust(f"keys file {path}: key {number}: {error}") from None
    return trust_of(keys)


def _key(entry: Mapping[str, Any]) -> TrustedKey:
    """One [[key]] table. Raises ValueError with one phrase."""
    unknown = set(entry) - {"issuer", "formats", "public", "certificate", "kid"}
    if unknown:
        raise ValueError(f"unknown setting {min(unknown)!r}")
    issuer, formats = entry.get("issuer"), entry.get("formats", ["gatepost"])
    if not isinstance(issuer, str) or not issuer:
        raise ValueError("issuer is missing")
    if not isinstance(formats, list) or not formats or not set(formats) <= set(FORMATS):
        raise ValueError(f"formats must be some of {', '.join(FORMATS)}")
    if ("public" in entry) == ("certificate" in entry):
        raise ValueError("give either public or certificate")
    der = _base64(entry.get("public", entry.get("certificate")))
    public = signing.public_key(der) if "public" in entry else signing.certificate_key(der)
    kid = _hex(entry["kid"]) if "kid" in entry else sha256(der).digest()[:8]
    return TrustedKey(issuer, kid, frozenset(formats), public)


def _base64(text: object) -> bytes:
    try:
        return b64decode(text if isinstance(text, str) else "!", validate=True)
    except binascii.Error:
        raise ValueError("public and certificate are base64 text") from None


def _hex(text: object) -> bytes:
    try:
        return bytes.fromhex(text if isinstance(text, str) else "!")
    except ValueError:
        raise ValueError("kid is hexadecimal text") from None

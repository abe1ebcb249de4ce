"""The privacy rules that the central server has signed: mode, keys, retention. Pure.

A `privacy` bundle's content is TOML:

    mode = "trace"                       # or "verify-only"
    details = true                       # verify-only: events tell code status and temperature (of nobody named)
    retention_hours = 336                # sealed parts that wait longer for the central server are dropped
    remember = "day"                     # roster numbers may be on the kiosk until the day's report; else "none"
    documents = true                     # numbers of identity documents may be read from a card
    [[key]]
    keyid = "week-47"
    public = "base64 of 32 bytes"        # X25519
    from = 2026-11-16T00:00:00Z
    until = 2026-11-25T00:00:00Z
"""

from __future__ import annotations

import binascii
import math
import re
import tomllib
from base64 import b64decode
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from agent.model import InForce
from agent.model.lazy import dataclass
from agent.model.problems import Finding, ProblemCode, found
from agent.privacy import hpke

if TYPE_CHECKING:
    from agent.model import TimeBounds

_HOUR_S = 3600.0
_LONGEST_HOURS = 31 * 24
_KEYID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_KEY_FIELDS = {"keyid", "public", "from", "until"}
_FIELDS = {"mode", "details", "retention_hours", "remember", "documents", "key"}


class Mode(StrEnum):
    """What is kept of who somebody is."""

    VERIFY_ONLY = "verify-only"
    """Nothing."""
    TRACE = "trace"
    """Sealed to the central server."""


class BadPrivacy(ValueError):
    """Content that cannot be used; `str()` is one sentence."""


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A public key of the central server."""

    keyid: str
    public: bytes
    from_utc: float
    until_utc: float


@dataclass(frozen=True, slots=True)
class PrivacyRules:
    """What a privacy bundle says."""

    mode: Mode = Mode.VERIFY_ONLY
    details: bool = True
    """Whether events tell code status, colour, temperature and reasons where nobody is identified."""
    keys: tuple[SealingKey, ...] = ()
    retention_s: float = 14 * 24 * _HOUR_S
    remembers: bool = False
    """Whether roster numbers may be on the kiosk until the day's report."""
    documents: bool = False
    """Whether numbers of identity documents may be read."""

    def key_at(self, now: TimeBounds) -> SealingKey | None:
        """The key to seal to, by the earliest that it may be; of several the one that began last. Only in `trace`
        anything is sealed.
        """
        if self.mode is not Mode.TRACE:
            return None
        valid = [key for key in self.keys if key.from_utc <= now.earliest_utc <= key.until_utc]
        return max(valid, key=lambda key: key.from_utc, default=None)


DEFAULT = PrivacyRules()
"""Without any bundle."""
CLOSED = PrivacyRules(details=False)
"""In place of a bundle that does not hold: no more open than anything it could have said."""


_BUILT_IN = InForce("privacy", source="built_in")


@dataclass(frozen=True, slots=True)
class PrivacyInForce:
    """The rules that were found, and how long they hold."""

    rules: PrivacyRules = DEFAULT
    expires_utc: float = math.inf
    fault: str = ""
    """Why they are not what the central server has sent."""
    in_force: InForce = _BUILT_IN

    def at(self, now: TimeBounds) -> PrivacyRules:
        """The rules of this moment."""
        return CLOSED if self.fault or self.expires_utc < now.earliest_utc else self.rules

    def findings(self, now: TimeBounds) -> tuple[Finding, ...]:
        """What is wrong and what follows."""
        if self.fault:
            text = f"{self.fault}: nothing personal is kept until a good bundle comes"
            return found(ProblemCode.PRIVACY_NOT_IN_FORCE, text)
        if self.expires_utc < now.earliest_utc:
            text = "the bundle has expired: nothing personal is kept until a newer one comes"
            return found(ProblemCode.PRIVACY_NOT_IN_FORCE, text)
        if self.rules.mode is Mode.TRACE and self.rules.key_at(now) is None:
            text = "none of the central server's keys is valid now: nothing is sealed, and nothing personal kept"
            return found(ProblemCode.SEALING_KEY_MISSING, text)
        return ()


def parse(text: object) -> PrivacyRules:
    """The rules in a bundle's content. Raises BadPrivacy."""
    try:
        content = tomllib.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError) as error:
        raise BadPrivacy(f"not TOML: {error}") from None
    if unknown := sorted(content.keys() - _FIELDS):
        raise BadPrivacy(f"unknown setting {unknown[0]}")
    if content.get("remember", "none") not in ("none", "day"):
        raise BadPrivacy(f"remember is none or day, not {content['remember']!r}")
    match {"details": True, "retention_hours": 336, "documents": False, "key": [], **content}:
        case {
            "mode": str(mode),
            "details": bool(details),
            "retention_hours": int(hours),
            "documents": bool(documents),
            "key": list(tables),
        } if mode in (*Mode,) and 1 <= hours <= _LONGEST_HOURS and not isinstance(hours, bool):
            rules = PrivacyRules(
                Mode(mode),
                details,
                tuple(_key(table) for table in tables),
                hours * _HOUR_S,
                remembers=content.get("remember") == "day",
                documents=documents,
            )
        case _:
            raise BadPrivacy(
                f"needs mode (verify-only or trace); may have details (true or false), retention_hours (1 to "
                f"{_LONGEST_HOURS}), remember (none or day), documents (true or false) and [[key]] tables"
            )
    if len({key.keyid for key in rules.keys}) < len(rules.keys):
        raise BadPrivacy("two keys of one keyid")
    if rules.mode is Mode.TRACE and not rules.keys:
        raise BadPrivacy("mode trace needs a key of the central server")
    return rules


def _key(table: Any) -> SealingKey:
    match table:
        case {
            "keyid": str(keyid),
            "public": str(public),
            "from": datetime() as begins,
            "until": datetime() as ends,
        } if table.keys() == _KEY_FIELDS and begins.tzinfo and ends.tzinfo and begins < ends:
            if not _KEYID.fullmatch(keyid):
                raise BadPrivacy(
                    f"keyid {keyid[:40]!r} should be letters, digits, `.`, `_`, `-`, at most 32, as 2027-spring"
                )
            try:
                raw = b64decode(public, validate=True)
                hpke.seal(b"", raw, b"")  # what cannot be sealed to is found out now
            except (binascii.Error, ValueError):
                raise BadPrivacy(f"key {keyid}: public is not base64 of an X25519 key") from None
            return SealingKey(keyid, raw, begins.timestamp(), ends.timestamp())
    raise BadPrivacy(
        "a [[key]] needs keyid, public, from and until (times with a zone, from before until), no more"
    )

"""Who may act at a kiosk, from the signed `staff` bundle: id, role, PIN as a slow hash, badge as a hash. Pure.

[[person]]
id = "G07"                         # number of the badge: shown, and in events; not a name
role = "guard"                     # guard, supervisor, technician
pin = "scrypt:14:8:1:SALT:HASH"    # base64url; made by `gatepost staff new`
badge = "SHA-256 of the badge's text, hexadecimal"
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
import tomllib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any

from agent.model.lazy import dataclass

MIN_PIN, MAX_PIN = 6, 64
BADGE_PREFIX = "GPB1:"
"""What the text of a badge begins with; 128 random bits follow."""
ID = re.compile(r"[A-Za-z0-9]{1,16}")
_COST, _BLOCK, _PARALLEL = 14, 8, 1
_MOST_MEMORY = 1 << 26
_SALT_BYTES, _HASH_BYTES = 16, 32


class StaffRole(StrEnum):
    """What somebody may do: `agent.control.rights`."""

    GUARD = "guard"
    SUPERVISOR = "supervisor"
    TECHNICIAN = "technician"


class BadStaffList(ValueError):
    """Content that cannot be used; `str()` is one sentence."""


@dataclass(frozen=True, slots=True)
class StaffMember:
    """One person of the list."""

    id: str
    role: StaffRole
    pin: str = field(default="", repr=False)
    badge: str = field(default="", repr=False)

    def has_pin(self, pin: str) -> bool:
        """Whether this is the PIN. Takes some 50 ms and 16 MB. scrypt takes zero bytes at the end for nothing."""
        return MIN_PIN <= len(pin) <= MAX_PIN and pin.isprintable() and _fits(self.pin, pin)


@dataclass(frozen=True, slots=True)
class StaffList:
    """Everybody; without a bundle nobody."""

    people: Mapping[str, StaffMember] = field(default_factory=dict)

    def with_badge(self, text: str) -> StaffMember | None:
        """Whose badge has this text."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        found = None
        for each in self.people.values():  # each is compared, so that the time tells nothing
            if each.badge and hmac.compare_digest(each.badge, digest):
                found = each
        return found


def parse(content: object) -> StaffList:
    """The list of a bundle's content. Raises BadStaffList."""
    try:
        tree: dict[str, Any] = tomllib.loads(content) if isinstance(content, str) else {}
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadStaffList(f"staff list: not TOML: {error}") from None
    entries = tree.get("person")
    if not isinstance(entries, list) or tree.keys() != {"person"}:
        raise BadStaffList("staff list: it has [[person]] tables and nothing else")
    people: dict[str, StaffMember] = {}
    owners: dict[str, str] = {}
    for number, entry in enumerate(entries, 1):
        member = _member(entry, f"staff list: person {number}")
        if member.id in people:
            raise BadStaffList(f"staff list: person {number}: the id {member.id} is there twice")
        for what, text in (("badge", member.badge), ("PIN", member.pin)):  # as when an entry was copied
            if text and (other := owners.setdefault(text, member.id)) != member.id:
                raise BadStaffList(
                    f"staff list: person {number}: {member.id} has the {what} of {other}, and could confirm for"
                    f" both: make another by `gatepost staff new {member.id}`"
                )
        people[member.id] = member
    return StaffList(people)


def hash_pin(pin: str, salt: bytes, cost: int = _COST) -> str:
    """The entry `pin` of a list, of 2 ** `cost` rounds. Raises ValueError where a PIN is too short or too long."""
    if not MIN_PIN <= len(pin) <= MAX_PIN:
        raise ValueError(f"a PIN has {MIN_PIN} to {MAX_PIN} characters, not {len(pin)}")
    words = [
        str(cost),
        str(_BLOCK),
        str(_PARALLEL),
        _text(salt),
        _text(_scrypt(pin, salt, cost, _BLOCK, _PARALLEL)),
    ]
    return ":".join(["scrypt", *words])


def hash_badge(text: str) -> str:
    """The entry `badge` of a list."""
    return hashlib.sha256(text.encode()).hexdigest()


def _member(entry: object, where: str) -> StaffMember:
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise BadStaffList(f"{where}: id, role, pin and badge are texts")
    if unknown := entry.keys() - {"id", "role", "pin", "badge"}:
        raise BadStaffList(f"{where}: unknown key {min(unknown)!r}")
    if not ID.fullmatch(entry.get("id", "")):
        raise BadStaffList(f"{where}: an id has 1 to 16 letters and digits; for example G07")
    if entry.get("role") not in set(StaffRole):
        raise BadStaffList(f"{where}: a role is one of {', '.join(StaffRole)}")
    if not entry.get("pin") and not entry.get("badge"):
        raise BadStaffList(f"{where}: neither pin nor badge: nobody can log in so")
    if entry.get("pin") and _parts(entry["pin"]) is None:
        raise BadStaffList(f"{where}: pin is made by `gatepost staff new`: scrypt:14:8:1:SALT:HASH")
    if entry.get("badge") and not re.fullmatch(r"[0-9a-f]{64}", entry["badge"]):
        raise BadStaffList(f"{where}: badge is a SHA-256 of 64 hexadecimal digits")
    return StaffMember(entry["id"], StaffRole(entry["role"]), entry.get("pin", ""), entry.get("badge", ""))


def _parts(stored: str) -> tuple[int, int, int, bytes, bytes] | None:
    """Cost, block size, parallelism, salt and hash; None when it is no entry that this kiosk can afford."""
    found = re.fullmatch(r"scrypt:(\d{2}):(\d{1,2}):(\d):([\w-]{22}):([\w-]{43})", stored)
    if found is None:
        return None
    cost, block, parallel = map(int, found.groups()[:3])
    try:
        salt, digest = (urlsafe_b64decode(each + "=" * (-len(each) % 4)) for each in found.groups()[3:])
    except binascii.Error:
        return None
    if not (10 <= cost <= 15 and 1 <= block <= 8 and 1 <= parallel <= 4):  # noqa: PLR2004 - what 64 MB allow
        return None
    return cost, block, parallel, salt, digest


def _fits(stored: str, pin: str) -> bool:
    parts = _parts(stored)
    if parts is None:
        return False
    cost, block, parallel, salt, digest = parts
    return hmac.compare_digest(_scrypt(pin, salt, cost, block, parallel), digest)


def _scrypt(pin: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return hashlib.scrypt(
        pin.encode(), salt=salt, n=1 << cost, r=block, p=parallel, maxmem=_MOST_MEMORY, dklen=_HASH_BYTES
    )


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()

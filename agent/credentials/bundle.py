"""Signed bundles: how keys, policy tables and lists come from the central server, by TUF's rules. Pure.

Source: TUF specification 1.0.33, section 5 (client workflow), reduced to what a gate needs: the root names the
roles, each other bundle is one role's word on one thing.

A bundle is the payload of a DSSE envelope (`agent.crypto.dsse`) of type `PAYLOAD_TYPES["bundle"]`. Commands and
receipts lie in envelopes too, each of a type of its own: what was signed as one thing is never taken for another.

| member of the payload | meaning |
|---|---|
| type | one of TYPES, for example `keys`: the role that must sign it |
| name | which one of its type: a table, a list; `` for root and keys |
| fleet | the gates it is for |
| target | may be left out (all of the fleet): `<site>/<kiosk>`, `<site>/*` or `@<group>`; never of a root |
| version | rises by one for a root, by up to `MAX_LEAP` for others |
| issued_at, expires_at | POSIX seconds |
| warn_age_s, max_age_s | how old it may become before staff are told, and before they are asked |
| content | root: `{keys: {keyid: base64 DER}, roles: {type: {threshold, keyids}}}`; list: see docs; else text |
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from agent.credentials.freshness import MAX_AHEAD_S, Age
from agent.crypto import dsse, signing, strict_json
from agent.crypto.refusal import Malformed
from agent.model.lazy import dataclass
from agent.model.reasons import Rejection

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agent.model import TimeBounds

TYPES = ("root", "keys", "policy", "list", "privacy", "config", "venue", "roster", "zones", "release", "staff")
STATEMENT_TYPES = ("command", "receipt", "enrol")
"""What is said once and not kept: roles of a root whose envelopes are no bundles."""
PAYLOAD_TYPES = {name: f"application/vnd.gatepost.{name}.v1+json" for name in ("bundle", *STATEMENT_TYPES)}
"""What is signed → the `payloadType` of its envelope."""
MAX_BYTES = 1 << 20
MAX_LEAP = 100_000
"""A stolen key must not be able to use up all version numbers at once."""
_MAX_VERSION = 1 << 53
_EDDSA_OR_SM2 = {"Ed25519": signing.EDDSA, "SM2": signing.SM2}


class BadBundle(ValueError):
    """A bundle that is not taken; what was in force stays."""

    def __init__(self, fault: Rejection, fact: str, *, signed: bool = False) -> None:
        super().__init__(f"bundle refused: {fact}")
        self.fault, self.fact = fault, fact
        self.signed = signed
        """Of one with too few signatures: somebody has signed it who may."""


@dataclass(frozen=True, slots=True)
class RootRole:
    """Who may sign one type, and how many of them must."""

    threshold: int
    keyids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle's members. Signatures, name and time are verified, except after `unverified_header`."""

    type: str
    name: str
    fleet: str
    version: int
    issued_utc: float
    expires_utc: float
    age: Age
    content: Any
    digest: str
    """SHA-256 of the signed bytes, hexadecimal."""
    target: str = ""
    """Whom of the fleet it is for; empty for all."""


@dataclass(frozen=True, slots=True)
class Root:
    """The root in force: whose signatures count for what."""

    bundle: Bundle
    keys: Mapping[str, signing.PublicKey]
    roles: Mapping[str, RootRole]


@dataclass(frozen=True, slots=True)
class VersionFloor:
    """What was taken last of one type and name: to be kept where no bundle can change it."""

    version: int
    digest: str
    issued_utc: float


@dataclass(frozen=True, slots=True)
class _SignedBundle:
    """A parsed bundle and its signatures; nothing is proved yet."""

    bundle: Bundle
    seal: dsse.Envelope


def first_root(data: bytes) -> Root:
    """The root that is installed with the gate: it must be signed as it says itself. Raises BadBundle."""
    envelope = _open(data)
    root = _root(envelope)
    _demand_signatures(envelope.seal, root, envelope.bundle.type)
    return root


def next_root(current: Root, data: bytes) -> Root:
    """The root after the current one, signed as both of them ask. Raises BadBundle.

    It may have expired on the way: what counts is the last one of a chain, and `accept` looks at that.
    """
    envelope = _open(data)
    root = _root(envelope)
    bundle, before = envelope.bundle, current.bundle
    if bundle.fleet != before.fleet:
        raise BadBundle(Rejection.WRONG_FLEET, "it is for another fleet")
    if bundle.version != before.version + 1:
        fault = Rejection.ROLLBACK if bundle.version <= before.version else Rejection.VERSION_JUMP
        raise BadBundle(fault, f"root version {bundle.version} does not follow {before.version}")
    _demand_signatures(envelope.seal, current, envelope.bundle.type)
    _demand_signatures(envelope.seal, root, envelope.bundle.type)
    return root


def accept(
    data: bytes,
    root: Root,
    last: VersionFloor | None,
    now: TimeBounds,
    *,
    kind: str,
    name: str = "",
    targets: Collection[str] | None = None,
) -> Bundle:
    """The bundle, if it may take the place of the last one of its kind and name. Raises BadBundle.

    `targets`: those of this kiosk; None: the person who brings it by hand has chosen the kiosk.
    """
    _demand_root_in_time(root, now)
    envelope = _open(data)
    bundle = envelope.bundle
    if bundle.type != kind or kind == "root":
        raise BadBundle(Rejection.WRONG_TYPE, f"it is not a bundle of {kind}")
    if bundle.name != name:
        raise BadBundle(Rejection.WRONG_NAME, "it is about something else of its kind")
    if bundle.fleet != root.bundle.fleet:
        raise BadBundle(Rejection.WRONG_FLEET, "it is for another fleet")
    _demand_signatures(envelope.seal, root, envelope.bundle.type)
    demand_target(bundle, targets)
    if last is not None:
        _demand_progress(bundle, last)
    if bundle.expires_utc < now.earliest_utc:
        raise BadBundle(Rejection.EXPIRED, "it has expired")
    if bundle.issued_utc > now.latest_utc + MAX_AHEAD_S:
        raise BadBundle(Rejection.ISSUED_IN_FUTURE, "it is dated more than a day ahead")
    return bundle


def verify_stored(data: bytes, root: Root, *, kind: str, name: str = "") -> Bundle:
    """A bundle that was accepted before, as it lies on disk: signed as the root asks now. Raises BadBundle."""
    envelope = _open(data)
    bundle = envelope.bundle
    if (bundle.type, bundle.name, bundle.fleet) != (kind, name, root.bundle.fleet):
        raise BadBundle(Rejection.WRONG_NAME, "it lies in the place of another")
    _demand_signatures(envelope.seal, root, envelope.bundle.type)
    return bundle


def verify_statement(data: bytes, root: Root, role: str, now: TimeBounds) -> dict[str, Any]:
    """The members of a `command` or a `receipt` that enough keys of that role have signed. Raises BadBundle.

    Nothing but the signatures is proved: whom it is for, and until when, is its own matter.
    """
    _demand_root_in_time(root, now)
    seal = _read(data, role)
    _demand_signatures(seal, root, role)
    try:
        return strict_json.decode_object(seal.payload)
    except Malformed as error:
        raise BadBundle(Rejection.MALFORMED, error.reason) from None


def unverified_header(data: bytes) -> Bundle:
    """What a bundle says of itself; nothing is proved by it. Raises BadBundle."""
    return _open(data).bundle


def demand_root(data: bytes) -> None:
    """Raise BadBundle unless it lays down roles that its keys can reach; who has signed it is not looked at."""
    _root(_open(data))


def version_floor(bundle: Bundle) -> VersionFloor:
    """What to remember of a bundle that was taken."""
    return VersionFloor(bundle.version, bundle.digest, bundle.issued_utc)


def sign(signed: Mapping[str, object], keys: Sequence[signing.PrivateKey], role: str = "bundle") -> bytes:
    """An envelope with one signature of each key; for the central server. `role`: one of STATEMENT_TYPES for
    what is no bundle.
    """
    content = json.dumps(signed, ensure_ascii=False, separators=(",", ":")).encode()
    return dsse.sign(PAYLOAD_TYPES[role], content, keys)


def _open(data: bytes) -> _SignedBundle:
    """Parse an envelope and the bundle in it. Raises BadBundle."""
    seal = _read(data, "bundle")
    try:
        return _SignedBundle(_bundle(seal.payload), seal)
    except (Malformed, KeyError, TypeError, ValueError):
        raise BadBundle(Rejection.MALFORMED, "its members are not those of a bundle") from None


def _read(data: bytes, what: str) -> dsse.Envelope:
    """Parse an envelope of this type; what is in it stays as it is. Raises BadBundle."""
    if len(data) > MAX_BYTES:
        raise BadBundle(Rejection.TOO_LARGE, f"it is longer than {MAX_BYTES} bytes")
    try:
        envelope = dsse.parse(data)
    except Malformed as error:
        raise BadBundle(Rejection.INVALID_ENVELOPE, error.reason) from None
    if envelope.payload_type != PAYLOAD_TYPES[what]:
        raise BadBundle(Rejection.WRONG_PAYLOAD_TYPE, f"its payloadType is not {PAYLOAD_TYPES[what]}")
    return envelope


def _bundle(content: bytes) -> Bundle:
    """The signed members, each of its type. Raises ValueError, KeyError, TypeError or Malformed."""
    match strict_json.decode(content):
        case {
            "type": str(kind),
            "name": str(name),
            "fleet": str(fleet),
            "version": int(version),
            "issued_at": int(issued),
            "expires_at": int(expires),
            "warn_age_s": int(warn_age_s),
            "max_age_s": int(max_age_s),
            "content": body,
            **rest,
        } if kind in TYPES and 1 <= version < _MAX_VERSION and 0 <= issued < expires < _MAX_VERSION:
            age, digest = Age(f"{kind} {name}".strip(), issued, warn_age_s, max_age_s), sha256(content).hexdigest()
            target = rest.get("target", "")
            if isinstance(target, str) and not (target and kind == "root"):
                return Bundle(kind, name, fleet, version, issued, expires, age, body, digest, target)
    raise ValueError("not the members of a bundle")


def _root(envelope: _SignedBundle) -> Root:
    """The roles that a root bundle lays down. Raises BadBundle."""
    bundle = envelope.bundle
    if bundle.type != "root":
        raise BadBundle(Rejection.WRONG_TYPE, "it is not a root")
    try:
        keys = {kid: signing.public_key(b64decode(der)) for kid, der in bundle.content["keys"].items()}
        roles = {
            kind: RootRole(role["threshold"], frozenset(role["keyids"]))
            for kind, role in bundle.content["roles"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError, binascii.Error):
        raise BadBundle(Rejection.MALFORMED, "its keys or roles cannot be read") from None
    if any(key.kid.hex() != kid or key.name not in _EDDSA_OR_SM2 for kid, key in keys.items()):
        raise BadBundle(
            Rejection.MALFORMED, "a key that is not what its id says, or of a kind that does not sign here"
        )
    for role in roles.values():
        if type(role.threshold) is not int or not 1 <= role.threshold <= len(role.keyids & keys.keys()):
            raise BadBundle(Rejection.MALFORMED, "a role whose threshold its keys cannot reach")
    if "root" not in roles or not set(roles) <= {*TYPES, *STATEMENT_TYPES}:
        raise BadBundle(Rejection.MALFORMED, "it must name the root's own role, and only roles that there are")
    return Root(bundle, keys, roles)


def _demand_root_in_time(root: Root, now: TimeBounds) -> None:
    if root.bundle.expires_utc < now.earliest_utc:
        raise BadBundle(Rejection.ROOT_EXPIRED, "the root has expired: bring a newer one first")


def _demand_signatures(seal: dsse.Envelope, root: Root, role: str) -> None:
    """Enough different keys of the role must have signed. Raises BadBundle."""
    asked = root.roles.get(role, RootRole(dsse.MAX_SIGNATURES + 1, frozenset()))
    message = seal.message
    holding = {
        kid
        for kid, signature in seal.signatures
        if kid in asked.keyids
        and kid in root.keys
        and root.keys[kid].verify(signature, message, _EDDSA_OR_SM2[root.keys[kid].name])
    }
    if len(holding) < asked.threshold:
        fact = f"{len(holding)} signatures hold, more are needed"
        raise BadBundle(Rejection.TOO_FEW_SIGNATURES, fact, signed=bool(holding))


def demand_target(bundle: Bundle, targets: Collection[str] | None) -> None:
    """It must be for all, or for one of these; None: for anybody. Raises BadBundle."""
    if targets is not None and bundle.target and bundle.target not in targets:
        raise BadBundle(Rejection.WRONG_TARGET, f"it is for {bundle.target}, to which this kiosk does not belong")


def demand_not_older(bundle: Bundle, last: VersionFloor) -> None:
    """A bundle on disk must be the one that was accepted last, or a newer one. Raises BadBundle."""
    _demand_progress(bundle, last)


def _demand_progress(bundle: Bundle, last: VersionFloor) -> None:
    """Never back, never two of one version, never a leap. The same one again is fine. Raises BadBundle."""
    if bundle.version == last.version:
        if bundle.digest != last.digest:
            raise BadBundle(Rejection.VERSION_CONFLICT, f"another version {bundle.version} is in force")
        return
    if bundle.version < last.version or bundle.issued_utc < last.issued_utc:
        raise BadBundle(
            Rejection.ROLLBACK, f"version {bundle.version} is older than {last.version}, which is in force"
        )
    if bundle.version > last.version + MAX_LEAP:
        raise BadBundle(Rejection.VERSION_JUMP, f"version {bundle.version} is too far ahead of {last.version}")

"""An invitation: what a new kiosk must know before it sends anything. Pure.

It is a signed statement of role `enrol`. A kiosk without a root cannot verify it when it is shown. It follows the
invitation, and when the answer brings the root, that must be the one invited (`root`), and it must allow the
signer of the invitation. A false invitation can lead a new kiosk away; it cannot let anybody join a fleet.

| member | meaning |
|---|---|
| fleet | as in the root |
| root | SHA-256 of the root bundle, base64url |
| pins | SHA-256 of the broker's public key (SubjectPublicKeyInfo), base64url; [] without TLS |
| host, port | the broker, or what listens for it |
| site, kiosk | the names; `kiosk` is empty when a person is to choose it |
| token | 128 bit, base64url; empty when a person is to confirm |
| expires_at | POSIX seconds, by the authority's clock |
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from agent.crypto import strict_json
from agent.crypto.refusal import Malformed
from agent.model.bounds import NAME
from agent.mqtt.options import is_host

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 4096
MAX_DAYS = 7
TOKEN_BYTES = 16
QR_BYTES = 900
"""More is not read well from a phone's screen."""
_NAME = re.compile(NAME)
_HASH_BYTES = 32


class BadInvitation(ValueError):
    """What was shown is no invitation that can be followed; `str()` says why."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """Whom to ask, and how to know that it is they who answer."""

    fleet: str
    root: bytes
    pins: tuple[bytes, ...]
    host: str
    port: int
    site: str
    kiosk: str
    token: bytes = field(repr=False)
    expires_utc: int

    @property
    def id(self) -> str:
        """Names it without giving the token away."""
        return sha256(b"gatepost-invitation-1\0" + self.token).hexdigest()[:32] if self.token else ""


def members(invitation: Invitation) -> dict[str, object]:
    """What is signed."""
    return {
        "fleet": invitation.fleet,
        "root": encoded(invitation.root),
        "pins": [encoded(pin) for pin in invitation.pins],
        "host": invitation.host,
        "port": invitation.port,
        "site": invitation.site,
        "kiosk": invitation.kiosk,
        "token": encoded(invitation.token),
        "expires_at": invitation.expires_utc,
    }


def parse(plain: Mapping[str, Any]) -> Invitation:
    """From what was signed. Raises BadInvitation."""
    match plain:
        case {
            "fleet": str(fleet),
            "root": str(root),
            "pins": list(pins),
            "host": str(host),
            "port": int(port),
            "site": str(site),
            "kiosk": str(kiosk),
            "token": str(token),
            "expires_at": int(expires),
            **rest,
        } if not rest and is_host(host) and 0 < port < 1 << 16 and expires >= 0:
            made = Invitation(
                fleet, decoded(root), tuple(decoded(str(pin)) for pin in pins), host, port, site, kiosk,
                decoded(token), expires,
            )  # fmt: skip
        case _:
            raise BadInvitation("its members are not those of an invitation")
    if len(made.root) != _HASH_BYTES or any(len(pin) != _HASH_BYTES for pin in made.pins):
        raise BadInvitation("it names a hash that is none")
    if made.token and len(made.token) != TOKEN_BYTES:
        raise BadInvitation("its token has another length")
    if not made.token and not made.pins:
        raise BadInvitation("without a token it needs TLS: nothing else would tell who answers")
    if not _NAME.fullmatch(made.site) or (made.kiosk and not _NAME.fullmatch(made.kiosk)):
        raise BadInvitation("it names a site or a kiosk that is no name")
    return made


def unverified(data: bytes) -> Invitation:
    """What an envelope says of itself; nothing is proved by it. Raises BadInvitation."""
    if len(data) > MAX_BYTES:
        raise BadInvitation(f"it is longer than {MAX_BYTES} bytes")
    try:
        match strict_json.decode(data.strip()):
            case {"payload": str(signed)}:
                return parse(strict_json.decode_object(decoded(signed)))
    except (Malformed, ValueError) as error:
        if isinstance(error, BadInvitation):
            raise
    raise BadInvitation("it is not an invitation")


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """From base64 of either alphabet. Raises BadInvitation."""
    plain = text.replace("+", "-").replace("/", "_").rstrip("=")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", plain):
        raise BadInvitation("it holds what is no base64")
    try:
        return urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
    except ValueError:
        raise BadInvitation("it holds what is no base64") from None

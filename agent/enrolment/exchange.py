"""Request and answer of an enrolment or a renewal, and what proves them. Pure.

The token itself never travels: a request carries HMAC-SHA-256 of it over the certificate request, so anyone who
reads along, also the broker, can neither use it for a key of his own nor answer in the authority's place.

| request | meaning |
|---|---|
| csr | PKCS #10, PEM |
| id | which invitation; empty for one without a token, and for a renewal |
| proof | HMAC of the token over the csr, hexadecimal; of a renewal: the present key's signature over it, base64 |
| certificate | of a renewal: the present certificate, PEM |
| release, serial | of the software, of the machine: for the person who confirms |

| answer | meaning |
|---|---|
| body | JSON text: `status` is issued, pending or refused |
| proof | HMAC of the token over the request's digest and the body; of one without a token: empty |
"""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, Literal, get_args

from agent.crypto import strict_json
from agent.crypto.refusal import Malformed

MAX_REQUEST = 8192
MAX_ANSWER = 2_000_000
_REQUEST, _ANSWER = b"gatepost-enrol-request-1\0", b"gatepost-enrol-answer-1\0"
_SHORT = 128

Status = Literal["issued", "pending", "refused"]
REASONS: dict[str, str] = {
    "malformed": "the request cannot be read: the kiosk and the authority are of different releases",
    "unknown_invitation": "the authority knows no such invitation: it was made by another, or taken back",
    "expired": "the invitation has expired, or the certificate has: ask for a new invitation",
    "revoked": "the invitation or the kiosk was revoked: ask for a new invitation",
    "used": "another kiosk has used this invitation: ask for a new one, and find out who",
    "bad_proof": "the request was not made with the invitation's token",
    "bad_request": "the certificate request is not signed by its own key, or the key is of another kind",
    "not_ours": "the certificate was not issued here",
    "root_changed": "the fleet has another root now: ask for a new invitation",
    "authority_failed": "the authority could not issue a certificate: its own log says why",
    "too_many": "this kiosk has many certificates that are valid still: revoke it, and invite it again",
}
"""What to do, for people."""


class BadExchange(ValueError):
    """A request or an answer that counts for nothing."""


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A kiosk asks for a certificate."""

    csr: str
    id: str = ""
    proof: str = ""
    certificate: str = ""
    release: str = ""
    serial: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the authority says."""

    status: Status
    reason: str = ""
    certificate: str = ""
    """PEM, the kiosk's first."""
    broker_ca: str = ""
    """PEM of the authority behind the broker; empty when the system's are meant."""
    root: str = ""
    """Root bundle, text."""
    bundles: tuple[str, ...] = ()
    """First bundles, texts."""
    site: str = ""
    kiosk: str = ""
    host: str = ""
    """Broker to use from now on."""
    port: int = 0
    config: str = field(default="", repr=False)
    """TOML: the kiosk's first settings."""


def request(csr: str, token: bytes, id_: str, release: str = "", serial: str = "") -> bytes:
    """A request as it travels."""
    proof = hmac.new(token, _REQUEST + csr.encode(), sha256).hexdigest() if token else ""
    return _packed(asdict(CertificateRequest(csr, id_, proof, "", release[:_SHORT], serial[:_SHORT])))


def renewal(csr: str, certificate: str, signature: str, release: str = "") -> bytes:
    """A request of a kiosk that has a certificate already."""
    return _packed(asdict(CertificateRequest(csr, "", signature, certificate, release[:_SHORT])))


def renewal_message(csr: str) -> bytes:
    """What the present key signs."""
    return b"gatepost-renewal-1\0" + csr.encode()


def parse_request(data: bytes) -> CertificateRequest:
    """Raises BadExchange."""
    if len(data) > MAX_REQUEST:
        raise BadExchange("a request is shorter")
    try:
        plain = strict_json.decode_object(data)
        made = CertificateRequest(**plain)
    except (Malformed, TypeError, ValueError):
        raise BadExchange("it is no request") from None
    if not all(isinstance(value, str) for value in plain.values()):
        raise BadExchange("it is no request")
    if len(made.release) > _SHORT or len(made.serial) > _SHORT or not (made.release + made.serial).isprintable():
        raise BadExchange("it is no request")
    return made


def holds_token(asked: CertificateRequest, token: bytes) -> bool:
    """Whether it was made with this token."""
    wanted = hmac.new(token, _REQUEST + asked.csr.encode(), sha256).hexdigest()
    return hmac.compare_digest(wanted, asked.proof.encode("ascii", "replace").decode())


def answer(found: Answer, data: bytes, token: bytes) -> bytes:
    """An answer to the request `data` as it travels."""
    body = json.dumps(asdict(found), separators=(",", ":"))
    return _packed({"body": body, "proof": _answer_proof(data, body, token) if token else ""})


def parse_answer(payload: bytes, data: bytes, token: bytes) -> Answer:
    """The answer to our request `data`; with a token it must be the authority's. Raises BadExchange."""
    if len(payload) > MAX_ANSWER:
        raise BadExchange("an answer is shorter")
    try:
        outer = strict_json.decode_object(payload)
        body, proof = outer["body"], outer["proof"]
    except (Malformed, KeyError):
        raise BadExchange("it is no answer") from None
    if not isinstance(body, str) or not isinstance(proof, str):
        raise BadExchange("it is no answer")
    wanted = _answer_proof(data, body, token).encode()
    if token and not hmac.compare_digest(wanted, proof.encode("utf-8", "replace")):
        raise BadExchange("it is not from who has invited us")
    try:
        plain: dict[str, Any] = json.loads(body)
        found = Answer(**{**plain, "bundles": tuple(plain["bundles"])})
    except (KeyError, TypeError, ValueError, RecursionError):
        raise BadExchange("it is no answer") from None
    texts = (found.certificate, found.root, found.config, found.broker_ca, found.site, found.kiosk, found.host)
    if (
        found.status not in get_args(Status)
        or type(found.port) is not int
        or not all(isinstance(text, str) for text in (*texts, *found.bundles))
    ):
        raise BadExchange("it is no answer")
    return found


def _answer_proof(data: bytes, body: str, token: bytes) -> str:
    said = body.encode("utf-8", "surrogatepass")
    return hmac.new(token, _ANSWER + sha256(data).digest() + said, sha256).hexdigest()


def _packed(plain: dict[str, Any]) -> bytes:
    return json.dumps(plain, separators=(",", ":")).encode()

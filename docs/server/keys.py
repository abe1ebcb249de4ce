"""Receipts are signed, and sealed parts of events are opened."""

from __future__ import annotations

import contextlib
import json
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

if TYPE_CHECKING:
    from pathlib import Path

SEALED = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
RECEIPT = b"application/vnd.gatepost.receipt.v1+json"


class Signer:
    """Signs receipts with a key that the kiosks' root names for the role `receipt`."""

    def __init__(self, file: Path) -> None:
        """Raises OSError, ValueError."""
        self._key = _private_key(file, Ed25519PrivateKey, "gatepost keys new receipts --server")
        public = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self._keyid = sha256(public).hexdigest()[:16]

    def receipt(self, members: dict[str, Any]) -> str:
        """As an envelope of DSSE 1.0."""
        payload = json.dumps(members).encode()
        signature = self._key.sign(b"DSSEv1 %d %b %d %b" % (len(RECEIPT), RECEIPT, len(payload), payload))
        signatures = [{"keyid": self._keyid, "sig": b64encode(signature).decode()}]
        envelope = {
            "payloadType": RECEIPT.decode(),
            "payload": b64encode(payload).decode(),
            "signatures": signatures,
        }
        return json.dumps(envelope)


def sealing_key(file: Path) -> X25519PrivateKey:
    """Raises OSError, ValueError."""
    return _private_key(file, X25519PrivateKey, "gatepost privacy new 2026-w47")


def _private_key(file: Path, kind: type, made_by: str) -> Any:
    with contextlib.suppress(TypeError, ValueError):
        if isinstance(key := load_pem_private_key(file.read_bytes(), None), kind):
            return key
    raise ValueError(f"{file}: no private key of its kind, in PEM and without a passphrase; made by `{made_by}`")


def unsealed(source: str, data: dict[str, Any], keys: list[X25519PrivateKey]) -> dict[str, Any] | None:
    """What was sealed in an event of `source`; None when no key fits. See docs/privacy.md."""
    try:
        sealed, clock, credential = data["sealed"], data["clock"], data["credential"]
        header = [
            "gatepost-sealed-1", source, sealed["keyid"], clock["boot_id"], clock["boottime_ms"], data["lane"],
            data["direction"], data["decision"], data["gate_opened"], credential and credential["format"],
            data["duration_ms"], data["simulated"],
        ]  # fmt: skip
        info = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        closed = b64decode(sealed["enc"]) + b64decode(sealed["ct"])
    except (KeyError, TypeError, ValueError):
        return None
    for key in keys:
        try:
            return json.loads(SEALED.decrypt(closed, key, info))
        except (InvalidTag, ValueError):
            continue
    return None

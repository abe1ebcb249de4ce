"""DSSE: an envelope of signed bytes that says what they are. Pure.

Source: Dead Simple Signing Envelope 1.0.2, `protocol.md` and `envelope.md`.

    {"payloadType": "...", "payload": base64, "signatures": [{"keyid": "...", "sig": base64}]}

A signature is over PAE(payloadType, payload): what was signed as one type never counts as another, and nothing has
to be put into canonical form. `keyid` only says which key to try. Further members are passed over.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64encode
from dataclasses import field
from typing import TYPE_CHECKING

from agent.crypto import strict_json
from agent.crypto.refusal import Malformed
from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.crypto.signing import PrivateKey

MAX_SIGNATURES = 32
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A parsed envelope. Nothing is verified yet."""

    payload_type: str
    payload: bytes
    signatures: Sequence[tuple[str, bytes]] = field(repr=False)
    """(keyid, signature); the keyid is empty where there is none."""

    @property
    def message(self) -> bytes:
        """What the signatures are over."""
        return pre_authentication_encoding(self.payload_type, self.payload)


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """PAE of the specification: the bytes to sign."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def parse(data: bytes) -> Envelope:
    """The envelope in `data`. Raises Malformed."""
    match strict_json.decode(data):
        case {"payloadType": str(payload_type), "payload": str(payload), "signatures": list(entries)}:
            if len(entries) > MAX_SIGNATURES:
                raise Malformed(f"more than {MAX_SIGNATURES} signatures")
            return Envelope(payload_type, _base64(payload), [_signature(entry) for entry in entries])
        case {"signed": _, "signatures": _}:
            raise Malformed('"signed" in place of "payloadType" and "payload": an envelope from before DSSE')
    raise Malformed('no DSSE envelope: needs "payloadType", "payload" and "signatures"')


def sign(payload_type: str, payload: bytes, keys: Sequence[PrivateKey]) -> bytes:
    """An envelope with one signature of each key."""
    message = pre_authentication_encoding(payload_type, payload)
    signatures = [{"keyid": key.public.kid.hex(), "sig": b64encode(key.sign(message)).decode()} for key in keys]
    envelope = {
        "payloadType": payload_type,
        "payload": b64encode(payload).decode(),
        "signatures": signatures,
    }
    return json.dumps(envelope).encode()


def _signature(entry: object) -> tuple[str, bytes]:
    match entry:
        case {"sig": str(signature), **rest}:
            keyid = rest.get("keyid") or ""
            if isinstance(keyid, str):
                return keyid, _base64(signature)
    raise Malformed('a signature needs "sig" and "keyid"')


def _base64(text: str) -> bytes:
    """Standard or URL-safe, as the specification asks of readers; with padding. Raises Malformed."""
    try:
        return binascii.a2b_base64(text.encode("ascii").translate(_URL_SAFE), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise Malformed("payload or sig is not base64") from None

"""Public keys of a pretix event, as its API gives them: `valid_keys.pretix_sig1`, base64 of PEM each. Pure.

The file is the answer of `/api/v1/organizers/ORGANISER/events/EVENT/` (or of `…/settings/`), whole or the list
alone.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from binascii import Error
from typing import TYPE_CHECKING, Any

from agent.credentials.trust import short_hash
from agent.crypto import signing
from agent.issuers import PublishedKey, PublishedList

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = "pretix"
_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----(.*?)-----END PUBLIC KEY-----", re.DOTALL)


def read(files: Mapping[str, bytes], _now_utc: float, issuer: str = "") -> PublishedList:
    """The event's keys; `issuer`: what lanes call the event. Raises ValueError."""
    if not issuer:
        raise ValueError("--issuer is needed: the name of the event as lanes have it, for example concert")
    keys, left_out = {}, []
    for name, data in files.items():
        for number, text in enumerate(_texts(name, data), 1):
            try:
                spki = _spki(text)
            except ValueError as error:
                left_out.append(f"{name}, key {number}: {error}")
                continue
            keys[spki] = PublishedKey(issuer, short_hash(spki), FORMAT, spki)
    return PublishedList(tuple(keys.values()), tuple(left_out))


def _texts(name: str, data: bytes) -> list[str]:
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError(f"{name}: not JSON") from None
    if isinstance(found, dict):
        found = found.get("valid_keys", found)
    if isinstance(found, dict):
        found = found.get("pretix_sig1")
    if not isinstance(found, list) or not found or not all(isinstance(each, str) for each in found):
        raise ValueError(f"{name}: no valid_keys.pretix_sig1: set the event's ticket secrets to signature scheme 1")
    return found


def _spki(text: str) -> bytes:
    try:
        match = _PEM.search(b64decode(text, validate=True))
        public = signing.public_key(b64decode(match[1]) if match is not None else b"")
    except (Error, signing.BadKey):
        raise ValueError("not base64 of a public key in PEM form") from None
    if public.name != "Ed25519":
        raise ValueError(f"{public.name}, and not Ed25519")
    return public.spki

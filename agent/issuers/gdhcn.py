"""WHO's trust list (GDHCN, formerly TNG): DID documents `…/v2/trustlist/DOMAIN/PARTICIPANT/USAGE/did.json`. Pure.

| of an entry | use |
|---|---|
| `id`: `did:web:HOST:v2:trustlist:DOMAIN:PARTICIPANT:USAGE#KID` | domain, who, and what the key is for |
| `publicKeyJwk.x5c[0]` | the certificate: key, validity, extended key usage; its own `x`, `y` are never looked at |

A signer (DSC) counts only under a certificate of an authority (SCA) of the same participant and domain among the
files that is valid, may vouch, and whose signature on it holds. A key is bound to its domain: those of DCC sign
Digital COVID Certificates (`dcc`), those of all others WHO's certificates (`who`). The key's id must be that of the
certificate. The `proof` of a document needs JSON-LD and is not read: the chain and the reader of the diff stand in
for it.
"""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64decode
from binascii import Error
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from agent.credentials.trust import key_uses, short_hash
from agent.crypto import signing, strict_json
from agent.crypto.refusal import Malformed
from agent.issuers import PublishedKey, PublishedList, day

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ID = re.compile(r"did:web:[^#]*:trustlist:([A-Z0-9-]+):([A-Z]{3}):(DSC|SCA)#(.+)")
_SIGNER, _AUTHORITY = "DSC", "SCA"
_FORMATS = {"DCC": "dcc"}
_KID_BYTES = 8


class _Participant(NamedTuple):
    name: str
    domain: str
    participant: str
    usage: str
    kid: str
    der: bytes


def read(files: Mapping[str, bytes], now_utc: float) -> PublishedList:
    """Signers whose chain holds. Raises ValueError."""
    entries: list[_Participant] = []
    left_out: list[str] = []
    for name, data in files.items():
        for found in _entries(name, data):
            if isinstance(found, _Participant):
                entries.append(found)
            else:
                left_out.append(found)
    authorities: dict[tuple[str, str], list[bytes]] = {}
    for entry in entries:
        if entry.usage == _AUTHORITY:
            authorities.setdefault((entry.domain, entry.participant), []).append(entry.der)
    keys = {}
    for entry in entries:
        if entry.usage != _SIGNER:
            continue
        try:
            key = _signer(entry, authorities.get((entry.domain, entry.participant), []), now_utc)
        except ValueError as error:
            left_out.append(f"{entry.name}: {error}")
            continue
        keys[key.issuer, key.kid, key.spki] = key
    return PublishedList(tuple(keys.values()), tuple(left_out))


def _entries(name: str, data: bytes) -> Iterator[_Participant | str]:
    """What a document holds, or why an entry is none."""
    try:
        document = strict_json.decode_object(data)
    except Malformed as error:
        raise ValueError(f"{name}: {error.reason}") from None
    methods = document.get("verificationMethod")
    if not isinstance(methods, list):
        raise ValueError(f"{name}: no DID document: it has no verificationMethod")  # noqa: TRY004 - of the text
    for number, method in enumerate(methods, 1):
        match method:
            case {"id": str(identity), "publicKeyJwk": {"x5c": [str(text), *_]}} if (
                parts := _ID.fullmatch(identity)
            ) is not None:
                title = f"{parts[2]} {parts[1]} {parts[3]} {parts[4][:24]}"
                try:
                    yield _Participant(
                        title, parts[1], parts[2], parts[3], unquote(parts[4]), b64decode(text, validate=True)
                    )
                except Error:
                    yield f"{title}: a certificate that is not base64"
            case _:
                yield f"{name}, entry {number}: no signer or authority of a participant, with a certificate"


def _signer(entry: _Participant, authorities: list[bytes], now_utc: float) -> PublishedKey:
    """The key of an entry. Raises ValueError with a phrase."""
    public, limits = signing.certificate_key(entry.der), signing.certificate_limits(entry.der)
    kid = short_hash(entry.der)
    if _named(entry.kid) != kid:
        raise ValueError("its key id is not that of its certificate")
    form = _FORMATS.get(entry.domain, "who")
    if public.is_weak or public.name.split()[0] not in key_uses()[form].kinds:
        raise ValueError(f"a key that is not taken: {public.name}")
    if limits.expires_utc <= now_utc:
        raise ValueError(f"ended on {day(limits.expires_utc)}")
    good = [each for each in authorities if _may_vouch(each, now_utc)]
    if not any(signing.is_signed_by(entry.der, signing.certificate_key(each)) for each in good):
        raise ValueError("no valid authority (SCA) of its participant and domain has signed it")
    issuer = f"who/{entry.participant}/{entry.domain}"
    return PublishedKey(
        issuer, kid, form, public.spki, limits.starts_utc, limits.expires_utc, certificate=entry.der
    )


def _may_vouch(der: bytes, now_utc: float) -> bool:
    try:
        limits = signing.certificate_limits(der)
        signing.certificate_key(der)
    except signing.BadKey:
        return False
    return limits.may_vouch and limits.starts_utc <= now_utc < limits.expires_utc


def _named(text: str) -> bytes:
    """The key id of an entry; `` when it is none."""
    try:
        raw = urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "=" * (-len(text) % 4))
    except (Error, ValueError):
        return b""
    return raw if len(raw) == _KID_BYTES else b""

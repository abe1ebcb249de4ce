"""JSON Web Key Sets (RFC 7517) and DID documents, as issuers of health cards and passes publish their keys.

A set belongs to one issuer (`<iss>/.well-known/jwks.json`). Its name is taken from what is around it: a set under
the issuer's address, a set with an `iss` member, or the address in a certificate (`x5c`) of one of its keys. A set
that names nobody may sign for any address: the person who gave it to us has pinned it.

A key that its publisher gives for something else (`use`, `key_ops`, another `alg`; of a DID document one that is
not among `assertionMethod`) is passed over.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent.credentials.trust import TrustedKey, certified, issuer_name
from agent.crypto import base64url, signing
from agent.crypto.refusal import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS = ("EC", "OKP")
_ALGORITHMS = {
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA", "Ed25519"),
}
_FORMATS = frozenset({"gatepost", "shc", "nzcp"})


def read(document: Mapping[str, Any]) -> list[TrustedKey]:
    """Keys of one set, of several under their issuers' names, or of a DID document. Raises ValueError."""
    if "verificationMethod" in document:
        return list(_did(document))
    if "keys" in document:
        return list(_set(document, document.get("iss")))
    return [key for issuer, keys in document.items() if isinstance(keys, Mapping) for key in _set(keys, issuer)]


def _set(document: Mapping[str, Any], issuer: object) -> Iterator[TrustedKey]:
    entries = document.get("keys")
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ValueError("a key set is {keys: […]}")
    name = issuer_name(issuer if isinstance(issuer, str) else _address(entries))
    for entry in entries:
        if isinstance(entry.get("kty"), str) and entry["kty"] not in _KINDS:
            continue  # RFC 7517, section 5: a kind that is not understood is passed over
        if not _is_for_signatures(entry):
            continue
        kid = entry.get("kid")
        yield _key(entry, name, kid.encode() if isinstance(kid, str) else _public(entry).kid)


def _did(document: Mapping[str, Any]) -> Iterator[TrustedKey]:
    """A key's id is the fragment of its method's."""
    methods, assertions = document["verificationMethod"], document.get("assertionMethod")
    asserted = {_fragment(each) for each in assertions} if isinstance(assertions, list) else None
    for method in methods if isinstance(methods, list) else []:
        match method:
            case {"id": str(name), "publicKeyJwk": dict(key)} if asserted is None or _fragment(name) in asserted:
                issuer, _, fragment = name.partition("#")
                if _is_for_signatures(key):
                    yield _key(key, issuer or str(document.get("id") or ""), fragment.encode())


def _fragment(name: object) -> str:
    """What of a method's name is its own; the document's may be left out before it."""
    return name.partition("#")[2] if isinstance(name, str) else ""


def _is_for_signatures(entry: Mapping[str, Any]) -> bool:
    """Whether its publisher gives the key for signatures, by the algorithm that is verified with it here."""
    operations, algorithm = entry.get("key_ops"), entry.get("alg")
    return (
        entry.get("use") in (None, "sig")
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
        and (algorithm is None or algorithm in _ALGORITHMS.get(str(entry.get("crv")), ()))
    )


def _key(entry: Mapping[str, Any], issuer: str, kid: bytes) -> TrustedKey:
    """One key, within what its certificate allows where it has one. Raises ValueError."""
    public, der = _public(entry), _certificate(entry)
    if not der:
        return TrustedKey(issuer, kid, _FORMATS, public)
    key = certified(der, _FORMATS, issuer=issuer, kid=kid)
    if key.public != public:
        raise ValueError("a key whose certificate (x5c) is of another key")
    return replace(key, issuer=issuer)


def _certificate(entry: Mapping[str, Any]) -> bytes:
    """DER of the key's own certificate; `` when it has none. Raises ValueError."""
    chain = entry.get("x5c")
    if not isinstance(chain, list) or not chain:
        return b""
    try:
        return b64decode(chain[0] if isinstance(chain[0], str) else "!", validate=True)
    except binascii.Error:
        raise ValueError("a certificate (x5c) that is not base64") from None


def _address(entries: list[Mapping[str, Any]]) -> str:
    """The issuer's address in the first certificate that names one; `` when none does."""
    for entry in entries:
        der = _certificate(entry)
        if der and (addresses := signing.certificate_addresses(der)):
            return addresses[0]
    return ""


def _public(entry: Mapping[str, Any]) -> signing.PublicKey:
    if "d" in entry:
        raise ValueError("a private key (d): ask its owner for the public part, and for another key")
    match entry:
        case {"kty": "EC", "crv": str(curve), "x": str(x), "y": str(y)}:
            return signing.point_key(curve, int.from_bytes(_bytes(x)), int.from_bytes(_bytes(y)))
        case {"kty": "OKP", "crv": "Ed25519", "x": str(x)}:
            return signing.ed25519_key(_bytes(x))
    raise ValueError("a key that is neither EC nor Ed25519")


def _bytes(text: str) -> bytes:
    try:
        return base64url.decode(text.rstrip("=").encode())
    except Malformed:
        raise ValueError("a key that is not base64url") from None

"""UIC's list of the keys of rail tickets (`keys.xml`): unsigned, so what it changes is to be read. Pure.

| element of `key` | use |
|---|---|
| `issuerCode`, `id` | the key's name, as `1080/2` |
| `signatureAlgorithm` | DSA or ECDSA and a hash, in many spellings |
| `publicKey` | a certificate, or a key alone; base64 |
| `startDate`, `endDate` | days, UTC |
| `keyForged` | such a key is left out |

Some certificates are broken in ways that libraries refuse whole (no version where extensions are, a country of
eleven letters): only the key in them is taken, found by its place. XML with a document type is refused: entities
have no place in a list of keys.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from agent.credentials import rail
from agent.crypto import der, signing
from agent.issuers import PublishedKey, PublishedList, day, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 8 << 20
_DAY_S = 86_400.0
_ALGORITHM = re.compile(r"SHA-?(1|224|256|384|512)\D*?(EC)?DSA", re.IGNORECASE)
_ALGORITHMS = {
    ("1", False): signing.DSA_SHA1,
    ("224", False): signing.DSA_SHA224,
    ("256", False): signing.DSA_SHA256,
    ("256", True): signing.ES256,
    ("384", True): signing.ES384,
    ("512", True): signing.ES512,
}
_NOT_FORGED = {"", "false", "0", "no"}
"""Whatever else is said of it is no word for a key to trust."""
_CODE, _ID = re.compile(r"\d{1,4}"), re.compile(r"[0-9A-Za-z]{1,5}")


def read(files: Mapping[str, bytes], now_utc: float) -> PublishedList:
    """Keys that have not ended. Raises ValueError."""
    keys: dict[tuple[bytes, bytes], PublishedKey] = {}
    left_out, forged = [], set[bytes]()
    for name, data in files.items():
        for element in _entries(name, data):
            text = {child.tag: (child.text or "").strip() for child in element}
            if _is_forged(text):
                forged |= _spki(text)
            title = f"{text.get('issuerCode', '?')}/{text.get('id', '?')} ({printable(text.get('issuerName', ''))})"
            try:
                key = _key(text, now_utc)
            except ValueError as error:
                left_out.append(f"{printable(title)}: {error}")
                continue
            keys[key.kid, key.spki] = key
    left_out += [
        f"{key.issuer} {key.kid.decode()}: marked as forged elsewhere"
        for key in keys.values()
        if key.spki in forged
    ]
    return PublishedList(tuple(key for key in keys.values() if key.spki not in forged), tuple(left_out))


def _spki(text: Mapping[str, str]) -> set[bytes]:
    """The key of an entry; none when it cannot be read."""
    try:
        return {_public(text.get("publicKey", "")).spki}
    except ValueError:
        return set()


def _is_forged(text: Mapping[str, str]) -> bool:
    return text.get("keyForged", "").casefold() not in _NOT_FORGED


def _entries(name: str, data: bytes) -> list[ET.Element]:
    if len(data) > MAX_BYTES:
        raise ValueError(f"{name}: {len(data)} bytes are more than a list of keys has ({MAX_BYTES})")
    if b"\0" in data:
        raise ValueError(f"{name}: not UTF-8")
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ValueError(f"{name}: a document type or an entity has no place in a list of keys")
    try:
        root = ET.fromstring(data)  # noqa: S314 - without a document type there are no entities
    except ET.ParseError as error:
        raise ValueError(f"{name}: not XML: {error}") from None
    found = root.findall("key")
    if root.tag != "keys" or not found:
        raise ValueError(f"{name}: not UIC's list: an element `keys` with a `key` for each")
    return found


def _key(text: Mapping[str, str], now_utc: float) -> PublishedKey:
    """One entry. Raises ValueError with a phrase."""
    code, name = text.get("issuerCode", ""), text.get("id", "")
    if not (_CODE.fullmatch(code) and _ID.fullmatch(name)):
        raise ValueError("no number of a company, or of a key")
    if _is_forged(text):
        raise ValueError("marked as forged")
    starts, ends = _day(text, "startDate"), _day(text, "endDate") + _DAY_S
    if ends <= now_utc:
        raise ValueError(f"ended on {day(ends - 1)}")
    if starts >= ends:
        raise ValueError("ends before it begins")
    match = _ALGORITHM.search(text.get("signatureAlgorithm", ""))
    algorithm = None if match is None else _ALGORITHMS.get((match[1], bool(match[2])))
    if algorithm is None:
        raise ValueError(f"an algorithm that is not taken: {printable(text.get('signatureAlgorithm', ''))!r}")
    public = _public(text.get("publicKey", ""))
    if public.half == 0 or public.is_weak is not (algorithm in signing.NOT_IN_COSE):
        raise ValueError(f"a key ({public.name}) of another kind than its algorithm")
    company = printable(text.get("issuerName", ""))
    kid = rail.key_name(code, name)
    return PublishedKey(f"uic/{int(code)}", kid, rail.FORMAT, public.spki, starts, ends, algorithm, company=company)


def _day(text: Mapping[str, str], name: str) -> float:
    try:
        return datetime.strptime(text.get(name, "")[:10], "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"{name} is no day") from None


def _public(text: str) -> signing.PublicKey:
    """The key itself, or that of a certificate. Raises ValueError."""
    try:
        raw = b64decode("".join(text.split()), validate=True)
    except Error:
        raise ValueError("a key that is not base64") from None
    try:
        return signing.public_key(raw)
    except signing.BadKey:
        pass
    try:
        return signing.public_key(der.certificate_spki(raw))
    except ValueError:
        raise ValueError("a certificate in which no key is found") from None

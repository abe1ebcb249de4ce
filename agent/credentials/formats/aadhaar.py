"""Aadhaar Secure QR: the signed identity that residents of India carry on their cards and letters.

A decimal number; as bytes, big-endian, a gzip or zlib stream of

| field, each before a byte FF | used here |
|---|---|
| `V2` and later; the first codes do not have it | – |
| which of mail and mobile are known | – |
| last four digits of the number, time of the code | with name and date of birth: who it is, as 16 bytes |
| name, ISO 8859-1 | the same |
| date of birth, `DD-MM-YYYY` or `YYYY` | the same, and whether of age |
| gender, address, mobile, photo, hashes | never looked at: the photo may hold any byte, FF too |

and, last, 256 bytes: RSA-2048, PKCS #1 v1.5, SHA-256 over all before. Codes name no key and have no end, and no
list tells of lost cards: this proves an identity, and that staff compare the face. UIDAI's keys change every few
years while old cards stay good: a pinned key counts past its dates.

Source: UIDAI, "User manual for QR code reader", 2019; vectors of anon-aadhaar. The law of India asks the person who
checks such codes to register, to have consent, and to keep nothing; nothing is kept here.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

from agent.credentials import age
from agent.credentials.trust import KeyUse
from agent.crypto import digest, signing
from agent.crypto.inflate import inflate
from agent.crypto.refusal import Malformed
from agent.model import CodeStatus, TimeBounds, Verdict

if TYPE_CHECKING:
    from agent.credentials.trust import TrustStore

FORMAT = "aadhaar"
TITLE = "Aadhaar Secure QR (India)"
KEYS = {FORMAT: KeyUse(("RSA",))}
WITHOUT_PREFIX = True
_FEWEST, _MOST = 640, 7_089
"""Digits: 256 bytes of signature cannot be packed, and a QR code holds no more."""
_DIGITS = re.compile(rb"[1-9][0-9]+")
_PIECE = 4_000
"""Digits that `int` takes at once."""
_SIGNATURE = 256
_AUTO = zlib.MAX_WBITS | 32
_SEPARATOR = b"\xff"
_VERSION = re.compile(rb"V\d{1,2}")
_NUMBER, _NAME, _BORN = 1, 2, 3
_LAST_FOUR = 4
_DAY = re.compile(r"(?:(\d\d)[-/](\d\d)[-/])?(\d{4})", re.ASCII)


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it: so many digits, and nothing else."""
    return _FEWEST <= len(payload) <= _MOST and _DIGITS.fullmatch(payload) is not None


def check(payload: bytes, trust: TrustStore, now: TimeBounds) -> Verdict:
    """Verdict on a code that `recognises`. Raises CheckFailed."""
    data = inflate(_bytes(payload), _AUTO)
    content, signature = data[:-_SIGNATURE], data[-_SIGNATURE:]
    key = trust.signer_among(FORMAT, signature, content, signing.RSA_PKCS1)
    fields = content.split(_SEPARATOR, _BORN + 2)
    if _VERSION.fullmatch(fields[0]):
        del fields[0]
    if len(fields) <= _BORN + 1:
        raise Malformed("fewer fields than an identity has")
    number, name, born = (fields[at].decode("iso-8859-1") for at in (_NUMBER, _NAME, _BORN))
    day = _born(born)
    return Verdict(
        status=CodeStatus.VALID,
        format=FORMAT,
        subject=digest.of_subject(FORMAT, number[:_LAST_FOUR], name, day),
        issuer=key.issuer,
        kind="identity",
        code=digest.of_code(FORMAT, content),
        person=digest.of_person(name, day),
        of_age=age.of_age(day, trust.of_age_years, now),
    )


def _bytes(digits: bytes) -> bytes:
    """A number as bytes, big-endian: in pieces, as the language takes only so many digits at once."""
    number = 0
    for start in range(0, len(digits), _PIECE):
        piece = digits[start : start + _PIECE]
        number = number * 10 ** len(piece) + int(piece)
    return number.to_bytes((number.bit_length() + 7) // 8)


def _born(text: str) -> str:
    """`YYYY-MM-DD` or `YYYY`; `` when it cannot be read."""
    match = _DAY.fullmatch(text)
    if match is None:
        return ""
    day, month, year = match.groups()
    return year if day is None else f"{year}-{month}-{day}"

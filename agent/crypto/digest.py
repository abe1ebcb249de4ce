"""Sixteen bytes that stand for a holder or a code: always from the signed payload, never from the scanned text.

Codes are malleable: zlib flags, unprotected headers and (r, n - s) change the text and not what is signed.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from hashlib import blake2b

SIZE = 16
_DAY = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:T.*)?", re.ASCII | re.DOTALL)
_APOSTROPHES = re.compile("['`´‘’]")
_BETWEEN_WORDS = re.compile(r"[\W\d_]+")
_FEWEST_WORDS = 2


def of_subject(*parts: str) -> bytes:
    """Key of a holder: equal for every code with the same parts, whatever its issue or expiry. Letters and their
    accents may be written apart or as one (Unicode NFC).
    """
    text = "\0".join(parts)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=SIZE, person=b"gatepost-subject").digest()


def of_person(names: str, born: object) -> bytes:
    """Key of a person, the same in every format that tells names and date of birth: the words of all names, in any
    order, in capitals without marks, and the whole day. `` where that is not told: then nobody can be matched.
    """
    day = _DAY.fullmatch(born) if isinstance(born, str) else None
    try:
        written = "" if day is None else date(*map(int, day.groups())).isoformat()
    except ValueError:
        return b""
    words = sorted(filter(None, _BETWEEN_WORDS.split(_APOSTROPHES.sub("", _unmarked(names)).upper())))
    return of_subject("person", written, *words) if written and len(words) >= _FEWEST_WORDS else b""


def _unmarked(text: str) -> str:
    """Without accents and wide forms."""
    if text.isascii():
        return text
    return "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))


def of_code(format_name: str, content: bytes) -> bytes:
    """Key of one code."""
    return blake2b(content, digest_size=SIZE, person=f"code-{format_name}".encode()[:16]).digest()

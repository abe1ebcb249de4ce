"""Driving licence of North America (AAMVA, PDF417): an id that a list may have, and no proof.

`@`, LF, RS, CR, `ANSI ` or `AAMVA`, six digits of the issuing state (IIN), then fields of a line each; `DAQ` is the
number of the licence. The status list of the issuer `licence` decides, keyed on both (`636014:D1234567`); without
it staff look at the card. Name, address and date of birth are never looked at: printed in the open, they prove no
age.

Source: AAMVA DL/ID Card Design Standard 2020, annex D.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.crypto import digest
from agent.crypto.refusal import Malformed
from agent.model import CodeProof, CodeStatus, TimeBounds, Verdict

if TYPE_CHECKING:
    from agent.credentials.trust import TrustStore

FORMAT = "licence"
TITLE = "driving licence (AAMVA)"
ISSUER = "licence"
_BEGIN = re.compile(rb"@\r?\n[\x1c\x1e]?\r?(?:ANSI |AAMVA)(\d{6})")
_NUMBER = re.compile(rb"(?:DL|ID|\n)DAQ([0-9A-Z -]{1,25})\r?[\n\r]")
_LINE = re.compile(r"(\d{6}):([0-9A-Za-z]{1,25})")


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it."""
    return _BEGIN.match(payload) is not None


def check(payload: bytes, _trust: TrustStore, _now: TimeBounds) -> Verdict:
    """The licence, undecided as yet. Raises Malformed."""
    head, number = _BEGIN.match(payload), _NUMBER.search(payload)
    if head is None or number is None:
        raise Malformed("not the fields of a licence")
    key = licence_key(f"{head[1].decode()}:{re.sub('[ -]', '', number[1].decode())}")
    return Verdict(
        CodeStatus.UNDECIDED,
        FORMAT,
        subject=key,
        issuer=ISSUER,
        reason="no status list has this licence: it proves nothing by itself",
        kind="identity",
        code=key,
        proof=CodeProof.NONE,
    )


def licence_key(text: str) -> bytes:
    """Key of a licence in status lists, by `STATE:NUMBER`. Raises Malformed."""
    match = _LINE.fullmatch(text)
    if match is None:
        raise Malformed("not STATE:NUMBER")
    return digest.of_subject(ISSUER, match[1], match[2].upper())

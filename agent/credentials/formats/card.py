"""Cards and fobs that a card reader hands over as `card:KIND:NUMBER`: EM4100, ISO 14443-A, identity cards.

A card proves possession, no more, and many kinds can be copied. It has a colour only by a signed status list of the
issuer `card`; without one it says who is expected (the roster), and waits for a health code or for staff. Only what
a card reader has read counts as a card: a code scanner cannot hand one over (`as_shown`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.crypto import digest
from agent.crypto.refusal import CheckFailed
from agent.model import CodeProof, CodeStatus, Verdict
from drivers.contract import CARD, Sighting

if TYPE_CHECKING:
    from agent.credentials.trust import TrustStore
    from agent.model import TimeBounds

FORMAT = "card"
TITLE = "card or fob"
ISSUER = "card"
"""Under which lists of cards are built: `gatepost lists build … --issuer card --of card`."""
PREFIX = b"card:"
DOCUMENT = b"card:prc-id:"
"""Identity cards: their numbers are read only where the signed privacy rules allow it."""
NUMBER = re.compile(r"[0-9A-Z]{4,32}")
_PRINTED = b"printed "
_OF_NOBODY = {
    "": "the privacy rules do not let document numbers be read",
    "random": "its number is another one each time",
}
"""In place of a number → why it is none: such a card tells nobody from anybody else."""


def card_key(number: str) -> bytes:
    """Key of a card in lists and rosters. Raises ValueError with one phrase."""
    number = number.strip().upper()
    if not NUMBER.fullmatch(number):
        raise ValueError("a card's number is 4 to 32 digits and letters, for example 0F00C0FFEE")
    return digest.of_subject(ISSUER, number)


def as_shown(sighting: Sighting) -> bytes:
    """What was read. A printed code whose text looks like a card is none: anybody can print it."""
    if sighting.payload.startswith(PREFIX) and sighting.symbology != CARD:
        return _PRINTED + sighting.payload
    return sighting.payload


def without_number(payload: bytes) -> bytes:
    """An identity card of which only is said that it was shown; anything else as it is."""
    return DOCUMENT if payload.startswith(DOCUMENT) else payload


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it."""
    return payload.startswith(PREFIX)


def check(payload: bytes, _trust: TrustStore, _now: TimeBounds) -> Verdict:
    """Whose card it is, undecided as yet. Raises CheckFailed."""
    kind, colon, number = payload[len(PREFIX) :].decode("ascii", "replace").partition(":")
    if not kind or not colon:
        raise CheckFailed(CodeStatus.MALFORMED, "no card")
    if number in _OF_NOBODY:
        reason = _OF_NOBODY[number]
        return Verdict(CodeStatus.UNDECIDED, FORMAT, kind="other", proof=CodeProof.NONE, adds=FORMAT, reason=reason)
    try:
        key = card_key(number)
    except ValueError:
        raise CheckFailed(CodeStatus.MALFORMED, "no number of a card") from None
    return Verdict(
        CodeStatus.UNDECIDED,
        FORMAT,
        subject=key,
        issuer=ISSUER,
        reason="no status list has this card",
        kind="other",
        code=key,
        proof=CodeProof.LISTED,
        adds=FORMAT,
        card=key,
    )

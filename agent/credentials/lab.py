"""What a test result in a code is worth: a negative one only if it is known to be, a positive one in any case."""

from __future__ import annotations

import math
import re
import unicodedata
from enum import Enum
from typing import TYPE_CHECKING

from agent.model import LabResult

if TYPE_CHECKING:
    from agent.credentials.wallclock import Moment


class ResultMeaning(Enum):
    """What a word says of a result."""

    NEGATIVE = "negative"
    POSITIVE = "positive"
    UNKNOWN = "unknown"


# In small letters, without accents:
_NEGATIVE = re.compile(
    r"negative|neg|not[ -]?detected|undetected|non[ -]?reactive|none detected|no evidence of infection"
    r"|negativo|negativa|negatif|negativ|nicht nachgewiesen|non rilevato|no detectado|non detecte"
    r"|检测阴性|阴性|陰性|未检出|未檢出"
)
_POSITIVE = re.compile(
    r"positi|pozit|pozyt|pos\b|detec|reacti|reakti|presen|abnormal|infect|nachgewiesen|rilevat|dodatni"
    r"|pavis|aangetoond|θετικ|положит|позит|обнаруж|阳性|陽性|检出|檢出|양성|duong tinh|ايجابي|חיובי"
)
"""A negated one is positive as well, unless it is one of the words for negative."""


def result(kind: str, when: Moment | None, found: ResultMeaning) -> LabResult | None:
    """The result with the two ends of its time; None for what is no test.

    Without a known kind only a positive one counts; with one, what cannot be read counts as positive. A negative
    result of no readable date is of long ago, a positive one is newer than all others.
    """
    if not kind and found is not ResultMeaning.POSITIVE:
        return None
    if found is ResultMeaning.NEGATIVE:
        taken = (0.0, 0.0) if when is None else when
    else:
        taken = (0.0, math.inf) if when is None else when
    earliest, latest = taken
    return LabResult(kind, earliest, found is not ResultMeaning.NEGATIVE, latest if latest != earliest else None)


def finding(text: str) -> ResultMeaning:
    """What a result in plain words says; prose counts as negative only if it is nothing but the word for it."""
    words = " ".join(_plain(text).split()).strip(" .:;()（）[]-+*!。")
    if _NEGATIVE.fullmatch(words):
        return ResultMeaning.NEGATIVE
    return ResultMeaning.POSITIVE if _POSITIVE.search(_NEGATIVE.sub(" ", words)) else ResultMeaning.UNKNOWN


def _plain(text: str) -> str:
    """In small letters, without accents and wide forms."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", "".join(each for each in apart if not unicodedata.combining(each)))

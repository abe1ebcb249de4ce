"""Cases: what must be followed until there is feedback (推送—比对—排查—反馈). Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from agent.model import CodeStatus, Colour, Direction, Outcome, Screening
from agent.venue.entries import CASE_KINDS, FEEDBACK

if TYPE_CHECKING:
    from collections.abc import Container

    from agent.model import Passage

LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
"""What can be told apart when it is spoken, and read on paper: no I, O or Q."""
ID_LETTERS = 5
_MOST: int = len(LETTERS) ** ID_LETTERS
_CAME_TO_STAFF = (Outcome.REFER, Outcome.REFUSE, Outcome.ADMIT_WITH_NOTICE)
__all__ = ["CASE_KINDS", "FEEDBACK", "case_id", "case_kind", "case_name", "parse_case"]


def case_kind(passage: Passage, zone_locked: bool = False) -> str:
    """Which case this passage opens, the weightiest; empty for none.

    Everybody whom a watch list names, and everybody who is red, has fever or is positive, unless nobody had to
    look.
    """
    verdict, decision = passage.verdict, passage.decision
    if decision.outcome not in _CAME_TO_STAFF:
        return ""
    if (verdict is not None and verdict.status is CodeStatus.VALID) or (verdict is not None and verdict.watched):
        if verdict.watched:
            return "watch_hit"
        if verdict.colour is Colour.RED:
            return "red"
        if any(test.positive for test in verdict.tests) and "test_positive" in decision.reasons:
            return "positive"
    if passage.temperature.outcome is Screening.ELEVATED:
        return "fever"
    return "zone_locked" if zone_locked and passage.direction is Direction.EXIT else ""


def case_id(seed: str, taken: Container[int]) -> int:
    """An id that no open case has, 1 or more."""
    number: int = int.from_bytes(blake2b(seed.encode(), digest_size=8).digest()) % (_MOST - 1) + 1
    while number in taken:
        number = number % (_MOST - 1) + 1
    return number


def case_name(number: int) -> str:
    """The id as it is spoken: five letters."""
    letters = []
    for _ in range(ID_LETTERS):
        number, rest = divmod(number, len(LETTERS))
        letters.append(LETTERS[rest])
    return "".join(reversed(letters))


def parse_case(text: str) -> int | None:
    """The id from five letters, in any case; None for anything else."""
    letters = text.strip().upper()
    if len(letters) != ID_LETTERS or any(letter not in LETTERS for letter in letters):
        return None
    number = 0
    for letter in letters:
        number = number * len(LETTERS) + LETTERS.index(letter)
    return number if number > 0 else None

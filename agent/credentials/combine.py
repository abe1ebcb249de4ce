"""Several codes of one person in one passage: a health code and a test result, a card in parts. Pure.

The whole set is judged again whenever one is added, whatever came first: the order of showing must not matter.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.credentials.formats import shc
from agent.crypto.refusal import CheckFailed
from agent.model import (
    SAME_SWAB_S,
    CodeProof,
    CodeStatus,
    Colour,
    LabResult,
    ListAge,
    TravelState,
    Tristate,
    Verdict,
    WatchClass,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agent.model import TimeBounds

MOST = 32
"""More codes than this are no longer one person's."""

_DAY_S = 86_400.0
_SERIES = 16
"""As many tests as the longest code carries: no place asks for more."""

_ORDER = (
    # the first of these that any code has is what the whole set has
    CodeStatus.INTERNAL_ERROR,
    CodeStatus.BAD_SIGNATURE,
    CodeStatus.REVOKED,
    CodeStatus.MALFORMED,
    CodeStatus.UNKNOWN_ISSUER,
    CodeStatus.EXPIRED,
    CodeStatus.NOT_YET_VALID,
    CodeStatus.TIME_UNKNOWN,
    CodeStatus.UNRECOGNISED,
    CodeStatus.INCOMPLETE,
    CodeStatus.UNDECIDED,
    CodeStatus.VALID,
)
_KINDS = ("health", "vaccination", "recovery", "yellow_fever", "ticket", "test", "identity", "other")
_OF_HEALTH = frozenset({"health", "vaccination", "recovery", "test", "yellow_fever"})
_AGES = (Tristate.NO, Tristate.YES, Tristate.UNKNOWN)
"""The first of these that any code says counts."""
_COLOURS = (Colour.GREEN, Colour.YELLOW, Colour.RED)
_STALENESS = tuple(ListAge)
_WATCHES = tuple(WatchClass)
_TRAVEL = (TravelState.UNASKED, TravelState.CLEAR, TravelState.OLD, TravelState.RISK)
_BAD = (CodeStatus.REVOKED, CodeStatus.MALFORMED, CodeStatus.BAD_SIGNATURE)


def drop_incomplete(payloads: Iterable[bytes]) -> list[bytes]:
    """The payloads: repeats taken out, files of health cards opened, parts of a card put together.

    Raises CheckFailed for more than `MOST`, for parts that do not belong together, or of which some are missing.
    """
    distinct = list(dict.fromkeys(card for payload in payloads for card in shc.cards(payload)))
    if len(distinct) > MOST:
        raise CheckFailed(CodeStatus.UNRECOGNISED, "more codes than one person has")
    parts = [payload for payload in distinct if payload.startswith(shc.PREFIX) and shc.part(payload)[1] > 1]
    if not parts:
        return distinct
    return [payload for payload in distinct if payload not in parts] + [shc.join(parts)]


def combine(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict for all: the worst status, the health code's colour, everybody's tests.

    Two holders in one passage are UNDECIDED, and so are codes of several formats about somebody's health that are
    not known to be of one person (`_are_of_one_person`), and a code of an exercise beside a real one: neither may
    hide the other; a code that names nobody is its own holder. Cards and travel records join them (`_joined`).
    """
    added = [verdict for verdict in verdicts if verdict.adds]
    health = [verdict for verdict in verdicts if not verdict.adds] or added
    first = min(health, key=_rank)
    worst = min(health, key=lambda verdict: _ORDER.index(verdict.status))
    colours = [verdict.colour for verdict in health if verdict.colour is not None]
    together = replace(
        first,
        status=worst.status,
        reason=worst.reason,
        colour=max(colours, key=_COLOURS.index) if colours else None,
        tests=tuple(test for verdict in health if _is_own(verdict, health) for test in verdict.tests),
        watched=any(verdict.watched for verdict in verdicts),
        watch=max((verdict.watch for verdict in verdicts), key=_WATCHES.index),
        permit=next((verdict.permit for verdict in verdicts if verdict.permit is not None), None),
        drill=any(verdict.drill for verdict in verdicts),
        entitlement=next((verdict.entitlement for verdict in verdicts if verdict.entitlement is not None), None),
        person=next((verdict.person for verdict in verdicts if verdict.person), b""),
        of_age=min((verdict.of_age for verdict in verdicts), key=_AGES.index),
        list_age=max((verdict.list_age for verdict in verdicts), key=_STALENESS.index),
    )
    together = _joined(together, verdicts)
    holders = {(verdict.format, verdict.subject or verdict.code) for verdict in health}
    cards = {verdict.card for verdict in verdicts if verdict.card}
    if len({verdict.drill for verdict in verdicts}) > 1:
        why = "a code of an exercise beside a real one"
    elif len(holders) != len({verdict.format for verdict in health}) or len(cards) > 1:
        why = "codes of different people"
    elif not _are_of_one_person(health):
        why = "codes that nothing here tells to be one person's"
    else:
        return together
    return replace(together, status=CodeStatus.UNDECIDED, reason=why, tests=(), adds="")


def _are_of_one_person(verdicts: Sequence[Verdict]) -> bool:
    """Whether codes of several formats count for one passage. Each format has pseudonyms of its own; what all tell
    alike are names and date of birth: those must be the same in all codes that say something of health, and
    different in none. A card, a permit, a ticket is for the person who has it.
    """
    if len({verdict.person for verdict in verdicts if verdict.person}) > 1:
        return False
    of_health = [verdict for verdict in verdicts if _says_of_health(verdict)]
    return len({verdict.format for verdict in of_health}) < 2 or all(verdict.person for verdict in of_health)  # noqa: PLR2004


def _says_of_health(verdict: Verdict) -> bool:
    is_one = verdict.colour is not None or bool(verdict.tests) or verdict.kind in _OF_HEALTH
    return is_one and verdict.format != "card"


def _is_own(verdict: Verdict, health: Sequence[Verdict]) -> bool:
    """Whether the tests of this code are its holder's: a card that lies beside a code may be anybody's."""
    return verdict.format != "card" or all(each.format == "card" for each in health)


def _joined(together: Verdict, verdicts: Sequence[Verdict]) -> Verdict:
    """What cards and travel records add: who is expected, and where somebody was. The worst travel record counts;
    one that is revoked or damaged is worth a look, as a risk is.
    """
    card = next((verdict.card for verdict in verdicts if verdict.card), b"")
    travel = max((verdict.travel for verdict in verdicts), key=_TRAVEL.index)
    if any(verdict.adds and verdict.status in _BAD for verdict in verdicts):
        return replace(together, status=CodeStatus.REVOKED, reason="a card or record beside it is revoked")
    return replace(together, card=card, travel=travel)


def _rank(verdict: Verdict) -> tuple[bool, int, int]:
    """Lowest for the code that names the set: one with a colour, then the worst, then the one that tells most."""
    return verdict.colour is None, _ORDER.index(verdict.status), _KINDS.index(verdict.kind)


def check_all(payloads: Sequence[bytes], check: Callable[[bytes], Verdict]) -> Verdict:
    """The verdict on all of them; `check` checks one. Raises CheckFailed when they are too many or incomplete, but
    for what the others tell against their holder: that no part of a card hides.
    """
    try:
        return combine([check(payload) for payload in drop_incomplete(payloads)])
    except CheckFailed as no:
        parts = (CodeStatus.INCOMPLETE, CodeStatus.MALFORMED)
        whole = [each for each in map(check, payloads[:MOST]) if each.status not in parts]
        together = combine(whole) if whole else Verdict(no.status, shc.FORMAT)
        if together.colour is Colour.RED and together.status is CodeStatus.VALID:
            return together
        if together.watched:
            return replace(together, status=no.status, reason=no.reason, tests=(), adds="")
        raise


def at_best(verdict: Verdict, now: TimeBounds) -> Verdict:
    """What the verdict would be if the person also showed the best test results there can be, or, after a test
    result, a card or a travel record, the best health code.
    """
    if verdict.adds and verdict.status is CodeStatus.UNDECIDED:
        verdict = replace(verdict, status=CodeStatus.VALID, proof=CodeProof.SIGNED)
    if verdict.status is not CodeStatus.VALID:
        return verdict
    ages_s = {count * apart_s for apart_s in (SAME_SWAB_S, _DAY_S) for count in range(_SERIES)}
    fresh = (LabResult("pcr", now.earliest_utc - age_s) for age_s in sorted(ages_s))
    better = replace(verdict, tests=(*verdict.tests, *fresh))
    is_alone = (
        bool(verdict.adds) or verdict.kind == "test" or (verdict.permit is not None and verdict.colour is None)
    )
    return replace(better, kind="health", colour=Colour.GREEN) if is_alone else better

"""Bytes from a scanner in, a Verdict out. Pure: no clock, no network; time and trust are arguments.

`check` checks one code, `check_all` several of one person. The formats are in `formats/`, one file each; what they
share is beside it. The trusted keys and the lists come from `agent/ruleset/load.py`.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from agent.credentials import combine, lists
from agent.credentials.formats import all_formats, opaque, shc
from agent.credentials.freshness import MAX_AHEAD_S, AntiPassback, PassbackOptions, oldest
from agent.credentials.trust import BadTrustStore, TrustStore
from agent.crypto.refusal import CheckFailed
from agent.model import (
    CodeProof,
    CodeStatus,
    Colour,
    LabResult,
    ListAge,
    TimeBounds,
    TravelState,
    Verdict,
    WatchClass,
)
from agent.model.bounds import Ge, Le
from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["AntiPassback", "BadTrustStore", "Options", "PassbackOptions", "TrustStore", "check", "check_all"]

MAX_PAYLOAD_BYTES = 1 << 14
"""The largest QR code holds 4,296 characters, a card file somewhat more; a scan engine can send megabytes."""


_STALE = (CodeStatus.EXPIRED, CodeStatus.NOT_YET_VALID)
"""Signed, and not valid now: a watch list still knows its holder."""
_JUDGED = (CodeStatus.VALID, CodeStatus.TIME_UNKNOWN, CodeStatus.UNDECIDED)


@dataclass(frozen=True, slots=True)
class Options:
    """Which issuers' codes this kiosk trusts."""

    keys: str = "issuers.toml"
    """File of pinned issuer keys (made by `gatepost keys`); relative to the configuration file."""
    lists: tuple[str, ...] = ()
    """Files of revoked, status and watch lists (made by `gatepost lists build`); while one is missing, everybody at
    an entry goes to staff. Lists that the central server changes: in /var/lib/gatepost/lists."""
    bundles: str = ""
    """Folder of what the central server has sent, with the root that was installed there (`gatepost keys install`);
    best /var/lib/gatepost/bundles. Empty: there is no central server."""
    share_port: Annotated[int, Ge(0), Le(65_535)] = 0
    """Fetch the base of a list once for all kiosks of the site, then from each other in the site's own network: by
    UDP multicast (239.255.71.80) and HTTP at this port, the same at all of them, for example 8472. 0: not."""
    of_age_years: Annotated[int, Ge(0), Le(150)] = 18
    """From how many years on the holder of an identity counts as of age."""


def check(payload: bytes, trust: TrustStore, now: TimeBounds) -> Verdict:
    """What the bytes say and whether to believe it. Never raises, whatever they are."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        return Verdict(CodeStatus.UNRECOGNISED, "", reason="longer than any code")
    try:
        verdict = _without_later_tests(_read(payload, trust, now))
        if verdict.status in _STALE and verdict.subject and _is_on(trust.lists.watched, (verdict.subject,)):
            watch = _watch_class(trust.lists.watched, verdict.subject)
            return replace(verdict, watched=True, watch=watch)
        if verdict.status not in _JUDGED:
            return verdict
        checked = _against_lists(verdict, trust, now)
        is_damaged = any(file.is_damaged for file in trust.list_files)  # as if missing: what it says is not known
        return replace(checked, list_age=ListAge.EXPIRED) if is_damaged else checked
    except Exception as error:  # noqa: BLE001 - it must send one person to staff, not stop the gate
        return _of_internal_error(error)


def check_all(payloads: Sequence[bytes], trust: TrustStore, now: TimeBounds) -> Verdict:
    """As `check`, for all codes that one person has shown, in any order. Never raises."""
    if not 0 < len(payloads) <= combine.MOST:
        return Verdict(CodeStatus.UNRECOGNISED, "", reason="no code, or too many")
    try:
        return combine.check_all(payloads, functools.partial(check, trust=trust, now=now))
    except CheckFailed as no:
        return Verdict(no.status, shc.FORMAT, reason=no.reason)
    except Exception as error:  # noqa: BLE001 - the same
        return _of_internal_error(error)


def _of_internal_error(error: Exception) -> Verdict:
    """Says where, and not what the error says: that could be text of a code."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    where = "" if last is None else f", {last.tb_frame.f_globals.get('__name__')}:{last.tb_lineno}"
    return Verdict(CodeStatus.INTERNAL_ERROR, "", reason=f"internal error: {type(error).__name__}{where}")


def _read(payload: bytes, trust: TrustStore, now: TimeBounds) -> Verdict:
    """The verdict of the format whose code it is, lists apart."""
    for code in all_formats():
        if code.recognises(payload):
            try:
                return code.check(payload, trust, now)
            except CheckFailed as no:
                return Verdict(no.status, code.FORMAT, issuer=no.issuer, reason=no.reason)
    verdict = opaque.check(payload, trust)
    return verdict or Verdict(CodeStatus.UNRECOGNISED, "", reason="no format that this gate knows")


def _without_later_tests(verdict: Verdict) -> Verdict:
    """A code cannot tell of a swab that was taken after it was signed, a day counted for clocks and zones: such a
    negative test is none. Nor of a report that came later: the age of such a test counts from the swab.
    """
    if not verdict.tests or verdict.issued_utc is None:
        return verdict
    latest_utc = verdict.issued_utc + MAX_AHEAD_S
    kept = tuple(
        test if (test.reported_utc or 0.0) <= latest_utc else replace(test, reported_utc=None)
        for test in verdict.tests
        if test.positive or test.taken_utc <= latest_utc
    )
    return verdict if kept == verdict.tests else replace(verdict, tests=kept)


def _against_lists(verdict: Verdict, trust: TrustStore, now: TimeBounds) -> Verdict:
    """What the lists know beyond the code: colour, revocation, watch, and how old they are themselves."""
    known = trust.lists
    staleness = oldest((age for age in trust.ages if age.name not in trust.ages_apart), now)
    if staleness is not ListAge.FRESH:
        verdict = replace(verdict, list_age=staleness)
    status = known.status.get(verdict.issuer)
    if status is not None:
        verdict = _of_permit(_of_status_list(verdict, status, now))
    if verdict.adds:
        verdict = _added(verdict, status, now)
    if known.revoked and _is_on(known.revoked, {verdict.code, verdict.subject, *verdict.aliases} - {b""}):
        return replace(verdict, status=CodeStatus.REVOKED, reason="its issuer has revoked it")
    if verdict.subject and _is_on(known.watched, (verdict.subject,)):
        verdict = replace(verdict, watched=True, watch=_watch_class(known.watched, verdict.subject))
    tested = known.tested.get(verdict.issuer)
    taken_utc = None if tested is None or not verdict.subject else _swab_utc(tested, verdict.subject)
    if taken_utc is not None:
        verdict = replace(verdict, tests=(*verdict.tests, LabResult("pcr", taken_utc)))
    return verdict


def _swab_utc(tested: lists.CodeList, subject: bytes) -> float | None:
    """When the listed swab of somebody was taken, at the latest. Hours count from the issue of the base, which
    changes and new bundles on top of it do not move: a push must make no test younger. None: there is no test, or
    the newer list that is awaited takes it away.
    """
    hours = _find(tested, subject)
    if hours is None:
        return None
    taken_utc, awaited = tested.base.head.issued_at - hours * 3600.0, tested.awaited
    if awaited is None or subject not in awaited.changes:
        return taken_utc
    newer = awaited.changes[subject]
    return None if newer == lists.GONE else min(taken_utc, awaited.base.issued_at - newer * 3600.0)


def _added(verdict: Verdict, status: lists.CodeList | None, now: TimeBounds) -> Verdict:
    """A card that has a colour is a health code; a travel record never is one, and its colour says where he was."""
    if verdict.adds != "travel":
        return verdict if verdict.colour is None else replace(verdict, adds="", kind="health")
    travel = TravelState.UNASKED
    if status is not None and verdict.colour is not None:
        is_old = status.age.staleness(now) is not ListAge.FRESH
        clear = TravelState.OLD if is_old else TravelState.CLEAR
        travel = clear if verdict.colour is Colour.GREEN else TravelState.RISK
    return replace(verdict, status=CodeStatus.UNDECIDED, colour=None, travel=travel, kind="other")


def _of_permit(verdict: Verdict) -> Verdict:
    """A permit's colour on a list is not its holder's health: green says nothing, yellow is for staff."""
    if verdict.permit is None or verdict.colour in (None, Colour.RED):
        return verdict
    if verdict.colour is Colour.GREEN:
        return replace(verdict, colour=None)
    return replace(verdict, colour=None, status=CodeStatus.UNDECIDED, reason="its issuer's list has it as yellow")


def _watch_class(found: Sequence[lists.CodeList], subject: bytes) -> WatchClass:
    """The weightiest of all lists; a list without values, or with one that is not known, means the weightiest."""
    values = [_find(each, subject) for each in found]
    classes = [lists.WATCH_CLASSES.get(value, WatchClass.HIT) for value in values if value is not None]
    return max(classes, key=tuple(WatchClass).index, default=WatchClass.HIT)


def _of_status_list(verdict: Verdict, status: lists.CodeList, now: TimeBounds) -> Verdict:
    """By the list in force; or by the newer one that is awaited, where that is known and stricter."""
    if verdict.issued_utc is not None and verdict.issued_utc > now.latest_utc:
        verdict = replace(verdict, issued_utc=None)  # dated ahead: whether it is newer than the list is not known
    found = _of_status(verdict, status.head.issued_at, _find(status, verdict.subject))
    awaited = status.awaited
    if awaited is None or verdict.subject not in awaited.changes:
        return found
    newer = _of_status(verdict, awaited.issued_utc, awaited.changes[verdict.subject])
    return _stricter(found, newer)


def _of_status(verdict: Verdict, listed_utc: float, value: int | None) -> Verdict:
    """What a list of that time makes of a code by its value there; a code that was issued later knows better."""
    colour = lists.COLOURS.get(value or 0)
    if colour is None or (verdict.issued_utc is not None and listed_utc < verdict.issued_utc):
        return verdict
    decided = CodeStatus.VALID if verdict.status is CodeStatus.UNDECIDED else verdict.status
    proof = CodeProof.LISTED if verdict.proof is CodeProof.NONE else verdict.proof
    return replace(verdict, colour=colour, status=decided, reason="", proof=proof)


def _stricter(one: Verdict, other: Verdict) -> Verdict:
    """Of two verdicts on one code: red, then what is not valid, then yellow. What a certificate is worth beside a
    colour only the policy knows: staff look at it.
    """
    for each in (one, other):
        if each.colour is Colour.RED:
            return each
    for each in (one, other):
        if each.status is not CodeStatus.VALID:
            return each
    if one.colour is None or other.colour is None:
        is_same = one.colour is other.colour
        return one if is_same else replace(one, status=CodeStatus.UNDECIDED, reason="a newer list says otherwise")
    return max(one, other, key=lambda each: lists.VALUES[each.colour or Colour.RED])


def _is_on(found: Sequence[lists.CodeList], keys: Collection[bytes]) -> bool:
    """Whether one of them is on a list, or on the newer one that is awaited."""
    for each in found:
        awaited = each.awaited
        for key in keys:
            if _find(each, key) or (awaited is not None and awaited.changes.get(key, lists.GONE) != lists.GONE):
                return True
    return False


def _find(each: lists.CodeList, key: bytes) -> int | None:
    """What one list says of a key; of a damaged list, which is marked as such, nothing: the others still count."""
    try:
        return each.find(key)
    except lists.DamagedList:
        return None


all_formats()  # the first code is not to wait for it

"""What staff state that concerns the venue: feedback, absences, duties, head counts, badges. Pure.

Each statement is checked against the ledger and the rules; what is wrong with it is one sentence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.model.lazy import dataclass
from agent.model.reasons import StatementRefusal
from agent.venue.cases import case_name, parse_case
from agent.venue.entries import (
    ABSENCES,
    FEEDBACK,
    FOR_GOOD,
    NO_LANE,
    SYMPTOMS,
    Entry,
    What,
    tag16,
    unsigned,
)
from agent.venue.forms import BadForm
from agent.venue.room import inside_of_all, own_tally
from agent.venue.rules import BADGE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.model import Attestation
    from agent.venue import Venue, VenueInForce

ABOUT_A_PERSON = {
    "mask": ("worn", "missing"),
    "document": ("seen",),
    "record": ("done", "paper"),
    "travel": ("clear", "risk"),
}
"""Type → values: statements about somebody who waits. The checkpoint takes them and decides again."""
MOST_PEOPLE = 1_000_000
MOST_NUMBER = 65_535
MOST_SHUT_MIN = 10_080
"""A week."""


class BadAttestation(ValueError):
    """A statement that is not taken."""

    def __init__(self, reason: StatementRefusal, text: str) -> None:
        self.reason = reason
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Made:
    """What follows from a statement."""

    entries: tuple[Entry, ...] = ()
    text: str = ""
    value: str | None = None
    """What is kept in place of what was stated."""
    drill: bool = False
    badge: str | None = None
    about: int = 0
    """Roster number of whom it is about; 0: of a group, or of nobody."""
    clear: Mapping[str, str] | None = None
    private: Mapping[str, str] | None = None


def read(venue: Venue, here: VenueInForce, stated: Attestation, at: int) -> Made:
    """What follows from a statement. Raises BadAttestation."""
    reader = _READERS.get(stated.type)
    if reader is None:
        known = ", ".join(sorted({*_READERS, *ABOUT_A_PERSON}))
        raise BadAttestation(
            StatementRefusal.UNKNOWN_TYPE, f"There is no statement {stated.type!r}; there are {known}."
        )
    return reader(venue, here, stated, at)


def check_person(stated: Attestation) -> None:
    """Raise BadAttestation unless a statement about a person has one of its values."""
    values = ABOUT_A_PERSON[stated.type]
    if stated.value not in values:
        raise BadAttestation(
            StatementRefusal.BAD_VALUE,
            f"{stated.type} is {' or '.join(values)}, not {stated.value!r}; for example {values[0]}.",
        )


def check_badge(number: str) -> None:
    """Raise BadAttestation unless this can be the number of a badge: a name is none."""
    if not BADGE.fullmatch(number):
        raise BadAttestation(
            StatementRefusal.BAD_VALUE,
            "A badge is shown by its number: 1 to 16 letters and digits, for example G07.",
        )


def _feedback(venue: Venue, _here: VenueInForce, stated: Attestation, at: int) -> Made:
    number = parse_case(stated.case)
    if number is None:
        raise BadAttestation(
            StatementRefusal.NO_SUCH_CASE,
            f"{stated.case!r} is no id of a case: it has five letters, for example KTRWA.",
        )
    case = venue.ledger.cases.get(number)
    if case is None:
        raise BadAttestation(
            StatementRefusal.CASE_CLOSED, f"Case {case_name(number)} is not open: it was closed, or never opened."
        )
    if stated.value not in FEEDBACK[1:]:
        raise BadAttestation(
            StatementRefusal.BAD_VALUE,
            f"Feedback is one of {', '.join(FEEDBACK[1:])}, not {stated.value!r}; for example isolated.",
        )
    entry = Entry(at, case.lane, What.ANSWERED, value=FEEDBACK.index(stated.value), case=number)
    return Made((entry,), f"Case {case_name(number)} is closed: {stated.value}.", drill=case.drill)


def _absence(venue: Venue, here: VenueInForce, stated: Attestation, at: int) -> Made:
    """Of several that are stated of one number on one day the last counts."""
    reason = _one_of(ABSENCES[1:], stated, "A reason of absence", "ill")
    group, number = _who(here, stated)
    kept = number if here.remembers else 0
    before = venue.noted_today(What.ABSENT, number, at)
    entry = Entry(at, NO_LANE, What.ABSENT, 0, reason, group, kept, max(before, default=0))
    return Made(() if reason in before else (entry,), f"Absence noted: {stated.value}.", about=number)


def _symptom(venue: Venue, here: VenueInForce, stated: Attestation, at: int) -> Made:
    """One symptom of one number is one, however often it is stated or measured on a day."""
    symptom = _one_of(SYMPTOMS[1:], stated, "A symptom", "cough")
    group, number = _who(here, stated)
    entry = Entry(at, NO_LANE, What.SYMPTOM, value=symptom, group=group)
    is_known = symptom in venue.noted_today(What.SYMPTOM, number, at)
    return Made(() if is_known else (entry,), f"Symptom noted: {stated.value}.", about=number)


def _duty(_venue: Venue, here: VenueInForce, stated: Attestation, at: int) -> Made:
    duty = next((each for each in here.rules.duties if each.name == stated.value), None)
    if duty is None:
        known = ", ".join(each.name for each in here.rules.duties) or "none"
        raise BadAttestation(
            StatementRefusal.BAD_VALUE, f"There is no duty {stated.value!r} in venue.toml; there are: {known}."
        )
    return Made((Entry(at, NO_LANE, What.DUTY, case=duty.tag),), f"Duty noted: {duty.name}.")


def _count(venue: Venue, here: VenueInForce, stated: Attestation, at: int) -> Made:
    """Who has come since staff counted is inside as well; who has left since they may not have counted any more."""
    if not 0 <= stated.number <= MOST_PEOPLE:
        raise BadAttestation(
            StatementRefusal.OUT_OF_RANGE,
            f"A count is 0 to {MOST_PEOPLE} people, not {stated.number}; for example 120.",
        )
    own, rules = venue.ledger.inside, here.rules.room
    came = venue.came_after(stated.at_s)
    if came is None:
        raise BadAttestation(
            StatementRefusal.EXPIRED,
            "Since this was counted somebody else has counted, or it is not known who has come: count again.",
        )
    number = stated.number + came
    total = inside_of_all(own_tally(venue.ledger, rules, venue.kiosk), venue.peers, rules) if rules.kiosks else own
    inside = own + number - total
    text = f"{number} inside; {number - total:+d} against the count so far."
    if unheard := venue.not_heard_lately(at / 10):
        text += f" Count again when {', '.join(unheard)} is connected: what it has counted since is not known here."
    count = Entry(at, NO_LANE, What.COUNT, number=unsigned(inside))
    return Made((count, *venue.pay(at, venue.tally, venue.peers, total - number)), text)


def _form(_venue: Venue, here: VenueInForce, stated: Attestation, _at: int) -> Made:
    """Answers to a form: choices that are marked so stay clear, all else is sealed at once."""
    form = here.forms.get(stated.form)
    if form is None:
        known = ", ".join(sorted(here.forms)) or "none"
        raise BadAttestation(
            StatementRefusal.NO_SUCH_FORM, f"There is no form {stated.form!r}; there are: {known}."
        )
    if form.is_private and not here.can_seal:
        text = "Nothing private can be kept here: there is no sealing key. Use paper, and state record paper."
        raise BadAttestation(StatementRefusal.NO_SEALING_KEY, text)
    try:
        clear, private = form.read({**stated.answers, **stated.private})
    except BadForm as error:
        raise BadAttestation(StatementRefusal.BAD_VALUE, f"{error}.") from None
    return Made(text=f"Form {form.name} is kept.", clear=clear, private=private)


def _badge(_venue: Venue, here: VenueInForce, stated: Attestation, _at: int) -> Made:
    """Empty: the person who was signed on signs off."""
    if stated.value:
        check_badge(stated.value)
    if stated.value and here.rules.badges and stated.value not in here.rules.badges:
        some, more = ", ".join(here.rules.badges[:3]), " and others" if len(here.rules.badges) > 3 else ""  # noqa: PLR2004
        text = f"Badge {stated.value} is none of {here.rules.name or 'this venue'}: there are {some}{more}."
        raise BadAttestation(StatementRefusal.BAD_VALUE, text)
    return Made(text=f"Signed on: {stated.value}." if stated.value else "Signed off.", badge=stated.value)


def _trip(venue: Venue, here: VenueInForce, stated: Attestation, at: int) -> Made:
    """Staff begin or end a trip of the vehicle."""
    if here.vehicle is None:
        text = "This kiosk stands in no vehicle: there is no [vehicle] in agent.toml, for example seats = 45."
        raise BadAttestation(StatementRefusal.NO_VEHICLE, text)
    if stated.value not in ("begin", "end"):
        raise BadAttestation(StatementRefusal.BAD_VALUE, f"A trip is begin or end, not {stated.value!r}.")
    if stated.value == "end":
        if not venue.ledger.trip:
            raise BadAttestation(StatementRefusal.NO_TRIP, "No trip goes on: there is nothing to end.")
        return Made(tuple(venue.trip_entries(at, begins=False)), f"Trip {case_name(venue.ledger.trip)} has ended.")
    entries = tuple(venue.trip_entries(at, begins=True))
    name = case_name(entries[-1].case)
    return Made(entries, f"Trip {name} has begun.", value=name, private=here.plate)


def _shut(venue: Venue, _here: VenueInForce, stated: Attestation, at: int) -> Made:
    """Staff or the central server shut a lane, or all, to those who come in; 0 minutes: they are open again."""
    if not 0 <= stated.number <= MOST_SHUT_MIN:
        raise BadAttestation(
            StatementRefusal.OUT_OF_RANGE,
            f"A lane is shut for 1 to {MOST_SHUT_MIN} minutes, or 0 to open it again, not {stated.number}; "
            "for example 30.",
        )
    utc = venue.ledger.utc_of(at)
    until = 0 if not stated.number else FOR_GOOD if utc is None else round(utc) + stated.number * 60
    told = "is open again" if not until else "is shut until it is opened again" if until == FOR_GOOD else (
        f"is shut for {stated.number} minutes")  # fmt: skip
    return Made((Entry(at, NO_LANE, What.SHUT, number=until),), f"{stated.value or 'The venue'} {told}.")


def _one_of(known: tuple[str, ...], stated: Attestation, what: str, example: str) -> int:
    if stated.value not in known:
        raise BadAttestation(
            StatementRefusal.BAD_VALUE,
            f"{what} is one of {', '.join(known)}, not {stated.value!r}; for example {example}.",
        )
    return known.index(stated.value) + 1


def _who(here: VenueInForce, stated: Attestation) -> tuple[int, int]:
    """Group and number of whom it is about."""
    roster = here.roster
    if roster is None:
        raise BadAttestation(
            StatementRefusal.NO_ROSTER, "There is no roster: absence and symptoms are noted by its groups."
        )
    if stated.number:
        group = roster.group_of(stated.number) if 0 < stated.number <= MOST_NUMBER else None
        if group is None:
            raise BadAttestation(
                StatementRefusal.NO_SUCH_NUMBER, f"Nobody on the roster has the number {stated.number}."
            )
        return tag16(group), stated.number
    if stated.group not in roster.groups:
        some = ", ".join(roster.groups[:5])
        raise BadAttestation(
            StatementRefusal.NO_SUCH_GROUP,
            f"There is no group {stated.group!r} on the roster; there are {some or 'none'} …",
        )
    return tag16(stated.group), 0


_READERS: Mapping[str, Callable[[Venue, VenueInForce, Attestation, int], Made]] = {
    "feedback": _feedback,
    "absence": _absence,
    "symptom": _symptom,
    "duty": _duty,
    "count": _count,
    "badge": _badge,
    "trip": _trip,
    "shut": _shut,
    "form": _form,
}

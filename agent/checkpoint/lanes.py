"""What the checkpoint remembers of a lane between observations. Pure; the checkpoint owns it."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import field, replace
from typing import TYPE_CHECKING

from agent.model import NO_VENUE, SCANNERS, CodeStatus, Direction, Role, VenueFacts, Waits
from agent.model.effects import Cue, ShowCue
from agent.model.lazy import dataclass
from agent.model.reasons import CommandReason

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from agent.model import Decision, LaneSpec, Temperature, TimeBounds, Verdict
    from drivers.contract import Reading


_NEEDED = {*SCANNERS, Role.THERMOMETER, Role.RANGE, Role.GATE}
"""While one of these is down the lane is out of service, at least in part."""
_FACTS_S = 1.0
"""So long what the venue adds is good enough to tell whether more can make a difference."""
_OBJECTIONS = {("mask", "missing"), ("travel", "risk")}
"""What staff have stated against somebody: it counts until they state otherwise, whenever he shows his code."""
_OBJECTIONS_S = 12 * 3600.0
"""But no longer than a day of work."""
_MOST_OBJECTIONS = 10_000
_LEAVING_S = 60.0
"""An exit's gate that comes back opens for the person who wanted to leave within this; later he shows the code
again."""
_COMMAND_S = 8.0
"""A gate that goes down so soon after a command may not have opened: that its thread hangs is known only then."""
_OUT_OF_SIGHT_S = 1.0
"""A code that is held up is seen more often than this."""
_MEANT_S = 120.0
"""So long after somebody waits no more, staff may still be about to state or type what they have found of him."""
MOST_UNPROVEN = 32
"""So many wait at a lane with codes that nobody has signed: a telephone can show another one each moment."""
MOST_AHEAD = 64
"""So many numbers may be given faster than one a second to who shows such codes; then to no more of them."""
_SIGNED = (
    *(CodeStatus.VALID, CodeStatus.EXPIRED, CodeStatus.NOT_YET_VALID),
    *(CodeStatus.TIME_UNKNOWN, CodeStatus.REVOKED),
)
MOST_WAITING = 999
"""People who wait for staff's thermometer are numbered up to this; the number is short enough to be called."""


@dataclass(slots=True)
class PendingPassage:
    """A passage that waits for its decision."""

    began_s: float
    deadline_s: float
    now: TimeBounds
    """The wall clock when it began, or as it was set since: code and policy are judged at one time."""
    verdict: Verdict | None = None
    shown: dict[bytes, bytes] = field(default_factory=dict)
    """What stands for each code → its bytes, in the order of showing."""
    again: bool = False
    simulated: bool = False
    opened: bool = False
    attempt: int = 1
    """Which reading of this person it was decided by."""
    keys: frozenset[bytes] = frozenset()
    """What stands for its codes and their holders: to know a repeat."""
    one_of_several: bytes = b""
    """Stands for who shows a permit for several: him, in this passage, and none of the others."""
    met: bool = False
    """Somebody warm was before the thermometer when a code was shown, or since."""
    at_mark: bool = False
    """Likewise, where he can be measured."""
    number: int = 0
    """Under which he waits already, where staff have him decided about again."""
    attested: Mapping[str, str] = field(default_factory=dict)
    """What staff have stated of him: type → value."""
    facts: VenueFacts = NO_VENUE
    """What the venue added when he was decided about last."""

    facts_of: tuple[Verdict | None, Mapping[str, str], float] | None = None
    """For which code and statements, and when, `facts` were told."""

    def are_facts_of(self, at_s: float) -> bool:
        """Whether `facts` are of what is known now and new enough to tell whether more can make a difference. The
        decision itself is by those of its moment.
        """
        if self.facts_of is None:
            return False
        verdict, attested, since_s = self.facts_of
        return verdict is self.verdict and attested is self.attested and 0 <= at_s - since_s < _FACTS_S

    def update_facts(self, facts: VenueFacts, at_s: float) -> None:
        """What the venue adds now."""
        self.facts, self.facts_of = facts, (self.verdict, self.attested, at_s)

    def without_codes(self) -> PendingPassage:
        """What may be remembered of somebody whom nothing can admit any more: the verdict, and no code."""
        return replace(self, shown=dict.fromkeys(self.shown, b""))

    @property
    def is_stripped(self) -> bool:
        """Whether it is `without_codes`."""
        return not all(self.shown.values())

    @property
    def is_unproven(self) -> bool:
        """Whether what was shown may have been made up by who shows it."""
        return self.verdict is not None and self.verdict.status not in _SIGNED

    @property
    def holder(self) -> bytes:
        """Who is measured, as far as can be told; empty without a code."""
        return self.one_of_several or self._named

    @property
    def _named(self) -> bytes:
        return holder_of(self.verdict) or next(iter(self.shown), b"")

    @property
    def all_keys(self) -> frozenset[bytes]:
        """What stands for its codes and their holders, also for a permit of several; empty without a code."""
        return (self.keys | {self._named}) - {b""}


def objections(attested: Mapping[str, str]) -> dict[str, str]:
    """Of what staff have stated, what is against somebody."""
    return {what: value for what, value in attested.items() if (what, value) in _OBJECTIONS}


def holder_of(verdict: Verdict | None) -> bytes:
    """Who a code names: by names and date of birth where it tells them, the same in every format; `` for nobody."""
    return b"" if verdict is None else verdict.person or verdict.subject


class Objections:
    """What staff have stated against people, by every key of their codes. In memory only."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[dict[str, str], float]] = OrderedDict()

    def of(self, keys: Iterable[bytes], at_s: float) -> dict[str, str]:
        """What counts against whom these stand for; what was stated last comes last."""
        self.expire(at_s)
        known = sorted((self._known[key] for key in keys if key in self._known), key=lambda each: each[1])
        return {what: value for found, _ in known for what, value in found.items()}

    def update(self, keys: Iterable[bytes], attested: Mapping[str, str], at_s: float) -> None:
        """What counts against them from now on."""
        found = objections(attested)
        for key in keys:
            self._known.pop(key, None)
            if found:
                self._known[key] = found, at_s
        while len(self._known) > _MOST_OBJECTIONS:
            self._known.popitem(last=False)

    def expire(self, at_s: float) -> None:
        """Let go of those of an earlier day."""
        while self._known and at_s - next(iter(self._known.values()))[1] >= _OBJECTIONS_S:
            self._known.popitem(last=False)


@dataclass(slots=True)
class RecentDecision:
    """Who was decided last."""

    codes: frozenset[bytes]
    """What stands for the codes that were shown: in sight they are no new ones. Forgotten once `is_over`."""
    opened: bool
    hold_s: float
    """Out of sight for so long, a code may be shown again."""
    seen_s: float

    def is_over(self, at_s: float) -> bool:
        """Whether the codes would be new ones again."""
        return at_s - self.seen_s >= self.hold_s

    def returns(self, at_s: float) -> bool:
        """Whether a code of somebody who was let in, seen now, was out of sight: its holder comes back."""
        return self.opened and at_s - self.seen_s >= _OUT_OF_SIGHT_S


@dataclass(slots=True)
class Leaving:
    """Somebody at an exit wants to leave. It outlives his passage, which may end while the gate is down."""

    asked_s: float
    """Last sign of it: the code, or the body that waits."""
    commanded_s: float | None
    """When a gate that was not known to be down was commanded to open; None: it is to open once it is back."""
    met: bool
    """The thermometer sees a body, so that it will also see it leave."""

    def stays(self, at_s: float) -> None:
        """A body is before the thermometer."""
        self.met = True
        if self.commanded_s is None:
            self.asked_s = at_s


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody who was not let in: staff may measure again, whatever it was for."""

    number: int
    """What staff calls this person; the same as long as he waits."""
    pending: PendingPassage
    since_s: float
    temperature: Temperature
    decision: Decision
    decided_by_sight_s: float
    """When he was decided last by what the lane has seen and read, and not by what staff have added."""

    def is_same(self, pending: PendingPassage) -> bool:
        """Whether the holder of this passage is the one who waits, for certain."""
        return bool(pending.holder) and pending.holder == self.pending.holder


class NotRestarted(Exception):
    """Nobody is measured again."""

    def __init__(self, reason: CommandReason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class LaneState:
    """One lane."""

    spec: LaneSpec
    name: str = ""
    down: set[Role] = field(default_factory=set)
    simulated_parts: set[Role] = field(default_factory=set)
    samples: deque[Reading] = field(default_factory=deque)
    present_since_s: float | None = None
    measures_since_s: float = -math.inf
    """When the thermometer or the range sensor came back last."""
    left_s: float = -math.inf
    """Last sign of the body that was there before."""
    undecided_left_s: float = -math.inf
    """Last sign of a body that was there and left, and nobody was decided meanwhile but by what staff added."""
    decided_by_sight_s: float = -math.inf
    """When somebody was decided last by what the lane has seen and read, and not by what staff have added."""
    objected: dict[str, str] = field(default_factory=dict)
    """What staff have stated against the person who stands there and has shown no code yet."""
    pressed_s: float = -math.inf
    """When the button was pressed last."""
    warm_s: float = -math.inf
    marked_s: float = -math.inf
    """Last sign of somebody who stood where he can be measured."""
    stood_s: float = -math.inf
    """The same of a body: warm, or there for as long as nothing that is held up."""
    presence_used: bool = False
    """The presence, or the one about to begin, belongs to a decision already taken."""
    decided_s: float = -math.inf
    pending: PendingPassage | None = None
    recent_decision: RecentDecision | None = None
    leaving: Leaving | None = None
    let_out_s: float = -math.inf
    """When this exit was commanded to open last, by a gate that was not known to be down."""
    out_keys: frozenset[bytes] = frozenset()
    """Of an exit: what stands for who was let out last, while its gate is open."""
    out_by_code: bool = False
    """Whether that one has shown a code, and not a card alone: a card that follows is his."""
    waiting: list[Waiting] = field(default_factory=list)
    """Who may be measured by staff, the latest decision last: each holder once, and all who showed no code."""
    last_number: int = 0
    """Of the person who was decided last; 0: does not wait."""
    told_to_wait: dict[int, float] = field(default_factory=dict)
    """Number → when. Who gives no number may mean each of these, also one who waits no more; not those whom staff
    have let in.
    """
    closed_by: set[str] = field(default_factory=set)
    """Who keeps it closed."""
    step: ShowCue | None = None
    """What was shown last between two decisions."""

    def cue_change(self, name: str) -> list[ShowCue]:
        """What the lane asks for now, if that is something else than when this was called last."""
        before, self.step = self.step, self._step(name)
        return [] if self.step == before else [self.step]

    def _step(self, name: str) -> ShowCue:
        pending = self.pending
        if pending is not None and pending.verdict is None and not self.has_scanner and not self.is_exit:
            return ShowCue(name, Cue.WAIT)
        if pending is None or pending.verdict is None or self.spec.direction is Direction.EXIT:
            if self.closed and not self.is_exit:
                return ShowCue(name, Cue.FAULT, "closed")
            return ShowCue(name, Cue.FAULT if self.down & _NEEDED else Cue.READY)
        if pending.verdict.status is CodeStatus.INCOMPLETE:
            return ShowCue(name, Cue.RETRY, "another_card")
        return ShowCue(name, Cue.MEASURE if self.present_since_s is None else Cue.WAIT)

    @property
    def closed(self) -> bool:
        """Whether nobody comes in here."""
        return bool(self.closed_by)

    @property
    def has_scanner(self) -> bool:
        """Whether codes can be shown here."""
        return self.spec.has_scanner

    @property
    def scanner_works(self) -> bool:
        """Whether one of its scanners is not known to be down. Without any: True."""
        fitted = self.spec.parts & SCANNERS
        return not fitted or not fitted <= self.down

    @property
    def has_thermometer(self) -> bool:
        """Whether people are measured here."""
        return Role.THERMOMETER in self.spec.parts

    @property
    def is_exit(self) -> bool:
        """Whether people leave here."""
        return self.spec.direction is Direction.EXIT

    def request_exit(self, at_s: float) -> None:
        """Somebody at this exit is let out, or waits for the gate to come back."""
        met = self.present_since_s is not None and self.has_thermometer and Role.THERMOMETER not in self.down
        self.leaving = Leaving(at_s, None if Role.GATE in self.down else at_s, met=met)
        if Role.GATE not in self.down:
            self.let_out_s = at_s

    def repeat_exit_request(self, at_s: float) -> None:
        """The code that was decided last is still shown."""
        if self.leaving is not None:
            self.leaving.asked_s = at_s
        elif (
            self.spec.direction is Direction.EXIT
            and self.recent_decision is not None
            and not self.recent_decision.opened
        ):
            self.request_exit(at_s)

    def lost(self, part: Role, at_s: float) -> None:
        """A device went down: an opening that was commanded a moment ago may not have been done, and without a
        thermometer nobody is seen to leave.
        """
        leaving = self.leaving
        if leaving is None:
            return
        if part is Role.THERMOMETER:
            leaving.met = False
        if part is Role.GATE and leaving.commanded_s is not None and at_s - leaving.commanded_s <= _COMMAND_S:
            leaving.commanded_s = None
            if self.pending is not None:
                self.pending.opened = False
            if self.recent_decision is not None:
                self.recent_decision.opened = False

    def may_leave_now(self, at_s: float) -> bool:
        """The gate is back: whether somebody still waits for it to open. If so, he is let out."""
        leaving = self.leaving
        if leaving is None or leaving.commanded_s is not None or at_s - leaving.asked_s > _LEAVING_S:
            return False
        leaving.commanded_s = self.let_out_s = at_s
        if self.pending is not None and self.pending.shown:
            self.pending.opened = True
        if self.recent_decision is not None:
            self.recent_decision.opened = True
            self.recent_decision.seen_s = at_s
        return True

    def expire(self, at_s: float, clinical_timeout_s: float) -> None:
        """Let go of the codes of those who have left."""
        if self.recent_decision is not None and self.recent_decision.is_over(at_s):
            self.recent_decision.codes = frozenset()
        if not self.is_let_out(at_s):
            self.out_keys = frozenset()
        self.waiting = [each for each in self.waiting if at_s - each.since_s <= clinical_timeout_s]
        if self.told_to_wait:
            lasts_s = clinical_timeout_s + _MEANT_S
            self.told_to_wait = {
                n: since_s for n, since_s in self.told_to_wait.items() if at_s - since_s <= lasts_s
            }

    def decide(
        self, pending: PendingPassage, at_s: float, temperature: Temperature, decision: Decision, number: int
    ) -> None:
        """The passage is over; `number`: under which staff may measure again, 0 if there is no need."""
        self.pending, self.presence_used, self.decided_s = None, True, at_s
        before = self.named(pending.number)
        if before is None:
            self.decided_by_sight_s = at_s
        by_sight_s = at_s if before is None else before.decided_by_sight_s
        self.waits_no_more(pending.holder)
        self.waiting = [each for each in self.waiting if each.number not in (number, pending.number)]
        self.told_to_wait.pop(pending.number, None)
        if number:
            self.told_to_wait[number] = at_s
            self.waiting.append(Waiting(number, pending, at_s, temperature, decision, by_sight_s))
            unproven = [each for each in self.waiting if each.pending.is_unproven]
            if len(unproven) > MOST_UNPROVEN:
                self.waiting.remove(unproven[0])
        self.last_number = number
        self.samples.clear()

    @property
    def shows_again(self) -> bool:
        """Whether nobody's code waits for a decision: one that is seen again is of who stands there."""
        is_free = self.pending is None or self.pending.verdict is None
        return is_free and self.recent_decision is not None

    @property
    def may_step_off(self) -> bool:
        """Whether somebody with a code has stood at the mark of a range sensor: he can step off it."""
        pending = self.pending
        return self.spec.ranged and pending is not None and pending.verdict is not None and pending.at_mark

    @property
    def last(self) -> Waiting | None:
        """The person who was decided last, if he waits."""
        return self.named(self.last_number)

    def may_mean_another(self, number: int, at_s: float) -> bool:
        """Whether staff who give no number may mean somebody else than this one: who waits here, or has waited, or
        has left undecided a moment ago.
        """
        return at_s - self.undecided_left_s <= _MEANT_S or any(each != number for each in self.told_to_wait)

    def is_ambiguous(self, waiting: Waiting, at_s: float) -> bool:
        """Whether staff who give no number may mean somebody else than this one, who waits: as above, or who has
        come since he was decided, or whom the lane does not see.
        """
        if self.may_mean_another(waiting.number, at_s):
            return True
        if not self.has_thermometer or Role.THERMOMETER in self.down:
            return True
        decided_s = waiting.decided_by_sight_s
        has_come = self.present_since_s is not None and max(self.present_since_s, self.left_s) > decided_s
        return has_come or self.undecided_left_s > decided_s

    def named(self, number: int) -> Waiting | None:
        """Who waits under this number."""
        return next((each for each in self.waiting if each.number == number), None)

    def number_of(self, holder: bytes) -> int:
        """Under which number this holder waits; 0: not, or it cannot be told."""
        return next((each.number for each in self.waiting if holder and each.pending.holder == holder), 0)

    def waits_no_more(self, holder: bytes) -> None:
        """This holder was decided."""
        self.waiting = [each for each in self.waiting if not holder or each.pending.holder != holder]

    def was_let_in(self, pending: PendingPassage) -> None:
        """This person was, at whichever lane: he waits here under none of his codes, and one that he has shown here
        and that waits for a temperature is a repeat: who steps up is somebody else.
        """
        keys = {pending.holder} - {b""} if pending.one_of_several else pending.all_keys
        shown = self.pending
        if shown is not None and shown is not pending and not self.is_exit:
            shown.again |= not keys.isdisjoint(shown.all_keys | {shown.holder})
        self.waiting = [
            each for each in self.waiting if keys.isdisjoint(each.pending.all_keys | {each.pending.holder})
        ]
        self.told_to_wait.pop(pending.number, None)

    def was_measured(self, holder: bytes, temperature: Temperature) -> None:
        """This holder was decided again, at whichever lane: by this he waits here too."""
        self.waiting = [
            replace(each, temperature=temperature) if holder and each.pending.holder == holder else each
            for each in self.waiting
        ]

    def who_waits(self, at_s: float, rest_left_s: Callable[[Collection[bytes], float], float]) -> tuple[Waits, ...]:
        """For staff, the latest first."""
        return tuple(
            Waits(
                each.number,
                round(at_s - each.since_s, 1),
                each.temperature.outcome,
                bool(each.pending.shown),
                each.since_s,
                each.decision,
                each.temperature,
                rest_left_s(each.pending.all_keys, at_s),
            )
            for each in reversed(self.waiting)
        )

    def is_let_out(self, at_s: float) -> bool:
        """Whether this exit's gate is open still: who names nobody leaves by that opening, and counts already."""
        return self.is_exit and at_s - self.let_out_s < self.spec.release_s

    @property
    def has_stayed(self) -> bool:
        """Whether the body that was there when somebody was decided last stands there still."""
        return self.present_since_s is not None and self.present_since_s <= self.decided_s

    def is_pressed_again(self, at_s: float) -> bool:
        """Whether the button is pressed by somebody for whom it was pressed already: the gate has not shut since,
        or the body that stood there then stands there still.
        """
        opened_s = max(self.let_out_s, self.pressed_s)
        is_same_body = self.present_since_s is not None and self.present_since_s <= self.pressed_s
        return at_s - opened_s < self.spec.release_s or is_same_body

    def restart_measurement(
        self, at_s: float, deadline_s: float, moment_s: float, number: int = 0, *, others: bool = False
    ) -> PendingPassage | None:
        """Measure the person at this lane again: who waits under `number`; without one who shows a code now, else
        the only one who was turned away within `moment_s`. Returns the person whose readings no longer count, None
        for one who is not known. `others`: somebody may wait who is not known here any more.

        A passage that is being decided gets a new deadline. Raises NotRestarted, and nothing has changed.
        """
        turned_away = self.recent_decision is not None and not self.recent_decision.opened
        named = self.named(number)
        if named is None and self.pending is None and not (turned_away and at_s - self.decided_s <= moment_s):
            raise NotRestarted(CommandReason.NO_PERSON)
        whose = self.pending if self.pending is not None and self.pending.shown else None
        if number and (named is None or (whose is not None and not named.is_same(whose))):
            raise NotRestarted(CommandReason.NO_PERSON if named is None else CommandReason.AMBIGUOUS_PERSON)
        if named is not None:
            whose = named.pending
        if whose is None and (self.waiting or others):
            last = self.last
            if others or last is None or self.is_ambiguous(last, at_s):
                raise NotRestarted(CommandReason.AMBIGUOUS_PERSON)
            whose = last.pending
        self.samples.clear()
        self.recent_decision, self.presence_used = None, False
        if self.pending is not None:
            self.pending.deadline_s = max(self.pending.deadline_s, deadline_s)
        return whose

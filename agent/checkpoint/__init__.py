"""Who passes: pairs the code and the readings of one person, and decides once. Pure; time is an argument.

One `Checkpoint` holds the lanes. `handle` takes one observation and returns its effects: gates to open, passages
that were decided, devices that came or went. `wait_s` says how long it can wait when nothing comes; then `tick` is
due.

A passage begins with a code, or with somebody warm before the thermometer. It ends with exactly one decision:
as soon as no further reading can change it, or when its deadline has passed. The rules that keep two people apart:

- readings taken before a code count for it only if that warm presence has not been part of an earlier decision;
- codes shown one after the other are judged together if they can be one person's (the parts of a card, a health
  code and the test result it lacks); else the first goes to staff and the second begins a passage of its own;
- a body that was there with its code and leaves ends the passage: the person who steps up next is somebody else;
- a code that was shown while nobody could be measured waits no longer than until somebody can: its holder may have
  left unseen;
- while somebody may wait since before a restart, what staff say of nobody by number is about nobody;
- a holder who was let in counts as a repeat at every entry of this kiosk, until `passback_window_s` have passed;
- after a decision the same code is not read again until `rescan_after_admit_s` (admitted) or
  `rescan_after_refusal_s` (not admitted) have passed, counted from when it was seen last.

What the agent cannot know goes to staff, and so does everybody at an entry whose gate is known to be down. An exit
lane opens at once when a code is shown, whatever it says, and measures afterwards: egress is never blocked by
software. If its gate is down, or goes down before it can have opened, it opens as soon as the gate is back
(`lanes.Leaving`), whatever has become of the passage.
"""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import field, replace
from typing import TYPE_CHECKING, Annotated, Literal

from agent import screening as thermal
from agent.checkpoint.cues import cue_for, hint_for
from agent.checkpoint.lanes import (
    MOST_AHEAD,
    MOST_WAITING,
    LaneState,
    NotRestarted,
    Objections,
    PendingPassage,
    RecentDecision,
    Waiting,
    holder_of,
    objections,
)
from agent.checkpoint.register import NoRegister, TicketRegister
from agent.credentials import AntiPassback, PassbackOptions, combine
from agent.credentials.formats.card import as_shown
from agent.model import (
    NO_VENUE,
    Attestation,
    AttestationResult,
    CodeStatus,
    Decision,
    DecisionInput,
    DeviceChange,
    DeviceDown,
    DeviceUp,
    Direction,
    LaneClosure,
    LaneCommand,
    LaneCommandRequest,
    LaneCommandResult,
    OpenOnce,
    Outcome,
    Override,
    Passage,
    Recorded,
    RemeasureResult,
    Role,
    Screening,
    SentAway,
    Temperature,
    TravelState,
    Tristate,
    VenueFacts,
    WhoWaits,
)
from agent.model.bounds import Ge, Gt
from agent.model.effects import Cue, OpenGate, ShowCue, Trying
from agent.model.lazy import dataclass
from agent.model.reasons import CommandReason, LocalRefusal, StatementRefusal
from drivers.contract import Departure, Distance, Pressed, Reading, Sighting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from agent.model import Entitlement, LaneSpec, Observation, TimeBounds, Verdict
    from agent.model.effects import Effect


_ADDING = (CodeStatus.VALID, CodeStatus.TIME_UNKNOWN, CodeStatus.INCOMPLETE)
"""Codes that can say more together than alone; so can what has `adds` set, though by itself it decides nothing."""
_UNSETTLED = (Screening.RETEST, Screening.INDETERMINATE)
_MEASURABLE = tuple(outcome for outcome in Screening if outcome is not Screening.UNASKED)
_BY_STAFF = (Reading, Recorded, Override, OpenOnce, SentAway, WhoWaits)
_SUPERSEDED = "another-code"
_CLOCK_MOVED_S = 60.0
"""Told by a clock since a code was shown, this is more than the passage lasts: the clock was set."""
_SHUT_S = 2.0
"""So long after an exit's gate has shut it opens again for who still stands there, whatever is configured."""
_MEASURING = (Role.THERMOMETER, Role.RANGE)
"""While one of these is down nobody is measured."""


@dataclass(frozen=True, slots=True)
class Options:
    """How long the checkpoint waits, seconds."""

    temperature_timeout_s: Annotated[float, Gt(0)] = 6.0
    """After a code: time for the measurement, seconds; then the person goes to staff."""
    credential_timeout_s: Annotated[float, Gt(0)] = 10.0
    """After a measurement: time to show a code, seconds; then the person goes to staff."""
    presence_timeout_s: Annotated[float, Gt(0)] = 0.8
    """No warm surface (with a range sensor: nobody at the mark) for this long: the person has left, and a code that
    waited for a temperature must be shown again. With more than 1.0, a person who steps up meanwhile may be let in
    on that code."""
    rescan_after_admit_s: Annotated[float, Gt(0)] = 5.0
    """A code that opened the gate is not taken again until it has been out of sight for this long; an exit's gate
    opens again two seconds after it has shut, at the latest."""
    rescan_after_refusal_s: Annotated[float, Gt(0)] = 2.0
    """A code that did not open the gate may be tried again after this."""
    passback_window_s: Annotated[float, Ge(0)] = 120.0
    """A person who was let in counts as a repeat for so long, at every entry of this kiosk, seconds; 0: never."""


@dataclass(frozen=True, slots=True)
class DecisionRules:
    """The judgements the checkpoint asks for; each a pure function."""

    check: Callable[[Sequence[bytes], TimeBounds], Verdict]
    """All codes that one person has shown → what they say."""
    decide: Callable[[DecisionInput], Decision]
    screening: thermal.Options
    site: Callable[[str], thermal.ThermometerSite] = lambda _: thermal.ThermometerSite()
    """Lane → what is known of its thermometer now."""
    may_override: Callable[[DecisionInput], bool] = lambda _: False
    """Whether no invariant forbids to let this person in."""
    tickets: TicketRegister = field(default_factory=NoRegister)
    """Which tickets were used. Asked last, before a gate opens."""
    venue: Callable[[str, Verdict | None, Mapping[str, str], TimeBounds, float], VenueFacts] = (
        lambda _lane, _verdict, _attested, _now, _at_s: NO_VENUE
    )
    """Lane, code, what staff have stated, wall clock, monotonic seconds → what the venue adds to the facts."""


class Checkpoint:
    """The state of all lanes. Not thread-safe: the loop owns it."""

    def __init__(
        self,
        lanes: Mapping[str, LaneSpec],
        rules: DecisionRules,
        options: Options,
        baselines: Mapping[str, thermal.Baseline] | None = None,
        first_number: int = 0,
        restarted_s: float = -math.inf,
    ) -> None:
        """All devices count as down until they say that they are up; `baselines`: what was kept of each lane's;
        `first_number`: another one in each boot; within it, numbers follow the clock, so that one that was called
        before a restart is nobody's after it. `restarted_s`: when this agent took over from one before, of which
        people may wait and stand at the lanes.
        """
        ranged = {name for name, way in lanes.items() if way.ranged}
        self.screens = thermal.LaneScreening(rules.screening, rules.site, baselines, ranged)
        self._rules = rules
        self._options = options
        self._restarted_s = restarted_s
        if restarted_s > -math.inf:
            self.screens.begin_among_strangers(lanes, restarted_s)
        self._first_number = self._number = first_number
        """`_number`: given last to somebody who waits for staff's own thermometer."""
        self._repeats = AntiPassback(PassbackOptions(window_s=options.passback_window_s))
        self._objections = Objections()
        self._lanes = {
            name: LaneState(way, name, down={*way.parts, *([Role.RANGE] if way.ranged else [])})
            for name, way in lanes.items()
        }

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits for a decision. Any thread may ask."""
        return any(lane.pending is not None for lane in self._lanes.values())

    @property
    def is_vacant(self) -> bool:
        """Whether nobody is known to be at any lane: no code, no warm body, nobody on the way out."""
        return all(
            lane.pending is None and lane.present_since_s is None and lane.leaving is None
            for lane in self._lanes.values()
        )

    @property
    def vacant_below_c(self) -> float:
        """While nobody is at any lane: a colder surface is not somebody who comes. Else -inf."""
        return self._rules.screening.presence_c if self.is_vacant else -math.inf

    def handle(self, seen: Observation, now: TimeBounds) -> list[Effect]:  # noqa: C901 - one line for each item
        """Take one observation; `now` is the wall-clock interval at this moment. Returns what follows."""
        lane, item = self._lanes[seen.lane], seen.item
        results: Iterable[Effect] = ()
        match item:
            case Sighting():
                results = self._on_sighting(seen.lane, lane, item, now)
            case Reading() if seen.role is Role.ROOM:
                self.screens.room(seen.lane, item)
            case _ if isinstance(item, _BY_STAFF) and seen.role is Role.CLINICAL:
                results = self._by_staff(seen.lane, lane, item, now)
            case Reading():
                results = self._on_reading(seen.lane, lane, item, now)
            case Distance():
                results = self._on_distance(seen.lane, lane, item)
            case Departure() if lane.recent_decision is not None and lane.recent_decision.opened:
                lane.recent_decision.seen_s = item.at_s
            case DeviceUp() | DeviceDown():
                results = self._on_device(seen.lane, lane, seen.role, item)
            case LaneClosure(closed=closed, by=by):
                (lane.closed_by.add if closed else lane.closed_by.discard)(by)
                results = [LaneCommandResult(simulated=bool(lane.simulated_parts))]
            case LaneCommandRequest():
                results = self._on_lane_command(seen.lane, lane, item, now)
            case Pressed():
                results = self._on_button(seen.lane, lane, item, now)
            case Attestation():
                results = self._on_attestation(seen.lane, lane, item, now)
        return [*results, *lane.cue_change(seen.lane)]

    def tick(self, at_s: float) -> list[Effect]:
        """Time has passed: people leave, deadlines pass, codes are forgotten. Ends with a lane that lets somebody
        in, so that the venue counts that person before the next lane is decided: `wait_s` is 0 then.
        """
        results: list[Effect] = []
        self._repeats.expire(at_s)
        self.screens.expire(at_s)
        for name, lane in self._lanes.items():
            results += self._leave(name, lane, at_s)
            lane.expire(at_s, self._rules.screening.clinical_timeout_s)
            pending = lane.pending
            if pending is not None and at_s >= pending.deadline_s:
                results += self._close(name, lane, self._temperature(name, lane, at_s), at_s)
            results += lane.cue_change(name)
            if any(isinstance(each, OpenGate) for each in results):
                break
        return results

    def wait_s(self, at_s: float) -> float:
        """Seconds until `tick` must be called; infinite when only an observation can change anything."""
        due_s = math.inf
        for lane in self._lanes.values():
            if lane.pending is not None:
                due_s = min(due_s, lane.pending.deadline_s)
            if lane.present_since_s is not None:
                due_s = min(due_s, lane.warm_s + self._options.presence_timeout_s)
            if lane.may_step_off:
                due_s = min(due_s, lane.marked_s + self._options.presence_timeout_s)
        return max(0.0, due_s - at_s)

    def was_clock_set(self, now: TimeBounds) -> bool:
        """Whether the clock was set, or came into doubt, since the code of somebody who waits was judged."""
        return any(lane.pending is not None and _was_set(lane.pending.now, now) for lane in self._lanes.values())

    def reevaluate(self, now: TimeBounds) -> list[Effect]:
        """There are other rules, or it is another time than was thought: what do the codes say now whose holders
        still wait for a decision?
        """
        for lane in self._lanes.values():
            if lane.pending is not None:
                known = self._checked_again(lane.pending, now)
                stated = {**self._objections.of(known.all_keys, known.began_s), **known.attested}
                lane.pending = replace(known, attested=stated)
        return []

    def reset(self, seen: Observation | None, at_s: float) -> list[Effect]:
        """Start over with everybody: nothing that an internal error has half judged may count, and who stands there
        for it counts for no other code. But nobody is locked in.
        """
        judged = [name for name, lane in self._lanes.items() if lane.pending is not None]
        self.screens.begin_among_strangers(judged, at_s)
        for lane in self._lanes.values():
            lane.pending, lane.present_since_s, lane.presence_used = None, None, False
            lane.samples.clear()
        at = None if seen is None else self._lanes.get(seen.lane)
        if seen is None or at is None or not at.is_exit:
            return []
        item = seen.item
        is_body = isinstance(item, Reading) and item.surface_c >= self._rules.screening.presence_c
        asks = isinstance(item, Sighting | Pressed) or (is_body and seen.role is Role.THERMOMETER)
        return _let_out(seen.lane, at, item.at_s) if asks else []

    # -- what comes in

    def _on_sighting(self, name: str, lane: LaneState, item: Sighting, now: TimeBounds) -> Iterable[Effect]:
        payload = as_shown(item)
        verdict = self._rules.check((payload,), now)
        who, written = self._stands_for(name, lane, payload, verdict, now, item.at_s)
        names = {who, verdict.subject, verdict.person} - {b""}
        returns = lane.recent_decision is not None and lane.recent_decision.returns(item.at_s)
        if _comes_after(lane, verdict, item.at_s) or self._is_repeat(lane, who, names, item.at_s):
            if self._stands_at_exit(lane, item.at_s):
                yield from _let_out(name, lane, item.at_s)
            elif lane.shows_again and not verdict.is_of_several:
                self.screens.shown_again(name, holder_of(verdict) or who, item.at_s, returns=returns)
            return
        yield from self._leave(name, lane, item.at_s)
        shown, together = self._together(lane, {who: payload}, verdict, now)
        pending = lane.pending
        if pending is not None and pending.verdict is not None and len(shown) == 1:
            yield from self._supersede(name, lane, item.at_s)
            pending = None
        if lane.presence_used:
            lane.samples.clear()
        # other rules may read another holder from what is written, or none
        keys = (names | {written, together.code, together.subject, together.person}) - {b""}
        if verdict.is_shared:  # several may come with one such permit
            keys -= {who, written, verdict.code, verdict.subject}
        if pending is not None:
            keys |= pending.keys
        again = self._is_again(lane, pending, verdict, keys, item.at_s)
        before = lane.objected if pending is None or pending.verdict is None else pending.attested
        lane.pending = PendingPassage(
            began_s=item.at_s if pending is None else pending.began_s,
            deadline_s=item.at_s + self._options.temperature_timeout_s,
            now=now,
            verdict=together,
            shown=shown,
            again=again,
            simulated=item.simulated or (pending is not None and pending.simulated),
            opened=pending is not None and pending.opened and pending.verdict is not None,
            keys=frozenset(keys),
            one_of_several=self._one_of_several(name, lane, together, item.at_s),
            attested={**self._objections.of(keys | {holder_of(together) or who}, item.at_s), **before},
            met=lane.present_since_s is not None,
            at_mark=item.at_s - lane.stood_s < self._options.presence_timeout_s
            or (pending is not None and pending.at_mark),
        )
        yield from self._let_out(name, lane, item.at_s)
        comes_late = item.at_s <= lane.left_s or item.at_s < lane.measures_since_s
        if comes_late and not lane.is_exit:  # who stood there then has left, or may have, unseen
            yield from self._abandon(name, lane, item.at_s)
            return
        yield from self._decide_if_final(name, lane, item.at_s)

    def _stands_for(
        self, name: str, lane: LaneState, payload: bytes, verdict: Verdict, now: TimeBounds, at_s: float
    ) -> tuple[bytes, bytes]:
        """What stands for a code that is shown, by what it says and by how it is written."""
        if verdict.names_nobody and not lane.is_exit:
            who = self._who_lays_it(name, lane, payload, at_s)
            return who, who
        written = _written(payload)
        if not verdict.code or self._says_something_else(lane, payload, verdict, now):
            return written, written
        return verdict.code, written

    def _says_something_else(self, lane: LaneState, payload: bytes, verdict: Verdict, now: TimeBounds) -> bool:
        """Whether another code with the same key waits for a decision: health cards of one person may have one
        revocation id, and a list of seals the key of one of them. The same code in other letters says the same.
        """
        before = None if lane.pending is None else lane.pending.shown.get(verdict.code)
        return before is not None and before != payload and self._rules.check((before,), now) != verdict

    def _is_again(
        self, lane: LaneState, pending: PendingPassage | None, verdict: Verdict, keys: set[bytes], at_s: float
    ) -> bool:
        """Whether the holder was let in, or has left, a moment ago; `pending`: the passage that the code joins."""
        if self._repeats.is_repeat(lane.spec.direction, keys, at_s):
            return True
        if pending is not None and (pending.verdict is not None or (lane.is_exit and not holder_of(verdict))):
            return pending.again
        is_open = lane.is_let_out(at_s)
        if lane.is_exit and verdict.adds and lane.out_by_code:
            return is_open or lane.has_stayed
        return is_open and (not holder_of(verdict) or not keys.isdisjoint(lane.out_keys))

    def _one_of_several(self, name: str, lane: LaneState, verdict: Verdict, at_s: float) -> bytes:
        """Stands for who shows a permit for several: the one who was turned away with it, while he stands there
        still, else another one.
        """
        if not verdict.is_of_several:
            return b""
        last = lane.last
        if (
            last is not None
            and last.pending.one_of_several == self.screens.holder_at(name)
            and holder_of(last.pending.verdict) == verdict.subject
        ):
            return last.pending.one_of_several
        return _written(verdict.code + struct.pack("d", at_s))

    def _who_lays_it(self, name: str, lane: LaneState, payload: bytes, at_s: float) -> bytes:
        """Stands for who lays down a card that looks like all others of its kind: the one whose card it is that is
        being decided, or who was turned away with it and stands there still; else another one.
        """
        holder, last = self.screens.holder_at(name), lane.last
        for before in (lane.pending, None if last is None or last.pending.holder != holder else last.pending):
            for who, shown in () if before is None else before.shown.items():
                if shown == payload:
                    return who
        return _written(payload + struct.pack("d", at_s))

    def _others_may_wait(self, at_s: float) -> bool:
        """Whether somebody may wait since before the restart, who is not known any more."""
        return at_s - self._restarted_s <= self._rules.screening.clinical_timeout_s

    def _stands_at_exit(self, lane: LaneState, at_s: float) -> bool:
        """Whether somebody who was let out shows his code again, or is seen where none can be shown, long after the
        gate has shut: it opens once more. He has his passage, and nobody is counted.
        """
        again_s = min(self._options.rescan_after_admit_s, lane.spec.release_s + _SHUT_S)
        is_shut = at_s - lane.let_out_s >= again_s
        return lane.is_exit and Role.GATE not in lane.down and is_shut

    def _together(
        self, lane: LaneState, shown: dict[bytes, bytes], verdict: Verdict, now: TimeBounds
    ) -> tuple[dict[bytes, bytes], Verdict]:
        """The codes to judge as one person's, with their common verdict: this one, and those before if they fit."""
        before = {} if lane.pending is None else lane.pending.shown
        if not before or not _adds(verdict):
            return shown, verdict
        together = self._rules.check((*before.values(), *shown.values()), now)
        return ({**before, **shown}, together) if _adds(together) else (shown, verdict)

    def _on_reading(self, name: str, lane: LaneState, item: Reading, now: TimeBounds) -> Iterable[Effect]:
        yield from self._leave(name, lane, item.at_s)
        yield from self._with_another_gone(name, lane, item)
        if item.surface_c < self._rules.screening.presence_c:
            return
        lane.warm_s = item.at_s
        if lane.leaving is not None:
            lane.leaving.stays(item.at_s)
        if self.screens.is_filled(name, item.at_s):
            lane.marked_s = lane.stood_s = item.at_s
            lane.samples.append(item)
        while lane.samples and lane.samples[0].at_s < item.at_s - self._rules.screening.window_s:
            lane.samples.popleft()
        if lane.present_since_s is None:
            lane.present_since_s = item.at_s
            lane.presence_used = (
                lane.presence_used and item.at_s - lane.decided_s < self._options.credential_timeout_s
            )
            if lane.pending is None and not lane.presence_used:
                lane.pending = PendingPassage(
                    item.at_s,
                    item.at_s + self._options.credential_timeout_s,
                    now,
                    met=True,
                    simulated=item.simulated,
                    again=lane.is_let_out(item.at_s),
                )
                yield from self._let_out(name, lane, item.at_s)
        elif not (lane.has_scanner and lane.scanner_works) and self._stands_at_exit(lane, item.at_s):
            yield from _let_out(name, lane, item.at_s)
        if lane.pending is not None and (lane.pending.verdict is not None or not lane.has_scanner):
            lane.pending.met = True
            lane.pending.at_mark |= lane.marked_s == item.at_s
            yield from self._decide_if_final(name, lane, item.at_s)

    def _on_distance(self, name: str, lane: LaneState, item: Distance) -> list[Effect]:
        """The range sensor also sees who is too cold to be seen by the thermometer; a telephone that is held before
        the scanner, and lowered at once, is nobody.
        """
        results = [*self._leave(name, lane, item.at_s), *self._with_another_gone(name, lane, item)]
        if self.screens.is_filled(name, item.at_s):
            lane.marked_s = item.at_s
            is_body = lane.present_since_s is not None
            if is_body or self.screens.filled_s(name, item.at_s) >= self._options.presence_timeout_s:
                lane.stood_s = item.at_s
                if lane.pending is not None and lane.pending.verdict is not None:
                    lane.pending.at_mark = True
        return results

    def _with_another_gone(self, name: str, lane: LaneState, item: Reading | Distance) -> list[Effect]:
        """A sensor has spoken. When somebody else stood there as a code was shown, who was not let in, and nobody
        stands there now, it cannot be known who steps up next: its holder shows it again.
        """
        holder = b"" if lane.pending is None or lane.is_exit else lane.pending.holder
        was_behind = self.screens.waits_behind(name, holder)
        if isinstance(item, Distance):
            self.screens.distance(name, item)
            is_empty = not self.screens.is_filled(name, item.at_s)
        else:
            self.screens.reading(name, item)
            is_empty = item.surface_c < self._rules.screening.presence_c
        is_over = was_behind and is_empty and not self.screens.waits_behind(name, holder)
        return self._abandon(name, lane, item.at_s) if is_over else []

    def _on_device(self, name: str, lane: LaneState, part: Role, item: DeviceUp | DeviceDown) -> Iterable[Effect]:
        if isinstance(item, DeviceUp):
            lane.down.discard(part)
            (lane.simulated_parts.add if item.simulated else lane.simulated_parts.discard)(part)
            yield DeviceChange(name, part, item.driver, up=True, simulated=item.simulated)
            if part is Role.GATE and lane.may_leave_now(item.at_s):
                yield OpenGate(name)
                yield ShowCue(name, Cue.ADMIT)
            if part in _MEASURING:
                lane.measures_since_s = item.at_s
                is_waiting = lane.pending is not None and lane.pending.verdict is not None
                if is_waiting and not lane.is_exit:
                    yield from self._abandon(name, lane, item.at_s)  # meanwhile its holder may have left unseen
            return
        lane.down.add(part)
        lane.lost(part, item.at_s)
        self.screens.lost_sight(name, part, item.at_s)
        yield DeviceChange(
            name, part, item.driver, up=False, error=item.error, simulated=part in lane.simulated_parts
        )
        if part in _MEASURING:
            lane.samples.clear()
            if lane.pending is not None and lane.pending.verdict is not None:
                yield from self._close(name, lane, thermal.fault(part), item.at_s)

    def _on_button(self, name: str, lane: LaneState, item: Pressed, now: TimeBounds) -> Iterable[Effect]:
        """Somebody at an exit wants to leave, without a code. At an entry the button is for nobody."""
        if not lane.is_exit:
            return
        is_again = lane.is_pressed_again(item.at_s)
        lane.pressed_s = item.at_s
        if lane.pending is None and is_again:  # he has his passage, and leaves once
            yield from _let_out(name, lane, item.at_s)
        elif lane.pending is None:
            lane.pending = PendingPassage(
                item.at_s, item.at_s, now, simulated=item.simulated, attested={"button": "pressed"}
            )
            yield from self._let_out(name, lane, item.at_s)
            yield from self._close(name, lane, self._temperature(name, lane, item.at_s), item.at_s)
        else:
            yield from self._let_out(name, lane, item.at_s)

    def _on_attestation(self, name: str, lane: LaneState, item: Attestation, now: TimeBounds) -> Iterable[Effect]:
        """Staff state something of somebody who waits, or is being decided about: one more fact, and the table
        decides again, with all else as it was shown and measured.
        """
        lane.expire(item.at_s, self._rules.screening.clinical_timeout_s)
        pending = lane.pending
        own = 0 if pending is None else lane.number_of(pending.holder)
        if not item.number and self._others_may_wait(item.at_s):
            text = (
                "The agent was restarted, and somebody may wait since before that: say the number of whom you mean;"
                " who has none shows the code again."
            )
            yield AttestationResult(StatementRefusal.AMBIGUOUS_PERSON, text=text)
            return
        if pending is not None and not item.number and lane.may_mean_another(own, item.at_s):
            text = "Somebody waits, or did, and another is being decided about: say whose number you mean, or wait."
            yield AttestationResult(StatementRefusal.AMBIGUOUS_PERSON, text=text)
            return
        if pending is not None and not item.number:
            pending.attested = {**pending.attested, item.type: item.value}
            self._spread_objection(pending, item)
            if pending.verdict is None:  # of who stands there, whatever code he shows then
                lane.objected = objections(pending.attested)
            yield from self._decide_if_final(name, lane, item.at_s)
            yield AttestationResult()
            return
        waiting = lane.named(item.number) if item.number else lane.last
        if pending is not None:
            yield AttestationResult(
                StatementRefusal.LANE_BUSY, text="Somebody else is being decided about: wait a moment."
            )
        elif waiting is None:
            yield AttestationResult(
                StatementRefusal.NO_CANDIDATE, text="Nobody waits here, or not under this number."
            )
        elif not item.number and lane.is_ambiguous(waiting, item.at_s):
            text = "Several people wait, or did, or another stands there: say under which number."
            yield AttestationResult(StatementRefusal.AMBIGUOUS_PERSON, text=text)
        else:
            again = self._reopened(lane, waiting, now, item.at_s)
            lane.pending = replace(again, attested={**again.attested, item.type: item.value})
            self._spread_objection(lane.pending, item)
            temperature = self._known_temperature(waiting, now)
            for result in self._close(name, lane, temperature, item.at_s):
                yield result
                if isinstance(result, Passage):
                    yield AttestationResult(passage=result)

    def _spread_objection(self, whose: PendingPassage, item: Attestation) -> None:
        """What is stated against somebody counts at each lane where a code of his is being decided."""
        stated = objections({item.type: item.value})
        for lane in self._lanes.values():
            other = lane.pending
            if stated and other is not None and not whose.all_keys.isdisjoint(other.all_keys):
                other.attested = {**other.attested, **stated}

    def _on_lane_command(
        self, name: str, lane: LaneState, item: LaneCommandRequest, now: TimeBounds
    ) -> Iterable[Effect]:
        """The central server opens for somebody, which decides nothing about them; or lets them be measured
        again.
        """
        lane.expire(item.at_s, self._rules.screening.clinical_timeout_s)
        simulated, deadline_s = bool(lane.simulated_parts), item.at_s + self._options.temperature_timeout_s
        if item.command is LaneCommand.OPEN and Role.GATE in lane.down:
            yield LaneCommandResult(CommandReason.GATE_DOWN, simulated)
        elif item.command is LaneCommand.OPEN:
            self._let_in_by_hand(name, lane, item.at_s)
            yield OpenGate(name)
            yield ShowCue(name, Cue.ADMIT)
            yield LaneCommandResult(simulated=simulated)
        else:
            try:
                whose = lane.restart_measurement(
                    item.at_s,
                    deadline_s,
                    self._rules.screening.clinical_timeout_s,
                    item.number,
                    others=self._others_may_wait(item.at_s),
                )
            except NotRestarted as error:
                yield LaneCommandResult(error.reason, simulated)
                return
            if whose is not None:
                self.screens.restart(whose.all_keys)
            if lane.pending is not None and lane.pending.shown:  # it waits longer: by what its codes say now
                lane.pending = self._checked_again(lane.pending, now)
            yield ShowCue(name, Cue.RETRY)
            yield LaneCommandResult(simulated=simulated)

    def _by_staff(
        self,
        name: str,
        lane: LaneState,
        item: Reading | Recorded | Override | OpenOnce | SentAway | WhoWaits,
        now: TimeBounds,
    ) -> Iterable[Effect]:
        lane.expire(item.at_s, self._rules.screening.clinical_timeout_s)
        match item:
            case WhoWaits():
                inputs = tuple(_input_of(lane, each) for each in reversed(lane.waiting))
                return [
                    RemeasureResult(
                        name, waiting=lane.who_waits(item.at_s, self.screens.rest_left_s), inputs=inputs
                    )
                ]
            case Override():
                return self._on_override(name, lane, item, now)
            case OpenOnce():
                results = _open_once(name, lane, item.at_s)
                if any(isinstance(each, OpenGate) for each in results):
                    self._let_in_by_hand(name, lane, item.at_s)
                return results
            case SentAway(number=number):
                there = lane.named(number) is not None
                lane.waiting = [each for each in lane.waiting if each.number != number]
                return [RemeasureResult(name, reason="" if there else LocalRefusal.NO_SUCH_NUMBER)]
            case Recorded(reading, number):
                return self._on_clinical_reading(name, lane, reading, now, number)
        return self._on_clinical_reading(name, lane, item, now)

    def _on_clinical_reading(
        self, name: str, lane: LaneState, item: Reading, now: TimeBounds, number: int = 0
    ) -> Iterable[Effect]:
        """Staff has measured somebody who waits here: decide again, with all else as it was shown."""
        waiting = lane.named(number) if number else lane.last
        told = lane.who_waits(item.at_s, self.screens.rest_left_s)
        if lane.pending is not None and lane.pending.verdict is not None:
            yield RemeasureResult(name, reason=LocalRefusal.LANE_BUSY, waiting=told)
        elif waiting is None:
            yield RemeasureResult(
                name, reason=LocalRefusal.NO_SUCH_NUMBER if number else LocalRefusal.NO_CANDIDATE, waiting=told
            )
        elif not number and (
            lane.is_ambiguous(waiting, item.at_s) or lane.pending is not None or self._others_may_wait(item.at_s)
        ):
            yield RemeasureResult(name, reason=LocalRefusal.AMBIGUOUS_PERSON, waiting=told)
        elif not thermal.is_of_a_body(item.surface_c):
            yield RemeasureResult(name, reason=LocalRefusal.OUT_OF_RANGE)
        else:
            again = self._reopened(lane, waiting, now, item.at_s)
            lane.pending = replace(again, simulated=again.simulated or item.simulated, attempt=again.attempt + 1)
            temperature = thermal.from_clinical(item, self._rules.screening, lane.pending.attempt)
            for result in self._close(name, lane, temperature, item.at_s):
                yield result
                if isinstance(result, Passage):
                    yield RemeasureResult(name, result)

    def _let_in_by_hand(self, name: str, lane: LaneState, at_s: float) -> None:
        """A gate opens without a decision: for who stands there, unless that one's code is being decided. With that
        the passage of somebody without a code is over: what was stated of him counts for nobody behind him.
        """
        if lane.is_exit or (lane.pending is not None and lane.pending.verdict is not None):
            return
        self.screens.walks_on(name, at_s)
        if lane.pending is not None:
            lane.pending, lane.presence_used, lane.decided_s = None, True, at_s
            lane.samples.clear()

    def _reopened(self, lane: LaneState, waiting: Waiting, now: TimeBounds, at_s: float) -> PendingPassage:
        """Of somebody who waits, what is decided by now: code and objections are those of this moment."""
        before = self._checked_again(waiting.pending, now)
        return replace(
            before,
            began_s=at_s,
            number=waiting.number,
            again=before.again or self._repeats.is_repeat(lane.spec.direction, before.keys, at_s),
            attested={**before.attested, **self._objections.of(before.all_keys, at_s)},
        )

    def _checked_again(self, pending: PendingPassage, now: TimeBounds) -> PendingPassage:
        """By what its codes say now; where they were not kept, by what they said. Other rules may read a holder
        from a code that named nobody: then that stands for it too.
        """
        if not pending.shown or pending.is_stripped:
            return replace(pending, now=now)
        verdict = self._rules.check(tuple(pending.shown.values()), now)
        return replace(pending, now=now, verdict=verdict, keys=pending.keys | _keys_of(verdict))

    def _known_temperature(self, waiting: Waiting, now: TimeBounds) -> Temperature:
        """By what somebody who waits counts as measured. Who has shown a permit for several twice waits under two
        numbers: an elevated one of that permit counts, until staff measure this one.
        """
        known = self.screens.known_now(waiting.temperature, now)
        if not waiting.pending.one_of_several or known.basis == "clinical":
            return known
        keys = waiting.pending.all_keys
        return next(
            (
                each.temperature
                for lane in self._lanes.values()
                for each in lane.waiting
                if each.temperature.outcome is Screening.ELEVATED and not keys.isdisjoint(each.pending.all_keys)
            ),
            known,
        )

    def _on_override(self, name: str, lane: LaneState, item: Override, now: TimeBounds) -> list[Effect]:
        """Staff let somebody in whom the table still refers to them, and whom no invariant keeps out."""
        waiting = lane.named(item.number)
        if lane.pending is not None and lane.pending.verdict is not None:
            return [RemeasureResult(name, reason=LocalRefusal.LANE_BUSY)]
        if waiting is None or lane.is_exit:
            return [RemeasureResult(name, reason=LocalRefusal.NO_SUCH_NUMBER)]
        if Role.GATE in lane.down or lane.closed:
            reason = LocalRefusal.LANE_CLOSED if lane.closed else LocalRefusal.GATE_DOWN
            return [RemeasureResult(name, reason=reason)]
        waiting = replace(waiting, temperature=self._known_temperature(waiting, now))
        before, kept = waiting.pending, lane.pending
        lane.pending = self._reopened(lane, waiting, now, item.at_s)
        verdict = lane.pending.verdict
        decision = self._decide(lane, verdict, waiting.temperature, item.at_s)
        given = _input_of(lane, replace(waiting, pending=lane.pending))
        is_referred = decision.outcome is Outcome.REFER
        is_drill = verdict is not None and verdict.drill
        is_bound = _one_use(lane, verdict) is not None or is_drill or before.is_stripped
        if not is_referred or is_bound or not self._rules.may_override(given):
            lane.pending = kept
            why = LocalRefusal.INVARIANT if is_referred else LocalRefusal.NOT_REFERRED
            return [RemeasureResult(name, reason=why)]
        if item.seen is not None and {*item.seen} != {*decision.reasons}:
            lane.pending = kept
            lane.waiting = [
                replace(waiting, decision=decision) if each.number == waiting.number else each
                for each in lane.waiting
            ]
            return [RemeasureResult(name, reason=LocalRefusal.CARD_CHANGED)]
        let_in = Decision(Outcome.ADMIT, ("staff_override", *decision.reasons), rule="staff-override")
        results = self._finish(name, lane, waiting.temperature, let_in, item.at_s)
        return [*results, *(RemeasureResult(name, each) for each in results if isinstance(each, Passage))]

    # -- what follows

    def _decide_if_final(self, name: str, lane: LaneState, at_s: float) -> Iterable[Effect]:
        """Decide now if nothing that may still come can make a difference."""
        temperature = self._temperature(name, lane, at_s)
        pending = _pending(lane)
        is_known = pending.are_facts_of(at_s)
        if not is_known:
            pending.update_facts(self._facts(lane, pending.verdict, at_s), at_s)
        if self._is_final(lane, temperature, at_s, pending.facts):
            yield from self._close(name, lane, temperature, at_s, None if is_known else pending.facts)

    def _is_final(self, lane: LaneState, temperature: Temperature, at_s: float, facts: VenueFacts) -> bool:
        """Neither a better temperature nor a further code could change the outcome."""
        pending = _pending(lane)
        verdict = pending.verdict
        if verdict is None:
            return not lane.has_scanner and _is_settled(temperature)
        if verdict.status is CodeStatus.INCOMPLETE or verdict.adds:
            return False  # there is more to come, and what was shown first counts with it
        better = verdict if lane.is_exit else combine.at_best(verdict, pending.now)
        if _is_settled(temperature):
            best = self._decide(lane, better, temperature, at_s, facts=facts)
            return _opens(self._decide(lane, verdict, temperature, at_s, facts=facts)) or not _opens(best)
        judged = {
            self._decide(lane, either, Temperature(outcome), at_s, facts=facts)
            for either in (verdict, better)
            for outcome in _MEASURABLE
        }
        return len(judged) == 1

    def _facts(self, lane: LaneState, verdict: Verdict | None, at_s: float) -> VenueFacts:
        pending = _pending(lane)
        return self._rules.venue(lane.name, verdict, pending.attested, pending.now, at_s)

    def _temperature(self, name: str, lane: LaneState, at_s: float) -> Temperature:
        if not lane.has_thermometer:
            return Temperature(Screening.UNASKED)
        for part in _MEASURING:
            if part in lane.down:
                return thermal.fault(part)
        pending = _pending(lane)
        return self.screens.screen(name, lane.samples, pending.holder, at_s, pending.now, pending.all_keys)

    def _decide(
        self,
        lane: LaneState,
        verdict: Verdict | None,
        temperature: Temperature,
        at_s: float,
        used: Tristate | None = None,
        facts: VenueFacts | None = None,
    ) -> Decision:
        """By the rules, and by what no rule can change: the holder may have been let in elsewhere meanwhile, and a
        gate that is down opens for nobody.
        """
        pending = _pending(lane)
        works = lane.scanner_works
        again = pending.again or self._repeats.is_repeat(lane.spec.direction, pending.keys, at_s)
        ticket = _one_use(lane, verdict)
        if used is None:
            used = Tristate.NO if ticket is None else self._rules.tickets.used(ticket.key)
        if facts is None:
            facts = pending.facts = self._facts(lane, verdict, at_s)
        decision = self._rules.decide(
            DecisionInput(lane.spec, verdict, temperature, works, again, pending.now, used, facts)
        )
        if lane.is_exit or decision.outcome is Outcome.REFUSE:
            return decision
        is_lost = ticket is not None and used is Tristate.UNKNOWN and self._rules.tickets.lost
        return _barred(lane, pending, verdict, decision, is_lost=is_lost) or decision

    def _may_be_admitted(self, lane: LaneState) -> bool:
        """Whether staff's own thermometer could still change the outcome: the table does not refuse this person at
        every temperature. Of anybody else no code is kept.
        """
        pending, works = _pending(lane), lane.scanner_works
        return any(
            self._rules.decide(
                DecisionInput(
                    lane.spec,
                    pending.verdict,
                    Temperature(each),
                    works,
                    pending.again,
                    pending.now,
                    facts=pending.facts,
                )
            ).outcome
            is not Outcome.REFUSE
            for each in Screening
        )

    def _close(
        self, name: str, lane: LaneState, temperature: Temperature, at_s: float, facts: VenueFacts | None = None
    ) -> list[Effect]:
        """The passage is decided; `facts`: of the venue, of this moment."""
        pending = _pending(lane)
        pending.facts = self._facts(lane, pending.verdict, at_s) if facts is None else facts
        decision = self._decide(lane, pending.verdict, temperature, at_s, facts=pending.facts)
        if (ticket := _one_use(lane, _pending(lane).verdict)) is not None and _opens(decision):
            decision = self._use(lane, ticket, temperature, at_s)
        return self._finish(name, lane, temperature, decision, at_s)

    def _use(self, lane: LaneState, ticket: Entitlement, temperature: Temperature, at_s: float) -> Decision:
        """Decide about somebody with a ticket for one entry: it is kept as used before the gate opens."""
        pending = _pending(lane)
        used = self._rules.tickets.claim(ticket.key)
        decision = self._decide(lane, pending.verdict, temperature, at_s, used)
        if _opens(decision) and not self._rules.tickets.record(ticket.key, ticket.ends_utc, pending.now):
            return Decision(Outcome.REFER, ("ticket_unrecorded",), rule="not-recorded", actions=("staff_check",))
        return decision

    def _supersede(self, name: str, lane: LaneState, at_s: float) -> list[Effect]:
        """Another code came first: whose temperature this is cannot be known any more."""
        temperature = Temperature(Screening.INDETERMINATE, samples=len(lane.samples))
        decision = Decision(Outcome.REFER, ("another_code",), rule=_SUPERSEDED)
        return self._finish(name, lane, temperature, decision, at_s)

    def _abandon(self, name: str, lane: LaneState, at_s: float) -> list[Effect]:
        """The body that came with the code has left: no other body is measured for it. Its code may be shown again
        at once.
        """
        temperature = Temperature(Screening.INDETERMINATE, samples=len(lane.samples), reason="has_left")
        decision = self._decide(lane, _pending(lane).verdict, temperature, at_s)
        if not lane.is_exit and decision.outcome is not Outcome.REFUSE:
            decision = Decision(Outcome.REFER, ("has_left",), rule="has-left", actions=("retest",))
        return self._finish(name, lane, temperature, decision, at_s, hold_s=0.0)

    def _let_out(self, name: str, lane: LaneState, at_s: float) -> Iterable[Effect]:
        """The person who has shown a code at an exit goes; once more if he asks for it and the gate has shut."""
        pending = _pending(lane)
        if lane.spec.direction is not Direction.EXIT:
            return
        if pending.opened:
            if at_s - lane.let_out_s >= lane.spec.release_s:
                yield from _let_out(name, lane, at_s)
            return
        pending.opened = Role.GATE not in lane.down
        yield from _let_out(name, lane, at_s)

    def _finish(
        self,
        name: str,
        lane: LaneState,
        temperature: Temperature,
        decision: Decision,
        at_s: float,
        hold_s: float | None = None,
    ) -> list[Effect]:
        pending = _pending(lane)
        is_exit = lane.spec.direction is Direction.EXIT
        has_gate = Role.GATE in lane.spec.parts
        passed = pending.opened or (Role.GATE not in lane.down if is_exit else _opens(decision))
        opened = passed and has_gate
        simulated = pending.simulated or bool(lane.simulated_parts) or any(s.simulated for s in lane.samples)
        valid = pending.verdict is not None and pending.verdict.status is CodeStatus.VALID
        subject = holder_of(pending.verdict)
        self.screens.passed(
            name,
            temperature,
            pending.holder,
            at_s,
            pending.now,
            simulated=simulated,
            proven=subject if valid else b"",
            named=pending.holder if subject or decision.rule == _SUPERSEDED else b"",
            admitted=_opens(decision),
            steps_up_s=_steps_up_s(lane, temperature, decision),
            aside=bool(pending.number),
            keys=pending.all_keys,
        )
        number = 0
        kept = pending
        if not is_exit and not passed:
            kept = pending if self._may_be_admitted(lane) else pending.without_codes()
            number = pending.number or self._number_of(pending.holder) or self._next_number(lane, at_s, pending)
        is_in = opened and not is_exit
        self._objections.update(pending.all_keys, {} if is_in else pending.attested, at_s)
        self._update_waiting(pending, temperature, is_in=is_in, waits=bool(number))
        lane.decide(replace(kept, attempt=temperature.attempt), at_s, temperature, decision, number)
        if pending.shown:
            if hold_s is None:
                hold_s = self._options.rescan_after_admit_s if passed else self._options.rescan_after_refusal_s
            codes = frozenset(pending.shown) | (pending.keys if passed and not is_exit else frozenset())
            lane.recent_decision = RecentDecision(codes, passed, hold_s, at_s)
        was_out = False
        if is_exit:
            lane.out_keys = pending.keys if passed else frozenset()
            lane.out_by_code = passed and pending.verdict is not None and not pending.verdict.adds
        if opened and pending.verdict is not None:
            keys = pending.keys | {pending.verdict.code} - {b""}
            was_out = self._repeats.is_repeat(lane.spec.direction, keys, at_s)
            self._repeats.admitted(lane.spec.direction, keys, at_s)
            if not is_exit:
                looks = {_written(payload) for payload in pending.shown.values()}
                self._repeats.forget(Direction.EXIT, keys | looks)  # who comes in may leave, and counts
        passage = Passage(
            lane=name,
            direction=lane.spec.direction,
            verdict=pending.verdict,
            temperature=temperature,
            decision=decision,
            gate_opened=opened,
            began_s=pending.began_s,
            decided_s=at_s,
            simulated=simulated,
            payloads=tuple(filter(None, pending.shown.values())),
            facts=pending.facts,
            number=number,
            is_repeat=is_exit and (pending.again or was_out),
        )
        if pending.opened:
            return [passage]
        if is_exit:
            return [*_let_out(name, lane, at_s), passage]
        cue = cue_for(decision, temperature)
        rest_s = self.screens.rest_left_s(pending.all_keys, at_s) if temperature.next_step == "rest" else 0.0
        told = ShowCue(name, cue, hint_for(decision, cue), rest_s)
        return [OpenGate(name), told, passage] if opened else [told, passage]

    def _update_waiting(
        self, pending: PendingPassage, temperature: Temperature, *, is_in: bool, waits: bool
    ) -> None:
        """At all lanes: who is in waits no more, by none of his codes; one who waits does so by his last
        temperature.
        """
        for lane in self._lanes.values():
            if is_in:
                lane.was_let_in(pending)
            elif waits:
                lane.was_measured(pending.holder, temperature)

    def _number_of(self, holder: bytes) -> int:
        """Under which number this holder waits, at whichever lane; 0: not, or it cannot be told."""
        return next(filter(None, (lane.number_of(holder) for lane in self._lanes.values())), 0)

    def _next_number(self, lane: LaneState, at_s: float, whose: PendingPassage) -> int:
        """Nobody's who waits, at any lane. When all are taken: that of who waits longest at this one, who is
        forgotten for it; 0 where nobody does. It rises with the seconds, so that it comes again after a quarter of
        an hour at the earliest, also when the agent was restarted meanwhile, and when a telephone shows one code
        after the other.
        """
        by_clock = self._first_number + int(at_s)
        if whose.is_unproven and self._number - by_clock >= MOST_AHEAD:
            return 0
        taken = {each.number for each_lane in self._lanes.values() for each in each_lane.waiting}
        if len(taken) == MOST_WAITING:
            return lane.waiting[0].number if lane.waiting else 0
        self._number = max(self._number + 1, by_clock)
        while self._number % MOST_WAITING + 1 in taken:
            self._number += 1
        return self._number % MOST_WAITING + 1

    def _is_repeat(self, lane: LaneState, who: bytes, names: Iterable[bytes], at_s: float) -> bool:
        """The code that is being decided, or was just decided; or another of a holder who was just let in, as a
        code on a telephone renews itself. Seeing it again keeps it known.
        """
        if lane.pending is not None and who in lane.pending.shown:
            lane.repeat_exit_request(at_s)
            return True
        closed = lane.recent_decision
        if closed is None or closed.codes.isdisjoint(names) or closed.is_over(at_s):
            return False
        if lane.spec.direction is Direction.EXIT and not closed.opened and Role.GATE not in lane.down:
            return False  # he was not let out: there is nothing to repeat
        if closed.opened:
            closed.seen_s = at_s
        lane.repeat_exit_request(at_s)
        return True

    def _leave(self, name: str, lane: LaneState, at_s: float) -> list[Effect]:
        """Forget a presence that has ended; somebody who only walked by leaves no event. Who was there with a code
        that waits for a temperature has had his passage.
        """
        gone = lane.present_since_s is not None and at_s - lane.warm_s >= self._options.presence_timeout_s
        is_off = lane.spec.ranged and at_s - lane.marked_s >= self._options.presence_timeout_s
        stepped_off = is_off and lane.may_step_off
        if is_off:
            lane.left_s = max(lane.left_s, lane.marked_s)
        pending = lane.pending
        results: list[Effect] = []
        if pending is not None and (stepped_off or (gone and pending.verdict is not None and pending.met)):
            pending.at_mark = False
            results = self._abandon(name, lane, at_s)
        if gone:
            if lane.present_since_s is not None and lane.decided_by_sight_s < lane.present_since_s:
                lane.undecided_left_s = lane.warm_s
            lane.present_since_s, lane.presence_used, lane.left_s = None, False, lane.warm_s
            lane.objected = {}
            lane.samples.clear()
            if lane.leaving is not None and lane.leaving.met:
                lane.leaving = None
            if lane.pending is not None and lane.pending.verdict is None:
                if lane.pending.opened:  # somebody has gone out, without a code
                    results += self._abandon(name, lane, at_s)
                    lane.presence_used = False  # it has ended: the next body is the next person's
                lane.pending = None
        return results


def _let_out(name: str, lane: LaneState, at_s: float) -> list[Effect]:
    """Green is told only when the gate is not known to be down; the command goes out in any case."""
    lane.request_exit(at_s)
    if Role.GATE in lane.down:
        return [Trying(name), ShowCue(name, Cue.FAULT)]
    return [OpenGate(name), ShowCue(name, Cue.ADMIT)]


def _open_once(name: str, lane: LaneState, at_s: float) -> list[Effect]:
    """For staff: the person who leaves goes in any case; at an entry nobody is let in past a decision."""
    if lane.is_exit:
        reason: LocalRefusal | Literal[""] = LocalRefusal.GATE_DOWN if Role.GATE in lane.down else ""
        return [*_let_out(name, lane, at_s), RemeasureResult(name, reason=reason)]
    if lane.closed:
        return [RemeasureResult(name, reason=LocalRefusal.LANE_CLOSED)]
    if Role.GATE in lane.down or Role.GATE not in lane.spec.parts:
        return [RemeasureResult(name, reason=LocalRefusal.GATE_DOWN)]
    if lane.waiting or (lane.pending is not None and lane.pending.verdict is not None):
        return [RemeasureResult(name, reason=LocalRefusal.PEOPLE_WAIT)]
    return [OpenGate(name), ShowCue(name, Cue.ADMIT), RemeasureResult(name)]


def _input_of(lane: LaneState, waiting: Waiting) -> DecisionInput:
    """What somebody who waits was decided by."""
    pending, works = waiting.pending, lane.scanner_works
    return DecisionInput(
        lane.spec, pending.verdict, waiting.temperature, works, pending.again, pending.now, facts=pending.facts
    )


def _pending(lane: LaneState) -> PendingPassage:
    """The passage that is being decided; only called while there is one."""
    if lane.pending is None:
        raise AssertionError("no passage is pending")
    return lane.pending


def _barred(
    lane: LaneState, pending: PendingPassage, verdict: Verdict | None, decision: Decision, *, is_lost: bool
) -> Decision | None:
    """Why somebody at an entry goes to staff whatever the table says; `is_lost`: a ticket that cannot be told from
    one that was used, since the list of those is lost.
    """
    by_staff = ("staff_check",)
    if lane.closed:
        return Decision(Outcome.REFER, ("lane_closed",), rule="lane-closed", actions=by_staff)
    if not _opens(decision):
        return None
    bar: Decision | None = None
    if verdict is not None and verdict.drill:
        bar = Decision(Outcome.REFER, ("drill", *decision.reasons), rule="drill", actions=by_staff)
    elif pending.is_stripped:
        bar = Decision(Outcome.REFER, ("code_undecided",), rule="code-not-kept", actions=("renew_code",))
    elif is_lost:
        bar = Decision(Outcome.REFER, ("ticket_use_lost",), rule="uses-lost", actions=by_staff)
    elif Role.GATE in lane.down:
        bar = Decision(Outcome.REFER, ("gate_fault",), rule="gate-fault", actions=by_staff)
    return bar


def _steps_up_s(lane: LaneState, temperature: Temperature, decision: Decision) -> float | None:
    """How soon somebody who was decided may step up, where nobody stands there; None: not. Of two whose codes were
    shown the second is expected, unless the thermometer has seen somebody before, or sees him come to the mark.
    """
    if temperature.reason == "has_left":
        return None
    is_coming = lane.spec.ranged and lane.present_since_s is not None
    return thermal.STEPS_UP_S if decision.rule != _SUPERSEDED or is_coming else 0.0


def _is_settled(temperature: Temperature) -> bool:
    """Whether a longer look would say the same."""
    return bool(temperature.next_step) or temperature.outcome not in _UNSETTLED or temperature.reason == "imprecise"


def _was_set(before: TimeBounds, now: TimeBounds) -> bool:
    """Whether a clock that told `before` when a code was judged was set since, or came into doubt or out of it."""
    moved_s = abs(now.earliest_utc - before.earliest_utc)
    if now.latest_utc != before.latest_utc:
        moved_s = max(moved_s, abs(now.latest_utc - before.latest_utc))
    return now.state is not before.state or moved_s > _CLOCK_MOVED_S


def _keys_of(verdict: Verdict) -> frozenset[bytes]:
    """What stands for a code and its holder; of a permit with which several may come only the person."""
    keys = {verdict.person} if verdict.is_shared else {verdict.code, verdict.subject, verdict.person}
    return frozenset(keys - {b""})


def _written(payload: bytes) -> bytes:
    """What stands for a code by how it is written."""
    return hashlib.blake2b(payload, digest_size=16).digest()


def _adds(verdict: Verdict) -> bool:
    """Whether a code can say more together with others than alone."""
    return verdict.status in _ADDING or bool(verdict.adds)


def _comes_after(lane: LaneState, verdict: Verdict, at_s: float) -> bool:
    """Whether somebody who was just let in shows a card or a travel record after his code: that is no second
    person, until he was seen to leave. One that shows a risk is looked at.
    """
    last = lane.recent_decision
    return (
        bool(verdict.adds)
        and verdict.travel is not TravelState.RISK
        and not verdict.watched
        and lane.pending is None
        and last is not None
        and last.opened
        and not last.is_over(at_s)
        and lane.left_s < lane.decided_s
        and not lane.is_exit
    )


def _one_use(lane: LaneState, verdict: Verdict | None) -> Entitlement | None:
    """The ticket of somebody who comes in, where it counts once."""
    ticket = None if verdict is None else verdict.entitlement
    is_entry = lane.spec.direction is Direction.ENTRY and lane.spec.tickets.once
    return ticket if ticket is not None and ticket.single_use and is_entry else None


def _opens(decision: Decision) -> bool:
    return decision.outcome in (Outcome.ADMIT, Outcome.ADMIT_WITH_NOTICE)

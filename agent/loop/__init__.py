"""The main loop: takes observations from the inbox, asks the checkpoint, carries out its effects in their order.

`step` takes one; a test can call it. Nothing in it waits for a disk, a network or a device.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from agent import __version__, privacy
from agent.loop.inbox import LAPSE_S, Answer, Inbox, LoopRequest, Message
from agent.model import (
    AgentChange,
    Attestation,
    AttestationRecord,
    AttestationResult,
    ClockState,
    Component,
    DeviceChange,
    Event,
    LaneClosure,
    LaneCommandRequest,
    LaneCommandResult,
    Observation,
    OpenOnce,
    Override,
    Passage,
    Recorded,
    RemeasureResult,
    SentAway,
)
from agent.model.effects import Cue, OpenGate, ShowCue, Trying
from agent.model.problems import ProblemCode, found
from agent.model.reasons import CommandReason, LocalRefusal, StatementRefusal
from agent.platform.clock import boottime_s
from agent.platform.histogram import Histogram
from agent.venue.attestations import ABOUT_A_PERSON
from drivers.contract import Fix, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agent.checkpoint import Checkpoint
    from agent.loop.ledger import LedgerKeeper
    from agent.model import EventBody, TimeBounds
    from agent.model.effects import Effect

log = logging.getLogger(__name__)


IDLE_TURN_S = 0.5
_AT_ONCE = 64
"""So many further items of an empty kiosk are taken in one step."""
HANGS_S = 8.0
"""A step takes half a second at most; a card that stalls may hold up the log for some seconds."""
_INTERNAL_ERROR = (
    "an internal error in judging was caught; keep the log (journalctl -u gatepost), then restart the agent"
)


class Loop:
    """Owns the checkpoint. One thread calls `step`; any thread may put into the inbox."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        inbox: Inbox | None = None,
        *,
        open_gate: Mapping[str, Callable[[], Future[bool] | None]],
        show: Mapping[str, Callable[[Cue, Future[bool] | None], None]],
        store: Callable[[Event], None],
        log_event: Callable[[Event], None],
        now: Callable[[], TimeBounds],
        redact: Callable[[Event], Event] = privacy.anonymous,
        ruleset_generation: Callable[[], object] = lambda: None,
        boot_id: str = "",
        simulated: bool = False,
        ledger: LedgerKeeper | None = None,
        discreet: bool = False,
        observe: Callable[[Effect], None] = lambda _: None,
    ) -> None:
        """None of these blocks:

        `open_gate`: lane → command one opening; gives a future that is done once the gate's output was switched, or
        was not.
        `show`: lane → its lamp and buzzer; they wait a moment for the future of an opening that came before.
        `store`: to the outbox; `log_event`: to the log.
        `redact`: an event without what may not be kept of a person.
        `ruleset_generation`: another object whenever the rules are others.
        `simulated`: mark every event as simulated.
        `ledger`: what the venue keeps between passages.
        `discreet`: the person who is refused sees the cue of those who wait for the staff.
        `observe`: every effect as it is carried out, with what may not be kept of a person: for screens. A passage
        has the venue's mark.
        """
        self.inbox = Inbox() if inbox is None else inbox
        """What was seen, and what the central server is to be told of its commands and of the agent."""
        self.last_step_s = time.monotonic()
        self.decided = 0
        self.passages: Counter[tuple[str, str]] = Counter()
        """By lane and decision."""
        self.temperatures: Counter[tuple[str, str]] = Counter()
        """By lane and outcome, of those whose event says it: what is withheld there is not counted here."""
        self.decision_times = Histogram()
        """From the last thing seen to a decision that came of it; those that waited in vain are not among them."""
        self.internal_errors = 0
        self._checkpoint = checkpoint
        self._open_gate = open_gate
        self._show = show
        self._to_outbox = store
        self._log_event = log_event
        self._now = now
        self._redact = redact
        self._ruleset_generation = ruleset_generation
        self._decided_by = ruleset_generation()
        self._boot_id = boot_id
        self._simulated = simulated
        self._discreet = discreet
        self._observe = observe
        self._anchored = False
        self._ledger = ledger
        if ledger is not None:
            ledger.store, ledger.wake, ledger.enqueue = self._store, self.wake, self.inbox.add

    def request(
        self, observation: Observation, limit_s: float, action: AttestationRecord | None = None
    ) -> LaneCommandResult | RemeasureResult | AttestationResult:
        """The answer to a lane command, or to a reading of staff's own thermometer. Any thread but the loop's.
        `action`: the event that says who did it, stored if it was done. Raises TimeoutError: then nothing is done
        any more.
        """
        request = LoopRequest(observation, action=action)
        self.inbox.add(request)
        try:
            return request.answer.result(limit_s)
        except TimeoutError:
            request.answer.cancel()
            raise TimeoutError("the loop does not answer") from None

    def step(self, limit_s: float = IDLE_TURN_S) -> None:
        """Wait for one observation, at most `limit_s` or until a deadline of the checkpoint, and act on it."""
        self.last_step_s = time.monotonic()
        seen = self.inbox.pop(min(limit_s, self._checkpoint.wait_s(self.last_step_s)))
        now = self._now()
        self._anchor(now)
        self._apply_ruleset(now)
        self._act(seen, now)
        for _ in range(_AT_ONCE):  # of an empty kiosk: one look at the clock is enough for all
            if not self._checkpoint.is_vacant or (seen := self.inbox.pop(0)) is None:
                break
            self._act(seen, now)
        self._run_checkpoint(partial(self._checkpoint.tick, time.monotonic()), now)
        self.inbox.set_vacant(self._checkpoint.vacant_below_c)
        if self._ledger is not None:
            self._ledger.turn(now)

    def _act(self, seen: Message | None, now: TimeBounds) -> None:
        match seen:
            case None:
                pass
            case LoopRequest():
                self._answer(seen, now)
            case Observation():
                self._handle(seen, now)
            case _:
                self._store(seen, now)

    def _answer(self, request: LoopRequest, now: TimeBounds) -> None:
        """Do what is requested, unless it is too late: the person it was about may have left."""
        if not request.answer.set_running_or_notify_cancel():
            return
        seen = request.observation
        is_late = time.monotonic() - seen.item.at_s > LAPSE_S
        match seen.item:
            case LaneCommandRequest() | LaneClosure() if is_late:
                request.answer.set_result(LaneCommandResult(CommandReason.TIMED_OUT))
            case Reading() | Recorded() | Override() | OpenOnce() | SentAway() if is_late:
                request.answer.set_result(RemeasureResult(seen.lane, reason=LocalRefusal.TIMED_OUT))
            case Attestation() as stated if stated.type not in ABOUT_A_PERSON:
                request.answer.set_result(self._attest(seen, stated, now))
            case Attestation() if is_late:
                text = "The agent was too busy: state it again."
                request.answer.set_result(AttestationResult(StatementRefusal.TIMED_OUT, text=text))
            case _:
                self._handle(seen, now, request.answer)
                if request.action is None:
                    return
                if _is_done(request.answer):
                    self._store(request.action, now)
                elif not request.answer.done():  # the gate is not open yet
                    request.answer.add_done_callback(partial(self._record_late, request.action))

    def _record_late(self, action: AttestationRecord, answer: Answer) -> None:
        """Store an action that took a moment, if it was done. The gate's thread."""
        if _is_done(answer):
            self.inbox.add(action)

    def _attest(self, seen: Observation, stated: Attestation, now: TimeBounds) -> AttestationResult:
        """A statement that concerns the venue; the checkpoint is not asked."""
        if self._ledger is None:
            text = "This kiosk serves no venue: there is no venue.toml."
            return AttestationResult(StatementRefusal.NO_VENUE, text=text)
        answer = self._ledger.attest(seen, stated, now)
        is_record = stated.type == "form" and self._ledger.records(stated.form)
        if answer.reason is not None or not is_record or seen.lane not in self._show:
            return answer
        if not stated.number:  # it took a while to fill in: who waits here now may be another
            text = f"{answer.text} Nobody counts as recorded by it: say the number of whom it is about."
            return replace(answer, text=text)
        done: Answer = Future()
        recorded = Attestation(stated.at_s, "record", "done", stated.number, by=stated.by)
        self._handle(replace(seen, item=recorded), now, done)
        result = done.result(0) if done.done() else answer
        if not isinstance(result, AttestationResult):
            return answer
        if result.reason is not None:
            return replace(answer, text=f"{answer.text} {result.text}")
        return replace(result, text=answer.text)

    def _handle(self, seen: Observation, now: TimeBounds, answer: Answer | None = None) -> None:
        if isinstance(seen.item, Fix) and self._ledger is not None:
            self._ledger.locate(seen.item)
        decided = self.decided
        self._run_checkpoint(partial(self._checkpoint.handle, seen, now), now, seen, answer)
        if self.decided > decided:
            self.decision_times.add(time.monotonic() - seen.item.at_s)

    def health(self) -> Iterable[Component]:
        """Whether the loop turns, and whether an internal error was caught."""
        errors = self.internal_errors + (0 if self._ledger is None else self._ledger.errors)
        error = found(ProblemCode.INTERNAL_ERROR, _INTERNAL_ERROR if errors else "")
        yield Component("loop", time.monotonic() - self.last_step_s, HANGS_S, error, vital=True)

    def _apply_ruleset(self, now: TimeBounds) -> None:
        """Judge by the rules of this moment also those who wait for a decision since before they came, or since
        before the clock was set.
        """
        generation = self._ruleset_generation()
        if generation is not self._decided_by or self._checkpoint.was_clock_set(now):
            self._decided_by = generation
            self._run_checkpoint(partial(self._checkpoint.reevaluate, now), now)

    def _run_checkpoint(  # noqa: C901 - one for each effect
        self,
        step: Callable[[], list[Effect]],
        now: TimeBounds,
        seen: Observation | None = None,
        answer: Answer | None = None,
    ) -> None:
        """Carry out the checkpoint's effects, in their order. An internal error in it must not become a way to stop
        the gate with a code: nobody is let in, nobody is kept in, the person who stands there is forgotten, and
        health says so until the agent is restarted.
        """
        try:
            effects = step()
        except Exception:
            self.internal_errors += 1
            log.exception("an internal error in judging: nobody was let in")
            reset = self._checkpoint.reset(seen, time.monotonic())
            effects = [*(ShowCue(lane, Cue.REFER) for lane in self._show), *reset]
        opening: dict[str, Future[bool] | None] = {}
        for each in effects:
            effect = each
            if isinstance(effect, ShowCue) and self._discreet:
                effect = replace(effect, cue=effect.cue.discreet, rest_s=0.0)
            match effect:
                case OpenGate(lane) | Trying(lane):
                    opening[lane] = self._open_gate[lane]()
                case ShowCue(lane, cue):
                    self._show[lane](cue, opening.get(lane))
                case Passage():
                    self.decided += 1
                    self.passages[effect.lane, effect.decision.outcome] += 1
                    entries = b""
                    if self._ledger is not None:
                        effect, entries = self._ledger.passed(effect, seen, now)
                    self._store(effect, now, entries)
                case DeviceChange():
                    entries = b"" if self._ledger is None else self._ledger.device(effect)
                    self._store(effect, now, entries)
                case LaneCommandResult() | RemeasureResult() | AttestationResult():
                    if self._ledger is not None and seen is not None:
                        _record_staff(self._ledger, seen, effect, effects, now)
                    if answer is not None and not answer.done():
                        _answer_once_open(answer, effect, opening.get(seen.lane) if seen is not None else None)
            self._observe(effect)

    def wake(self) -> None:
        """End the current wait; from any thread or a signal handler."""
        self.inbox.wake()

    def finish(self) -> None:
        """After the last step: store what the central server is to be told of, and drop what was seen."""
        if self._ledger is not None:
            self._ledger.end()
        while (item := self.inbox.pop(0.0)) is not None:
            if not isinstance(item, Observation | LoopRequest):
                self._act(item, self._now())

    def record(self, change: AgentChange) -> None:
        """An event of the agent itself."""
        self._store(change, self._now())

    def _anchor(self, now: TimeBounds) -> None:
        """Once the clock is known, and again after doubts about it: an event that dates all others of this boot."""
        state = now.state
        if state is ClockState.SUSPECT:
            self._anchored = False
        elif state is ClockState.SYNCED and not self._anchored:
            self._anchored = True
            self.record(AgentChange("clock_synchronised", __version__))

    def _store(self, body: EventBody, now: TimeBounds, entries: bytes = b"", *, replaces: bool = False) -> None:
        if self._simulated:
            body = replace(body, simulated=True)
        if self._ledger is not None:
            entries = self._ledger.first_entries() + entries
        event = self._redacted(Event(body, boottime_s(), now, self._boot_id, entries, replaces))
        if isinstance(event.body, Passage) and event.body.redacted is None:
            self.temperatures[event.body.lane, event.body.temperature.outcome] += 1
        self._to_outbox(event)
        self._log_event(event)

    def _redacted(self, event: Event) -> Event:
        """What may be kept of an event. If that cannot be told, least of all."""
        try:
            return self._redact(event)
        except Exception as error:  # noqa: BLE001 - what it says could name a person: it is not told
            self.internal_errors += 1
            kind = type(error).__name__
            log.error("an internal error in withholding (%s): nothing personal was kept", kind)  # noqa: TRY400 - the same
            return privacy.without_details(event)


def _record_staff(
    ledger: LedgerKeeper,
    seen: Observation,
    result: LaneCommandResult | RemeasureResult | AttestationResult,
    effects: list[Effect],
    now: TimeBounds,
) -> None:
    """An opening by hand is counted; a statement that decides nothing yet is kept: else it is, with the passage."""
    decides = any(isinstance(each, Passage) for each in effects)
    if not isinstance(result, AttestationResult):
        ledger.opened(seen, result)
    elif isinstance(seen.item, Attestation) and result.reason is None and not decides:
        ledger.stated(seen.lane, seen.item, now)


def _answer_once_open(
    answer: Answer, result: LaneCommandResult | RemeasureResult | AttestationResult, opening: Future[bool] | None
) -> None:
    """Answer; after an opening by hand only when the gate's output was switched, or was not."""
    if opening is None or result.reason or isinstance(result, AttestationResult) or _has_passage(result):
        answer.set_result(result)
        return

    def opened(done: Future[bool]) -> None:
        if done.result():
            answer.set_result(result)
        elif isinstance(result, RemeasureResult):
            answer.set_result(replace(result, reason=LocalRefusal.GATE_DOWN))
        else:
            answer.set_result(replace(result, reason=CommandReason.GATE_DOWN))

    opening.add_done_callback(opened)


def _has_passage(result: LaneCommandResult | RemeasureResult) -> bool:
    """Whether the gate's opening follows from somebody's passage, whose event says that it was commanded."""
    return isinstance(result, RemeasureResult) and result.passage is not None


def _is_done(answer: Answer) -> bool:
    """Whether what was requested was done."""
    return answer.done() and not answer.cancelled() and not answer.result().reason

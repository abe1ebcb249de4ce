"""The main loop: takes observations from the inbox, asks the checkpoint, and hands on what follows.

`turn` is one step; a test can call it. Nothing in it waits for a disk, a network or a device.
"""

from __future__ import annotations

import logging
import queue
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from agent import __version__, privacy
from agent.checkpoint.case import OpenGate, RemeasureResult, Trying
from agent.checkpoint.lanes import ShowCue
from agent.inbox import LAPSE_S, Inbox
from agent.indicators import Cue
from agent.model import (
    AgentEvent,
    ClockState,
    CommandResult,
    DeviceChange,
    Event,
    EventKind,
    LaneCommandRequest,
    LaneCommandResult,
    Observation,
    Passage,
    Recorded,
    Role,
)
from agent.platform.clock import boottime_s
from agent.platform.histogram import Histogram
from agent.reasons import CommandReason, LocalRefusal
from drivers.contract import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.checkpoint import Checkpoint
    from agent.checkpoint.case import Effect
    from agent.model import TimeBounds

log = logging.getLogger(__name__)

IDLE_TURN_S = 0.5
_HAND_OVER_S = 1e-4
"""Long enough for the gate's thread to speak before the lamp's, where both hang on one wire."""


class Loop:
    """Owns the checkpoint. One thread calls `turn`; any thread may put into `inbox`."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        open_gate: Mapping[str, Callable[[], None]],
        show: Mapping[str, Callable[[Cue], None]],
        keep: Callable[[Event], None],
        tell: Callable[[Event], None],
        now: Callable[[], TimeBounds],
        withhold: Callable[[Event], Event] = privacy.anonymous,
        edition: Callable[[], object] = lambda: None,
        boot_id: str = "",
        trial: bool = False,
    ) -> None:
        """`open_gate`: lane → order one opening; `show`: lane → its lamp and buzzer; `keep`: to the outbox; `tell`:
        to the log. None of them blocks.

        `withhold`: an event without what may not be kept of a person. `edition`: another object whenever the rules
        are others. `trial`: mark every event as simulated.
        """
        self.inbox = Inbox()
        """What was seen, and what the centre is to be told of its orders and of the agent."""
        self.last_step_s = time.monotonic()
        self.decided = 0
        self.passages: Counter[tuple[str, str]] = Counter()
        """By lane and decision."""
        self.decision_times = Histogram()
        """From the last thing seen to a decision that came of it; those that waited in vain are not among them."""
        self.internal_errors = 0
        self._checkpoint = checkpoint
        self._open_gate, self._show = open_gate, show
        self._keep, self._tell, self._now, self._boot_id = keep, tell, now, boot_id
        self._pending_requests: dict[int, queue.SimpleQueue[LaneCommandResult | RemeasureResult]] = {}
        """Who waits for an answer, by the identity of what they asked."""
        self._withhold = withhold
        self._edition = edition
        self._judged_by = edition()
        self._trial = trial
        self._anchored = False

    def request(self, question: Observation, limit_s: float) -> LaneCommandResult | RemeasureResult:
        """What becomes of a wish, or of a reading of staff's own thermometer. Any thread but the loop's. Raises
        TimeoutError: an answer that comes later finds nobody, and not whoever asks next.
        """
        answer = self._pending_requests[id(question)] = queue.SimpleQueue[LaneCommandResult | RemeasureResult]()
        self.inbox.put(question)
        try:
            return answer.get(timeout=limit_s)
        except queue.Empty:
            raise TimeoutError("the loop does not answer") from None
        finally:
            del self._pending_requests[id(question)]

    def step(self, limit_s: float = IDLE_TURN_S) -> None:
        """Wait for one observation, at most `limit_s` or until a deadline of the checkpoint, and act on it."""
        self.last_step_s = time.monotonic()
        seen = self.inbox.take(min(limit_s, self._checkpoint.wait_s(self.last_step_s)))
        now = self._now()
        self._anchor(now)
        self._apply_ruleset(now)
        match seen:
            case CommandResult():
                self._store(EventKind.COMMAND_RESULT, seen, now)
            case Observation(item=LaneCommandRequest(at_s=asked_s)) if time.monotonic() - asked_s > LAPSE_S:
                self._resolve(seen, LaneCommandResult(CommandReason.TIMED_OUT))
            case Observation(role=Role.CLINICAL, item=Reading() | Recorded() as item) if (
                time.monotonic() - item.at_s > LAPSE_S
            ):
                self._resolve(seen, RemeasureResult(seen.lane, reason=LocalRefusal.TIMED_OUT))
            case AgentEvent():
                self.record(seen)
            case Observation():
                decided = self.decided
                self._run_checkpoint(partial(self._checkpoint.handle, seen, now), now, seen)
                if self.decided > decided:
                    self.decision_times.add(time.monotonic() - seen.item.at_s)
        self._run_checkpoint(partial(self._checkpoint.tick, time.monotonic()), now)

    def _apply_ruleset(self, now: TimeBounds) -> None:
        """Judge by the rules of this moment also those who wait for a decision since before they came."""
        if (edition := self._edition()) is not self._judged_by:
            self._judged_by = edition
            self._run_checkpoint(self._checkpoint.reevaluate, now)

    def _run_checkpoint(
        self, question: Callable[[], list[Effect]], now: TimeBounds, seen: Observation | None = None
    ) -> None:
        """Act on the checkpoint's answer. A defect in it must not become a way to stop the gate with a code: nobody
        is let in, nobody is kept in, whoever stands there is forgotten, and health says so until the agent is
        started anew.
        """
        try:
            results = question()
        except Exception:
            self.internal_errors += 1
            log.exception("a defect in judging: nobody was let in")
            results = self._checkpoint.reset(seen)
            for show in self._show.values():
                show(Cue.REFER)
        for result in results:
            self._apply(result, now, seen)

    def wake(self) -> None:
        """End the current wait; from any thread or a signal handler."""
        self.inbox.wake()

    def finish(self) -> None:
        """Nobody turns any more: keep the replies that came last, and let go of what was seen."""
        while (item := self.inbox.take(0.0)) is not None:
            if isinstance(item, CommandResult):
                self._store(EventKind.COMMAND_RESULT, item, self._now())

    def record(self, change: AgentEvent) -> None:
        """An event of the agent itself."""
        self._store(EventKind.AGENT, change, self._now())

    def _anchor(self, now: TimeBounds) -> None:
        """Once the clock is known, and again after doubts about it: an event that dates all others of this boot."""
        state = now.state
        if state is ClockState.SUSPECT:
            self._anchored = False
        elif state is ClockState.SYNCED and not self._anchored:
            self._anchored = True
            self.record(AgentEvent("clock_synchronised", __version__))

    def _resolve(self, question: Observation | None, answer: LaneCommandResult | RemeasureResult) -> None:
        if (asker := self._pending_requests.get(id(question))) is not None:
            asker.put(answer)

    def _apply(self, result: Effect, now: TimeBounds, seen: Observation | None) -> None:
        match result:
            case OpenGate(lane) | Trying(lane):
                self._open_gate[lane]()
                time.sleep(_HAND_OVER_S)
            case ShowCue(lane, cue):
                self._show[lane](cue)
            case Passage():
                self.decided += 1
                self.passages[result.lane, result.decision.outcome] += 1
                self._store(EventKind.PASSAGE, result, now)
            case DeviceChange():
                self._store(EventKind.DEVICE, result, now)
            case LaneCommandResult() | RemeasureResult():
                self._resolve(seen, result)

    def _store(
        self, kind: EventKind, body: Passage | DeviceChange | AgentEvent | CommandResult, now: TimeBounds
    ) -> None:
        if self._trial:
            body = replace(body, simulated=True)
        event = self._redacted(Event(kind, body, boottime_s(), now, self._boot_id))
        self._keep(event)
        self._tell(event)

    def _redacted(self, event: Event) -> Event:
        """What may be kept of an event. If that cannot be told, least of all."""
        try:
            return self._withhold(event)
        except Exception as error:  # noqa: BLE001 - what it says could name a person: it is not told
            self.internal_errors += 1
            kind = type(error).__name__
            log.error("a defect in withholding (%s): nothing personal was kept", kind)  # noqa: TRY400 - the same
            return privacy.without_details(event)

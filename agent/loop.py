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
from agent.checkpoint.case import Opening, Settled, Trying
from agent.checkpoint.lanes import Showing
from agent.clock import boottime_s
from agent.health.tally import Tally
from agent.inbox import LAPSE_S, Inbox
from agent.model import (
    AgentChange,
    Answer,
    ClockState,
    DeviceChange,
    Event,
    EventKind,
    Observation,
    Part,
    Passage,
    Recorded,
    Reply,
    Wished,
)
from agent.signals import Cue
from drivers.contract import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.checkpoint import Checkpoint
    from agent.checkpoint.case import Result
    from agent.model import Now

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
        now: Callable[[], Now],
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
        self.turned_s = time.monotonic()
        self.decided = 0
        self.passages: Counter[tuple[str, str]] = Counter()
        """By lane and decision."""
        self.took = Tally()
        """From the last thing seen to a decision that came of it; those that waited in vain are not among them."""
        self.defects = 0
        self._checkpoint = checkpoint
        self._open_gate, self._show = open_gate, show
        self._keep, self._tell, self._now, self._boot_id = keep, tell, now, boot_id
        self._asked: dict[int, queue.SimpleQueue[Answer | Settled]] = {}
        """Who waits for an answer, by the identity of what they asked."""
        self._withhold = withhold
        self._edition = edition
        self._judged_by = edition()
        self._trial = trial
        self._anchored = False

    def ask(self, question: Observation, limit_s: float) -> Answer | Settled:
        """What becomes of a wish, or of a reading of staff's own thermometer. Any thread but the loop's. Raises
        TimeoutError: an answer that comes later finds nobody, and not whoever asks next.
        """
        answer = self._asked[id(question)] = queue.SimpleQueue[Answer | Settled]()
        self.inbox.put(question)
        try:
            return answer.get(timeout=limit_s)
        except queue.Empty:
            raise TimeoutError("the loop does not answer") from None
        finally:
            del self._asked[id(question)]

    def turn(self, limit_s: float = IDLE_TURN_S) -> None:
        """Wait for one observation, at most `limit_s` or until a deadline of the checkpoint, and act on it."""
        self.turned_s = time.monotonic()
        seen = self.inbox.take(min(limit_s, self._checkpoint.wait_s(self.turned_s)))
        now = self._now()
        self._anchor(now)
        self._keep_up(now)
        match seen:
            case Reply():
                self._happened(EventKind.REPLY, seen, now)
            case Observation(item=Wished(at_s=asked_s)) if time.monotonic() - asked_s > LAPSE_S:
                self._answer(seen, Answer("lapsed"))
            case Observation(part=Part.SECOND, item=Reading() | Recorded() as item) if (
                time.monotonic() - item.at_s > LAPSE_S
            ):
                self._answer(seen, Settled(seen.lane, reason="lapsed"))
            case AgentChange():
                self.note(seen)
            case Observation():
                decided = self.decided
                self._ask(partial(self._checkpoint.see, seen, now), now, seen)
                if self.decided > decided:
                    self.took.add(time.monotonic() - seen.item.at_s)
        self._ask(partial(self._checkpoint.tick, time.monotonic()), now)

    def _keep_up(self, now: Now) -> None:
        """Judge by the rules of this moment also those who wait for a decision since before they came."""
        if (edition := self._edition()) is not self._judged_by:
            self._judged_by = edition
            self._ask(self._checkpoint.judge_anew, now)

    def _ask(self, question: Callable[[], list[Result]], now: Now, seen: Observation | None = None) -> None:
        """Act on the checkpoint's answer. A defect in it must not become a way to stop the gate with a code: nobody
        is let in, nobody is kept in, whoever stands there is forgotten, and health says so until the agent is
        started anew.
        """
        try:
            results = question()
        except Exception:
            self.defects += 1
            log.exception("a defect in judging: nobody was let in")
            results = self._checkpoint.forget(seen)
            for show in self._show.values():
                show(Cue.REFER)
        for result in results:
            self._follow(result, now, seen)

    def wake(self) -> None:
        """End the current wait; from any thread or a signal handler."""
        self.inbox.wake()

    def finish(self) -> None:
        """Nobody turns any more: keep the replies that came last, and let go of what was seen."""
        while (item := self.inbox.take(0.0)) is not None:
            if isinstance(item, Reply):
                self._happened(EventKind.REPLY, item, self._now())

    def note(self, change: AgentChange) -> None:
        """An event of the agent itself."""
        self._happened(EventKind.AGENT, change, self._now())

    def _anchor(self, now: Now) -> None:
        """Once the clock is known, and again after doubts about it: an event that dates all others of this boot."""
        state = now.state
        if state is ClockState.SUSPECT:
            self._anchored = False
        elif state is ClockState.SYNCED and not self._anchored:
            self._anchored = True
            self.note(AgentChange("anchor", __version__))

    def _answer(self, question: Observation | None, answer: Answer | Settled) -> None:
        if (asker := self._asked.get(id(question))) is not None:
            asker.put(answer)

    def _follow(self, result: Result, now: Now, seen: Observation | None) -> None:
        match result:
            case Opening(lane) | Trying(lane):
                self._open_gate[lane]()
                time.sleep(_HAND_OVER_S)
            case Showing(lane, cue):
                self._show[lane](cue)
            case Passage():
                self.decided += 1
                self.passages[result.lane, result.decision.outcome] += 1
                self._happened(EventKind.PASSAGE, result, now)
            case DeviceChange():
                self._happened(EventKind.DEVICE, result, now)
            case Answer() | Settled():
                self._answer(seen, result)

    def _happened(self, kind: EventKind, body: Passage | DeviceChange | AgentChange | Reply, now: Now) -> None:
        if self._trial:
            body = replace(body, simulated=True)
        event = self._without_person(Event(kind, body, boottime_s(), now, self._boot_id))
        self._keep(event)
        self._tell(event)

    def _without_person(self, event: Event) -> Event:
        """What may be kept of an event. If that cannot be told, least of all."""
        try:
            return self._withhold(event)
        except Exception as error:  # noqa: BLE001 - what it says could name a person: it is not told
            self.defects += 1
            kind = type(error).__name__
            log.error("a defect in withholding (%s): nothing personal was kept", kind)  # noqa: TRY400 - the same
            return privacy.without_details(event)

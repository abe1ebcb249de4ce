"""The main loop: takes observations from the inbox, asks the checkpoint, and hands on what follows.

`turn` is one step; a test can call it. Nothing in it waits for a disk, a network or a device.
"""

from __future__ import annotations

import logging
import queue
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from agent.checkpoint import Opening
from agent.model import AgentChange, Answer, DeviceChange, Event, EventKind, Observation, Passage, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.checkpoint import Checkpoint, Result
    from agent.model import Now

log = logging.getLogger(__name__)

IDLE_TURN_S = 0.5


class Loop:
    """Owns the checkpoint. One thread calls `turn`; any thread may put into `inbox`."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        open_gate: Mapping[str, Callable[[], None]],
        keep: Callable[[Event], None],
        tell: Callable[[Event], None],
        now: Callable[[], Now],
        answer: Callable[[Answer], None] = lambda _: None,
        boot_id: str = "",
        trial: bool = False,
    ) -> None:
        """`open_gate`: lane → order one opening; `keep`: to the outbox; `tell`: to the log; `answer`: to whoever
        brought a wish. None of them blocks.

        `trial`: mark every event as simulated.
        """
        self.inbox: queue.SimpleQueue[Observation | Reply | None] = queue.SimpleQueue()
        """What was seen, and what the centre is to be told of its orders."""
        self.turned_s = time.monotonic()
        self.decided = 0
        self.defects = 0
        self._checkpoint = checkpoint
        self._open_gate = open_gate
        self._keep, self._tell, self._now, self._boot_id = keep, tell, now, boot_id
        self._answer = answer
        self._trial = trial

    def turn(self, limit_s: float = IDLE_TURN_S) -> None:
        """Wait for one observation, at most `limit_s` or until a deadline of the checkpoint, and act on it."""
        self.turned_s = time.monotonic()
        try:
            seen = self.inbox.get(timeout=min(limit_s, self._checkpoint.wait_s(self.turned_s)))
        except queue.Empty:
            seen = None
        match seen:
            case Reply():
                self._happened(EventKind.REPLY, seen, self._now())
            case Observation():
                now = self._now()
                self._ask(partial(self._checkpoint.see, seen, now), now)
        at_s = time.monotonic()
        if self._checkpoint.wait_s(at_s) <= 0:
            self._ask(partial(self._checkpoint.tick, at_s), self._now())

    def _ask(self, question: Callable[[], list[Result]], now: Now) -> None:
        """Act on the checkpoint's answer. A defect in it must not become a way to stop the gate with a code: nobody
        is let in, whoever stands there is forgotten, and health says so until the agent is started anew.
        """
        try:
            results = question()
        except Exception:
            self.defects += 1
            log.exception("a defect in judging: nobody was let in")
            self._checkpoint.forget()
            return
        for result in results:
            self._follow(result, now)

    def wake(self) -> None:
        """End the current wait; from any thread or a signal handler."""
        self.inbox.put(None)

    def note(self, change: AgentChange) -> None:
        """An event of the agent itself."""
        self._happened(EventKind.AGENT, change, self._now())

    def _follow(self, result: Result, now: Now) -> None:
        match result:
            case Opening(lane):
                self._open_gate[lane]()
            case Passage():
                self.decided += 1
                self._happened(EventKind.PASSAGE, result, now)
            case DeviceChange():
                self._happened(EventKind.DEVICE, result, now)
            case Answer():
                self._answer(result)

    def _happened(self, kind: EventKind, body: Passage | DeviceChange | AgentChange | Reply, now: Now) -> None:
        if self._trial:
            body = replace(body, simulated=True)
        event = Event(kind, body, time.monotonic(), now, self._boot_id)
        self._keep(event)
        self._tell(event)

"""How the link bears with a broker: how long to wait for one that is away, and what to do with one that refuses."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.model import Record

log = logging.getLogger(__name__)

QUICK_TRIES = 10
"""Reconnects within a second each, so that a broker's restart is over for us as soon as it is over."""
REFUSED_TRIES = 9
"""A broker that turned us away on purpose is asked again as if so many tries had failed."""
QUIET_S = 60.0
"""A connection that held so long starts the count anew."""
PAUSES_S = (2.0, 5.0, 15.0, 60.0)
"""Rest after a refused event, growing."""
REFUSALS_TO_PASS_OVER = 3
"""An event that was refused so often makes nobody wait any more."""
AGAIN_S = 15.0
"""How often such an event is tried again."""
LOSSES_TO_PROBE = 2
"""Connections that end with nothing accepted and something unanswered, before one event at a time is tried."""


class Backoff:
    """How long to wait before the next try: full jitter, so that a fleet does not come back as one."""

    def __init__(self, cap_s: float) -> None:
        self._cap_s = cap_s
        self._tries = 0

    def wait_s(self, *, on_purpose: bool, held_s: float) -> float:
        """After a connection that ended, or a try that failed, having held for `held_s`."""
        if held_s >= QUIET_S:
            self._tries = 0
        self._tries = max(self._tries + 1, REFUSED_TRIES if on_purpose else 0)
        ceiling_s = min(self._cap_s, 2.0 ** min(30, max(0, self._tries - QUICK_TRIES)))
        return random.uniform(0.05, ceiling_s)  # noqa: S311 - spreads kiosks out, hides nothing


class Refusals:
    """What the broker would not have, across connections: mosquitto 2.0 hangs up right after it refused.

    Nothing refused is deleted: it is set aside and tried again after a rest. In doubt one event at a time is on the
    way; what was refused often does not hold up the others any more.
    """

    def __init__(self) -> None:
        self.fault = ""
        self.total = 0
        self._times: dict[int, int] = {}
        self._rest_until_s = 0.0
        self._rests = 0
        self._retry_s = 0.0
        self._in_doubt = False
        self._fruitless = 0

    def note(self, record: Record, reason: str, now_s: float) -> None:
        """The broker refused `record`."""
        self.total += 1
        fault = f"the broker refuses events of kind {record.kind}: {reason} (its permissions or quota?)"
        if fault != self.fault:
            log.warning("mqtt: %s", fault)
            self.fault = fault
        self._in_doubt = True
        times = self._times[record.key] = self._times.get(record.key, 0) + 1
        if times < REFUSALS_TO_PASS_OVER and now_s >= self._rest_until_s:
            self._rest_until_s = now_s + PAUSES_S[min(self._rests, len(PAUSES_S) - 1)]
            self._rests += 1
        self._retry_s = max(self._rest_until_s, now_s + (AGAIN_S if times >= REFUSALS_TO_PASS_OVER else 0))

    def accepted(self, records: Iterable[Record]) -> None:
        """The broker accepted these."""
        self._fruitless = 0
        if not self.fault:
            return
        self._in_doubt, self._rests, self._rest_until_s = False, 0, 0.0
        for record in records:
            self._times.pop(record.key, None)
        if not self._times:
            log.info("mqtt: the broker accepts all events again")
            self.fault = ""

    def connection_ended(self, *, accepted: bool, unanswered: bool) -> None:
        """A connection is over: did the broker accept any event, did it leave any without an answer?"""
        self._fruitless = 0 if accepted else self._fruitless + unanswered

    def window(self, wanted: int, now_s: float) -> int:
        """How many events may be on the way: none while resting, one while in doubt."""
        if now_s < self._rest_until_s:
            return 0
        return 1 if self._in_doubt or self._fruitless >= LOSSES_TO_PROBE else wanted

    def try_again(self, now_s: float) -> bool:
        """Whether what was set aside should be tried again now."""
        if not self._times or now_s < self._retry_s:
            return False
        self._retry_s = now_s + AGAIN_S
        return True

"""The loop's inbox: what devices saw and what others ask, bounded for each source, and fair between sources.

A source is one device of one lane (or the central server). Each has a queue of its own:

- **Bounded.** At most `MOST` items wait; of a source that says more the oldest go: the newest is what is true now.
- **Lapsing.** A code or a reading that waited longer than `LAPSE_S`, here or on its way, is dropped: the person it
  was about may have left. A code at an exit waits for `LEAVING_S`: a person who wants to leave shows it once, and
  stands there.
- **Fair.** Items are taken in the order in which they came, but a source that says more than its share is put
  behind all others. (Each source has a virtual clock, as in L. Zhang's scheduling algorithm of that name: an item
  is stamped no earlier than one share after the one before it, and the lowest stamp goes first.)
- **Patient.** While the kiosk is empty, what is measured of nobody wakes nobody: it is taken with whatever comes
  next, or when the loop comes round. Each wake costs more than what is done with a reading of an empty lane.

That a device works or not, what is asked, and what the central server is told, neither lapses nor is pushed out
here: there is little of it, whatever a device sends.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import field
from typing import TYPE_CHECKING, TypeAlias

from agent.model import (
    AttestationRecord,
    AttestationResult,
    EventBody,
    LaneCommandResult,
    Observation,
    RemeasureResult,
    Role,
)
from agent.model.lazy import dataclass
from agent.platform.periodic import aligned_wait_s
from drivers.contract import Departure, Distance, Fix, Pressed, Reading, Sighting

if TYPE_CHECKING:
    from collections.abc import Iterable

Answer: TypeAlias = "Future[LaneCommandResult | RemeasureResult | AttestationResult]"


@dataclass(frozen=True, slots=True)
class LoopRequest:
    """An observation whose sender waits for the loop's answer."""

    observation: Observation
    answer: Answer = field(default_factory=Future)
    """Cancelled when its sender waits no longer: then nothing is done."""
    action: AttestationRecord | None = None
    """The event to store once it is done: who has done it."""


Message: TypeAlias = Observation | LoopRequest | EventBody
"""An EventBody is stored as an event."""

MOST = 64
"""Items of one source that wait: a loop that stood still for a second is told the last second of any device."""
LAPSE_S = 1.0
LEAVING_S = 60.0
"""As long as an exit whose gate was down still opens for a person who asked."""
SHARE_S = 0.005
"""A source that says no more than one item in so long is never behind others: 200 readings a second."""
CODE_SHARE_S = 0.02
"""The same for codes, which cost more to judge: 50 a second."""


class _BoundedQueue:
    """One queue; with the inbox's lock held."""

    __slots__ = ("_seen", "items", "stamp_s")

    def __init__(self) -> None:
        self.items: deque[tuple[float, float, Message]] = deque()
        """(stamp, when it came, what), the stamps rising."""
        self.stamp_s = 0.0
        self._seen = 0
        """How many of them a sensor saw: those are superseded by the next."""

    def add(self, message: Message, now_s: float) -> int:
        """How many had to go for it."""
        codes = isinstance(message, Observation) and isinstance(message.item, Sighting)
        share_s = CODE_SHARE_S if codes else SHARE_S
        self.stamp_s = max(now_s, self.stamp_s, min(self.stamp_s + share_s, now_s + MOST * share_s))
        self.items.append((self.stamp_s, now_s, message))
        self._seen += _is_seen(message)
        if self._seen <= MOST:
            return 0
        del self.items[next(at for at, (_, _, each) in enumerate(self.items) if _is_seen(each))]
        self._seen -= 1
        return 1

    def pop(self) -> tuple[float, Message]:
        """The oldest, and when it came."""
        _, came_s, message = self.items.popleft()
        self._seen -= _is_seen(message)
        return came_s, message


class Inbox:
    """Any thread puts; one takes."""

    def __init__(self, exits: Iterable[str] = ()) -> None:
        """`exits`: the lanes by which people leave."""
        self._exits = frozenset(exits)
        self._lock = threading.Lock()
        self._sources: dict[tuple[str, str], _BoundedQueue] = {}
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        """Rung for the consumer: unlike a lock it may be touched by a signal's handler."""
        self._is_awaited = False
        self._vacant_below_c = -math.inf
        self._busy = threading.Event()
        self._busy.set()
        self.dropped = 0
        """Items that were pushed out or lapsed, since the start."""

    def add(self, message: Message) -> None:
        """Never waits for the consumer."""
        now_s = time.monotonic()
        with self._lock:
            source = self._sources.setdefault(_source(message), _BoundedQueue())
            self.dropped += source.add(message, now_s)
            rings = self._is_awaited and not (self._is_of_nobody(message) and len(source.items) < MOST // 2)
            if rings:
                self._is_awaited = False
        if rings:
            self._bell.put(None)

    def pop(self, limit_s: float) -> Message | None:
        """The next one; None when nothing came within `limit_s`, or after `wake`."""
        if (message := self._next(waits=limit_s > 0)) is None and limit_s > 0:
            with contextlib.suppress(queue.Empty):
                self._bell.get(timeout=limit_s)
            message = self._next()
        return message

    def set_vacant(self, below_c: float) -> None:
        """Nobody is known to be here: surfaces below `below_c` are of nobody; -inf: somebody is. For the loop."""
        if below_c == self._vacant_below_c:
            return
        self._vacant_below_c = below_c
        if below_c == -math.inf:
            self._busy.set()
        else:
            self._busy.clear()

    def nap(self, seconds: float) -> bool:
        """Wait until somebody comes, for `seconds` at most; False at once while somebody is here. Any thread."""
        return not self._busy.is_set() and not self._busy.wait(aligned_wait_s(seconds))

    def _is_of_nobody(self, message: Message) -> bool:
        """Whether the kiosk is empty, and this does not change it."""
        if self._vacant_below_c == -math.inf or not isinstance(message, Observation):
            return False
        item = message.item
        if isinstance(item, Reading):
            return message.role is Role.ROOM or (
                message.role is Role.THERMOMETER and item.surface_c < self._vacant_below_c
            )
        return isinstance(item, Distance)

    def wake(self) -> None:
        """End the current wait; from any thread or a signal's handler."""
        self._bell.put(None)

    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return self.waiting() == 0

    def waiting(self) -> int:
        """How many wait."""
        with self._lock:
            return sum(len(source.items) for source in self._sources.values())

    def _next(self, *, waits: bool = False) -> Message | None:
        """`waits`: whether to be rung for when there is none."""
        now_s = time.monotonic()
        with self._lock:
            while waiting := [source for source in self._sources.values() if source.items]:
                came_s, message = min(waiting, key=lambda source: source.items[0][0]).pop()
                if now_s - min(came_s, _seen_s(message)) <= self._lapse_s(message):
                    return message
                self.dropped += 1
            self._is_awaited = waits
        return None

    def _lapse_s(self, message: Message) -> float:
        """How long it may wait. That somebody left, or wants to leave, stays true."""
        if not isinstance(message, Observation) or not _is_seen(message):
            return math.inf
        if isinstance(message.item, Departure | Pressed):
            return math.inf
        return LEAVING_S if message.lane in self._exits and isinstance(message.item, Sighting) else LAPSE_S


def _source(message: Message) -> tuple[str, str]:
    if isinstance(message, LoopRequest):
        message = message.observation
    return (message.lane, message.role) if isinstance(message, Observation) else ("", type(message).__name__)


def _seen_s(message: Message) -> float:
    """When a sensor saw it; a driver tells when it had waited in the device's line."""
    item = message.item if isinstance(message, Observation) else None
    return item.at_s if isinstance(item, Sighting | Reading | Distance) else math.inf


def _is_seen(message: Message) -> bool:
    """Whether a sensor of the kiosk saw it; staff who type what they measured wait for an answer."""
    return (
        isinstance(message, Observation)
        and message.role is not Role.CLINICAL
        and isinstance(message.item, Sighting | Reading | Distance | Departure | Fix | Pressed)
    )

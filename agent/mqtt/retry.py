"""Reconnect back-off, retry of rejected events, and redelivery of what the central server has not confirmed."""

from __future__ import annotations

import logging
from random import uniform
from typing import TYPE_CHECKING

from agent.outbox.send_queue import A_FEW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.model import Record
    from agent.outbox.send_queue import SendQueue

log = logging.getLogger(__name__)

QUICK_TRIES = 10
"""Reconnects within a second each, so that a broker's restart is over for us as soon as it is over."""
QUICK_TRIES_OF_A_FLEET = 2
"""The same for a fleet that a broker cannot take in within a second, the try after a working connection too."""
CONNECTS_PER_S = 500
"""Connections that a broker takes in a second, with some room: mutual TLS costs it 0.76 ms of one core each."""
QUICK_SHARE = 1 / 40
"""Within this share of its window a large fleet makes its quick tries."""
WORKED_MOST_S = 5.0
"""Longest wait after a connection on which something was delivered, however short it was: a link that drops again
and again delivers most when it is taken up again soon. (Of a fleet beyond 100,000 kiosks it is longer.)"""
PAUSES_S = (2.0, 5.0, 15.0, 60.0)
"""Rest after a refused event, growing."""
REFUSALS_TO_PASS_OVER = 3
"""An event that was refused so often makes nobody wait any more."""
AGAIN_S = 15.0
"""How often such an event is tried again."""
MOST_COUNTED = 1000
"""Events whose refusals are counted; of more it is only known that there are some."""
ENDS_TO_PARK = 3
"""Connections that end at one and the same event, all else being answered, before it is parked."""
PARKED_S, PARKED_MOST_S = 60.0, 3600.0
"""How long a parked event is not sent: twice as long each time."""
LOSSES_TO_PROBE = 2
"""Connections in a row that end with an event unanswered, before one at a time is tried; then one more for each
that is accepted, until as many are on the way as ever."""


_REMEDIES = (
    ("Maximum Packet Size", "raise the broker's limit: max_packet_size"),
    ("Packet too large", "raise the broker's limit: max_packet_size, message_size_limit"),
    ("ends each time", "is it too large for the broker, or its topic not permitted? its log says why"),
    ("Not authorized", "its permissions: may this kiosk write the topic?"),
    ("Quota exceeded", "its quota: queue, disk, rate"),
    ("Topic name invalid", "does the broker restrict names of topics?"),
    ("Payload format invalid", "does the broker check what is published?"),
)
"""By a part of the broker's reason."""

LONGEST_S = 600.0
"""Longest wait for a receipt before the oldest events are sent again."""
FASTER = 4
"""What was sent again was confirmed, and only that: so much more of it at once."""
MOST_AGAIN = 512
"""A broker may drop what is queued beyond a thousand messages, as mosquitto does unless told otherwise."""
SOON_S = 2.0
"""After a new connection the central server may need a moment longer than we to be back."""


AHEAD = 900
"""Events that may be ahead of the receipts of a central server that answers, for the same reason."""
ANSWERS_S = 2.0
"""A central server that has confirmed nothing for so long is not waited for."""


class ReconnectBackoff:
    """How long to wait before the next try: full jitter, so that a fleet does not come back as one.

    A fleet comes back within its window, the seconds that its broker needs to take all of it in: after the quick
    tries each wait is random up to the window at least, then up to twice that, up to `cap_s` or the window.
    """

    def __init__(
        self, cap_s: float, fleet_size: int = 1, between: Callable[[float, float], float] = uniform
    ) -> None:
        """`fleet_size`: kiosks that a broker has to take back; `between`: a random number from one to another."""
        self._window_s = fleet_size / CONNECTS_PER_S
        self._is_large = self._window_s > 1.0
        self._quick_tries = QUICK_TRIES_OF_A_FLEET if self._is_large else QUICK_TRIES
        self._quick_s = max(1.0, self._window_s * QUICK_SHARE)
        self._cap_s = max(cap_s, self._window_s)
        self._between = between
        self._tries = 0
        """Connections in a row on which nothing was delivered ..."""
        self._drops = 0
        """... and on which something was."""

    def wait_s(self, *, on_purpose: bool, worked: bool) -> float:
        """After a connection that ended, or a try that failed. `worked`: the broker took something on it."""
        if worked:
            self._tries, self._drops = int(self._is_large), self._drops + 1
            ceiling_s = max(min(WORKED_MOST_S, 0.5 * 2.0 ** min(30, self._drops)), self._quick_s)
        else:
            # a broker that turned us away on purpose is asked again as if almost all quick tries had failed
            self._tries, self._drops = max(self._tries + 1, self._quick_tries - 1 if on_purpose else 0), 0
            slow = self._tries - self._quick_tries
            ceiling_s = max(2.0, self._window_s) * 2.0 ** min(30, slow - 1) if slow > 0 else self._quick_s
        return self._between(0.05, min(self._cap_s, ceiling_s))


class RejectedEvents:
    """What the broker would not have, across connections: mosquitto 2.0 hangs up right after it refused.

    Nothing refused is deleted: it is set aside and tried again after a rest. In doubt one event at a time is on the
    way; what was refused often does not hold up the others any more.
    """

    def __init__(self) -> None:
        self.fault = ""
        self.total = 0
        self._times: dict[int, int] = {}
        self._more = False
        """Others than these were refused, too."""
        self._rest_until_s = 0.0
        self._rests = 0
        self._retry_s = 0.0
        self._in_doubt = False
        self._losses = self._room = 0
        """Connections in a row that ended with an event unanswered; and how many were accepted since the last."""
        self._ends: tuple[int, int] = (0, 0)
        """Key of the event at which connections ended recently, and how many did in a row."""
        self._parked: dict[int, tuple[float, int]] = {}
        """Key → until when it is not sent, and how often it was parked."""
        self._too_long: set[int] = set()

    def note(self, record: Record, reason: str, now_s: float) -> None:
        """The broker refused `record`."""
        self._report_rejected(record, reason)
        self._in_doubt = True
        times = self._times.get(record.key, 0) + 1
        if times > 1 or len(self._times) < MOST_COUNTED:
            self._times[record.key] = times
        else:
            self._more, times = True, REFUSALS_TO_PASS_OVER
        if times < REFUSALS_TO_PASS_OVER and now_s >= self._rest_until_s:
            self._rest_until_s = now_s + PAUSES_S[min(self._rests, len(PAUSES_S) - 1)]
            self._rests += 1
        self._retry_s = max(self._rest_until_s, now_s + (AGAIN_S if times >= REFUSALS_TO_PASS_OVER else 0))

    def _report_rejected(self, record: Record, reason: str) -> None:
        self.total += 1
        remedy = next((remedy for part, remedy in _REMEDIES if part in reason), "its permissions or quota?")
        fault = f"the broker refuses events of kind {record.kind}: {reason} ({remedy}); they are kept"
        if fault != self.fault:
            log.warning("mqtt: %s", fault)
            self.fault = fault

    def too_long(self, record: Record, reason: str, now_s: float) -> None:
        """The broker does not accept packets of this size: the event is not sent."""
        if record.key not in self._too_long:
            if len(self._too_long) < MOST_COUNTED:
                self._too_long.add(record.key)
            self._report_rejected(record, reason)
        self._more = True
        self._retry_s = max(self._retry_s, now_s + AGAIN_S)

    def is_parked(self, record: Record, now_s: float) -> bool:
        """Whether not to send it now."""
        return now_s < self._parked.get(record.key, (now_s, 0))[0]

    def ended_at(self, record: Record, now_s: float) -> None:
        """The connection ended, and all but this one was answered. Often, and it is parked."""
        key, times = self._ends
        self._ends = record.key, times + 1 if key == record.key else 1
        _, parked = self._parked.get(record.key, (0.0, 0))
        if self._ends[1] < ENDS_TO_PARK and not parked:
            return
        self._ends = 0, 0
        if len(self._parked) >= MOST_COUNTED:
            self._parked.pop(next(iter(self._parked)))
        self._parked[record.key] = now_s + min(PARKED_MOST_S, PARKED_S * 2.0 ** min(parked, 30)), parked + 1
        self._more = True
        self._report_rejected(record, f"the connection ends each time that it is sent, {len(record.payload)} bytes")
        self._retry_s = max(self._retry_s, now_s + AGAIN_S)

    def accepted(self, records: Iterable[Record]) -> None:
        """The broker accepted these."""
        records = list(records)
        self._room += len(records)
        if not self.fault:
            return
        self._in_doubt, self._rests, self._rest_until_s = False, 0, 0.0
        for record in records:
            self._times.pop(record.key, None)
            self._parked.pop(record.key, None)
            self._too_long.discard(record.key)
        if not (self._times or self._more):
            self._over()

    @property
    def probes(self) -> bool:
        """Connections end again and again: one thing at a time is to be on the way, until an event is accepted."""
        return self._losses >= LOSSES_TO_PROBE and not self._room

    def connection_ended(self, *, unanswered: bool) -> None:
        """A connection is over: did the broker leave any event without an answer?"""
        self._losses = self._losses + 1 if unanswered else 0
        self._room = 0

    def window(self, wanted: int, now_s: float) -> int:
        """How many events may be on the way: none while resting, one while in doubt."""
        if now_s < self._rest_until_s:
            return 0
        if self._losses >= LOSSES_TO_PROBE:
            wanted = min(wanted, 1 + self._room)
        return 1 if self._in_doubt else wanted

    def _over(self) -> None:
        log.info("mqtt: the broker accepts all events again")
        self.fault, self._more = "", False
        self._times.clear()
        self._parked.clear()
        self._too_long.clear()

    def try_again(self, now_s: float, *, none_left: bool) -> bool:
        """Whether what was set aside should be tried again now. `none_left`: all was sent, and none was refused
        since; what was counted may have been dropped, or confirmed.
        """
        if not self.fault or now_s < self._retry_s:
            return False
        if none_left:
            self._over()
            return False
        self._retry_s = now_s + AGAIN_S
        return True


class RedeliveryPacing:
    """How far events may be ahead of the central server's receipts, while it answers. One that is away holds up
    nobody.
    """

    def __init__(self) -> None:
        self._ahead = 0
        self._confirmed = 0
        self._answered_s = 0.0

    def connected(self, now_s: float) -> None:
        """Who has just connected waits a moment for the first receipt."""
        self._ahead, self._answered_s = 0, now_s

    def sent(self, count: int) -> None:
        """So many more are on their way."""
        self._ahead += count

    def room(self, wanted: int, confirmed: int, now_s: float) -> int:
        """How many of the `wanted` may go now; `confirmed`: by the central server, since the start."""
        if confirmed != self._confirmed:
            self._ahead = max(0, self._ahead - (confirmed - self._confirmed))
            self._confirmed, self._answered_s = confirmed, now_s
        elif now_s - self._answered_s > ANSWERS_S:
            self._ahead = 0
            return wanted
        return min(wanted, AHEAD - self._ahead)


class AcknowledgementWatch:
    """When to send again what the broker has acknowledged and the central server does not confirm.

    A few of the oldest first: a central server that is away costs little. When it confirms just these, the
    originals are lost, and more and more follow; when it confirms others too, the originals are coming.
    """

    def __init__(self, receipt_timeout_s: float) -> None:
        self.fault = ""
        self.pace = RedeliveryPacing()
        self._receipt_timeout_s = self._wait_s = receipt_timeout_s
        self._oldest: int | None = None
        self._since_s = 0.0
        self._count = 0
        """How many were sent again last."""

    def reconnected(self, now_s: float) -> None:
        """The broker may have lost what it had: do not wait any longer for that."""
        self.pace.connected(now_s)
        if self._oldest is not None:
            self._wait_s = 0.0

    def resend_due(self, send_queue: SendQueue, now_s: float) -> None:
        """A moment of the link: send again what is due."""
        oldest = send_queue.overdue()
        if oldest is None or oldest != self._oldest:
            self._oldest, self._since_s, self._wait_s = oldest, now_s, self._receipt_timeout_s
            self._set_fault("")
            if self._count and oldest is not None and oldest <= send_queue.again_to:
                return
            only_these = self._count > 0 and oldest == send_queue.again_next
            self._count = min(self._count * FASTER, MOST_AGAIN) if only_these else 0
            if only_these:
                send_queue.redeliver(self._count)
        elif now_s - self._since_s >= self._wait_s:
            if self._count and self._wait_s >= self._receipt_timeout_s:
                self._set_fault(
                    "the central server does not confirm (is it running?): events are kept and sent again"
                )
            self._wait_s = min(max(SOON_S, 2 * self._wait_s), LONGEST_S)
            self._since_s, self._count = now_s, A_FEW
            send_queue.redeliver(A_FEW)

    def _set_fault(self, fault: str) -> None:
        if bool(fault) != bool(self.fault):
            log.warning("mqtt: %s", fault or "the central server confirms again")
        self.fault = fault

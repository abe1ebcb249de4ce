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
"""The first reconnects wait a second at most: after a restart of the broker the kiosk is back at once."""
QUICK_TRIES_OF_A_FLEET = 2
"""As `QUICK_TRIES`, for a fleet that a broker cannot accept within a second. The try after a working connection
counts as one.
"""
CONNECTS_PER_S = 500
"""Connections that a broker accepts in a second, with a reserve: each with mutual TLS takes 0.76 ms of one core."""
QUICK_SHARE = 1 / 40
"""A large fleet makes its quick tries within this share of its window (`ReconnectBackoff`)."""
WORKED_MOST_S = 5.0
"""Longest wait after a connection on which something was delivered, even a short one: a link that drops often
delivers most when the kiosk reconnects soon. (For a fleet beyond 100,000 kiosks the wait is longer.)
"""
PAUSES_S = (2.0, 5.0, 15.0, 60.0)
"""How long no event is sent after the broker has refused one: the first time, the second, …; then always the
last.
"""
REFUSALS_TO_PASS_OVER = 3
"""An event that was refused so many times no longer delays the others."""
AGAIN_S = 15.0
"""Seconds between two tries of an event that no longer delays the others."""
MOST_COUNTED = 1000
"""Events whose refusals are counted one by one; that there are more is one flag."""
ENDS_TO_PARK = 3
"""An event is parked when so many connections in a row ended at it and had answered everything before it."""
PARKED_S, PARKED_MOST_S = 60.0, 3600.0
"""How long a parked event is not sent: the first time, and at most. It doubles each time."""
LOSSES_TO_PROBE = 2
"""After so many connections in a row that ended with an event unanswered, one event is sent at a time. Each one
that is accepted allows one more.
"""


_REMEDIES = (
    ("Maximum Packet Size", "raise the broker's limit: max_packet_size"),
    ("Packet too large", "raise the broker's limit: max_packet_size, message_size_limit"),
    ("ends each time", "is it too large for the broker, or its topic not permitted? its log says why"),
    ("Not authorized", "its permissions: may this kiosk write the topic?"),
    ("Quota exceeded", "its quota: queue, disk, rate"),
    ("Topic name invalid", "does the broker restrict names of topics?"),
    ("Payload format invalid", "does the broker check what is published?"),
)
"""Part of the broker's reason → what to do."""

LONGEST_S = 600.0
"""Longest wait for a receipt before the oldest events are sent again."""
FASTER = 4
"""When exactly the events that were sent again are confirmed, the next time so many times as many are sent."""
MOST_AGAIN = 512
"""Most events that are sent again at once. A broker may drop messages beyond a thousand in its queue: mosquitto
does by default.
"""
SOON_S = 2.0
"""After a new connection events are sent again at once, then after this, doubling: the central server may connect
later than the kiosk.
"""


AHEAD = 900
"""Events that may be sent and not confirmed yet, while the central server answers; for the reason of
`MOST_AGAIN`.
"""
ANSWERS_S = 2.0
"""A central server that has confirmed nothing for so long does not answer: events no longer wait for it."""


class ReconnectBackoff:
    """How long to wait before the next try. The wait is random (full jitter), so that the kiosks of a fleet do not
    all come back at once.

    The window of a fleet is the time that its broker needs to accept all kiosks. After the quick tries each wait is
    random: up to the window, then up to twice that, and so on up to `cap_s`, or the window if that is longer.
    """

    def __init__(
        self, cap_s: float, fleet_size: int = 1, between: Callable[[float, float], float] = uniform
    ) -> None:
        """`fleet_size`: kiosks that the broker has to accept again; `between`: a random number between two."""
        self._window_s = fleet_size / CONNECTS_PER_S
        self._is_large = self._window_s > 1.0
        self._quick_tries = QUICK_TRIES_OF_A_FLEET if self._is_large else QUICK_TRIES
        self._quick_s = max(1.0, self._window_s * QUICK_SHARE)
        self._cap_s = max(cap_s, self._window_s)
        self._between = between
        self._tries = 0
        """Connections in a row on which nothing was delivered."""
        self._drops = 0
        """Connections in a row on which something was delivered."""

    def wait_s(self, *, on_purpose: bool, worked: bool) -> float:
        """The wait after a connection that ended, or a try that failed. `on_purpose`: the broker refused it;
        `worked`: the broker accepted something on it.
        """
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
    """Events that the broker refused, also over several connections: mosquitto 2.0 disconnects after each refusal.

    A refused event is not deleted: it is set aside and tried again later. After a refusal one event is sent at a
    time. An event that was refused often no longer delays the others.
    """

    def __init__(self) -> None:
        self.fault = ""
        self.total = 0
        self._times: dict[int, int] = {}
        self._more = False
        """More events were refused than are counted."""
        self._rest_until_s = 0.0
        self._rests = 0
        self._retry_s = 0.0
        self._in_doubt = False
        self._losses = self._room = 0
        """`_losses`: connections in a row that ended with an event unanswered; `_room`: events accepted since the
        last.
        """
        self._ends: tuple[int, int] = (0, 0)
        """Key of the event at which the latest connections ended, and how many of them in a row."""
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
        """Whether it must not be sent now."""
        return now_s < self._parked.get(record.key, (now_s, 0))[0]

    def ended_at(self, record: Record, now_s: float) -> None:
        """The connection ended with only this event unanswered. When this happens often, the event is parked."""
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
        """Whether only one message at a time is to be sent: connections end again and again, and no event was
        accepted since.
        """
        return self._losses >= LOSSES_TO_PROBE and not self._room

    def connection_ended(self, *, unanswered: bool) -> None:
        """A connection has ended. `unanswered`: an event on it got no answer."""
        self._losses = self._losses + 1 if unanswered else 0
        self._room = 0

    def window(self, wanted: int, now_s: float) -> int:
        """How many events may be sent and unanswered: none during a pause, one after a refusal."""
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
        """Whether to try the events that were set aside again now. `none_left`: everything was sent, and nothing
        was refused since; events that were counted may have been deleted or confirmed meanwhile.
        """
        if not self.fault or now_s < self._retry_s:
            return False
        if none_left:
            self._over()
            return False
        self._retry_s = now_s + AGAIN_S
        return True


class RedeliveryPacing:
    """How many events may be sent before the central server confirms them, while it answers. A central server that
    does not answer delays nothing.
    """

    def __init__(self) -> None:
        self._ahead = 0
        self._confirmed = 0
        self._answered_s = 0.0

    def connected(self, now_s: float) -> None:
        """The link has connected: wait a moment for the first receipt."""
        self._ahead, self._answered_s = 0, now_s

    def sent(self, count: int) -> None:
        """So many more events were sent."""
        self._ahead += count

    def room(self, wanted: int, confirmed: int, now_s: float) -> int:
        """How many of the `wanted` events may be sent now; `confirmed`: how many the central server has confirmed
        since the start.
        """
        if confirmed != self._confirmed:
            self._ahead = max(0, self._ahead - (confirmed - self._confirmed))
            self._confirmed, self._answered_s = confirmed, now_s
        elif now_s - self._answered_s > ANSWERS_S:
            self._ahead = 0
            return wanted
        return min(wanted, AHEAD - self._ahead)


class AcknowledgementWatch:
    """When to send events again that the broker has acknowledged and the central server does not confirm.

    A few of the oldest are sent first, so a central server that is away costs little traffic. If it confirms only
    these, the originals are lost: more follow, and more each time. If it confirms others too, the originals are
    still coming.
    """

    def __init__(self, receipt_timeout_s: float) -> None:
        self.fault = ""
        self.pace = RedeliveryPacing()
        self._receipt_timeout_s = self._wait_s = receipt_timeout_s
        self._oldest: int | None = None
        self._since_s = 0.0
        self._count = 0
        """How many events were sent again the last time."""

    def reconnected(self, now_s: float) -> None:
        """The broker may have lost its messages: do not wait for receipts of those any longer."""
        self.pace.connected(now_s)
        if self._oldest is not None:
            self._wait_s = 0.0

    def resend_due(self, send_queue: SendQueue, now_s: float) -> None:
        """Send again what is due. The link calls it about once a second."""
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

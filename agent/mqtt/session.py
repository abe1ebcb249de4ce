"""One connection to the broker, from dialling to its end.

What is on the way is counted here: paho 2.2 ignores the broker's Receive Maximum.
"""

from __future__ import annotations

import logging
import select
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from agent.messages import Topics
from agent.messages.state import State, offline_payload, state_payload
from agent.mqtt import failures
from agent.mqtt.tls import demand_not_ended, end_of, is_settled
from agent.mqtt.wire import NO_LIMIT, Client, HungUp, LinkLost, Retained

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from agent.model import Now, Record
    from agent.mqtt.options import Options
    from agent.mqtt.patience import Overdue, Refusals
    from agent.outbox.shelf import Shelf

log = logging.getLogger(__name__)

TICK_S = 0.5
GOODBYE_S = 1.0
LISTEN_AGAIN_S = 60.0
"""How often a broker that does not let us listen is asked again."""


@dataclass(slots=True)
class Duty:
    """What sessions work for, one after the other; the link owns it."""

    options: Options
    topics: Topics
    shelf: Shelf
    refusals: Refusals
    overdue: Overdue | None
    """None: an event is delivered when the broker has it."""
    state: Callable[[], State]
    now: Callable[[], Now]
    hear: Callable[[str, bytes], None]
    """Takes topic and payload of what the centre says; never blocks."""
    is_drained: Callable[[], bool]
    """Whether nothing waits to be delivered."""
    wake: socket.socket
    """Readable when there may be something to send or to stop."""
    stop_at_s: float | None = None
    """Deliver what waits until then, and end; None while nobody asked to."""
    connections: int = 0
    moved_s: float = 0.0
    greeted: Callable[[], None] = lambda: None
    """Called when the broker accepts us."""
    renew: bool = False
    """Set to end the connection and begin another, with what there is to show by then."""
    recall: bool = True
    """Set to have the retained bundles sent again, as they are at the start."""
    dated: bool = True
    """Check the dates of certificates; not while the clock is not trusted and they are all that is wrong."""
    ends_utc: dict[str, float] = field(default_factory=dict)
    """Which certificate ends when."""
    deaf: str = ""
    """Which topics the broker does not let us hear, as a sentence; empty when it does."""


class Session:
    """One connection, from dialling to its end."""

    def __init__(self, duty: Duty, *, v5: bool) -> None:
        self._duty = duty
        self._options = duty.options
        self._shelf = duty.shelf
        self._refusals = duty.refusals
        self.reached = False
        """The broker's port answered."""
        self.greeted = False
        """The broker accepted us."""
        self.listening = False
        """The broker answered our subscription."""
        self._accepted = False
        self._receive_maximum = NO_LIMIT
        self._limit = self._options.window
        self._flight: dict[int, tuple[Record | None, float]] = {}
        self._acked: list[Record] = []
        self._told: State | None = None
        self._told_s = 0.0
        self._due: bytes | None = None
        self._listened_s = 0.0
        self._recalls = False
        """The broker was asked for the retained bundles and has not answered yet."""
        self._leaving = False
        self._event_topics: dict[str, str] = {}
        topics = duty.topics
        will = (topics.state, offline_payload(topics, duty.state().version))
        name = f"gatepost-{topics.site}-{topics.kiosk}"
        self._client = Client(duty.options, name, will, self, v5=v5, dated=duty.dated)

    @property
    def on_the_way(self) -> int:
        """Events sent and not yet acknowledged."""
        return len(self._flight)

    # -- what the broker says: called from `take_in` on this same thread --------------------------------

    def on_greeting(self, receive_maximum: int) -> None:
        """It accepts us."""
        self._receive_maximum = receive_maximum
        self._limit = min(receive_maximum, self._options.window)
        self.greeted = True
        self._duty.greeted()

    def on_answer(self, mid: int, refusal: str) -> None:
        """It acknowledged a message, or would not have it."""
        record, _ = self._flight.pop(mid, (None, 0.0))
        if record is None:
            return
        if not refusal:
            self._acked.append(record)
            if len(self._acked) * 2 >= self._limit and not self._leaving:
                self._settle()  # the next are on the way while the rest is read: the broker has no pause
                self._fill(monotonic())
                self._client.put_out()
            return
        self._refusals.note(record, refusal, monotonic())
        self._shelf.set_aside(record)

    def on_subscribed(self, refusals: Sequence[str]) -> None:
        """It lets us listen, or not."""
        self.listening, self._recalls = True, False
        refused = [f"{topic} ({why})" for (topic, _), why in zip(self._wanted(), refusals, strict=False) if why]
        deaf = f"the broker does not let us hear {', '.join(refused)}: its permissions?" if refused else ""
        if deaf != self._duty.deaf:
            log.warning("mqtt: %s", deaf or "the broker lets us hear everything again")
        self._duty.deaf = deaf

    def on_heard(self, topic: str, payload: bytes) -> None:
        """The centre says something. A defect in hearing it must not cost the link, again and again."""
        try:
            self._duty.hear(topic, payload)
        except Exception:
            log.exception("mqtt: a message of %d bytes on %s was not taken", len(payload), topic)

    # -- the connection's life --------------------------------------------------------------------------

    def run(self) -> None:
        """Connect, deliver until stopped. Raises LinkLost, OSError, ValueError when the connection is over."""
        try:
            self._client.dial()
            self.reached = True
            if certificate := self._client.certificate():
                demand_not_ended(certificate, self._duty.now())
                self._duty.ends_utc = {**self._duty.ends_utc, "the broker's certificate": end_of(certificate)}
            self._await_greeting()
            self._duty.connections += 1
            log.info("mqtt: connected to %s:%d", self._options.host, self._options.port)
            self._listen(monotonic())
            if self._duty.overdue is not None:
                self._duty.overdue.reconnected(monotonic())
            self._deliver()
        finally:
            self._duty.recall = self._duty.recall or self._recalls
            self._shelf.sent(self._acked)
            self._refusals.connection_ended(accepted=self._accepted, unanswered=bool(self._flight))
            self._client.hang_up()

    def _wanted(self) -> list[tuple[str, Retained]]:
        """What to subscribe to. A retained order would be obeyed for ever; bundles are wanted at each start."""
        topics = self._duty.topics
        bundles = Retained.ALWAYS if self._duty.recall else Retained.IF_NEW
        wanted = [(topics.order, Retained.NEVER), *((topic, bundles) for topic in topics.bundles)]
        return wanted if self._duty.overdue is None else [(topics.receipt, Retained.ALWAYS), *wanted]

    def _listen(self, now_s: float) -> None:
        self._listened_s = now_s
        wanted, self._recalls, self._duty.recall = self._wanted(), self._duty.recall or self._recalls, False
        self._client.listen(wanted)

    def _await_greeting(self) -> None:
        try:
            self._greet()
        except (HungUp, OSError) as error:
            if self.greeted:
                raise
            why = failures.hung_up(getattr(error, "reason", None) or "", self._options)
            raise LinkLost(why, on_purpose=self._options.tls) from None

    def _greet(self) -> None:
        until_s = monotonic() + self._options.connect_s
        poll = select.poll()
        poll.register(self._client.fileno(), select.POLLIN)
        self._client.put_out()
        while not self.greeted:
            left_s = until_s - monotonic()
            if left_s <= 0 or self._duty.stop_at_s is not None:
                raise LinkLost(failures.silent(self._options))
            poll.poll(min(left_s, TICK_S) * 1000)
            self._read()

    def _deliver(self) -> None:
        """Until told to stop, or the connection is lost."""
        poll = select.poll()
        poll.register(self._client.fileno(), select.POLLIN)
        poll.register(self._duty.wake.fileno(), select.POLLIN)
        writing = False
        tick_s = 0.0
        while True:
            ready = poll.poll(TICK_S * 1000)
            for descriptor, _ in ready:
                if descriptor == self._duty.wake.fileno():
                    self._duty.wake.recv(4096)
                    self._look()
                else:
                    self._read()
            now_s = monotonic()
            if now_s >= tick_s:
                tick_s = now_s + TICK_S
                self._tick(now_s)
            if self._is_over(now_s):
                return
            if not self._leaving:
                self._fill(now_s)
            self._client.put_out()
            if writing != self._client.holds_output():
                writing = not writing
                poll.modify(self._client.fileno(), select.POLLIN | (select.POLLOUT if writing else 0))

    def _read(self) -> None:
        self._client.take_in()
        self._settle()

    def _settle(self) -> None:
        """What was acknowledged leaves the outbox."""
        if self._acked:
            self._shelf.sent(self._acked)
            self._refusals.accepted(self._acked)
            self._acked = []
            self._accepted = True

    def _fill(self, now_s: float) -> None:
        """Send what the window allows, in order; a state that is due goes first."""
        if self._due is not None and len(self._flight) < self._receive_maximum:
            self._publish(self._duty.topics.state, self._due, None, now_s)
            self._due = None
        overdue = self._duty.overdue
        if not (self._duty.dated or overdue is not None):
            return  # whoever has an old key of the broker's could take them; with receipts they stay here
        room = self._refusals.window(self._limit, now_s) - len(self._flight)
        if overdue is not None:
            room = overdue.pace.room(room, self._shelf.delivered, now_s)
        if room < 1:
            return
        taken = self._shelf.take(room)
        if overdue is not None:
            overdue.pace.sent(len(taken))
        for record in taken:
            topic = self._event_topics.get(record.kind)
            if topic is None:
                topic = self._event_topics[record.kind] = self._duty.topics.event(record.kind)
            self._publish(topic, record.payload, record, now_s)

    def _publish(self, topic: str, payload: bytes, record: Record | None, now_s: float) -> None:
        """Send a message with the next `put_out`. A state has no record and is retained."""
        mid = self._client.send(topic, payload, retain=record is None)
        self._flight[mid] = (record, now_s)

    def _tick(self, now_s: float) -> None:
        """Twice a second: keep alive, find a dead link, tell a changed state, try again what was refused."""
        self._duty.moved_s = now_s
        self._client.tick()
        if not self._duty.dated and is_settled(self._duty.now()):
            raise LinkLost("the time is known now: connecting again, to check the dates of certificates as well")
        for _, sent_s in self._flight.values():
            if now_s - sent_s > self._options.ack_s:
                raise LinkLost(f"no acknowledgement within {self._options.ack_s:g} s: the link is dead")
            break  # the first is the oldest
        state = self._duty.state()
        if state.differs(self._told) or now_s - self._told_s >= self._options.state_s:
            self._told, self._told_s = state, now_s
            self._due = state_payload(self._duty.topics, state)
        self._look()
        if self._refusals.try_again(now_s, none_left=self._shelf.is_empty(refused=True)):
            self._shelf.reload()
        if self._duty.recall or (self._duty.deaf and now_s - self._listened_s >= LISTEN_AGAIN_S):
            self._listen(now_s)

    def _look(self) -> None:
        """Send again what the centre does not confirm."""
        if self._duty.overdue is not None:
            self._duty.overdue.look(self._shelf, monotonic())

    def _is_over(self, now_s: float) -> bool:
        """Whether to end, being asked to: when all is delivered, after a retained `offline` and DISCONNECT.

        When time runs out first, the connection is just cut: the broker then tells the last will instead.
        """
        if self._duty.renew:
            self._duty.renew = False
            self._client.disconnect()
            self._client.put_out()
            return True
        if self._duty.stop_at_s is None:
            return False
        if not self._leaving and not self._flight and self._duty.is_drained():
            self._leaving = True
            topics = self._duty.topics
            self._publish(topics.state, offline_payload(topics, self._duty.state().version), None, now_s)
        elif self._leaving and not self._flight:
            self._client.disconnect()
            self._client.put_out()
            return True
        return now_s >= self._duty.stop_at_s + (GOODBYE_S if self._leaving else 0)

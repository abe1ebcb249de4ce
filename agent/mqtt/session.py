"""One connection to the broker, from dialling to its end.

What is on the way is counted here: paho 2.2 ignores the broker's Receive Maximum.
"""

from __future__ import annotations

import logging
import math
import select
import threading
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from agent.events import Topics, base_chunk_of
from agent.events.state import State, offline_payload, read_mark, state_payload
from agent.model import Mark
from agent.mqtt import failures
from agent.mqtt.client import BrokerLimits, Client, ConnectionClosed, LinkLost, Retained, Will
from agent.mqtt.peers import PeerTraffic
from agent.mqtt.terms import BrokerTerm, Terms
from agent.mqtt.tls import Contexts, demand_not_ended, end_of, is_settled
from agent.platform.periodic import aligned_wait_s

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from agent.model import Record, TimeBounds
    from agent.mqtt.options import Options
    from agent.mqtt.peers import Channel
    from agent.mqtt.receipts import ReceiptVerifier
    from agent.mqtt.retry import AcknowledgementWatch, RejectedEvents
    from agent.outbox.send_queue import SendQueue

log = logging.getLogger(__name__)

TICK_S = 1.0
GOODBYE_S = 1.0
MOST_PASSED_OVER = 512
"""Events that are not to be sent now, checked in one go."""
FETCH_SOON_S, FETCH_AGAIN_S = 5.0, 600.0
"""How long no chunks of lists are asked for after a connection ended at that: the first time, and at most."""
STATE_LATEST_S = 5.0
"""After a new connection events go first, and the state when they are sent, or after so long at the latest."""
SIGHTED_AGAIN_S = 3600.0
"""Two states of other runs, found in our place no farther apart, tell of a second machine with our name."""
LISTEN_AGAIN_S = 60.0
"""How often a broker that does not let us listen is asked again."""


class MessageReceiver(Protocol):
    """Where what the broker sends goes."""

    def receive(self, topic: str, payload: bytes) -> None:
        """Take a message. Never blocks."""


@dataclass(slots=True)
class SessionContext:
    """What sessions work for, one after the other; the link owns it."""

    options: Options
    topics: Topics
    send_queue: SendQueue
    refusals: RejectedEvents
    overdue: AcknowledgementWatch | None
    """None: an event is delivered when the broker has it."""
    state: Callable[[], State]
    now: Callable[[], TimeBounds]
    inbox: MessageReceiver | None
    """None: what comes is dropped."""
    receipts: ReceiptVerifier
    is_drained: Callable[[], bool]
    """Whether nothing waits to be delivered."""
    wake: socket.socket
    """Readable when there may be something to send or to stop."""
    stop_at_s: float | None = None
    """When to end; until then what waits is delivered. None: the link is not being stopped."""
    connections: int = 0
    moved_s: float = 0.0
    connected: Callable[[], None] = lambda: None
    """Called when the broker accepts us."""
    renew: bool = False
    """Set to connect again, with the certificate that is then in use."""
    refetch_retained: bool = True
    """Set to have the broker send the retained bundles again, as at the start."""
    dated: bool = True
    """Whether the dates of certificates are checked: not while the clock is not trusted and only they are wrong."""
    contexts: Contexts = field(default_factory=Contexts)
    """Contexts of TLS, kept so that sessions can be resumed."""
    ends_utc: dict[str, float] = field(default_factory=dict)
    """Which certificate ends when."""
    mark: Callable[[], Mark] = lambda: Mark("", 0)
    """Epoch and newest sequence of the store of events."""
    proves: Callable[[Mark], bool] = lambda _: False
    """Whether a mark of our epoch is by a machine that has our store's secret: a copy of it."""
    compare: Callable[[Mark], None] = lambda _: None
    """Gets the `Mark` of the retained state that this kiosk has published before, to compare it with the store."""
    is_compared: bool = False
    """Whether that state has come, or the broker has none. Until then no event is sent: its id may have been used
    before.
    """
    sighted: dict[tuple[str, int], tuple[bytes, float]] = field(default_factory=dict)
    """By the broker's address: a state of another run that was found in our place, empty once ours stands there,
    and when it was found, on the monotonic clock.
    """
    stranger_s: float | None = None
    """When that can only have been another machine's, on the monotonic clock; None: never."""
    farther: Mark | None = None
    """That machine has come farther with our sequences, or as far: to be compared once nothing is on the way."""
    heeded: Mark | None = None
    """The latest of these: one that the store did not believe ends no further connection."""
    terms: Terms = field(default_factory=Terms)
    """What the broker grants beside events."""
    fetch: Sequence[str] = ()
    """Topics of the chunks that are wanted now. Another object means: have them sent again."""
    take_chunk: Callable[[str, int, bytes], None] = lambda *_: None
    """Takes id, index and bytes of a chunk; never blocks."""
    fetches_ended: int = 0
    """Connections in a row that ended when chunks were requested."""
    fetch_from_s: float = 0.0
    """When chunks may be requested again after such an end."""
    channels: list[Channel] = field(default_factory=list)
    """Other channels over this connection: to the other kiosks of the site, to the authority."""
    subscribe_error: str = ""
    """A sentence that names topics to which the broker refuses the subscription; empty when there are none."""

    def sight(self, payload: bytes, now_s: float) -> None:
        """A state in our place is of another run. One of a run before can stand at a second broker, or at one that
        was restored, until ours is there; one that was put there since is another machine's.
        """
        before, seen_s = self.sighted.get(self._broker, (b"", -math.inf))
        if payload != before and now_s - seen_s < SIGHTED_AGAIN_S:
            if self.stranger_s is None:
                log.error("mqtt: another machine connects by the name of this kiosk: is there a copy of its card?")
            self.stranger_s = now_s
        self.sighted[self._broker] = (payload, now_s)

    def note_own_state(self) -> None:
        """Our own state stands in our place."""
        if self._broker in self.sighted:
            self.sighted[self._broker] = (b"", self.sighted[self._broker][1])

    @property
    def _broker(self) -> tuple[str, int]:
        return self.options.host, self.options.port


class Session:
    """One connection, from dialling to its end."""

    def __init__(self, context: SessionContext, *, v5: bool, only_probes: bool = False) -> None:
        """`only_probes`: end once the broker has greeted us."""
        self._context = context
        self._terms = context.terms
        self._only_probes = only_probes
        self._options = context.options
        self._send_queue = context.send_queue
        self._refusals = context.refusals
        self.reached = False
        """The broker's port answered."""
        self.greeted = False
        """The broker accepted us."""
        self.hung_up = False
        """The broker, or a proxy, closed the connection before it accepted us, without a reason."""
        self.listening = False
        """The broker answered our subscription."""
        self.worked = False
        """The broker accepted an event, a state or a subscription."""
        self._limits = BrokerLimits()
        self._limit = self._options.max_inflight
        self._flight: dict[int, tuple[Record | None, float]] = {}
        self._refused = ""
        """What the broker refused in its latest answer."""
        self._acked: list[Record] = []
        self._told: State | None = None
        self._told_s = 0.0
        self._due: bytes | None = None
        self._greeted_s = self._listened_s = 0.0
        self._asked: list[str] = []
        """The topics of the latest subscription."""
        self._recalls = False
        """The broker was asked for the retained bundles and has not answered yet."""
        self._fetching: Sequence[str] = ()
        self._fetch_unanswered = False
        self._leaving = False
        self._subscribes = False
        """The broker was asked to let us listen and has not answered yet."""
        self._state_retains = False
        """Whether the last state was sent as a retained message."""
        self._event_topics: dict[str, str] = {}
        self._turn = threading.Lock()
        self._turn.acquire()
        """Held by the connection's thread, except while it waits for the broker; then by a thread that sends."""
        self._lost: Exception | None = None
        """What ended the connection while somebody else sent."""
        topics = context.topics
        self._will = self._last_will(topics)
        name = f"gatepost-{topics.site}-{topics.kiosk}"
        tls_context = context.contexts.of(context.options, dated=context.dated) if context.options.tls else None
        self._client = Client(context.options, name, self._will, self, v5=v5, tls=tls_context)
        self._sharing = PeerTraffic(self._client, context.channels)

    def _last_will(self, topics: Topics) -> Will | None:
        """What the broker is to say when the connection breaks; None where it lets us have none."""
        now_s = monotonic()
        if not self._terms.asks(BrokerTerm.WILL, now_s):
            return None
        offline = offline_payload(topics, self._context.state().software_version, self._context.mark())
        retain, qos = self._terms.asks(BrokerTerm.RETAIN, now_s), int(self._terms.asks(BrokerTerm.QOS, now_s))
        return Will(topics.state, offline, retain, qos)

    @property
    def on_the_way(self) -> int:
        """Events sent and not yet acknowledged."""
        return len(self._flight)

    def fileno(self) -> int:
        """The connection's socket; -1 before it was dialled."""
        return self._client.fileno()

    def send_now(self) -> bool:
        """Send what the window allows, if the connection's thread waits for the broker: that saves waking it. Any
        thread. False: it is to be woken.
        """
        if not self._turn.acquire(blocking=False):
            return False
        try:
            self._resend_unconfirmed()
            self._fill(monotonic())
            self._client.flush()
            return not self._client.holds_output()
        except Exception as lost:  # noqa: BLE001 - raised again by the thread that it concerns
            self._lost = lost
            return False
        finally:
            self._turn.release()

    # -- what the broker says: called from `read` on this same thread --------------------------------

    def on_connected(self, limits: BrokerLimits) -> None:
        """It accepts us."""
        now_s = monotonic()
        self._limits = limits
        self._limit = min(
            limits.receive_maximum - self._sharing.reserved(limits.receive_maximum), self._options.max_inflight
        )
        self.greeted, self._greeted_s = True, now_s
        self._terms.greeted(now_s, with_will=self._will is not None)
        if not limits.retains:
            self._terms.refuse(BrokerTerm.RETAIN, "", now_s)
        if not limits.acknowledges:
            self._terms.refuse(BrokerTerm.QOS, "", now_s)
        elif self._terms.asks(BrokerTerm.QOS, now_s):
            self._terms.grant(BrokerTerm.QOS)
        self._context.connected()

    def on_acknowledgement(self, mid: int, refusal: str) -> None:
        """It acknowledged a message, or would not have it."""
        if self._sharing.on_acknowledgement(mid, refusal):
            self._terms.grant(BrokerTerm.PEERS)
            return
        if mid not in self._flight:
            return
        record, _ = self._flight.pop(mid)
        self.worked = self.worked or not refusal
        self._refused = "" if not refusal else "state" if record is None else "event"
        if record is None:
            self._state_answered(refusal)
            return
        if not refusal:
            self._acked.append(record)
            if len(self._acked) * 2 >= self._limit and not self._leaving:
                self._settle()  # the next are on the way while the rest is read: the broker has no pause
                self._fill(monotonic())
                self._client.flush()
            return
        self._refusals.note(record, refusal, monotonic())
        self._send_queue.park(record)

    def _state_answered(self, refusal: str) -> None:
        if refusal:
            self._terms.refuse(BrokerTerm.STATE, refusal, monotonic())
            return
        self._terms.grant(BrokerTerm.STATE)
        if self._state_retains:
            self._terms.grant(BrokerTerm.RETAIN)
            self._context.note_own_state()

    def on_subscribed(self, refusals: Sequence[str]) -> None:
        """It lets us listen, or not."""
        self.listening, self._recalls = True, False
        self._subscribes, self.worked = False, True
        self._terms.grant(BrokerTerm.LISTEN)
        own = self._context.topics.state  # may we not hear that, we only know less
        refused = [
            f"{topic} ({why})" for topic, why in zip(self._asked, refusals, strict=False) if why and topic != own
        ]
        deaf = f"the broker does not let us hear {', '.join(refused)}: its permissions?" if refused else ""
        if deaf != self._context.subscribe_error:
            log.warning("mqtt: %s", deaf or "the broker lets us hear everything again")
        self._context.subscribe_error = deaf

    def _compare(self, mark: Mark) -> None:
        if not self._context.is_compared:
            self._context.compare(mark)

    def _read_own_state(self, payload: bytes) -> None:
        """What is retained in our place. RabbitMQ gives back what we have just published as if it had been there.

        A state of another run is at first of the run before; later it is of another machine with our name. One
        with a copy of our card gives our sequences to other events: who has come less far begins a new epoch once
        nothing is on the way and the connection has ended: what is acknowledged meanwhile would be sent again by
        another id.
        """
        mark, own = read_mark(payload), self._context.mark()
        if mark is None or (mark.run and mark.run == own.run):
            return
        if not self._context.is_compared:
            self._context.compare(mark)
            return
        self._context.sight(payload, monotonic())
        is_behind = own.last < mark.last or (
            own.last == mark.last and own.run < mark.run and self._context.stranger_s is not None
        )
        if mark.epoch == own.epoch and is_behind and mark != self._context.heeded and self._context.proves(mark):
            self._context.farther = self._context.heeded = mark
            self._send_queue.hold()

    def _on_fetch_answered(self) -> None:
        """What there is of it comes now."""
        self._fetch_unanswered, self._context.fetches_ended = False, 0

    def on_message(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """The central server says something. An internal error in hearing it must not cost the link, again and
        again.
        """
        if topic == self._context.topics.state:
            if retained:
                self._read_own_state(payload)
            return
        try:
            if self._context.topics.is_of_channels(topic):
                self._sharing.on_message(topic, payload, retained=retained)
            elif (chunk := base_chunk_of(topic)) is not None:
                self._context.take_chunk(*chunk, payload)
            elif topic == self._context.topics.receipt:
                self._context.receipts.add(payload, self._compare)
            elif self._context.inbox is not None:
                self._context.inbox.receive(topic, payload)
        except Exception:
            log.exception("mqtt: a message of %d bytes on %s was not taken", len(payload), topic)

    # -- the connection's life --------------------------------------------------------------------------

    def run(self) -> None:
        """Connect, deliver until stopped. Raises LinkLost, OSError, ValueError when the connection is over."""
        try:
            self._client.dial()
            self.reached = True
            if certificate := self._client.certificate():
                demand_not_ended(certificate, self._context.now())
                self._context.ends_utc = {**self._context.ends_utc, "the broker's certificate": end_of(certificate)}
            self._await_greeting()
            self._demand_more_than_a_probe()
            self._context.connections += 1
            log.info("mqtt: connected to %s:%d", self._options.host, self._options.port)
            self._listen(monotonic())
            self._client.flush()  # else it would be written after the first wait
            if self._context.overdue is not None:
                self._context.overdue.reconnected(monotonic())
            self._deliver()
        except (LinkLost, OSError) as lost:
            self._blame(getattr(lost, "code", 0), str(lost))
            if isinstance(lost, ConnectionClosed) and (occasion := self._occasion()):
                remedy = "each time? a right that it does not grant: gatepost check --broker"
                raise LinkLost(f"{lost}, {occasion} ({remedy})") from None
            raise
        finally:
            self._context.refetch_retained = self._context.refetch_retained or self._recalls
            self._send_queue.acked(self._acked)
            self._refusals.connection_ended(unanswered=self._unanswered_event())
            self._sharing.on_lost()
            self._client.close()

    def _demand_more_than_a_probe(self) -> None:
        if self._only_probes:
            self._client.leave(keep_session=True)  # else the broker tells our last will
            raise LinkLost("the broker greets us in MQTT 3.1.1 and hangs up on 5, which is tried once more")

    def _occasion(self) -> str:
        """What the broker, having accepted us, may have closed the connection for; empty: nothing of ours."""
        if not self.greeted:
            return ""
        if self._subscribes:
            return "before it answered our subscription"
        if self._ended_at_peers():
            return "before it answered what is shared with the other kiosks"
        if self._flight:
            record, _ = next(iter(self._flight.values()))
            return f"before it answered our {'state' if record is None else 'event'}"
        return self._refused and f"after it refused our {self._refused}"

    def _unanswered_event(self) -> bool:
        return any(record is not None for record, _ in self._flight.values())

    def _blame(self, code: int, why: str) -> None:
        """The broker, or the network, ended the connection: at what? Asked for that again and again, it could hold
        up all events.
        """
        now_s = monotonic()
        if self._fetch_unanswered:
            self._context.fetch_from_s = now_s + min(FETCH_AGAIN_S, FETCH_SOON_S * 4.0**self._context.fetches_ended)
            self._context.fetches_ended = min(self._context.fetches_ended + 1, 9)
            log.warning("mqtt: the connection ended as we asked for a list's base (permission to read?)")
            return
        if self._terms.named(code, why, now_s):
            return
        if not self.greeted:
            if code:
                self._terms.turned_away(with_will=self._will is not None)
            return
        if self._subscribes:
            self._terms.ended_at(BrokerTerm.LISTEN, now_s)
        elif self._ended_at_peers():
            self._terms.ended_at(BrokerTerm.PEERS, now_s)
        elif any(record is None for record, _ in self._flight.values()):
            self._terms.ended_at(BrokerTerm.STATE, now_s)
        elif len(self._flight) == 1:
            self._blame_event(now_s)

    def _blame_event(self, now_s: float) -> None:
        """The connection ended at one event, or at something that nobody sees."""
        ((record, _),) = self._flight.values()
        if record is not None:
            self._refusals.ended_at(record, now_s)
            if self._refusals.is_parked(record, now_s):
                self._send_queue.park(record)

    def _ended_at_peers(self) -> bool:
        """Whether what is shared with the other kiosks is what the broker left unanswered first."""
        _, sent_s = next(iter(self._flight.values()), (None, math.inf))
        return self._sharing.is_unanswered and self._sharing.unanswered_since_s() <= sent_s

    def _wanted(self) -> list[tuple[str, Retained]]:
        """What to subscribe to. A retained command would be obeyed for ever; bundles are wanted at each start."""
        topics = self._context.topics
        bundles = Retained.ALWAYS if self._context.refetch_retained else Retained.IF_NEW
        wanted = [(topic, Retained.NEVER) for topic in topics.commands]
        wanted += [(topic, bundles) for topic in topics.bundles]
        if not self._terms.suspects(BrokerTerm.LISTEN):
            wanted.insert(1, (topics.state, Retained.ALWAYS))  # before the bundles, which may be many
        return wanted if self._context.overdue is None else [(topics.receipt, Retained.ALWAYS), *wanted]

    def _listen(self, now_s: float) -> None:
        self._listened_s = now_s
        if not self._terms.asks(BrokerTerm.LISTEN, now_s):
            return
        self._subscribes = True
        self._asked = [topic for topic, _ in self._wanted()]
        wanted, self._recalls, self._context.refetch_retained = (
            self._wanted(),
            self._context.refetch_retained or self._recalls,
            False,
        )
        self._client.listen(wanted, own=(self._context.topics.state,))

    def _await_greeting(self) -> None:
        try:
            self._greet()
        except (ConnectionClosed, OSError) as error:
            if self.greeted:
                raise
            self.hung_up = True
            why = failures.hung_up(getattr(error, "reason", None) or "", self._options)
            raise LinkLost(why, on_purpose=self._options.tls) from None

    def _greet(self) -> None:
        until_s = monotonic() + self._options.connect_timeout_s
        poll = select.poll()
        poll.register(self._client.fileno(), select.POLLIN)
        self._client.flush()
        while not self.greeted:
            left_s = until_s - monotonic()
            if left_s <= 0 or self._context.stop_at_s is not None:
                raise LinkLost(failures.silent(self._options))
            poll.poll(min(left_s, TICK_S) * 1000)
            self._read()

    def _deliver(self) -> None:
        """Run until the link is stopped, or the connection is lost."""
        poll = select.poll()
        poll.register(self._client.fileno(), select.POLLIN)
        wake = self._context.wake.fileno()
        poll.register(wake, select.POLLIN)
        writing = False
        tick_s = 0.0
        while True:
            self._turn.release()
            try:
                ready = poll.poll(aligned_wait_s(TICK_S) * 1000)
            finally:
                self._turn.acquire()
            if self._lost is not None:
                raise self._lost
            may_send = False
            for descriptor, _ in ready:
                if descriptor == wake:
                    self._context.wake.recv(4096)
                    self._resend_unconfirmed()
                    may_send = True
                else:
                    self._read()
            now_s = monotonic()
            if now_s >= tick_s:
                tick_s = now_s + aligned_wait_s(TICK_S)
                self._tick(now_s)
                may_send = True
            if self._is_over(now_s):
                return
            if not self._leaving and (may_send or self._something_waits()):
                self._fill(now_s)
            self._client.flush()
            if writing != self._client.holds_output():
                writing = not writing
                poll.modify(self._client.fileno(), select.POLLIN | (select.POLLOUT if writing else 0))

    def _something_waits(self) -> bool:
        """Whether an answer of the broker may have made room for what could not be sent before. What is new wakes
        the thread.
        """
        return self._due is not None or self._send_queue.has_ready() or bool(self._context.channels)

    def _read(self) -> None:
        self._client.read()
        self._settle()

    def _settle(self) -> None:
        """What was acknowledged leaves the outbox."""
        if self._acked:
            self._send_queue.acked(self._acked)
            self._refusals.accepted(self._acked)
            self._acked = []

    def _fill(self, now_s: float) -> None:
        """Send what the window allows, in order."""
        if self._refusals.probes and (self._subscribes or self._flight or self._sharing.is_unanswered):
            return  # one request at a time: what ends the connection is to be known
        self._sharing.send(self._limits.receive_maximum - len(self._flight), now_s)
        if self._refusals.probes and self._sharing.is_unanswered:
            return
        if self._due is not None and self._state_goes_now(now_s):
            self._publish_state(self._due, now_s)
            self._due = None
            if self._refusals.probes and self._flight:
                return
        if not self._terms.asks(BrokerTerm.QOS, now_s) or not self._is_compared():
            return
        overdue = self._context.overdue
        if not (self._context.dated or overdue is not None):
            return  # anyone who has an old key of the broker's could take them; with receipts they stay here
        room = self._refusals.window(self._limit, now_s) - len(self._flight)
        if overdue is not None:
            room = overdue.pace.room(room, self._send_queue.delivered, now_s)
        self._send_up_to(room, now_s)

    def _send_up_to(self, room: int, now_s: float) -> None:
        """Send so many events, if there are so many that may be sent now."""
        overdue, passed_over = self._context.overdue, 0
        while room > 0 and passed_over < MOST_PASSED_OVER and (taken := self._send_queue.claim_batch(room)):
            is_all, sent = len(taken) < room, 0
            for record in taken:
                sent += self._send(record, now_s)
            room, passed_over = room - sent, passed_over + len(taken) - sent
            if overdue is not None:
                overdue.pace.sent(sent)
            if is_all:
                break

    def _state_goes_now(self, now_s: float) -> bool:
        """Whether a state that is due goes before the events that wait. The first of all does: events wait for it.
        That of a new connection does not: what the kiosk has decided while it was away matters more. With
        MQTT 3.1.1 it does: there a refused event shows only as a closed connection, and must not hold up the state.
        """
        if len(self._flight) + self._sharing.on_the_way >= self._limits.receive_maximum:
            return False
        is_new = self._context.is_compared and now_s - self._greeted_s < STATE_LATEST_S
        events_first = is_new and self._client.v5 and not self._refusals.probes
        return not events_first or self._send_queue.is_empty()

    def _is_compared(self) -> bool:
        """Whether what our own retained state says of the store has come, if there is one: a broker takes packets
        in order, so it came before the answer to the state that we told after asking for it.
        """
        if not self._context.is_compared:
            state_is_on_its_way = any(record is None for record, _ in self._flight.values())
            self._context.is_compared = self._told is not None and not self._subscribes and not state_is_on_its_way
        return self._context.is_compared

    def _send(self, record: Record, now_s: float) -> bool:
        """Send an event with the next `flush`, unless it would end the connection: then it is set aside."""
        topic = self._event_topics.get(record.kind)
        if topic is None:
            topic = self._event_topics[record.kind] = self._context.topics.event(record.kind)
        if self._refusals.is_parked(record, now_s) or self._is_too_long(record, topic, now_s):
            self._send_queue.park(record)
            return False
        self._flight[self._client.send_event(topic, record.payload)] = (record, now_s)
        return True

    def _is_too_long(self, record: Record, topic: str, now_s: float) -> bool:
        """Whether the broker has said that it would end the connection for it."""
        most = self._limits.packet_bytes
        if not most or (size := self._client.event_bytes(topic, record.payload)) <= most:
            return False
        self._refusals.too_long(record, f"{size} bytes are more than its Maximum Packet Size, {most}", now_s)
        return True

    def _publish_state(self, payload: bytes, now_s: float) -> None:
        """Send a state with the next `flush`: retained, and to be acknowledged, where the broker does that."""
        if not self._terms.asks(BrokerTerm.STATE, now_s):
            return
        most, size = self._limits.packet_bytes, self._client.event_bytes(self._context.topics.state, payload)
        if most and size > most:  # the connection would end for it, and with it the events that wait
            why = f"{size} bytes are more than its Maximum Packet Size, {most}: raise max_packet_size"
            self._terms.refuse(BrokerTerm.STATE, why, now_s)
            return
        self._state_retains, qos = (
            self._terms.asks(BrokerTerm.RETAIN, now_s),
            int(self._terms.asks(BrokerTerm.QOS, now_s)),
        )
        mid = self._client.send_state(self._context.topics.state, payload, retain=self._state_retains, qos=qos)
        if qos:
            self._flight[mid] = (None, now_s)

    def _tick(self, now_s: float) -> None:
        """Once a second: keep alive, find a dead link, tell a changed state, try again what was refused."""
        self._context.moved_s = now_s
        self._client.tick()
        if not self._context.dated and is_settled(self._context.now()):
            raise LinkLost("the time is known now: connecting again, to check the dates of certificates as well")
        for _, sent_s in self._flight.values():
            if now_s - sent_s > self._options.ack_timeout_s:
                raise LinkLost(f"no acknowledgement within {self._options.ack_timeout_s:g} s: the link is dead")
            break  # the first is the oldest
        if now_s - self._sharing.unanswered_since_s() > self._options.ack_timeout_s:
            raise LinkLost(
                f"no answer to what is shared with the other kiosks within {self._options.ack_timeout_s:g} s"
            )
        if self._subscribes and self._refusals.probes and now_s - self._listened_s > self._options.ack_timeout_s:
            raise LinkLost(
                f"no answer to our subscription within {self._options.ack_timeout_s:g} s: the link is dead"
            )
        state = self._context.state()
        if state.differs(self._told) or now_s - self._told_s >= self._options.state_interval_s:
            self._told, self._told_s = state, now_s
            self._due = state_payload(self._context.topics, state, self._context.mark())
        self._resend_unconfirmed()
        self._fetch(now_s)
        is_free = self._context.dated and not (self._subscribes or self._fetch_unanswered)
        if is_free and self._terms.asks(BrokerTerm.PEERS, now_s):
            self._sharing.join(now_s)
        if self._refusals.try_again(now_s, none_left=self._send_queue.is_empty(refused=True)):
            self._send_queue.reload()
        if self._context.refetch_retained or (
            self._context.subscribe_error and now_s - self._listened_s >= LISTEN_AGAIN_S
        ):
            self._listen(now_s)

    def _fetch(self, now_s: float) -> None:
        """Ask for the chunks that are wanted now; never beside anything else whose fault an end of the connection
        could be.
        """
        wanted = self._context.fetch
        if wanted is self._fetching or now_s < self._context.fetch_from_s or not self.listening or self._subscribes:
            return
        before, self._fetching = self._fetching, wanted
        self._fetch_unanswered = bool(wanted)
        self._client.fetch(before, wanted, self._on_fetch_answered)

    def _resend_unconfirmed(self) -> None:
        """Send again what the central server does not confirm."""
        if self._context.overdue is not None:
            self._context.overdue.resend_due(self._send_queue, monotonic())

    def _is_over(self, now_s: float) -> bool:
        """Whether to end, being asked to: when all is delivered, after a retained `offline` and DISCONNECT.

        When time runs out first, the connection is just cut: the broker then tells the last will instead.
        """
        if self._context.renew:
            self._context.renew = False
            self._client.leave(keep_session=True)
            return True
        if self._context.farther is not None and not self._flight and self._context.stop_at_s is None:
            log.warning("mqtt: disconnecting: another machine goes on with our numbers")
            self._client.leave(keep_session=True)
            return True
        if self._context.stop_at_s is None:
            return False
        if not self._leaving and not self._flight and self._context.is_drained():
            self._leaving = True
            topics = self._context.topics
            offline = offline_payload(topics, self._context.state().software_version, self._context.mark())
            self._publish_state(offline, now_s)
        elif self._leaving and not self._flight:
            self._client.leave(keep_session=True)
            return True
        return now_s >= self._context.stop_at_s + (GOODBYE_S if self._leaving else 0)

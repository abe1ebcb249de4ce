"""One connection to the broker, from dialling to its end. The only place that knows paho.

One thread does everything with paho's outer-loop calls (`loop_read`, `loop_write`, `loop_misc`), and a connection
has a fresh client each: paho never reconnects by itself and queues nothing, and an exception in a callback ends
only that connection. Paho 2.2 ignores Receive Maximum, so the window is kept here.
"""

from __future__ import annotations

import logging
import select
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.messages import CONTENT_TYPE, State, Topics, offline_payload, state_payload

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.reasoncodes import ReasonCode

    from agent.model import Record
    from agent.mqtt.options import Options
    from agent.mqtt.patience import Refusals
    from agent.shelf import Shelf

log = logging.getLogger(__name__)

TICK_S = 0.5
GOODBYE_S = 1.0
UNSUPPORTED_VERSION = 0x84
NO_LIMIT = 65_535
READ_AHEAD = 4096
WRITE_AT_ONCE = 65_536
DISCONNECT = 0xE0
"""First byte of the packet after which paho closes the socket."""


@dataclass(slots=True)
class Duty:
    """What sessions work for, one after the other; the link owns it."""

    options: Options
    topics: Topics
    shelf: Shelf
    refusals: Refusals
    state: Callable[[], State]
    is_drained: Callable[[], bool]
    """Whether nothing waits to be delivered."""
    wake: socket.socket
    """Readable when there may be something to send or to stop."""
    stop_at_s: float | None = None
    """Deliver what waits until then, and end; None while nobody asked to."""
    connections: int = 0
    moved_s: float = 0.0


class LinkLost(Exception):
    """The connection is over; `str()` says why."""

    def __init__(self, why: str, *, on_purpose: bool = False) -> None:
        super().__init__(why)
        self.on_purpose = on_purpose
        """The broker turned us away: asking again soon will not help."""


class _Client(paho.Client):
    """Fewer system calls: paho reads a packet in three pieces, and writes each by itself.

    The two methods are paho's own; should they go one day, all still works, with more calls.
    """

    def __init__(self, **how: Any) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, **how)
        self._read_ahead = b""
        self._to_write = bytearray()

    def holds_input(self) -> bool:
        """Whether bytes were read that no packet was made of yet."""
        return bool(self._read_ahead)

    def holds_output(self) -> bool:
        """Whether bytes wait to be written."""
        return bool(self._to_write) or self.want_write()

    def _sock_recv(self, bufsize: int) -> bytes:
        if not self._read_ahead:
            self._read_ahead = super()._sock_recv(READ_AHEAD)
        piece, self._read_ahead = self._read_ahead[:bufsize], self._read_ahead[bufsize:]
        return piece

    def _sock_send(self, buf: bytes | bytearray) -> int:
        self._to_write += buf
        if buf[0] == DISCONNECT or len(self._to_write) >= WRITE_AT_ONCE:
            self.flush()
        return len(buf)

    def flush(self) -> None:
        """Write as much as the socket takes. Raises OSError when the connection is lost."""
        while self._to_write:
            try:
                written = super()._sock_send(self._to_write)
            except BlockingIOError:
                return
            del self._to_write[:written]


class _PackedOnce(Properties):
    """Properties of a publish, packed once for all: paho packs them for each."""

    def __init__(self, content_type: str) -> None:
        super().__init__(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho has no types here
        self.ContentType = content_type
        packed: bytes = super().pack()  # type: ignore[no-untyped-call]  # same
        self.__dict__["pack"] = lambda: packed  # its own setter takes nothing but properties


class Session:
    """One connection, from dialling to its end."""

    def __init__(self, duty: Duty, *, v5: bool) -> None:
        self._duty = duty
        self._options = duty.options
        self._shelf = duty.shelf
        self._refusals = duty.refusals
        self._v5 = v5
        self.reached = False
        """The broker's port answered."""
        self.greeted = False
        """The broker accepted us."""
        self.unsupported = False
        self._accepted = False
        self._receive_maximum = NO_LIMIT
        self._limit = self._options.window
        self._flight: dict[int, tuple[Record | None, float]] = {}
        self._acked: list[Record] = []
        self._told: State | None = None
        self._told_s = 0.0
        self._due: bytes | None = None
        self._leaving = False
        self._event_topics: dict[str, str] = {}
        self._event_properties = _PackedOnce(CONTENT_TYPE) if self._v5 else None
        self._state_properties = _PackedOnce("application/json") if self._v5 else None
        self._client = self._new_client(MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311)

    @property
    def on_the_way(self) -> int:
        """Events sent and not yet acknowledged."""
        return len(self._flight)

    def _new_client(self, protocol: MQTTProtocolVersion) -> _Client:
        options, topics = self._options, self._duty.topics
        client = _Client(
            client_id=options.client_id or f"gatepost-{topics.site}-{topics.kiosk}",
            protocol=protocol,
            reconnect_on_failure=False,
            clean_session=None if self._v5 else True,
        )
        client.connect_timeout = options.connect_s
        client.max_inflight_messages_set(0)
        if options.username:
            client.username_pw_set(options.username, options.password or None)
        if options.tls:
            client.tls_set_context(_tls(options))
        client.will_set(topics.state, offline_payload(topics, self._duty.state().version), qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        client.on_socket_open = _tune
        client.on_socket_register_write = lambda *_: None  # keeps paho from writing each packet by itself
        return client

    # -- paho's callbacks: called from loop_read on this same thread ------------------------------------

    def _on_connect(
        self, _c: paho.Client, _u: object, _f: paho.ConnectFlags, reason: ReasonCode, props: Properties | None
    ) -> None:
        if reason.is_failure:
            self.unsupported = reason.value == UNSUPPORTED_VERSION
            raise LinkLost(f"the broker refuses the connection: {reason}", on_purpose=not self.unsupported)
        self._receive_maximum = getattr(props, "ReceiveMaximum", NO_LIMIT)
        self._limit = min(self._receive_maximum, self._options.window)
        self.greeted = True

    def _on_publish(self, _c: paho.Client, _u: object, mid: int, reason: ReasonCode, _p: Properties) -> None:
        record, _ = self._flight.pop(mid, (None, 0.0))
        if record is None:
            return
        if not reason.is_failure:
            self._acked.append(record)
            if len(self._acked) * 2 >= self._limit and not self._leaving:
                self._settle()  # the next are on the way while the rest is read: the broker has no pause
                self._fill(monotonic())
                self._write()
            return
        self._refusals.note(record, str(reason), monotonic())
        self._shelf.set_aside(record)

    def _on_disconnect(
        self, _c: paho.Client, _u: object, flags: paho.DisconnectFlags, reason: ReasonCode, _p: Properties | None
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            raise LinkLost(f"the broker ended the connection: {reason}", on_purpose=True)

    # -- the connection's life --------------------------------------------------------------------------

    def run(self) -> None:
        """Connect, deliver until stopped. Raises LinkLost, OSError, ValueError when the connection is over."""
        client, options = self._client, self._options
        keepalive_s = options.keepalive_s
        if self._v5:
            client.connect(options.host, options.port, keepalive_s, clean_start=True)
        else:
            client.connect(options.host, options.port, keepalive_s)
        self.reached = True
        wire = client.socket()
        if wire is None:
            raise LinkLost("the connection was closed at once")
        try:
            self._await_greeting(wire)
            self._duty.connections += 1
            log.info("mqtt: connected to %s:%d", options.host, options.port)
            self._deliver(wire)
        finally:
            self._shelf.sent(self._acked)
            self._refusals.connection_ended(accepted=self._accepted, unanswered=bool(self._flight))
            with suppress(Exception):  # whatever it says, this client is thrown away
                wire.close()

    def _await_greeting(self, wire: paho.SocketLike) -> None:
        until_s = monotonic() + self._options.connect_s
        poll = select.poll()
        poll.register(wire.fileno(), select.POLLIN)
        self._write()
        while not self.greeted:
            left_s = until_s - monotonic()
            if left_s <= 0 or self._duty.stop_at_s is not None:
                raise LinkLost("the broker's port answers, but no MQTT broker does")
            poll.poll(min(left_s, TICK_S) * 1000)
            self._read(wire)

    def _deliver(self, wire: paho.SocketLike) -> None:
        """Until told to stop, or the connection is lost."""
        poll = select.poll()
        poll.register(wire.fileno(), select.POLLIN)
        poll.register(self._duty.wake.fileno(), select.POLLIN)
        writing = False
        tick_s = 0.0
        while True:
            ready = poll.poll(TICK_S * 1000)
            for descriptor, _ in ready:
                if descriptor == self._duty.wake.fileno():
                    self._duty.wake.recv(4096)
                else:
                    self._read(wire)
            now_s = monotonic()
            if now_s >= tick_s:
                tick_s = now_s + TICK_S
                self._tick(now_s)
            if self._is_over(now_s):
                return
            if not self._leaving:
                self._fill(now_s)
            self._write()
            if writing != self._client.holds_output():
                writing = not writing
                poll.modify(wire.fileno(), select.POLLIN | (select.POLLOUT if writing else 0))

    def _read(self, wire: paho.SocketLike) -> None:
        while True:
            error = self._client.loop_read()
            if error:
                raise LinkLost(_lost(error))
            if not (self._client.holds_input() or getattr(wire, "pending", int)()):
                break  # TLS may have decrypted more than was read
        self._settle()

    def _settle(self) -> None:
        """What was acknowledged leaves the outbox."""
        if self._acked:
            self._shelf.sent(self._acked)
            self._refusals.accepted(self._acked)
            self._acked = []
            self._accepted = True

    def _write(self) -> None:
        if self._client.want_write() and (error := self._client.loop_write()):
            raise LinkLost(_lost(error))
        self._client.flush()

    def _fill(self, now_s: float) -> None:
        """Send what the window allows, in order; a state that is due goes first."""
        if self._due is not None and len(self._flight) < self._receive_maximum:
            self._publish(self._duty.topics.state, self._due, None, now_s)
            self._due = None
        room = self._refusals.window(self._limit, now_s) - len(self._flight)
        if room < 1:
            return
        for record in self._shelf.take(room):
            topic = self._event_topics.get(record.kind)
            if topic is None:
                topic = self._event_topics[record.kind] = self._duty.topics.event(record.kind)
            self._publish(topic, record.payload, record, now_s)

    def _publish(self, topic: str, payload: bytes, record: Record | None, now_s: float) -> None:
        """Hand a message to paho; it is written with the next `_write`. A state has no record and is retained."""
        properties = self._state_properties if record is None else self._event_properties
        info = self._client.publish(topic, payload, qos=1, retain=record is None, properties=properties)
        if info.rc:
            raise LinkLost(_lost(info.rc))
        self._flight[info.mid] = (record, now_s)

    def _tick(self, now_s: float) -> None:
        """Twice a second: keep alive, find a dead link, tell a changed state, try again what was refused."""
        self._duty.moved_s = now_s
        if error := self._client.loop_misc():
            raise LinkLost(_lost(error))
        for _, sent_s in self._flight.values():
            if now_s - sent_s > self._options.ack_s:
                raise LinkLost(f"no acknowledgement within {self._options.ack_s:g} s: the link is dead")
            break  # the first is the oldest
        state = self._duty.state()
        if state.differs(self._told) or now_s - self._told_s >= self._options.state_s:
            self._told, self._told_s = state, now_s
            self._due = state_payload(self._duty.topics, state)
        if self._refusals.try_again(now_s):
            self._shelf.reload()

    def _is_over(self, now_s: float) -> bool:
        """Whether to end, being asked to: when all is delivered, after a retained `offline` and DISCONNECT.

        When time runs out first, the connection is just cut: the broker then tells the last will instead.
        """
        if self._duty.stop_at_s is None:
            return False
        if not self._leaving and not self._flight and self._duty.is_drained():
            self._leaving = True
            topics = self._duty.topics
            self._publish(topics.state, offline_payload(topics, self._duty.state().version), None, now_s)
        elif self._leaving and not self._flight:
            self._client.disconnect()
            self._write()
            return True
        return now_s >= self._duty.stop_at_s + (GOODBYE_S if self._leaving else 0)


def _tune(_c: paho.Client, _u: object, wire: paho.SocketLike) -> None:
    """Send small packets at once: an acknowledgement is worth more than a full segment."""
    if isinstance(wire, socket.socket):
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Wire(ssl.SSLSocket):
    """Closes itself when the handshake fails: paho just forgets it."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def _tls(options: Options) -> ssl.SSLContext:
    """TLS 1.3, the broker's certificate and name checked, our own certificate if there is one."""
    context = ssl.create_default_context(cafile=options.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.sslsocket_class = _Wire
    if options.cert_file:
        context.load_cert_chain(options.cert_file, options.key_file or None)
    return context


def _lost(code: int) -> str:
    """Why a connection ended, in words."""
    match code:
        case paho.MQTT_ERR_CONN_LOST:
            return "the broker closed the connection, or the network did"
        case paho.MQTT_ERR_KEEPALIVE:
            return "the broker is silent: the connection is given up"
        case _:
            return f"the connection failed: {paho.error_string(MQTTErrorCode(code))}"

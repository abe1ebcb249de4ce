"""The link: takes records from the outbox's shelf to the broker, in order, and back again when it breaks.

One thread does everything with paho's outer-loop calls (`loop_read`, `loop_write`, `loop_misc`), and a connection
has a fresh client each: paho never reconnects by itself, queues nothing, and an exception in a callback ends only
that connection. A record leaves the outbox when its PUBACK came and its reason code says success.

Paho 2.2 ignores Receive Maximum, so the window is kept here. In MQTT 3.1.1 a broker acknowledges also what it
refuses (no permission, for example): that version is used only if the broker knows no other.
"""

from __future__ import annotations

import logging
import random
import select
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Literal

import paho.mqtt.client as paho
from annotated_types import Ge, Gt, Le
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.messages import CONTENT_TYPE, State, Topics, offline_payload, state_payload

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.reasoncodes import ReasonCode

    from agent.model import Record
    from agent.outbox import Outbox

log = logging.getLogger(__name__)

QUICK_TRIES = 5
"""Reconnects within a second each, so that a broker's restart is over for us as soon as it is over."""
REFUSED_TRIES = 9
"""A broker that turned us away on purpose is asked again as if so many tries had failed."""
QUIET_S = 60.0
"""A connection that held so long starts the count anew."""
TICK_S = 0.5
STILL_ALIVE_S = 2.0
GOODBYE_S = 1.0
PAUSES_S = (2.0, 5.0, 15.0, 60.0)
"""Rest after a refused event, growing."""
REFUSALS_TO_SET_ASIDE = 3
UNSUPPORTED_VERSION = 0x84


@dataclass(frozen=True, slots=True)
class Options:
    """The broker, and how to speak with it."""

    host: str = "localhost"
    """Name or address of the broker."""
    port: Annotated[int, Ge(1), Le(65535)] = 1883
    """1883 is usual in the clear, 8883 with TLS."""
    username: str = ""
    """Empty: no user name is sent."""
    password: Annotated[str, "secret"] = ""
    """Goes with the user name."""
    tls: bool = False
    """Encrypt (TLS 1.3) and check the broker's certificate and name."""
    ca_file: str = ""
    """PEM of the authority that signed the broker's certificate; empty: the system's."""
    cert_file: str = ""
    """PEM of this kiosk's certificate, for brokers that ask for one."""
    key_file: str = ""
    """PEM of the key to it; empty when it is in `cert_file`."""
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """`auto`: MQTT 5, and 3.1.1 only with a broker that does not know 5."""
    client_id: str = ""
    """Empty: `gatepost-<site>-<kiosk>`. Two clients of one name push each other out."""
    window: Annotated[int, Ge(1), Le(1000)] = 20
    """Events on the way at a time; a smaller Receive Maximum of the broker goes before."""
    keepalive_s: Annotated[int, Ge(3), Le(600)] = 7
    """An idle link that is dead is found after at most twice this, seconds."""
    ack_s: Annotated[float, Ge(1), Le(300)] = 10.0
    """A link on which an event stays unacknowledged for so long is taken for dead, seconds."""
    connect_s: Annotated[float, Gt(0), Le(60)] = 5.0
    """Limit for connecting, and again for the broker's greeting, seconds."""
    retry_max_s: Annotated[float, Ge(1), Le(3600)] = 300.0
    """Longest wait between tries, seconds; each wait is random up to its limit, so that kiosks spread out."""
    state_s: Annotated[float, Ge(1), Le(3600)] = 60.0
    """The retained state is sent when it changes, and as often as this with fresh counts, seconds."""

    def __post_init__(self) -> None:
        """Refuse options that contradict each other."""
        if self.password and not self.username:
            raise ValueError("password needs a username")
        if self.key_file and not self.cert_file:
            raise ValueError("key_file needs a cert_file")
        if (self.ca_file or self.cert_file) and not self.tls:
            raise ValueError("ca_file and cert_file need tls = true")


@dataclass(frozen=True, slots=True)
class Status:
    """A moment of the link."""

    connected: bool = False
    protocol: str = ""
    """`5` or `3.1.1`; empty before the first connection."""
    on_the_way: int = 0
    connections: int = 0
    """Since the start."""
    refused: int = 0
    """Events that the broker would not have, since the start; they are kept."""
    fault: str = ""
    """One sentence when the link is down or the broker refuses; empty when all is well."""
    moved_s: float = 0.0
    """When the link's thread last showed that it lives, on the monotonic clock."""


class LinkLost(Exception):
    """The connection is over; `str()` says why."""

    def __init__(self, why: str, *, on_purpose: bool = False) -> None:
        super().__init__(why)
        self.on_purpose = on_purpose
        """The broker turned us away: asking again soon will not help."""


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


class Link:
    """Thread that keeps a connection to the broker and empties the shelf through it."""

    def __init__(self, options: Options, topics: Topics, outbox: Outbox, state: Callable[[], State]) -> None:
        """`state` is asked from the link's thread, about twice a second."""
        self.options = options
        self.topics = topics
        self.outbox = outbox
        self._state = state
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._stop_at_s: float | None = None
        self._stopping = threading.Event()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._session: _Session | None = None
        self._protocol = MQTTProtocolVersion.MQTTv311 if options.protocol == "3.1.1" else MQTTProtocolVersion.MQTTv5
        self._greeted = False
        self._ungreeted = 0
        self.connections = 0
        self.refused = 0
        self._fault = "not connected yet"
        self.moved_s = monotonic()
        outbox.shelf.listen(self.wake)

    def start(self) -> None:
        """Begin connecting; returns at once."""
        self._thread.start()

    def stop(self, drain_s: float = 5.0) -> None:
        """Deliver what waits within `drain_s` if connected, say goodbye, and end the thread."""
        self._stop_at_s = monotonic() + drain_s
        self._stopping.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join(drain_s + GOODBYE_S + 0.5)

    def status(self) -> Status:
        """How it is now."""
        session = self._session
        connected = session is not None and session.greeted
        return Status(
            connected=connected,
            protocol="" if not self._greeted else "5" if self._protocol == MQTTProtocolVersion.MQTTv5 else "3.1.1",
            on_the_way=0 if session is None else session.on_the_way,
            connections=self.connections,
            refused=self.refused,
            fault=(session.fault if session is not None and connected else self._fault),
            moved_s=self.moved_s,
        )

    def wake(self) -> None:
        """There may be something to send. Any thread."""
        with suppress(BlockingIOError, OSError):  # full: it will wake anyway; closed: it is over
            self._wake_out.send(b"\0")

    @property
    def stop_at_s(self) -> float | None:
        """When to say goodbye at the latest; None while nobody asked to stop."""
        return self._stop_at_s

    def state(self) -> State:
        """What to say of the kiosk. A defect in finding it out must not cost the link."""
        try:
            return self._state()
        except Exception:
            log.exception("mqtt: the state cannot be told")
            return State(version="", faults=("the state of the kiosk cannot be told: see the log",))

    def _run(self) -> None:
        backoff = Backoff(self.options.retry_max_s)
        while not self._stopping.is_set():
            self.moved_s = began_s = monotonic()
            on_purpose = False
            try:
                self._session = _Session(self, self._protocol, self._wake_in)
                self._session.run()
            except LinkLost as lost:
                on_purpose = lost.on_purpose
                self._say(str(lost))
            except (OSError, ValueError) as error:
                self._say(_sentence(error, self.options))
            except Exception:
                log.exception("mqtt: unexpected error; connecting anew")
                self._say("unexpected error: see the log")
            finally:
                self._choose_protocol(self._session)
                self._session = None
                self.outbox.shelf.rewind()
            self._wait(backoff.wait_s(on_purpose=on_purpose, held_s=monotonic() - began_s))
        self._wake_in.close()
        self._wake_out.close()

    def _wait(self, seconds: float) -> None:
        """Until the next try, showing that the thread lives."""
        until_s = monotonic() + seconds
        while (left_s := until_s - monotonic()) > 0 and not self._stopping.wait(min(left_s, STILL_ALIVE_S)):
            self.moved_s = monotonic()

    def _say(self, fault: str) -> None:
        if fault != self._fault:
            log.warning("mqtt: %s", fault)
        self._fault = fault

    def _choose_protocol(self, session: _Session | None) -> None:
        """With `auto`: when MQTT 5 never worked here and the broker hangs up on it, try the other version."""
        if session is None or session.greeted:
            self._greeted = self._greeted or session is not None
            return
        if self._greeted or self.options.protocol != "auto" or not session.reached:
            return
        self._ungreeted += 1
        if session.unsupported or self._ungreeted % 3 == 0:
            self._protocol = (
                MQTTProtocolVersion.MQTTv311
                if self._protocol == MQTTProtocolVersion.MQTTv5
                else MQTTProtocolVersion.MQTTv5
            )


class _PackedOnce(Properties):
    """Properties of a publish, packed once for all: paho packs them for each."""

    def __init__(self, content_type: str) -> None:
        super().__init__(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho has no types here
        self.ContentType = content_type
        packed: bytes = super().pack()  # type: ignore[no-untyped-call]  # same
        self.__dict__["pack"] = lambda: packed  # its own setter takes nothing but properties


class _Session:
    """One connection, from dialling to its end."""

    def __init__(self, link: Link, protocol: MQTTProtocolVersion, wake: socket.socket) -> None:
        self._link = link
        self._options = link.options
        self._shelf = link.outbox.shelf
        self._wake = wake
        self._v5 = protocol == MQTTProtocolVersion.MQTTv5
        self.reached = False
        """The broker's port answered."""
        self.greeted = False
        """The broker accepted us."""
        self.unsupported = False
        self.fault = ""
        self._window = self._options.window
        self._flight: dict[int, tuple[Record | None, float]] = {}
        self._acked: list[Record] = []
        self._refused: list[tuple[Record, str]] = []
        self._refusals: dict[int, int] = {}
        self._resume_s: float | None = None
        self._pauses = 0
        self._told: State | None = None
        self._told_s = 0.0
        self._leaving = False
        self._event_topics: dict[str, str] = {}
        self._event_properties = _PackedOnce(CONTENT_TYPE) if self._v5 else None
        self._state_properties = _PackedOnce("application/json") if self._v5 else None
        self._client = self._new_client(protocol)

    @property
    def on_the_way(self) -> int:
        """Events sent and not yet acknowledged."""
        return len(self._flight)

    def _new_client(self, protocol: MQTTProtocolVersion) -> paho.Client:
        options, topics = self._options, self._link.topics
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
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
        client.will_set(
            topics.state,
            offline_payload(topics, self._link.state().version),
            qos=1,
            retain=True,
            properties=None,
        )
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
        self._window = min(self._options.window, getattr(props, "ReceiveMaximum", self._options.window))
        self.greeted = True

    def _on_publish(self, _c: paho.Client, _u: object, mid: int, reason: ReasonCode, _p: Properties) -> None:
        record, _ = self._flight.pop(mid, (None, 0.0))
        if record is None:
            return
        if reason.is_failure:
            self._refused.append((record, str(reason)))
        else:
            self._acked.append(record)

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
            self._link.connections += 1
            log.info("mqtt: connected to %s:%d", options.host, options.port)
            self._tell_state(monotonic())
            self._deliver(wire)
        finally:
            self._shelf.sent(self._acked)
            with suppress(Exception):  # whatever it says, this client is thrown away
                wire.close()

    def _await_greeting(self, wire: paho.SocketLike) -> None:
        until_s = monotonic() + self._options.connect_s
        poll = select.poll()
        poll.register(wire.fileno(), select.POLLIN)
        self._write()
        while not self.greeted:
            left_s = until_s - monotonic()
            if left_s <= 0 or self._link.stop_at_s is not None:
                raise LinkLost("the broker's port answers, but no MQTT broker does")
            poll.poll(min(left_s, TICK_S) * 1000)
            self._read(wire)

    def _deliver(self, wire: paho.SocketLike) -> None:
        """Until told to stop, or the connection is lost."""
        poll = select.poll()
        poll.register(wire.fileno(), select.POLLIN)
        poll.register(self._wake.fileno(), select.POLLIN)
        writing = False
        tick_s = 0.0
        while True:
            ready = poll.poll(TICK_S * 1000)
            for descriptor, _ in ready:
                if descriptor == self._wake.fileno():
                    self._wake.recv(4096)
                else:
                    self._read(wire)
            now_s = monotonic()
            if now_s >= tick_s:
                tick_s = now_s + TICK_S
                self._tick(now_s)
            if self._leave_if_done(now_s):
                return
            self._fill(now_s)
            self._write()
            if writing != self._client.want_write():
                writing = not writing
                poll.modify(wire.fileno(), select.POLLIN | (select.POLLOUT if writing else 0))

    def _read(self, wire: paho.SocketLike) -> None:
        while True:
            error = self._client.loop_read()
            if error:
                raise LinkLost(f"the connection is lost: {paho.error_string(error)}")
            if not getattr(wire, "pending", int)():
                break  # TLS may have decrypted more than was read; nothing else does
        if self._acked:
            self._shelf.sent(self._acked)
            self._acked = []
            if self.fault:
                self._accepted_again()
        if self._refused:
            self._rest()

    def _write(self) -> None:
        if self._client.want_write() and (error := self._client.loop_write()):
            raise LinkLost(f"the connection is lost: {paho.error_string(error)}")

    def _fill(self, now_s: float) -> None:
        """Send as much as the window allows, in order."""
        window = self._window
        if self._resume_s is not None:
            if now_s < self._resume_s or self._flight:
                return
            window = 1  # the broker refused: try one until it accepts again
        room = window - len(self._flight)
        if room < 1 or self._leaving:
            return
        for record in self._shelf.take(room):
            topic = self._event_topics.get(record.kind)
            if topic is None:
                topic = self._event_topics[record.kind] = self._link.topics.event(record.kind)
            self._publish(topic, record.payload, record, now_s)

    def _publish(self, topic: str, payload: bytes, record: Record | None, now_s: float) -> None:
        """Hand a message to paho; it is written with the next `_write`. A state has no record and is retained."""
        properties = self._state_properties if record is None else self._event_properties
        info = self._client.publish(topic, payload, qos=1, retain=record is None, properties=properties)
        if info.rc:
            raise LinkLost(f"the connection is lost: {paho.error_string(info.rc)}")
        self._flight[info.mid] = (record, now_s)

    def _tick(self, now_s: float) -> None:
        """Twice a second: keep alive, find a dead link, tell a changed state."""
        self._link.moved_s = now_s
        if error := self._client.loop_misc():
            raise LinkLost(f"the broker is silent: {paho.error_string(error)}")
        for _, sent_s in self._flight.values():
            if now_s - sent_s > self._options.ack_s:
                raise LinkLost(f"no acknowledgement within {self._options.ack_s:g} s: the link is dead")
            break  # the first is the oldest
        self._tell_state(now_s)

    def _tell_state(self, now_s: float) -> None:
        state = self._link.state()
        if state.differs(self._told) or now_s - self._told_s >= self._options.state_s:
            self._told, self._told_s = state, now_s
            topics = self._link.topics
            self._publish(topics.state, state_payload(topics, state), None, now_s)

    def _leave_if_done(self, now_s: float) -> bool:
        """When asked to stop: deliver what waits, then a retained `offline`, then DISCONNECT."""
        stop_at_s = self._link.stop_at_s
        if stop_at_s is None:
            return False
        late = now_s >= stop_at_s
        if not self._leaving and (late or (not self._flight and self._link.outbox.status().waiting == 0)):
            self._leaving = True
            topics = self._link.topics
            self._publish(topics.state, offline_payload(topics, self._link.state().version), None, now_s)
            self._write()
        if self._leaving and (not self._flight or now_s >= stop_at_s + GOODBYE_S):
            self._client.disconnect()
            self._write()
            return True
        return False

    # -- a broker that refuses events -------------------------------------------------------------------

    def _rest(self) -> None:
        """Keep what was refused, say so, pause; one that is refused again and again is set aside."""
        for record, reason in self._refused:
            self._link.refused += 1
            self.fault = f"the broker refuses events of kind {record.kind}: {reason} (its permissions or quota?)"
            refusals = self._refusals[record.key] = self._refusals.get(record.key, 0) + 1
            if refusals >= REFUSALS_TO_SET_ASIDE:
                self._shelf.set_aside(record)
                del self._refusals[record.key]
        if self._pauses == 0:
            log.warning("mqtt: %s", self.fault)
        self._refused = []
        if not self._flight:
            self._shelf.rewind()
        self._resume_s = monotonic() + PAUSES_S[min(self._pauses, len(PAUSES_S) - 1)]
        self._pauses += 1

    def _accepted_again(self) -> None:
        """One was accepted after refusals: all that was kept back goes now, in order."""
        if self._resume_s is not None and not self._flight and not self._refused:
            log.info("mqtt: the broker accepts events again")
            self._resume_s, self._pauses, self.fault = None, 0, ""
            self._refusals.clear()
            self._shelf.rewind()
            self._shelf.reload()


def _tune(_c: paho.Client, _u: object, wire: paho.SocketLike) -> None:
    """Send small packets at once: an acknowledgement is worth more than a full segment."""
    if isinstance(wire, socket.socket):
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _tls(options: Options) -> ssl.SSLContext:
    """TLS 1.3, the broker's certificate and name checked, our own certificate if there is one."""
    context = ssl.create_default_context(cafile=options.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if options.cert_file:
        context.load_cert_chain(options.cert_file, options.key_file or None)
    return context


def _sentence(error: Exception, options: Options) -> str:
    """Why there is no connection, and what to look at."""
    where = f"{options.host}:{options.port}"
    match error:
        case ssl.SSLCertVerificationError():
            return f"{where}: its certificate is not accepted: {error.verify_message} (ca_file, name, clock?)"
        case ssl.SSLError():
            return f"{where}: TLS fails: {error.reason or error} (is this the TLS port?)"
        case ConnectionRefusedError():
            return f"{where}: nobody listens there (is the broker running?)"
        case socket.gaierror():
            return f"{where}: this name is not known (host, network, DNS?)"
        case TimeoutError():
            return f"{where}: no answer within {options.connect_s:g} s (network, firewall?)"
        case _:
            return f"{where}: {error}"

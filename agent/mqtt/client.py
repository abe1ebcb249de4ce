"""The MQTT client: paho, adapted to our use. The only file that imports paho.

One thread does everything with paho's outer-loop calls (`loop_read`, `loop_write`, `loop_misc`), and a connection
has a fresh client each: paho never reconnects by itself and queues nothing, and an exception in a callback ends
only that connection.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, Protocol

from agent.events import CONTENT_TYPE
from agent.model.lazy import dataclass, module_later
from agent.mqtt.failures import ended, unwanted

module_later("urllib", "request")  # paho asks it for proxies of WebSockets; its import is a sixteenth of a start

import paho.mqtt.client as paho
from paho.mqtt._packet import decode_puback
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from paho.mqtt.reasoncodes import ReasonCode

    from agent.mqtt.options import Options

UNSUPPORTED_VERSION = 0x84
NO_LIMIT = 65_535
READ_AHEAD = 4096
WRITE_AT_ONCE = 65_536
PUBLISH_QOS1, ID_BYTES = 0x32, 2
PUBACK, PLAIN_PUBACK_BYTES = 0x40, 4
"""First byte of an acknowledgement (PUBACK); length of one that has only the id."""
HAS_IT = frozenset((b"", b"\x00", b"\x10", b"\x00\x00", b"\x10\x00"))
"""Reason codes of an MQTT 5 broker that has the event: success, or success without a subscriber."""
DISCONNECT = 0xE0
"""First byte of the packet after which paho closes the socket."""
SESSION_S = 3600
"""How long a broker keeps messages for this kiosk while it is disconnected: a command survives a link that drops
often.
"""
LARGEST = 2 << 20
"""Longest packet that the kiosk accepts: a bundle has up to a megabyte."""
PEER_EXPIRY_S = 5
"""How long a broker keeps a message from one kiosk to the others; it is sent again later."""
AT_A_TIME = 20
"""Messages that a broker may send before the kiosk has acknowledged them."""


class LinkLost(Exception):
    """The connection is over; `str()` says why."""

    def __init__(self, why: str, *, on_purpose: bool = False, code: int = 0) -> None:
        super().__init__(why)
        self.on_purpose = on_purpose
        """The broker refused the connection: to try again soon does not help."""
        self.code = code
        """The broker's reason code; 0 when it gave none."""


class Unsupported(LinkLost):
    """The broker does not know this version of MQTT."""


class ConnectionClosed(LinkLost):
    """The connection was closed without a word, or with an alert of TLS: OpenSSL's name of it is `reason`."""

    def __init__(self, reason: str = "") -> None:
        super().__init__("the broker closed the connection, or the network did")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """What the broker takes, by its greeting (MQTT 5, section 3.2.2.3)."""

    receive_maximum: int = NO_LIMIT
    """Unacknowledged messages at a time."""
    packet_bytes: int = 0
    """The longest packet; 0: any."""
    retains: bool = True
    """It keeps retained messages."""
    acknowledges: bool = True
    """It takes messages with QoS 1."""
    session_present: bool = False
    """It had a session of this client, with what waits in it."""


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes for this kiosk when the connection breaks (last will)."""

    topic: str
    payload: bytes
    retain: bool = True
    qos: int = 1


class Listener(Protocol):
    """Callbacks for the broker's packets, on the thread that reads. They may raise LinkLost."""

    def on_connected(self, limits: BrokerLimits) -> None:
        """The broker has accepted the connection."""

    def on_acknowledgement(self, mid: int, refusal: str) -> None:
        """The broker has acknowledged message `mid`; `refusal` says why it did not accept it, else it is empty."""

    def on_subscribed(self, refusals: Sequence[str]) -> None:
        """The broker's answer to each topic of a subscription: empty, or why it was refused."""

    def on_message(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """A message has come; `retained`: it was at the broker before the subscription. It is acknowledged when
        this returns.
        """


class Retained(IntEnum):
    """When a subscription brings what is retained under it (MQTT 5, section 3.8.3.1)."""

    ALWAYS = SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
    IF_NEW = SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
    NEVER = SubscribeOptions.RETAIN_DO_NOT_SEND


class Client(paho.Client):
    """One connection. It makes fewer system calls: paho reads a packet in three pieces and writes each by itself.

    The methods overridden for that are paho's own; should they go one day, all still works, with more calls. Events
    are packed and their acknowledgements read here, in a quarter of the time: paho makes a message, a condition and
    two objects of each, to keep what the outbox keeps. For that paho's `_mid_generate`, `_in_packet`, `_protocol`,
    `_sock_recv`, `_sock_send` and `decode_puback` must stay: tests/agent/mqtt/test_client.py compares both ways.
    """

    def __init__(
        self,
        options: Options,
        name: str,
        will: Will | None,
        ear: Listener,
        *,
        v5: bool,
        tls: ssl.SSLContext | None = None,
        acknowledges: bool = True,
    ) -> None:
        """`name`: client id where the options have none; `tls`: None for a connection in the clear;
        `acknowledges`: what comes, so that the broker does not send it again.
        """
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=options.client_id or name,
            protocol=MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            clean_session=None if v5 else True,
            manual_ack=not acknowledges,
        )
        self._options, self._ear, self.v5 = options, ear, v5
        self._has_it = HAS_IT if v5 else frozenset((b"",))
        self._read_ahead = b""
        self._subscriptions: dict[int, Callable[[Sequence[str]], None]] = {}
        """Callbacks for the broker's answers to subscriptions."""
        self._to_write = bytearray()
        self._events: set[int] = set()
        """Ids of events that are not acknowledged."""
        self._socket: paho.SocketLike | None = None
        self._event_properties = _PackedOnce(CONTENT_TYPE, _expiry_s(options)) if v5 else None
        self._state_properties = _PackedOnce("application/json") if v5 else None
        self._peer_properties = _PackedOnce("application/json", PEER_EXPIRY_S) if v5 else None
        self.connect_timeout = options.connect_timeout_s
        self.max_inflight_messages_set(0)
        if options.username:
            self.username_pw_set(options.username, options.password or None)
        if tls is not None:
            self.tls_set_context(tls)
        if will is not None:
            self.will_set(will.topic, will.payload, qos=will.qos, retain=will.retain)
        self.on_connect = self._greeted
        self.on_publish = self._answered
        self.on_subscribe = self._subscribed
        self.on_message = self._receive_message
        self.on_disconnect = self._ended
        self.on_socket_open = _tune
        self.on_socket_register_write = lambda *_: None  # keeps paho from writing each packet by itself

    def dial(self, *, session_s: int = SESSION_S) -> None:
        """Connect the socket and send the greeting. `session_s`: how long the broker keeps our session; 0: it keeps
        none, and what it kept is forgotten. Raises OSError, ValueError or LinkLost.
        """
        options = self._options
        if self.v5:
            self.connect(
                options.host, options.port, options.keepalive_s, clean_start=not session_s,
                properties=_connect_properties(session_s),
            )  # fmt: skip
        else:
            self.connect(options.host, options.port, options.keepalive_s)
        self._socket = self.socket()
        if self._socket is None:
            raise LinkLost("the connection was closed at once")

    def certificate(self) -> bytes:
        """The broker's, DER, after `dial`; empty without TLS."""
        return (isinstance(self._socket, ssl.SSLSocket) and self._socket.getpeercert(binary_form=True)) or b""

    def fileno(self) -> int:
        """The socket's, after `dial`; also when paho has let go of it."""
        return -1 if self._socket is None else self._socket.fileno()

    def close(self) -> None:
        """Close the socket, whatever it says: this client is thrown away.

        Its callbacks are its own methods and the session's, circles that Python looks for now and then only. Until
        then a context of TLS would live on, half a megabyte that Python does not see.
        """
        with suppress(Exception):
            if self._socket is not None:
                self._socket.close()
        self.on_connect = self.on_publish = self.on_subscribe = self.on_message = self.on_disconnect = None
        self._subscriptions.clear()
        del self._ear

    def leave(self, *, keep_session: bool) -> None:
        """Say goodbye: the broker sends no last will. Raises LinkLost, OSError."""
        if keep_session or not self.v5:
            self.disconnect()
        else:
            properties = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]  # paho has no types here
            properties.SessionExpiryInterval = 0
            self.disconnect(properties=properties)
        self.flush()

    def listen(
        self,
        topics: Iterable[tuple[str, Retained]],
        own: Collection[str] = (),
        answered: Callable[[Sequence[str]], None] | None = None,
        qos: int = 1,
    ) -> None:
        """Subscribe. Messages of this kiosk come back only under the topics `own`. MQTT 3.1.1 always sends what is
        retained. `answered` gets the broker's answer to each topic; None: the listener gets it.
        """
        if self.v5:
            wanted = [
                (topic, SubscribeOptions(qos, noLocal=topic not in own, retainHandling=when))
                for topic, when in topics
            ]
            error, mid = self.subscribe(wanted)
        else:
            error, mid = self.subscribe([(topic, qos) for topic, _ in topics])
        _check(error)
        if mid is not None:
            self._subscriptions[mid] = answered or self._ear.on_subscribed

    def fetch(self, before: Sequence[str], topics: Sequence[str], answered: Callable[[], None]) -> None:
        """Have the broker send what is retained under exactly these topics, and nothing more under the topics
        `before`.
        """
        if before:
            error, _ = self.unsubscribe(list(before))
            _check(error)
        if topics:
            self.listen([(topic, Retained.ALWAYS) for topic in topics], topics, lambda _: answered())

    def send_event(self, topic: str, payload: bytes) -> int:
        """Hand over an event; it is written with the next `flush`. Its id."""
        properties = self._event_properties
        mid = self._mid_generate()
        packed = b"" if properties is None else properties.packed
        body = _text(topic) + mid.to_bytes(2, "big") + packed + payload
        if self.want_write():  # what paho was given before goes first
            _check(self.loop_write())
        self._events.add(mid)
        self._sock_send(bytes((PUBLISH_QOS1, *_length(len(body)))) + body)
        return mid

    def send_state(self, topic: str, payload: bytes, *, retain: bool, qos: int) -> int:
        """Hand over a state, as `send_event` does. With QoS 0 there is no acknowledgement."""
        info = self.publish(topic, payload, qos=qos, retain=retain, properties=self._state_properties)
        _check(info.rc)
        return info.mid

    def send_to_peers(self, topic: str, payload: bytes) -> int:
        """Hand over a message to the other kiosks of the site, as `send_event` does."""
        info = self.publish(topic, payload, qos=1, properties=self._peer_properties)
        _check(info.rc)
        return info.mid

    def event_bytes(self, topic: str, payload: bytes) -> int:
        """Length of an event's packet: header, topic, id, properties, payload (MQTT 5, section 3.3)."""
        properties = 0 if self._event_properties is None else len(self._event_properties.packed)
        rest = 2 + len(topic.encode()) + 2 + properties + len(payload)
        return 1 + len(bytes(_length(rest))) + rest

    def read(self) -> None:
        """Read what there is. Raises LinkLost."""
        while True:
            if not self._read_acknowledgements():
                _check(self.loop_read())
                if self._in_messages:  # paho keeps those until they are released
                    raise LinkLost("the broker sends with QoS 2, for which nobody has asked")
            if not (self._read_ahead or getattr(self._socket, "pending", int)()):
                return  # TLS may have decrypted more than was read

    def _read_acknowledgements(self) -> bool:
        """Read the acknowledgements of events that come next, plain and whole; whether there were any."""
        if self._in_packet["command"]:
            return False
        if not self._read_ahead:
            try:
                self._read_ahead = self._receive(READ_AHEAD)
            except OSError:  # paho finds the same, and deals with it
                return False
        ahead, at = self._read_ahead, 0
        while len(ahead) >= at + PLAIN_PUBACK_BYTES and ahead[at] == PUBACK:
            end = at + 2 + ahead[at + 1]
            mid = int.from_bytes(ahead[at + 2 : at + PLAIN_PUBACK_BYTES], "big")
            if (
                len(ahead) < end
                or mid not in self._events
                or ahead[at + PLAIN_PUBACK_BYTES : end] not in self._has_it
            ):
                break
            self._events.remove(mid)
            at = end
            self._ear.on_acknowledgement(mid, "")
        self._read_ahead = ahead[at:]
        return at > 0

    def flush(self) -> None:
        """Write what waits, as much as the socket takes. Raises LinkLost, OSError."""
        if self.want_write():
            _check(self.loop_write())
        self._flush()

    def holds_output(self) -> bool:
        """Whether bytes wait to be written."""
        return bool(self._to_write) or self.want_write()

    def tick(self) -> None:
        """Keep alive, and find out that nobody answers. Raises LinkLost."""
        if self.loop_misc():
            raise LinkLost("the broker is silent: the connection is given up")

    # -- paho's callbacks, and two methods of its own ---------------------------------------------------

    def _greeted(
        self, _c: paho.Client, _u: object, flags: paho.ConnectFlags, reason: ReasonCode, props: Properties | None
    ) -> None:
        if reason.is_failure:
            why = unwanted(str(reason), self._options)
            if reason.value == UNSUPPORTED_VERSION:
                raise Unsupported(why)
            raise LinkLost(why, on_purpose=True, code=reason.value)
        # a broker may ask for fewer pings, or for none (0), and paho obeys: nobody would find out that it is silent
        own_s = self._options.keepalive_s
        self._keepalive = min(own_s, getattr(props, "ServerKeepAlive", 0) or own_s)
        limits = BrokerLimits(
            getattr(props, "ReceiveMaximum", NO_LIMIT),
            getattr(props, "MaximumPacketSize", 0),
            bool(getattr(props, "RetainAvailable", 1)),
            bool(getattr(props, "MaximumQoS", 1)),
            flags.session_present,
        )
        self._ear.on_connected(limits)

    def _answered(self, _c: paho.Client, _u: object, mid: int, reason: ReasonCode, _p: Properties) -> None:
        self._ear.on_acknowledgement(mid, str(reason) if reason.is_failure else "")

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        packet = self._in_packet["packet"]
        mid = int.from_bytes(packet[:2], "big")
        if cmd != "PUBACK" or mid not in self._events:
            return super()._handle_pubackcomp(cmd)
        refusal = ""
        if len(packet) != ID_BYTES:  # it says more than that it has the event
            reason = decode_puback(self._in_packet["command"], packet, self._protocol).reason
            refusal = str(reason) if reason.is_failure else ""
        self._events.remove(mid)
        self._ear.on_acknowledgement(mid, refusal)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _subscribed(
        self, _c: paho.Client, _u: object, mid: int, reasons: list[ReasonCode], _p: Properties | None
    ) -> None:
        answered = self._subscriptions.pop(mid, self._ear.on_subscribed)
        answered([str(reason) if reason.is_failure else "" for reason in reasons])

    def _receive_message(self, _c: paho.Client, _u: object, message: paho.MQTTMessage) -> None:
        self._ear.on_message(message.topic, bytes(message.payload), retained=message.retain)

    def _ended(
        self, _c: paho.Client, _u: object, flags: paho.DisconnectFlags, reason: ReasonCode, _p: Properties | None
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            raise LinkLost(ended(str(reason)), on_purpose=True, code=reason.value)

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize > LARGEST:  # what is left of a packet: paho would take up to 256 MB
            raise LinkLost(f"the broker sends a packet of more than {LARGEST} bytes")
        if not self._read_ahead:
            self._read_ahead = self._receive(max(bufsize, READ_AHEAD))
        piece, self._read_ahead = self._read_ahead[:bufsize], self._read_ahead[bufsize:]
        return piece

    def _receive(self, most: int) -> bytes:
        try:
            return super()._sock_recv(most)
        except ssl.SSLError as error:  # paho would make it a connection lost, whatever it is
            raise ConnectionClosed(error.reason or "") from None

    def _sock_send(self, buf: bytes | bytearray) -> int:
        self._to_write += buf
        if buf[0] == DISCONNECT or len(self._to_write) >= WRITE_AT_ONCE:
            self._flush()
        return len(buf)

    def _flush(self) -> None:
        while self._to_write:
            try:
                written = super()._sock_send(self._to_write)
            except BlockingIOError:
                return
            except OSError:
                with suppress(OSError):
                    self._sock_recv(1)  # why it hung up: an alert of TLS may wait there
                raise
            del self._to_write[:written]


class _PackedOnce(Properties):
    """Properties of a publish, packed once for all: paho packs them for each."""

    def __init__(self, content_type: str, expiry_s: float = 0.0) -> None:
        super().__init__(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho has no types here
        self.ContentType = content_type
        if expiry_s:
            self.MessageExpiryInterval = max(1, round(expiry_s))
        packed: bytes = super().pack()  # type: ignore[no-untyped-call]  # same
        self.__dict__["pack"] = lambda: packed  # its own setter takes nothing but properties
        self.__dict__["packed"] = packed

    packed: bytes
    """Their length included."""


def _text(words: str) -> bytes:
    """As MQTT writes a text: its length before it."""
    encoded = words.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _length(number: int) -> Iterator[int]:
    """A variable byte integer (MQTT 5, section 1.5.5)."""
    while number >= 1 << 7:
        yield number & 0x7F | 0x80
        number >>= 7
    yield number


def _expiry_s(options: Options) -> float:
    """How long a broker keeps an event; 0 for ever. Only what is still on our disk may expire."""
    return options.message_expiry_h * 3600 if options.delivery == "receipt" else 0.0


def _connect_properties(session_s: int) -> Properties:
    """What we ask of the broker: keep our session for a while, and send no more than we can take."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no types here
    properties.SessionExpiryInterval = session_s
    properties.MaximumPacketSize = LARGEST
    properties.ReceiveMaximum = AT_A_TIME
    return properties


def _tune(_c: paho.Client, _u: object, wire: paho.SocketLike) -> None:
    """Send small packets at once: an acknowledgement is worth more than a full segment."""
    if isinstance(wire, socket.socket):
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _check(code: int) -> None:
    """Why a connection ended, in words. Raises LinkLost unless all is well."""
    match code:
        case paho.MQTT_ERR_SUCCESS:
            return
        case paho.MQTT_ERR_CONN_LOST:
            raise ConnectionClosed
        case _:
            raise LinkLost(f"the connection failed: {paho.error_string(MQTTErrorCode(code))}")

"""Where the server's messages come from: MQTT 5 with shared subscriptions, a quorum queue of RabbitMQ over AMQP, or a
stream of NATS.

A message is acknowledged when it is committed, never before; what was on the way when a connection broke comes again.
"""

from __future__ import annotations

import contextlib
import queue
import secrets
import time
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

EVENTS = "gatepost/v1/+/+/event/#"
STATES = "gatepost/v1/+/+/state"
IN_FLIGHT = 2000
PROOF_S = 10.0


class Message(NamedTuple):
    topic: str
    payload: bytes
    ticket: Any = None
    """With which it is acknowledged."""


class BrokerError(Exception):
    """The broker cannot be used; `str()` says why and what to do."""


class Broker(Protocol):
    def fetch(self, most: int, wait_s: float) -> list[Message]: ...
    def acknowledge(self, messages: list[Message]) -> None: ...
    def publish(self, topic: str, payload: str, *, retain: bool = True) -> None: ...
    def pause(self, seconds: float) -> None: ...


def broker_at(urls: list[str], share: str, ca_file: str | None = None) -> Broker:
    """The broker, or the nodes of its cluster, that these addresses name. Raises BrokerError."""
    kinds = set()
    for url in urls:
        kind, _, rest = url.partition("://")
        try:
            usable = kind in {"mqtt", "mqtts", "amqp", "amqps", "nats"} and urlsplit(url).port != 0
        except ValueError:
            usable = False
        if not usable or not rest:
            raise BrokerError(
                f"{url!r} is no broker: mqtt://, mqtts://, amqp://, amqps:// or nats:// with a host, and a port from 1 to"
                " 65535 where it is not the usual one, for example mqtt://localhost:1883"
            )
        kinds.add(kind.removesuffix("s") if kind != "nats" else kind)
    if len(kinds) > 1 or (kinds == {"mqtt"} and len(urls) > 1):
        raise BrokerError(
            f"{' '.join(urls)}: one broker by mqtt://, or the nodes of one cluster by amqp:// or nats://"
        )
    if kinds == {"mqtt"}:
        return MqttBroker(urls[0], share, ca_file)
    return AmqpBroker(urls) if kinds == {"amqp"} else NatsBroker(urls)


class MqttBroker:
    """One connection of MQTT 5. Several servers with the same `share` divide the events among them."""

    def __init__(self, url: str, share: str, ca_file: str | None = None) -> None:
        import paho.mqtt.client as mqtt
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        self._share, self._inbox = share, queue.Queue()
        self._life = 0  # of the connection: an acknowledgement of an earlier one means nothing
        self._problem, self._proof = "", f"gatepost/v1/$check/{secrets.token_hex(8)}/proof"
        self._client = client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5, manual_ack=True)
        client.on_connect, client.on_subscribe, client.on_message = self._connected, self._subscribed, self._came
        client.on_connect_fail = lambda *_: print("broker: no answer, trying again", flush=True)
        broker = urlsplit(url)
        if broker.username:
            client.username_pw_set(unquote(broker.username), unquote(broker.password or ""))
        if broker.scheme == "mqtts":
            client.tls_set(ca_file)
        session = Properties(PacketTypes.CONNECT)
        session.ReceiveMaximum = IN_FLIGHT
        client.reconnect_delay_set(1, 30)
        port = broker.port or {"mqtt": 1883, "mqtts": 8883}[broker.scheme]
        # a clean session: a persistent one that stays away would keep its part of the share
        client.connect_async(broker.hostname or "localhost", port, clean_start=True, properties=session)
        client.loop_start()

    def _connected(self, client: Any, _userdata: Any, _flags: Any, reason: Any, properties: Any) -> None:
        print("broker:", reason, flush=True)
        self._life += 1
        if reason.is_failure:
            return
        if not getattr(properties, "SharedSubscriptionAvailable", 1):
            self._problem = "the broker has no shared subscriptions: another broker, or RabbitMQ by amqp://"
            return
        self._proof_by = time.monotonic() + PROOF_S
        self._proof_mid = client.subscribe(f"$share/{self._share}-proof/{self._proof}", qos=1)[1]

    def _subscribed(self, client: Any, _userdata: Any, mid: int, reasons: Any, _properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._problem = f"the broker refuses a subscription: {reasons[0]} (its access list?)"
        elif mid == self._proof_mid:
            client.publish(self._proof, b"{}", qos=1)

    def _came(self, client: Any, _userdata: Any, message: Any) -> None:
        if message.topic == self._proof:  # the share brings what is published: now the real ones
            self._proof_by = 0.0
            client.ack(message.mid, message.qos)
            client.subscribe([(f"$share/{self._share}/{EVENTS}", 1), (STATES, 1)])
            print("broker: the share delivers", flush=True)
            return
        self._inbox.put(Message(message.topic, message.payload, (self._life, message.mid, message.qos)))

    _proof_by, _proof_mid = 0.0, 0

    def fetch(self, most: int, wait_s: float) -> list[Message]:
        """What has come, at most `most`. Raises BrokerError."""
        if self._proof_by and time.monotonic() > self._proof_by:
            self._problem = "the broker grants a shared subscription and delivers nothing on it: another, or RabbitMQ by amqp://"
        if self._problem:
            raise BrokerError(self._problem)
        batch = []
        try:
            batch.append(self._inbox.get(timeout=wait_s))
            while len(batch) < most:
                batch.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        return batch

    def acknowledge(self, messages: list[Message]) -> None:
        """They are committed."""
        for message in messages:
            life, mid, qos = message.ticket
            if life == self._life:
                self._client.ack(mid, qos)

    def publish(self, topic: str, payload: str, *, retain: bool = True) -> None:
        """At QoS 1; what is retained, who is away gets later."""
        self._client.publish(topic, payload, qos=1, retain=retain)

    def pause(self, seconds: float) -> None:
        """Wait with the connection alive: paho has a thread for that."""
        time.sleep(seconds)


class AmqpBroker:
    """A quorum queue of RabbitMQ. Kiosks speak MQTT with the same nodes; `amq.topic` is where their messages go.

    Several servers take from one queue; each node that is named is tried in turn.
    """

    def __init__(self, urls: list[str], name: str = "gatepost") -> None:
        import pika

        self._pika, self._name = pika, name
        self._nodes = [pika.URLParameters(url) for url in urls]
        self._tag, self._life = 0, 0
        self._connection: Any = None

    def _connect(self) -> None:
        while True:
            try:
                self._connection = self._pika.BlockingConnection(self._nodes)
                self._channel = self._connection.channel()
                self._channel.basic_qos(prefetch_count=IN_FLIGHT)
                self._channel.queue_declare(self._name, durable=True, arguments={"x-queue-type": "quorum"})
                for topic in (EVENTS, STATES):
                    key = topic.replace("/", ".").replace("+", "*")
                    self._channel.queue_bind(self._name, "amq.topic", key)
                self._life += 1
                print("broker: connected", flush=True)
            except (self._pika.exceptions.AMQPError, OSError) as error:
                print(f"broker: no connection ({error!r}), trying again", flush=True)
                time.sleep(1)
            else:
                return

    def fetch(self, most: int, wait_s: float) -> list[Message]:
        """What has come, at most `most`."""
        batch: list[Message] = []
        try:
            if self._connection is None:
                self._connect()
            until_s = time.monotonic() + wait_s
            for method, _, body in self._channel.consume(self._name, inactivity_timeout=wait_s / 4):
                if method is not None:
                    topic = method.routing_key.replace(".", "/")
                    batch.append(Message(topic, body, (self._life, method.delivery_tag)))
                if len(batch) >= most or time.monotonic() > until_s or (method is None and batch):
                    break
        except (self._pika.exceptions.AMQPError, OSError) as error:
            self._lost(error)
            return []  # all of it comes again
        return batch

    def _lost(self, error: Exception) -> None:
        print(f"broker: connection lost ({error!r})", flush=True)
        self._connection = None

    def acknowledge(self, messages: list[Message]) -> None:
        """They are committed, and so is all before: tags count up."""
        life, tag = messages[-1].ticket
        if self._connection is not None and life == self._life:
            try:
                self._channel.basic_ack(tag, multiple=True)
            except (self._pika.exceptions.AMQPError, OSError) as error:
                self._lost(error)

    def publish(self, topic: str, payload: str, *, retain: bool = True) -> None:  # noqa: ARG002
        """To whom listens now: RabbitMQ retains nothing that comes by AMQP."""
        if self._connection is not None:
            try:
                self._channel.basic_publish("amq.topic", topic.replace("/", "."), payload.encode())
            except (self._pika.exceptions.AMQPError, OSError) as error:
                self._lost(error)

    def pause(self, seconds: float) -> None:
        """Wait with the connection alive."""
        try:
            if self._connection is not None:
                self._connection.sleep(seconds)
                return
        except (self._pika.exceptions.AMQPError, OSError) as error:
            self._lost(error)
        time.sleep(seconds)


class NatsBroker:
    """A stream of NATS with one consumer for all servers. Kiosks speak MQTT 3.1.1 with the same nodes.

    When a node falls a stream loses messages that the kiosks' MQTT was told it has: only kiosks that wait for receipts.
    """

    def __init__(self, urls: list[str], name: str = "gatepost") -> None:
        import asyncio
        import threading

        import nats

        self._asyncio, self._nats, self._urls, self._name = asyncio, nats, urls, name
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._connection: Any = None
        self._consumer: Any = None

    def _wait(self, work: Any) -> Any:
        return self._asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _connect(self) -> None:
        from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig

        if self._connection is None or self._connection.is_closed:
            self._connection = await self._nats.connect(self._urls, max_reconnect_attempts=-1, connect_timeout=2)
        stream = self._connection.jetstream(timeout=5)
        subjects = [topic.replace("/", ".").replace("+", "*").replace("#", ">") for topic in (EVENTS, STATES)]
        await stream.add_stream(StreamConfig(self._name, subjects=subjects, num_replicas=min(3, len(self._urls))))
        shared = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=30, max_ack_pending=IN_FLIGHT)
        self._consumer = await stream.pull_subscribe("", self._name, stream=self._name, config=shared)
        print("broker: connected", flush=True)

    def fetch(self, most: int, wait_s: float) -> list[Message]:
        """What has come, at most `most`."""
        try:
            if self._consumer is None:
                self._wait(self._connect())
            found = self._wait(self._consumer.fetch(most, timeout=wait_s))
            return [Message(each.subject.replace(".", "/"), each.data, each) for each in found]
        except (self._nats.errors.TimeoutError, TimeoutError):
            return []
        except (self._nats.errors.Error, OSError) as error:
            print(f"broker: no connection ({error!r}), trying again", flush=True)
            self._consumer = None
            time.sleep(1)
            return []

    def acknowledge(self, messages: list[Message]) -> None:
        """They are committed. What is not acknowledged in half a minute comes again."""

        async def acknowledge() -> None:
            for message in messages:
                await message.ticket.ack()

        with contextlib.suppress(self._nats.errors.Error, OSError):
            self._wait(acknowledge())

    def publish(self, topic: str, payload: str, *, retain: bool = True) -> None:  # noqa: ARG002
        """To whom listens now: NATS retains what comes by MQTT only."""
        with contextlib.suppress(self._nats.errors.Error, OSError):
            self._wait(self._connection.publish(topic.replace("/", "."), payload.encode()))

    def pause(self, seconds: float) -> None:
        """Wait with the connection alive: it has a thread."""
        time.sleep(seconds)

"""What a broker keeps, for commands of the central server's side: read what is retained, leave messages there."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self
from uuid import uuid4

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.mqtt import tls

if TYPE_CHECKING:
    from agent.mqtt.options import Options


class RetainedMessages:
    """A connection for what is retained under one filter. A context manager; raises OSError."""

    def __init__(self, options: Options, topic_filter: str) -> None:
        self._options, self._filter = options, topic_filter
        self._found: dict[str, bytes] = {}
        self._failure = ""
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"gatepost-reader-{uuid4().hex[:8]}",
            protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False,
        )  # fmt: skip
        if options.username:
            self._client.username_pw_set(options.username, options.password or None)
        if options.tls:
            self._client.tls_set_context(tls.context(options, dated=True))
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        self._client.connect_timeout = self._options.connect_timeout_s
        self._client.connect(self._options.host, self._options.port)
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def read(self, for_s: float) -> dict[str, bytes]:
        """Topic → payload of all that is retained and comes within so many seconds. Raises OSError."""
        end_s = time.monotonic() + for_s
        while time.monotonic() < end_s and not self._failure:
            time.sleep(0.05)
        if self._failure or not self._client.is_connected():
            raise OSError(self._failure or "the broker does not answer")
        return dict(self._found)

    def leave(self, topic: str, payload: bytes) -> None:
        """Publish as retained, and wait until the broker has it. Raises OSError."""
        sent = self._client.publish(topic, payload, qos=1, retain=True)
        with suppress(RuntimeError, ValueError):  # paho's words for a connection that is gone
            sent.wait_for_publish(self._options.ack_timeout_s)
        if sent.rc or not sent.is_published():
            raise OSError(f"the broker does not take {topic}")

    def _on_connect(self, client: paho.Client, _data: object, _flags: object, reason: object, *_: object) -> None:
        if getattr(reason, "is_failure", False):
            self._failure = f"the broker refuses: {reason}"
            return
        client.subscribe(self._filter, options=SubscribeOptions(qos=1, retainAsPublished=True))

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        if message.retain:
            self._found[message.topic] = bytes(message.payload)

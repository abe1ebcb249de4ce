"""A connection for a program of the central server's side that runs for a while: publish, subscribe, read."""

from __future__ import annotations

import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from agent.mqtt import failures
from agent.mqtt.client import Client, ConnectionClosed, LinkLost, Retained, Unsupported
from agent.mqtt.tls import context

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from agent.mqtt.client import BrokerLimits
    from agent.mqtt.options import Options

ANSWER_S = 20.0
_TURN_S = 0.2
_STRAGGLER_S = 0.05
"""For brokers that send what is retained beside the answers to subscriptions."""
_NO_KIOSK = "$none"
"""In the place of a name in a topic: no kiosk has it."""


class ShortConnection:
    """One thread, no session that outlives it; MQTT 5, or 3.1.1 where that is asked for, or the broker knows no
    other. Every method raises LinkLost or OSError.
    """

    def __init__(self, options: Options, name: str) -> None:
        """`name`: of the client at the broker. Raises LinkLost when the files of TLS cannot be used."""
        self.options, self._name = options, name
        self._greeted = False
        self._unanswered = 0
        """Subscriptions that the broker has not answered."""
        self._refusal = ""
        self._acknowledged: set[int] = set()
        self._messages: list[tuple[str, bytes]] = []
        self._retained_s = 0.0
        """When something that is retained came last, on the monotonic clock."""
        self._client = self._new_client(v5=options.protocol != "3.1.1")

    def __enter__(self) -> Self:
        """Connect. Raises LinkLost: a sentence with what to do."""
        try:
            try:
                self._greet()
            except (Unsupported, ConnectionClosed):  # RabbitMQ before 3.13 hangs up on MQTT 5
                self._client.close()
                self._client = self._new_client(v5=False)
                self._greet()
        except ConnectionClosed as closed:
            self._client.close()
            raise LinkLost(failures.hung_up(closed.reason, self.options)) from None
        except (OSError, ValueError) as error:
            self._client.close()
            raise LinkLost(failures.no_connection(error, self.options)) from None
        except BaseException:
            self._client.close()
            raise
        return self

    def _new_client(self, *, v5: bool) -> Client:
        try:
            tls = context(self.options, dated=True) if self.options.tls else None
        except (OSError, ValueError) as error:
            raise LinkLost(failures.no_context(error, self.options, time.time())) from None
        return Client(self.options, self._name, None, self, v5=v5, tls=tls)

    def _greet(self) -> None:
        self._client.dial()
        self._turn_until(lambda: self._greeted, "does not answer")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say goodbye."""
        with suppress(LinkLost, OSError, ValueError):
            self._client.leave(keep_session=False)
        self._client.close()

    def subscribe(self, topics: Sequence[str], qos: int = 1) -> None:
        """Read these topics, what is retained there included. `qos` 0 is faster: none is acknowledged."""
        self._listen(topics, qos)
        self._turn_until(lambda: not self._unanswered, f"does not answer a subscription to {', '.join(topics)}")
        self._demand(f"does not let us read {', '.join(topics)}")

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """It is with the broker when this returns."""
        sent = self._client.send_state(topic, payload, retain=retain, qos=1)
        self._acknowledged.clear()  # ids come again
        self._turn_until(lambda: sent in self._acknowledged, f"does not acknowledge what we publish to {topic}")
        self._demand(f"does not let us write {topic}")

    def read(self, within_s: float) -> list[tuple[str, bytes]]:
        """What has come; waits for up to so long for something."""
        end_s = time.monotonic() + within_s
        while not self._messages and (left_s := end_s - time.monotonic()) > 0:
            self._turn(min(left_s, _TURN_S))
        read, self._messages = self._messages, []
        return read

    def read_retained(self, topic: str) -> list[tuple[str, bytes]]:
        """All that is retained under a topic, which stays subscribed; and what was published meanwhile.

        Brokers answer in turn: a second subscription, to a topic of nobody, is answered after what the first one
        brought.
        """
        self._listen([topic], 0)
        self._listen([topic.replace("+", _NO_KIOSK)], 0)
        self._turn_until(lambda: not self._unanswered, f"does not answer a subscription to {topic}")
        self._demand(f"does not let us read {topic}")
        found: list[tuple[str, bytes]] = []
        self._retained_s = time.monotonic()
        while (left_s := self._retained_s + _STRAGGLER_S - time.monotonic()) > 0:  # a large fleet is never silent
            found += self.read(left_s)
        return found

    # -- what the broker says

    def on_connected(self, _limits: BrokerLimits) -> None:
        """It accepts us."""
        self._greeted = True

    def on_acknowledgement(self, mid: int, refusal: str) -> None:
        """Of a message."""
        self._acknowledged.add(mid)
        self._refusal = self._refusal or refusal

    def on_subscribed(self, refusals: Sequence[str]) -> None:
        """Of a subscription."""
        self._unanswered -= 1
        self._refusal = self._refusal or next(filter(None, refusals), "")

    def on_message(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """Kept until it is read."""
        if retained:
            self._retained_s = time.monotonic()
        self._messages.append((topic, payload))

    # --

    def _listen(self, topics: Sequence[str], qos: int) -> None:
        self._unanswered += 1
        self._client.listen([(topic, Retained.ALWAYS) for topic in topics], qos=qos)

    def _demand(self, what: str) -> None:
        if self._refusal:
            refusal, self._refusal = self._refusal, ""
            raise LinkLost(f"the broker {what}: {refusal}")

    def _turn_until(self, holds: Callable[[], bool], what: str) -> None:
        end_s = time.monotonic() + ANSWER_S
        while not holds():
            if time.monotonic() > end_s:
                raise LinkLost(f"the broker {what}")
            self._turn()

    def _turn(self, limit_s: float = _TURN_S) -> None:
        self._client.flush()
        wants = [self._client] if self._client.holds_output() else []
        readable, _, _ = select.select([self._client], wants, [], limit_s)
        if readable:
            self._client.read()
        self._client.flush()
        self._client.tick()

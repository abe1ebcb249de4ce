"""A connection of its own to the broker, over which the kiosks of a site speak with each other.

Each kiosk publishes on `gatepost/v1/SITE/KIOSK/used` (used tickets) or `…/tally` (shared places) and hears all
of the site, itself too: so it knows in which
order the broker has had the messages. QoS 1, nothing retained; nothing is kept while the connection is down.
Whoever listens is told when it is lost, and when it is there again.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections import deque
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from agent.mqtt.client import Client, Limits, LinkLost, Retained, Unsupported
from agent.mqtt.retry import ReconnectBackoff

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.events import Topics
    from agent.mqtt.options import Options

log = logging.getLogger(__name__)

TICK_S = 0.5
MOST_WAITING = 1000
RETRY_MAX_S = 10.0


class Peers(Protocol):
    """Who is told; on the link's thread."""

    def connected(self) -> None:
        """The broker lets us hear the others."""

    def disconnected(self) -> None:
        """It does not any more."""

    def received(self, sender: str, payload: bytes) -> None:
        """A message of a kiosk, this one too."""


class PeerLink:
    """Thread that keeps the connection."""

    def __init__(
        self, options: Options, topics: Topics, peers: Peers, tick: Callable[[], None], channel: str = "used"
    ) -> None:
        """`tick` is called about twice a second, connected or not; `channel`: the last level of the topic."""
        name = f"gatepost-{topics.site}-{topics.kiosk}-{channel}"
        self._options = replace(options, client_id=f"{options.client_id}-{channel}" if options.client_id else name)
        self._channel, self._all = channel, topics.all_of(channel)
        self._topics, self._peers, self._tick = topics, peers, tick
        self._waiting: deque[bytes] = deque()
        self._listening = False
        self._greeted = False
        self._is_five = options.protocol != "3.1.1"
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peers", daemon=True)
        self.fault = "not connected yet"
        """Why the others are not heard; empty while they are."""

    def start(self) -> None:
        """Begin connecting; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; may be called although it was never started."""
        self._stopping.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(1.0)
        if not self._thread.is_alive():
            self._wake_in.close()
            self._wake_out.close()

    def send(self, payload: bytes) -> bool:
        """Publish; whether there is a connection for it. Any thread."""
        if not self._listening or len(self._waiting) >= MOST_WAITING:
            return False
        self._waiting.append(payload)
        self._wake()
        return True

    # -- what the broker says

    def on_connected(self, _limits: Limits) -> None:
        """It accepts us."""
        self._greeted = True

    def on_acknowledgement(self, _mid: int, refusal: str) -> None:
        """It has a message, or would not have it."""
        if refusal:
            raise LinkLost(f"the broker refuses {self._topics.own(self._channel)} ({refusal}): its permissions?")

    def on_subscribed(self, refusals: Sequence[str]) -> None:
        """It lets us listen, or not."""
        if any(refusals):
            raise LinkLost(f"the broker does not let us hear {self._all}: its permissions?")
        self._listening, self.fault = True, ""
        self._peers.connected()

    def on_message(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """A kiosk says something; what is retained was said long ago."""
        if not retained and (sender := self._topics.sender_of(topic, self._channel)):
            self._peers.received(sender, payload)

    # -- the thread

    def _run(self) -> None:
        backoff = ReconnectBackoff(RETRY_MAX_S)
        while not self._stopping.is_set():
            worked = self._connect()
            until_s = monotonic() + backoff.wait_s(on_purpose=False, worked=worked)
            while monotonic() < until_s and not self._stopping.wait(min(TICK_S, until_s - monotonic())):
                self._tick()

    def _connect(self) -> bool:
        """One connection, as long as it lasts; whether we could listen."""
        self._greeted = False
        client = Client(self._options, "", None, self, v5=self._is_five)
        try:
            client.dial()
            self._hold(client)
        except Unsupported:
            self._is_five = False
        except (LinkLost, OSError, ValueError) as lost:
            if str(lost) != self.fault:
                log.warning("%s: nothing is shared with the other kiosks: %s", self._channel, lost)
            self.fault = str(lost) or "the connection is lost"
        finally:
            worked, self._listening = self._listening, False
            self._waiting.clear()
            client.close()
            self._peers.disconnected()
        return worked

    def _hold(self, client: Client) -> None:
        """Send and hear until stopped. Raises LinkLost, OSError."""
        asked, ticked_s, dialled_s = False, 0.0, monotonic()
        while not self._stopping.is_set():
            writes = [client.fileno()] if client.holds_output() else []
            readable, _, _ = select.select([client.fileno(), self._wake_in.fileno()], writes, [], TICK_S)
            with suppress(BlockingIOError):
                self._wake_in.recv(4096)
            if client.fileno() in readable:
                client.read()
            if self._greeted and not asked:
                client.listen([(self._all, Retained.NEVER)], own=self._all)
                asked = True
            if not self._listening and monotonic() - dialled_s > 2 * self._options.connect_timeout_s:
                raise LinkLost("the broker does not answer")
            while self._listening and self._waiting:
                client.send_state(self._topics.own(self._channel), self._waiting.popleft(), retain=False, qos=1)
            if client.holds_output():
                client.flush()
            if monotonic() - ticked_s >= TICK_S:
                ticked_s = monotonic()
                client.tick()
                self._tick()

    def _wake(self) -> None:
        with suppress(OSError):
            self._wake_out.send(b"\0")

"""Messages between the kiosks of a site, over the one connection that each has to the broker.

Each kiosk publishes on `gatepost/v1/SITE/KIOSK/used` (used tickets) or `…/tally` (shared places) and hears all of
the site, itself too: so it knows in which order the broker has had the messages. QoS 1, nothing retained; nothing
is kept while the connection is down.

A channel is open when a marker that this kiosk has published comes back on this connection. A broker delivers in
order, so older messages that it had kept came before the marker, and are dropped. A broker that silently allows
neither to write nor to read is found too: the marker does not come back.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from agent.model import Component
from agent.model.problems import ProblemCode, found
from agent.mqtt.client import LinkLost, Retained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agent.events import Topics
    from agent.mqtt.client import Client

log = logging.getLogger(__name__)

TICK_S = 0.5
HANGS_S = 60.0
"""A message may have to be written to a slow disk."""
MOST_WAITING = 1000
"""Messages in each direction; beyond that the channel is opened again."""
KEPT = 4
"""Of the unacknowledged messages that a broker takes at a time, those that events leave to these."""
JOIN_AGAIN_S = 60.0
"""How often a broker that does not let us share is asked again."""
RETURN_S = 10.0
"""A broker that has not given back our own word within this does not let us write or hear."""

_OPENS = b'{"opens":"'
"""Of our own word; kiosks pass over those of others."""


class Peers(Protocol):
    """The receiver of messages; called on the channel's thread."""

    def connected(self) -> None:
        """The broker lets us hear the others."""

    def disconnected(self) -> None:
        """It does not any more."""

    def received(self, sender: str, payload: bytes) -> None:
        """A message of a kiosk, this one too."""


class PeerChannel:
    """One kind of message between kiosks. The link's thread brings and takes them; a thread of its own hands them
    to `peers`, who may wait for the disk.
    """

    def __init__(
        self, name: str, topics: Topics, peers: Peers, tick: Callable[[], None], wake: Callable[[], None]
    ) -> None:
        """`name`: the last level of the topic; `tick` is called about twice a second, connected or not; `wake`: the
        link's, when there is something to send.
        """
        self.name, self.topic, self.all = name, topics.own(name), topics.all_of(name)
        self._topics, self._peers, self._tick, self._wake = topics, peers, tick, wake
        self._changed = threading.Condition()
        self._to_send: deque[bytes] = deque()
        self._heard: deque[Callable[[], None]] = deque()
        self._is_open = False
        self._own_word = b""
        """What we wait to hear back; empty while the broker does not hear us."""
        self._asked_s = 0.0
        self._refusal = ""
        self._is_stopping = False
        self._moved_s = monotonic()
        self._thread = threading.Thread(target=self._run, name="peers", daemon=True)

    @property
    def fault(self) -> str:
        """Why no message of the others arrives although there is a connection; empty when they arrive."""
        with self._changed:
            is_late = bool(self._own_word) and not self._is_open and monotonic() - self._asked_s > RETURN_S
            silent = f"the broker does not give back what this kiosk publishes on {self.topic}" if is_late else ""
            why = self._refusal or silent
        rights = f"the right to write {self.topic}, and to read {self.all}?"
        return why and f"nothing is shared with the other kiosks: {why} ({rights})"

    def health(self) -> Iterator[Component]:
        """Whether the thread moves, and why no message of the others arrives."""
        findings = found(ProblemCode.PEERS_NOT_HEARD, self.fault)
        yield Component(f"peers {self.name}", monotonic() - self._moved_s, HANGS_S, findings)

    def start(self) -> None:
        """Begin handing over."""
        self._moved_s = monotonic()
        self._thread.start()

    def stop(self, limit_s: float = 1.0) -> None:
        """End the thread; may be called although it was never started."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(limit_s)

    def send(self, payload: bytes) -> bool:
        """Publish; whether the channel is open for it. Any thread."""
        with self._changed:
            if not self._is_open or len(self._to_send) >= MOST_WAITING:
                return False
            self._to_send.append(payload)
        self._wake()
        return True

    # -- the link's thread

    def on_subscribed(self, refusal: str) -> None:
        """The broker has granted the subscription, or says why not."""
        if refusal:
            self._refuse(f"the broker refuses to let it hear ({refusal})")
            return
        with self._changed:
            if not self._is_open:
                self._open_again()

    def on_acknowledgement(self, refusal: str) -> None:
        """It has a message, or would not have it."""
        if refusal:
            self._refuse(f"the broker refuses what it says ({refusal})")

    def on_message(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """A message of another kiosk has come; a retained one is old."""
        sender = self._topics.sender_of(topic, self.name)
        is_opening = payload.startswith(_OPENS)
        if retained or not sender or (is_opening and payload != self._own_word):
            return
        with self._changed:
            if not self._is_open:
                if sender == self._topics.kiosk and payload == self._own_word:
                    self._is_open, self._refusal = True, ""
                    log.info("%s: shared with the other kiosks", self.name)
                    self._hand_over(self._peers.connected)
            elif is_opening:
                pass  # it came twice
            elif len(self._heard) >= MOST_WAITING:
                log.warning("%s: more is told than can be heard", self.name)
                self._close()
                self._open_again()
            else:
                self._hand_over(lambda: self._peers.received(sender, payload))

    def on_lost(self) -> None:
        """The connection is over."""
        with self._changed:
            self._close()

    def next_to_send(self) -> bytes | None:
        """What is to be published next; None when nothing is."""
        with self._changed:
            return self._to_send.popleft() if self._to_send else None

    # -- inside, with the lock

    def _open_again(self) -> None:
        self._own_word, self._asked_s = opening_word(), monotonic()
        self._to_send.append(self._own_word)

    def _close(self) -> None:
        self._own_word = b""
        self._to_send.clear()
        if self._is_open:
            self._is_open = False
            self._hand_over(self._peers.disconnected)

    def _hand_over(self, what: Callable[[], None]) -> None:
        self._heard.append(what)
        self._changed.notify()

    # -- inside

    def _refuse(self, why: str) -> None:
        with self._changed:
            self._close()
            if why != self._refusal:
                log.warning("%s: nothing is shared with the other kiosks: %s", self.name, why)
            self._refusal = why

    def _run(self) -> None:
        ticked_s = 0.0
        while True:
            with self._changed:
                if not self._heard and not self._is_stopping:
                    self._changed.wait(TICK_S)
                if self._is_stopping:
                    return
                heard = self._heard.popleft() if self._heard else None
            try:
                if heard is not None:
                    heard()
                if monotonic() - ticked_s >= TICK_S:
                    self._tick()
                    ticked_s = monotonic()
            except Exception:
                log.exception("%s: internal error in what kiosks tell each other", self.name)
            self._moved_s = monotonic()


def opening_word() -> bytes:
    """A new marker that only its sender acts on; all others ignore it."""
    return _OPENS + secrets.token_hex(8).encode() + b'"}'


class RequestChannel:
    """A request of this kiosk and its answer, over the same connection; asked from any thread."""

    fault = ""
    """None: a refusal is reported to the caller."""

    def __init__(self, topic: str, answer: str, wake: Callable[[], None]) -> None:
        self.topic, self.all = topic, answer
        self._wake = wake
        self._changed = threading.Condition()
        self._request: bytes | None = None
        self._is_heard = self._is_sent = False
        self._answer = b""
        self._refusal = ""

    def request(self, data: bytes, limit_s: float) -> bytes:
        """Raises LinkLost when no answer comes in time."""
        with self._changed:
            self._request, self._is_sent, self._answer = data, False, b""
            self._refusal = "" if self._is_heard else self._refusal
            self._wake()
            self._changed.wait_for(lambda: self._answer or self._refusal, limit_s)
            found, self._request = self._answer, None
        if not found:
            why = self._refusal or ("nobody answers" if self._is_sent else "there is no connection to the broker")
            raise LinkLost(f"{why} ({self.topic})")
        return found

    def on_subscribed(self, refusal: str) -> None:
        """The broker has granted the subscription for the answer, or says why not."""
        self._refuse(refusal)
        self._is_heard = not refusal

    def on_acknowledgement(self, refusal: str) -> None:
        """It has the request, or would not have it."""
        self._refuse(refusal)

    def on_message(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """The answer, if we wait for one."""
        with self._changed:
            if topic == self.all and not retained and self._request is not None:
                self._answer = payload
                self._changed.notify_all()

    def on_lost(self) -> None:
        """The connection is over: a request that waits for its answer is sent again with the next."""
        with self._changed:
            self._is_heard = self._is_sent = False

    def next_to_send(self) -> bytes | None:
        """Send the request, once the answer can be received."""
        with self._changed:
            if self._request is None or self._is_sent or not self._is_heard:
                return None
            self._is_sent = True
            return self._request

    def _refuse(self, why: str) -> None:
        with self._changed:
            self._refusal = why and f"the broker refuses it: {why}"
            self._changed.notify_all()


Channel = PeerChannel | RequestChannel


class PeerTraffic:
    """All channels on one connection; the link's thread only."""

    def __init__(self, client: Client, channels: Sequence[Channel]) -> None:
        self._client, self._channels = client, channels
        self._flight: dict[int, tuple[Channel, float]] = {}
        self._joined = 0
        """How many channels the broker was asked to let us hear: more may be added."""
        self._joined_s = -math.inf
        """When it was asked, last."""
        self._is_joining = False
        """It has not answered that yet."""

    @property
    def on_the_way(self) -> int:
        """Messages sent and not yet acknowledged."""
        return len(self._flight)

    @property
    def is_unanswered(self) -> bool:
        """Whether the broker has still something to answer."""
        return bool(self._flight) or self._is_joining

    def unanswered_since_s(self) -> float:
        """Since when; infinity when there is nothing."""
        first_s = self._joined_s if self._is_joining else math.inf
        return min([first_s, *(sent_s for _, sent_s in self._flight.values())])

    def reserved(self, receive_maximum: int) -> int:
        """How many of that many unacknowledged messages events leave to us."""
        return min(KEPT, receive_maximum // 2) if self._channels else 0

    def join(self, now_s: float) -> None:
        """Ask to hear the other kiosks; once more after a while, where the broker does not let us."""
        is_new = len(self._channels) > self._joined
        is_due = now_s - self._joined_s >= JOIN_AGAIN_S and any(channel.fault for channel in self._channels)
        if not self._is_joining and (is_new or is_due):
            asked = list(self._channels)
            self._is_joining, self._joined, self._joined_s = True, len(asked), now_s
            topics = [channel.all for channel in asked]
            self._client.listen(
                [(topic, Retained.NEVER) for topic in topics], topics, lambda told: self._on_joined(asked, told)
            )

    def send(self, room: int, now_s: float) -> None:
        """Send what waits, as long as fewer than `room` are on the way."""
        for channel in self._channels:
            while len(self._flight) < room and (payload := channel.next_to_send()):
                self._flight[self._client.send_to_peers(channel.topic, payload)] = channel, now_s

    def on_acknowledgement(self, mid: int, refusal: str) -> bool:
        """Whether it was for one of ours."""
        channel, _ = self._flight.pop(mid, (None, 0.0))
        if channel is not None:
            channel.on_acknowledgement(refusal)
        return channel is not None

    def on_message(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """A message of another kiosk has come."""
        for channel in self._channels:
            channel.on_message(topic, payload, retained=retained)

    def on_lost(self) -> None:
        """The connection is over."""
        for channel in self._channels:
            channel.on_lost()

    def _on_joined(self, asked: Sequence[Channel], refusals: Sequence[str]) -> None:
        self._is_joining = False
        for channel, refusal in zip(asked, refusals, strict=False):
            channel.on_subscribed(refusal)

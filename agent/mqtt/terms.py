"""What the broker grants besides events: a last will, retained messages, the state, subscriptions. What it denies
is left out, reported, and requested again later: no such denial may hold up events. Pure.

Some brokers say no with a reason code; others just end the connection. A broker takes packets in order, so what it
left unanswered first is what it ended the connection for; that counts when it happens `TIMES` times in a row.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

TIMES = 3
"""Connections that end at the same request before it is left out."""
ASK_AGAIN_S = 600.0
"""A request that was refused is made again after so long, on the next connection or with the next state."""


class BrokerTerm(StrEnum):
    """What the broker is asked for; the value says what a refusal means, and where to look."""

    WILL = "takes no last will: nobody learns when the kiosk loses its power (the permission to write `state`?)"
    RETAIN = "keeps no retained messages: who subscribes later does not see the kiosk's state (retain_available?)"
    QOS = "takes messages with QoS 0 only, and would acknowledge none: events are kept here and wait (max_qos?)"
    STATE = "does not take the kiosk's state: events are delivered without it (the permission to write `state`?)"
    LISTEN = "ends the connection when we subscribe: no command and no bundle is heard (permission to read?)"
    PEERS = "ends the connection at what kiosks share: used tickets or places (permission for `used`, `tally`?)"


_CODES = {0x9A: BrokerTerm.RETAIN, 0x9B: BrokerTerm.QOS}
"""Reason codes of MQTT 5 that name what was asked: Retain not supported, QoS not supported."""


class Terms:
    """Across connections. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._refused: dict[BrokerTerm, tuple[float, str]] = {}
        """Until when it is not asked for, and the broker's own words."""
        self._ended: Counter[BrokerTerm] = Counter()
        """Connections in a row that ended at this request."""
        self._tries_without_will = False

    @property
    def fault(self) -> str:
        """What the broker does not grant, as a sentence; empty when it grants all."""
        return "; ".join(
            f"the broker {request}{f': {why}' if why else ''}" for request, (_, why) in self._refused.items()
        )

    def asks(self, request: BrokerTerm, now_s: float) -> bool:
        """Whether to ask for it now."""
        if request is BrokerTerm.WILL and self._tries_without_will:
            return False
        until_s, _ = self._refused.get(request, (now_s, ""))
        return now_s >= until_s

    def refuse(self, request: BrokerTerm, why: str, now_s: float) -> None:
        """The broker has refused it."""
        self._refused[request] = now_s + ASK_AGAIN_S, why

    def grant(self, request: BrokerTerm) -> None:
        """The broker has granted it."""
        self._refused.pop(request, None)
        self._ended.pop(request, None)

    def suspects(self, request: BrokerTerm) -> bool:
        """Whether the last connection ended at this request."""
        return self._ended[request] > 0

    def ended_at(self, request: BrokerTerm, now_s: float) -> None:
        """The broker ended the connection and had answered everything before this request."""
        self._ended[request] += 1
        if self._ended[request] >= TIMES:
            self.refuse(request, "", now_s)

    def named(self, code: int, why: str, now_s: float) -> bool:
        """A reason code for the whole connection: whether it names a request, which is then left out."""
        if (request := _CODES.get(code)) is not None:
            self.refuse(request, why, now_s)
        return request is not None

    def turned_away(self, *, with_will: bool) -> None:
        """The broker refused the connection, and did not say for what. Some do so for a last will on a topic that
        we may not write: now and then it is tried without.
        """
        self._tries_without_will = False
        if with_will:
            self._ended[BrokerTerm.WILL] += 1
            self._tries_without_will = self._ended[BrokerTerm.WILL] % TIMES == 0

    def greeted(self, now_s: float, *, with_will: bool) -> None:
        """The broker accepted us."""
        if with_will:
            self.grant(BrokerTerm.WILL)
        elif self._tries_without_will:
            self.refuse(BrokerTerm.WILL, "", now_s)
        self._tries_without_will = False

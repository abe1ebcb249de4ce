"""Requests and answers over MQTT: a kiosk that asks, an authority that listens.

    gatepost/v1/$enrol/FINGERPRINT/request    the kiosk writes, the authority reads
    gatepost/v1/$enrol/FINGERPRINT/answer     the other way round
    gatepost/v1/SITE/KIOSK/renewal/request    the same of a member, over the connection that it has (`renewal`)

The kiosk's client id is the fingerprint of the key that asks, so the broker's list of rights needs one line for all
of them (`%c`). Before the kiosk says anything the broker must show a public key that was pinned in the invitation.
"""

from __future__ import annotations

import dataclasses
import hmac
import logging
import re
import select
import ssl
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from agent.enrolment import certificates, exchange
from agent.mqtt.client import Client, LinkLost, Retained
from agent.mqtt.tls import context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agent.mqtt.client import BrokerLimits
    from agent.mqtt.options import Options

log = logging.getLogger(__name__)

PREFIX = "gatepost/v1/$enrol"
MEMBERS = re.compile(r"(gatepost/v1/([^/+#]+/[^/+#]+)/renewal)/request")
"""Where members ask, over the connection that they have."""
ANSWER_S = 20.0
_TURN_S = 0.5


class ExchangeFailed(Exception):
    """No answer came; `str()` says why."""


class _ReceivedMessages:
    """What a connection hears."""

    def __init__(self) -> None:
        self.greeted = self.subscribed = False
        self.refusal = ""
        self.messages: list[tuple[str, bytes]] = []

    def on_connected(self, _limits: BrokerLimits) -> None:
        self.greeted = True

    def on_acknowledgement(self, _mid: int, refusal: str) -> None:
        self.refusal = self.refusal or refusal

    def on_subscribed(self, refusals: Sequence[str]) -> None:
        self.subscribed = True
        self.refusal = self.refusal or next(filter(None, refusals), "")

    def on_message(self, topic: str, payload: bytes, *, retained: bool) -> None:
        if not retained:
            self.messages.append((topic, payload))


def pinned(pins: Sequence[bytes]) -> ssl.SSLContext:
    """TLS 1.3 with a server whose public key is one of these. Its name, dates and authority do not count, so a
    kiosk whose clock is in 1970 can ask. A server with another key is told nothing.
    """

    class Socket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            try:
                super().do_handshake(block)
                _demand_pinned(self.getpeercert(binary_form=True) or b"", pins)
            except BaseException:
                self.close()
                raise

    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.sslsocket_class = Socket
    return made


def _demand_pinned(certificate: bytes, pins: Sequence[bytes]) -> None:
    """Raise ssl.SSLError unless the certificate's key is one of these."""
    shown = certificates.pin_of(certificate)
    if not any(hmac.compare_digest(shown, pin) for pin in pins):
        raise ssl.SSLError("the broker's key is not the one that the invitation names")


def send_request(
    options: Options, fingerprint: str, data: bytes, pins: Sequence[bytes] | None, limit_s: float = ANSWER_S
) -> bytes:
    """Send a request and wait for its answer. `pins`: of an invitation; None to be checked as `options` say. Raises
    ExchangeFailed.
    """
    end_s = time.monotonic() + limit_s
    inbox = _ReceivedMessages()
    tls = context(options, dated=True) if pins is None and options.tls else pinned(pins) if pins else None
    client = _client(options, fingerprint, inbox, tls)
    with _connection(client, "no answer came: the authority does not listen"):
        client.dial(session_s=0)  # an answer to an earlier request, which nobody has read, must not come first
        _turn_until(client, lambda: inbox.greeted, end_s)
        client.listen([(f"{PREFIX}/{fingerprint}/answer", Retained.NEVER)])
        _turn_until(client, lambda: inbox.subscribed, end_s)
        if inbox.refusal:
            raise ExchangeFailed(f"the broker does not let us hear the answer: {inbox.refusal}")
        client.send_event(f"{PREFIX}/{fingerprint}/request", data)
        _turn_until(client, lambda: bool(inbox.messages or inbox.refusal), end_s)
        if not inbox.messages:
            raise ExchangeFailed(f"the broker does not take the request: {inbox.refusal}")
        return inbox.messages[0][1]


@contextmanager
def _connection(client: Client, silent: str) -> Iterator[None]:
    """Close the client at the end. Raises ExchangeFailed for what went wrong; `silent`: when no answer came."""
    try:
        yield
    except TimeoutError:
        raise ExchangeFailed(silent) from None
    except (OSError, ValueError, LinkLost) as error:
        raise ExchangeFailed(str(error)) from None
    finally:
        with suppress(Exception):
            client.disconnect()
        client.close()


def serve(
    options: Options,
    handle: Callable[[bytes], tuple[str, bytes] | None],
    stopping: Callable[[], bool],
    ready: Callable[[], None] = lambda: None,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Answer requests on one connection until `stopping`; `tls`: in place of what the options say. Raises
    ExchangeFailed when the connection ends.
    """
    inbox = _ReceivedMessages()
    tls = tls or (context(options, dated=True) if options.tls else None)
    client = _client(options, "gatepost-authority", inbox, tls)
    with _connection(client, "the broker does not answer"):
        client.dial()
        _turn_until(client, lambda: inbox.greeted, time.monotonic() + ANSWER_S)
        wanted = (f"{PREFIX}/+/request", "gatepost/v1/+/+/renewal/request")
        client.listen([(topic, Retained.NEVER) for topic in wanted])
        _turn_until(client, lambda: inbox.subscribed, time.monotonic() + ANSWER_S)
        if inbox.refusal:
            raise ExchangeFailed(f"the broker does not let us hear requests: {inbox.refusal}")
        ready()
        while not stopping():
            _turn(client)
            for topic, payload in _drain(inbox):
                answered = handle(payload)
                # a request for a key under another's name gets no answer: the broker holds him to his own topic
                if answered is not None and (root := _root_of(topic, answered[0], payload)):
                    client.send_event(f"{root}/answer", answered[1])


def _root_of(topic: str, fingerprint: str, payload: bytes) -> str:
    """Under which topic the answer goes; empty: to nobody. A member asks under its own name."""
    if topic == f"{PREFIX}/{fingerprint}/request":
        return f"{PREFIX}/{fingerprint}"
    member = MEMBERS.fullmatch(topic)
    if member is None:
        return ""
    try:
        shown = exchange.parse_request(payload).certificate
        return member[1] if certificates.about(shown).name == member[2] else ""
    except (exchange.BadExchange, certificates.BadCertificate, ValueError):
        return ""


def _drain(inbox: _ReceivedMessages) -> list[tuple[str, bytes]]:
    taken, inbox.messages = inbox.messages, []
    return taken


def _client(options: Options, name: str, inbox: _ReceivedMessages, tls: ssl.SSLContext | None) -> Client:
    """A connection under this client id, with what it hears in the inbox."""
    plain = dataclasses.replace(options, tls=False, ca_file=None, cert_file=None, key_file=None, client_id=name)
    client = Client(plain, name, None, inbox, v5=True)
    if tls is not None:
        client.tls_set_context(tls)
    return client


def _turn_until(client: Client, holds: Callable[[], bool], end_s: float) -> None:
    """Raises TimeoutError."""
    while not holds():
        if time.monotonic() > end_s:
            raise TimeoutError
        _turn(client)


def _turn(client: Client) -> None:
    wants = [client] if client.holds_output() else []
    readable, _, _ = select.select([client], wants, [], _TURN_S)
    if readable:
        client.read()
    client.flush()
    client.tick()

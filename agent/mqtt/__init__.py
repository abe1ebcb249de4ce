"""The link: takes records from the outbox's send queue to the broker, in order, and back again when it breaks.

A record leaves the outbox when its acknowledgement came and its reason code says success; or, with delivery
`receipt`, when the central server has confirmed it. In MQTT 3.1.1 a broker acknowledges also what it refuses (no
permission, for example): that version is used only with a broker that knows no other (`version`).
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from time import monotonic, time
from typing import TYPE_CHECKING, Any
from zlib import crc32

from agent.events import base_chunk_topic
from agent.events.state import State
from agent.model import ClockState, Component, TimeBounds
from agent.model.problems import Finding, Problem, ProblemCode, found
from agent.model.status import LinkStatus
from agent.mqtt import failures, tls
from agent.mqtt.client import LinkLost, Unsupported
from agent.mqtt.client_certificate import BadClientCertificate, ClientCertificates
from agent.mqtt.options import Options
from agent.mqtt.peers import PeerChannel, RequestChannel
from agent.mqtt.receipts import ReceiptVerifier
from agent.mqtt.retry import AcknowledgementWatch, ReconnectBackoff, RejectedEvents
from agent.mqtt.session import GOODBYE_S, MessageReceiver, Session, SessionContext
from agent.mqtt.short import ShortConnection
from agent.mqtt.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agent.events import Topics
    from agent.mqtt.peers import Peers
    from agent.outbox import Outbox

__all__ = [
    "BadClientCertificate",
    "ClientCertificates",
    "Link",
    "LinkLost",
    "Options",
    "ShortConnection",
]

log = logging.getLogger(__name__)

STILL_ALIVE_S = 2.0
SECOND_KIOSK_S = 3600.0
"""So long after it was noticed last a second machine of our name is told."""
HANGS_S = 60.0
"""A connect attempt may hang in name resolution; the link's own limits are shorter."""


def _no_root(_payload: bytes) -> Mapping[str, Any]:
    raise ValueError("there is no root that says who may sign it")


def _by_the_system() -> TimeBounds:
    return TimeBounds(time(), time(), ClockState.SYNCED)


class Link:
    """Thread that keeps a connection to the broker and empties the send queue through it."""

    def __init__(
        self,
        options: Options,
        topics: Topics,
        outbox: Outbox,
        state: Callable[[], State],
        inbox: MessageReceiver | None = None,
        verify_receipt: Callable[[bytes], Mapping[str, Any]] = _no_root,
        now: Callable[[], TimeBounds] = _by_the_system,
    ) -> None:
        """`state` is asked from the link's thread, about once a second.

        `inbox` gets what the central server sends (commands, bundles), on the link's thread; it never blocks. A
        message is acknowledged to the broker when the inbox has it; without an inbox it is dropped.
        `verify_receipt` returns the signed content of a receipt, or raises ValueError or OSError. The dates of
        certificates are compared with `now`.
        """
        self._options = options
        self._state = state
        self._answers = outbox.answers
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._context = self._new_context(options, topics, outbox, inbox, verify_receipt, now)
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._stopping = threading.Event()
        self._session: Session | None = None
        self._version = Version(options.protocol)
        self._spoken = ""
        """The version in which the broker greeted us last."""
        self._next_try_s: float | None = None
        self._addresses = options.addresses()
        self._address = crc32(topics.source.encode())
        """Counted on when a connection brought nothing. The kiosks of a fleet begin with different addresses."""
        self._fault = "not connected yet"
        self.pairs = ClientCertificates(options, topics.kiosk) if options.tls else None
        """Our key and certificate; None without TLS."""
        if self.pairs is not None:
            self._context.connected = self.pairs.connected
        outbox.send_queue.listen(self._send)
        if options.delivery == "receipt":
            outbox.send_queue.expect_receipts()

    def _new_context(
        self,
        options: Options,
        topics: Topics,
        outbox: Outbox,
        inbox: MessageReceiver | None,
        verify_receipt: Callable[[bytes], Mapping[str, Any]],
        now: Callable[[], TimeBounds],
    ) -> SessionContext:
        """What every session needs."""
        return SessionContext(
            options=options,
            topics=topics,
            send_queue=outbox.send_queue,
            refusals=RejectedEvents(),
            overdue=AcknowledgementWatch(options.receipt_timeout_s) if options.delivery == "receipt" else None,
            state=self._report_state,
            now=now,
            inbox=inbox,
            receipts=ReceiptVerifier(topics.source, outbox.answers, verify_receipt),
            is_drained=outbox.is_sent,
            mark=outbox.mark,
            proves=outbox.proves,
            compare=outbox.compare,
            wake=self._wake_in,
            moved_s=monotonic(),
        )

    def start(self) -> None:
        """Begin connecting; returns at once."""
        self._thread.start()

    def stop(self, limit_s: float = 5.0) -> None:
        """Deliver what waits within `limit_s` if connected, say goodbye, and end the thread."""
        self._context.stop_at_s = monotonic() + limit_s
        self._stopping.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join(limit_s + GOODBYE_S + 0.5)

    def status(self) -> LinkStatus:
        """How it is now."""
        session = self._session
        connected = session is not None and session.greeted
        left = tls.days_left(self._context.ends_utc, self._context.now())
        findings = (
            *found(ProblemCode.EVENTS_REJECTED, self._context.refusals.fault),
            *(self._unheard() if connected else found(ProblemCode.BROKER_NOT_CONNECTED, self._fault)),
            *found(ProblemCode.BROKER_TERMS, self._context.terms.fault if connected else ""),
            *self._second_kiosk(),
            *tls.findings(left),
        )
        next_try_s = self._next_try_s
        return LinkStatus(
            connected=connected,
            protocol=("5" if self._version.is_five else "3.1.1") if connected else self._spoken,
            listening=session is not None and session.listening,
            on_the_way=0 if session is None else session.on_the_way,
            connections=self._context.connections,
            refused=self._context.refusals.total,
            refused_receipts=self._answers.refused,
            refusal=self._answers.refusal,
            certificates=left,
            findings=findings,
            next_try_s=None if connected or next_try_s is None else round(max(0.0, next_try_s - monotonic()), 1),
            moved_s=self._context.moved_s,
        )

    def health(self) -> Iterable[Component]:
        """Whether the link's thread moves, and what is wrong with the connection."""
        now = self.status()
        yield Component("mqtt", monotonic() - now.moved_s, HANGS_S, now.findings)

    def _second_kiosk(self) -> tuple[Finding, ...]:
        """That another machine has connected by our name; many brokers hang up without a word of it."""
        seen_s = self._context.stranger_s
        if seen_s is None or monotonic() - seen_s > SECOND_KIOSK_S:
            return ()
        return found(
            ProblemCode.SECOND_KIOSK,
            "another machine connects to the broker as this kiosk, and each ends the other's connection: is there"
            " a copy of its card? Switch one off, and enrol it by a name of its own (docs/enrolment.md)",
        )

    def _unheard(self) -> tuple[Finding, ...]:
        """What is wrong with what we hear, though connected."""
        if self._context.overdue is None and not self._context.dated:
            return found(
                ProblemCode.BROKER_CERTIFICATE_UNDATED,
                "the time is not known, nor whether the broker's certificate has ended: events wait (clock, NTP?)",
            )
        return (*found(ProblemCode.SUBSCRIPTION_DENIED, self._context.subscribe_error), *self._unconfirmed())

    def _unconfirmed(self) -> tuple[Finding, ...]:
        """That the central server does not confirm, or not what we have made. That receipts are refused is no fault
        as long as others are taken: a stranger can send those.
        """
        overdue, answers = self._context.overdue, self._answers
        if answers.complaint:
            text = f"a receipt of the central server does not fit: {answers.complaint}"
            return found(ProblemCode.RECEIPT_MISMATCH, text)
        late = "" if overdue is None else overdue.fault
        if late and answers.refusal:
            late = f"{late}; receipts come and are refused: {answers.refusal}"
        return found(ProblemCode.RECEIPTS_OVERDUE, late)

    def wake(self) -> None:
        """There may be something to send. Any thread."""
        with suppress(OSError):  # full: it will wake anyway; closed: it is over
            self._wake_out.send(b"\0")

    def _send(self) -> None:
        """There is something new to send. Never blocks. Any thread."""
        session = self._session
        if session is None or not session.send_now():
            self.wake()

    def refetch_retained(self) -> None:
        """Have the broker send the retained bundles again, now or when it is back. Any thread."""
        self._context.refetch_retained = True

    def fetch(self, chunks: Sequence[tuple[str, int]], take: Callable[[str, int, bytes], None]) -> None:
        """From now on these chunks of lists' bases (id, index) are wanted, and no others; called again, they are
        sent again. `take` gets each on the link's thread and never blocks. Any thread.
        """
        self._context.take_chunk = take
        self._context.fetch = [base_chunk_topic(*chunk) for chunk in chunks]

    def share(self, name: str, peers: Peers, tick: Callable[[], None] = lambda: None) -> PeerChannel:
        """What is shared with the other kiosks of the site under this name. Any thread; once for each name."""
        channel = PeerChannel(name, self._context.topics, peers, tick, self.wake)
        self._context.channels.append(channel)
        return channel

    def requests(self) -> RequestChannel:
        """What a member asks the authority; once."""
        channel = RequestChannel(*self._context.topics.renewal, self.wake)
        self._context.channels.append(channel)
        return channel

    def renew(self) -> None:
        """Connect again, with the certificate that there is by now. Any thread."""
        self._context.renew = True
        self.wake()

    def _report_state(self) -> State:
        """What to say of the kiosk. An internal error in finding it out must not cost the link."""
        try:
            return self._state()
        except Exception:
            log.exception("mqtt: the state cannot be told")
            text = "the state of the kiosk cannot be told: see the log"
            return State(software_version="", problems=(Problem(ProblemCode.INTERNAL_ERROR, "mqtt", text),))

    def _run(self) -> None:
        backoff = ReconnectBackoff(self._options.reconnect_max_s, self._options.fleet_size)
        while not self._stopping.is_set():
            on_purpose, worked = self._connect()
            self._address += not worked
            self._wait(backoff.wait_s(on_purpose=on_purpose, worked=worked))
        self._wake_in.close()
        self._wake_out.close()

    def _connect(self) -> tuple[bool, bool]:
        """One connection, as long as it lasts: whether the broker turned us away on purpose, and whether it took
        anything before.
        """
        self._context.moved_s = monotonic()
        session, unsupported, on_purpose = None, False, False
        try:
            host, port = self._addresses[self._address % len(self._addresses)]
            shown = self._options if self.pairs is None else self.pairs.with_certificate()
            self._context.options = replace(shown, host=host, port=port)
            if self.pairs is not None:
                self._context.ends_utc = {**self._context.ends_utc, **tls.ends(self._context.options)}
            self._context.dated = self._context.dated or tls.is_settled(self._context.now())
            version = self._version
            session = self._session = Session(self._context, v5=version.is_five, only_probes=version.only_probes)
            session.run()
        except LinkLost as lost:
            unsupported, on_purpose = isinstance(lost, Unsupported), lost.on_purpose
            self._set_fault(str(lost))
        except (OSError, ValueError) as error:
            failure = failures.no_connection(error, self._context.options)
            if session is None:
                failure = failures.no_context(error, self._context.options, self._context.now().earliest_utc)
            self._set_fault(failure)
            self._context.dated = not tls.may_go_undated(self._options, error, self._context.now())
        except Exception:
            log.exception("mqtt: unexpected error; connecting again")
            self._set_fault("unexpected error: see the log")
        finally:
            self._session = None
            self._context.send_queue.requeue()
            if (mark := self._context.farther) is not None:
                self._context.farther = None
                self._context.compare(mark)
            if self.pairs is not None and (session is None or (session.reached and not session.greeted)):
                self.pairs.rejected()
            if session is not None:
                if session.greeted:
                    self._spoken = "5" if self._version.is_five else "3.1.1"
                self._version.ended(greeted=session.greeted, unsupported=unsupported, hung_up=session.hung_up)
        return on_purpose, session is not None and session.worked

    def _wait(self, seconds: float) -> None:
        """Until the next try, showing that the thread lives."""
        self._next_try_s = until_s = monotonic() + seconds
        while (left_s := until_s - monotonic()) > 0 and not self._stopping.wait(min(left_s, STILL_ALIVE_S)):
            self._context.moved_s = monotonic()
        self._next_try_s = None

    def _set_fault(self, fault: str) -> None:
        if fault != self._fault:
            log.warning("mqtt: %s", fault)
        self._fault = fault

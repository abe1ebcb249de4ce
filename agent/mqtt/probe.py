"""Try the broker as the service would, for a technician: name, port, TLS, login, the right to each topic.

It connects under a client id of its own. Some brokers put the user name in its place (mosquitto's
`use_username_as_clientid`) and so give us the session of the service: what waits there is left unacknowledged, and
the session is left as it was. None of what it publishes is retained: an empty message on `event/check`, a kind that
no event has; on `state` what is retained there, or an empty message where nothing is; on `renewal/request` an empty
one, where it renews its certificate; on `used` and `tally` a word that all kiosks pass over, where it has any.

A right to read is shown only by what the broker delivers: what is retained, or our own word to the other kiosks.
That it accepts a subscription shows nothing: mosquitto does so for any topic, and then delivers none of what its
`acl_file` forbids.
"""

from __future__ import annotations

import secrets
import select
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING

from agent.mqtt import failures
from agent.mqtt.client import BrokerLimits, Client, ConnectionClosed, LinkLost, Retained, Unsupported
from agent.mqtt.client_certificate import ClientCertificates
from agent.mqtt.peers import opening_word
from agent.mqtt.tls import context, demand_not_ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agent.events import Topics
    from agent.model import TimeBounds
    from agent.mqtt.options import Options

TICK_S = 0.2
SESSION_TAKEN_OVER = 0x8E
HANGS_UP_ON_5 = (
    "it hangs up on MQTT 5 without a word and greets MQTT 3.1.1, as RabbitMQ before 3.13 does: each new connection "
    'would begin with several vain tries; set protocol = "3.1.1" in [mqtt]'
)


@dataclass(slots=True)
class ProbeReport:
    """What was found, in sentences."""

    faults: list[str] = field(default_factory=list)
    """What keeps the service from working, each with its remedy."""
    remarks: list[str] = field(default_factory=list)
    """What to know, and what could not be found out."""
    shown: list[str] = field(default_factory=list)
    """What the broker has shown to grant."""


def probe(
    options: Options, topics: Topics, now: TimeBounds, channels: Sequence[str] = (), *, renews: bool = False
) -> ProbeReport:
    """Connect some times; each wait is limited by the setting for connecting. `channels`: what this kiosk shares
    with the others of its site (`used`, `tally`); `renews`: whether it renews its certificate over the broker.
    """
    name = options.client_id or f"gatepost-{topics.site}-{topics.kiosk}"
    options = replace(options, client_id=f"{name}-check-{secrets.token_hex(3)}")
    if options.tls:
        try:
            options = ClientCertificates(options, topics.kiosk).with_certificate()
        except (OSError, ValueError) as error:
            return ProbeReport([failures.no_context(error, options, now.earliest_utc)])
    five = _Attempt(options, topics, now, channels, renews=renews, v5=options.protocol != "3.1.1")
    try:
        found = five.report()
    except Unsupported as error:
        if options.protocol == "5":
            return ProbeReport([f'{error}: protocol in [mqtt] must be "auto" or "3.1.1"'])
        return _Attempt(options, topics, now, channels, renews=renews, v5=False).report()
    if options.protocol == "auto" and five.is_hung_up:
        old = _Attempt(options, topics, now, channels, renews=renews, v5=False)
        found_old = old.report()
        if old.is_greeted:
            found_old.remarks.append(HANGS_UP_ON_5)
            return found_old
    return found


class _NoAnswer(LinkLost):
    """The connection holds, and the broker does not answer."""


class _Attempt:
    """One try in one version of MQTT; it is told what the broker says."""

    def __init__(
        self, options: Options, topics: Topics, now: TimeBounds, channels: Sequence[str], *, renews: bool, v5: bool
    ) -> None:
        self._options, self._topics, self._now, self._v5 = options, topics, now, v5
        self._channels, self._renews = channels, renews
        self._limits: BrokerLimits | None = None
        self._suback: list[Sequence[str]] = []
        self._delivered: dict[str, bytes] = {}
        self._heard: set[bytes] = set()
        """The last answer."""
        self._puback: str | None = None
        self._found = ProbeReport()
        self.is_greeted = False
        self.is_hung_up = False
        """The broker was reached, and ended the connection before it greeted us."""

    def report(self) -> ProbeReport:
        """Raises Unsupported."""
        found = self._found
        try:
            self._try_reading()
            if (self._limits or BrokerLimits()).acknowledges:
                topics = self._topics
                self._try_writing(topics.event("check"), b"")
                self._try_writing(topics.state, self._delivered.get(topics.state, b""))
                if self._renews:
                    self._try_writing(topics.renewal[0], b"")
                for channel in self._channels:
                    self._try_sharing(channel)
        except Unsupported:
            raise
        except LinkLost as lost:
            if lost.code == SESSION_TAKEN_OVER:
                remedy = "stop it for this test: sudo systemctl stop gatepost"
                found.faults.append(f"the running service takes the connection back ({remedy})")
            else:
                found.faults.append(str(lost))
        return found

    # -- the rights

    def _try_reading(self) -> None:
        topics = self._topics
        wanted = [*topics.commands, *topics.bundles, topics.state]
        wanted += [topics.receipt] if self._options.delivery == "receipt" else []
        wanted += [topics.renewal[1]] if self._renews else []
        ended = ""
        with self._connection() as client:
            self._report_limits()
            try:
                self._subscribe(client, wanted)
            except (LinkLost, OSError) as lost:
                ended = self._ended(lost, "subscribe")
        if ended:
            self._found.faults.append(self._no_right("read", wanted, ended))
            return
        refused: dict[str, list[str]] = {}
        for topic, why in zip(wanted, self._suback[0], strict=False):
            if why:
                refused.setdefault(why, []).append(topic)
        self._found.faults += [self._no_right("read", which, why) for why, which in refused.items()]
        granted = [topic for topic in wanted if not any(topic in which for which in refused.values())]
        shown = [topic for topic in granted if any(_is_under(topic, each) for each in self._delivered)]
        self._found.shown += [f"delivers {topic}" for topic in shown]
        if unknown := [topic for topic in granted if topic not in shown]:
            self._found.remarks.append(
                f"whether it delivers {', '.join(unknown)} is not known: it accepts the subscription, as mosquitto "
                "does also where its acl_file grants no `read`, and nothing is retained there"
            )

    def _subscribe(self, client: Client, wanted: Sequence[str]) -> None:
        """Returns when what is retained has come. Raises LinkLost, OSError."""
        command = self._topics.command
        when = dict.fromkeys(self._topics.commands, Retained.NEVER)
        client.listen([(topic, when.get(topic, Retained.ALWAYS)) for topic in wanted], own=(self._topics.state,))
        self._wait(client, lambda: len(self._suback) == 1, "subscription")
        client.listen([(command, Retained.NEVER)])  # brokers answer in order: by then what is retained was sent
        self._wait(client, lambda: len(self._suback) == 2, "subscription")  # noqa: PLR2004 - the second

    def _try_writing(self, topic: str, payload: bytes) -> None:
        """By one message that is not retained. Raises LinkLost."""
        if not self._v5:
            self._found.remarks.append(
                f"whether it takes {topic} is not known: MQTT 3.1.1 acknowledges also what is refused; "
                "prefer a broker with MQTT 5"
            )
            return
        ended = ""
        self._forget_answers()
        with self._connection() as client:
            try:
                client.send_state(topic, payload, retain=False, qos=1)
                self._wait(client, lambda: self._puback is not None, "message")
            except (LinkLost, OSError) as lost:
                ended = self._ended(lost, "publish")
        if why := ended or self._puback:
            self._found.faults.append(self._no_right("write", [topic], why))
        else:
            self._found.shown.append(f"takes {topic}")

    def _try_sharing(self, channel: str) -> None:
        """By a word of our own that comes back, which shows both rights in every version. Raises LinkLost."""
        topic, all_ = self._topics.own(channel), self._topics.all_of(channel)
        word, why = opening_word(), ""
        self._forget_answers()
        with self._connection() as client:
            try:
                client.listen([(all_, Retained.NEVER)], own=(all_,))
                self._wait(client, lambda: bool(self._suback), "subscription")
                client.send_to_peers(topic, word)
                self._wait(client, lambda: self._puback is not None, "message")
                why = self._suback[0][0] or self._puback or ""
                if not why:
                    self._wait(client, lambda: word in self._heard, "message")
            except _NoAnswer:
                if self._puback is None:
                    raise
                why = "what it publishes there does not come back"
            except (LinkLost, OSError) as lost:
                why = self._ended(lost, "share")
        if why:
            self._found.faults.append(self._no_right(f"write {topic}, or not read", [all_], why))
        else:
            self._found.shown.append(f"takes {topic}, and delivers {all_}")

    def _report_limits(self) -> None:
        limits = self._limits or BrokerLimits()
        if limits.session_present:
            self._found.remarks.append(
                "it takes us for the service (use_username_as_clientid?), whose connection was interrupted for this"
            )
        if not limits.retains:
            self._found.faults.append(
                "it keeps no retained messages, so no bundle reaches this kiosk (mosquitto: retain_available true)"
            )
        if not limits.acknowledges:
            self._found.faults.append(
                "it takes messages with QoS 0 only, so no event ever leaves (mosquitto: max_qos 1 or 2)"
            )

    def _no_right(self, what: str, topics: Sequence[str], why: str) -> str:
        options, own = self._options, f"{self._topics.site}/{self._topics.kiosk}"
        nameless = "this kiosk's certificate" if options.cert_file else "a client without a user name"
        who = options.username or nameless
        hint = "the broker's access list must grant it: docs/events.md, “The broker”"
        if options.username and options.username != own:
            hint = f'username in [mqtt] is usually "{own}", or {hint}'
        return f"{who} may not {what} {', '.join(topics)}: {why} ({hint})"

    def _ended(self, lost: Exception, doing: str) -> str:
        """Why we may not, when the broker has ended the connection for it. Raises `lost` when it has not."""
        if isinstance(lost, _NoAnswer) or getattr(lost, "code", 0) == SESSION_TAKEN_OVER:
            raise lost
        return f"it ends the connection when we {doing}"

    # -- the connection

    @contextmanager
    def _connection(self) -> Iterator[Client]:
        """A connection that the broker has accepted. Raises LinkLost with the sentence; Unsupported."""
        options, self._limits = self._options, None
        try:
            tls = context(options, dated=True) if options.tls else None
            client = Client(options, "", None, self, v5=self._v5, tls=tls, acknowledges=False)
        except (OSError, ValueError) as error:
            raise LinkLost(failures.no_context(error, options, self._now.earliest_utc)) from None
        try:
            self._greet(client)
            yield client
            self._leave(client)
        finally:
            client.close()

    def _greet(self, client: Client) -> None:
        try:
            client.dial()
            if certificate := client.certificate():
                demand_not_ended(certificate, self._now)
        except (OSError, ValueError) as error:
            raise LinkLost(failures.no_connection(error, self._options)) from None
        try:
            self._wait(client, lambda: self._limits is not None, "")
        except (ConnectionClosed, OSError) as error:
            self.is_hung_up = True
            raise LinkLost(failures.hung_up(getattr(error, "reason", None) or "", self._options)) from None

    def _wait(self, client: Client, is_done: Callable[[], bool], what: str) -> None:
        """For an answer. Raises LinkLost, OSError."""
        until_s = monotonic() + self._options.connect_timeout_s
        poll = select.poll()
        poll.register(client.fileno(), select.POLLIN)
        client.flush()
        while not is_done():
            if monotonic() > until_s:
                options = self._options
                text = f"does not answer our {what} within {options.connect_timeout_s:g} s (is it stuck? its log)"
                raise _NoAnswer(f"{options.host}:{options.port}: {text}" if what else failures.silent(options))
            poll.poll(TICK_S * 1000)
            client.read()
            client.flush()

    def _leave(self, client: Client) -> None:
        """Say goodbye: with it the broker forgets our session, unless it is the service's."""
        try:
            client.leave(keep_session=self._limits is None or self._limits.session_present)
        except (LinkLost, OSError):
            return  # it was the last word anyway

    # -- what the broker says

    def _forget_answers(self) -> None:
        """Before something else is asked."""
        self._suback, self._puback = [], None

    def on_connected(self, limits: BrokerLimits) -> None:
        """It accepts us."""
        self._limits, self.is_greeted = limits, True

    def on_acknowledgement(self, _mid: int, refusal: str) -> None:
        """It takes our message, or not."""
        self._puback = refusal

    def on_subscribed(self, refusals: Sequence[str]) -> None:
        """It accepts the subscription, or not."""
        self._suback.append(refusals)

    def on_message(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """What is retained shows the right to read; all else is for the service, and comes to it."""
        if retained:
            self._delivered[topic] = payload
        else:
            self._heard.add(payload)


def _is_under(wanted: str, topic: str) -> bool:
    """Whether a topic is under one that we have subscribed to."""
    return topic.startswith(wanted.removesuffix("#")) if wanted.endswith("/#") else topic == wanted

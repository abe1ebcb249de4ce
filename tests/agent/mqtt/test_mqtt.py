from __future__ import annotations

import gc
import json
import math
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import mqtt
from agent.messages import Topics
from agent.messages.state import DeviceState, State
from agent.model import ClockState, Now, Part
from agent.mqtt import patience, session, tls, wire

ROOT = Path(__file__).parents[3]
TOPICS = Topics("library", "gate-3")
FAULTLESS = State(version="1")


@pytest.fixture
def make_link(make_outbox):
    """Links on outboxes of their own unless one is given, all stopped at the end."""
    links = []

    def make(port, outbox=None, state=lambda: FAULTLESS, hear=lambda *_: None, **options):
        options = mqtt.Options(host="127.0.0.1", port=port, **options)
        outbox = outbox or make_outbox()
        link = mqtt.Link(options, TOPICS, outbox, state, hear)
        link.outbox = outbox
        links.append(link)
        link.start()
        return link

    yield make
    for link in links:
        link.stop(0.0)


def numbers(events):
    return [event["data"]["took_ms"] for event in events]


def test_events_arrive_whole_in_order_and_leave_the_outbox(broker, make_link, passage_event, wait_for):
    subscriber = broker.subscriber()
    link = make_link(broker.port)
    for number in range(500):
        link.outbox.put(passage_event(number))
    subscriber.wait_until(lambda: len(subscriber.events()) >= 500)
    assert numbers(subscriber.events()) == list(range(500))
    wait_for(lambda: link.outbox.status().delivered == 500)
    assert link.outbox.status().waiting == 0
    message = next(m for m in subscriber.messages if "/event/" in m.topic)
    assert message.topic == "gatepost/v1/library/gate-3/event/passage"
    assert message.content_type.startswith("application/cloudevents+json")
    assert not message.retained
    status = link.status()
    assert (status.connected, status.protocol, status.fault) == (True, "5", "")


def test_state_is_retained_follows_changes_and_says_goodbye(broker, make_link, passage_event):
    subscriber = broker.subscriber()
    now = [FAULTLESS]
    link = make_link(broker.port, state=lambda: now[0])
    subscriber.wait_until(lambda: subscriber.states() == ["online"])
    now[0] = State("1", devices=(DeviceState("in", Part.GATE, "serial_relay", up=False, why="gone"),))
    subscriber.wait_until(lambda: len(subscriber.states()) == 2)
    assert subscriber.messages[-1].json["devices"][0]["why"] == "gone"
    late = broker.subscriber(topics="gatepost/+/+/+/state")
    late.wait_until(lambda: len(late.messages) == 1)
    assert late.messages[0].retained
    for number in range(50):
        link.outbox.put(passage_event(number))
    link.stop(5.0)
    subscriber.wait_until(lambda: subscriber.states()[-1] == "offline")
    assert len(subscriber.events()) == 50, "all that waited was delivered before the goodbye"


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_broker_that_goes_and_comes_back_loses_nothing(make_broker, make_link, passage_event, wait_for, how):
    broker = make_broker()
    broker.config += f"persistence true\npersistence_location {broker.directory}/\nautosave_on_changes true\n"
    broker.config += "autosave_interval 1\n"
    broker.start()
    subscriber = broker.subscriber()
    link = make_link(broker.port)
    for number in range(100):
        link.outbox.put(passage_event(number))
    subscriber.wait_until(lambda: len(subscriber.ids()) == 100)
    getattr(broker, how)()
    wait_for(lambda: not link.status().connected)
    assert "nobody listens" in link.status().fault or "closed the connection" in link.status().fault
    for number in range(100, 300):
        link.outbox.put(passage_event(number))
    assert link.outbox.flush(5)
    assert link.outbox.status().waiting == 200
    broker.start()
    subscriber.wait_until(lambda: len(subscriber.ids()) == 300)
    wait_for(lambda: link.outbox.status().waiting == 0)
    assert link.status().connections >= 2


def test_the_last_will_tells_of_a_killed_agent(broker, tmp_path):
    subscriber = broker.subscriber()
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            (
                "import sys, time\n"
                "from agent import mqtt\n"
                "from agent.messages import Encoder, Topics\n"
                "from agent.messages.state import State\n"
                "from agent.outbox import Options, Outbox\n"
                "topics = Topics('library', 'gate-3')\n"
                "outbox = Outbox(Options(path=sys.argv[2]), Encoder(topics))\n"
                "outbox.open()\n"
                "mqtt.Link(mqtt.Options(port=int(sys.argv[1])), topics, outbox, lambda: State('1')).start()\n"
                "time.sleep(60)\n"
            ),
            str(broker.port),
            str(tmp_path / "outbox.db"),
        ],
        cwd=ROOT,
    )
    with child:
        subscriber.wait_until(lambda: subscriber.states() == ["online"])
        child.send_signal(signal.SIGKILL)
    subscriber.wait_until(lambda: subscriber.states() == ["online", "offline"])


def test_what_the_broker_refuses_is_kept_until_it_accepts(
    make_broker, make_link, passage_event, monkeypatch, wait_for
):
    monkeypatch.setattr(patience, "PAUSES_S", (0.05,))
    monkeypatch.setattr(patience, "AGAIN_S", 0.5)
    broker = make_broker()
    acl = broker.directory / "acl"
    acl.write_text("topic read gatepost/#\ntopic write gatepost/v1/library/gate-3/state\n")
    broker.config += f"acl_file {acl}\n"
    broker.start()
    subscriber = broker.subscriber()
    link = make_link(broker.port)
    for number in range(60):
        link.outbox.put(passage_event(number))
    wait_for(lambda: link.status().refused >= 2)  # this mosquitto hangs up after each refusal
    assert "refuses" in link.status().fault
    assert link.outbox.status().delivered == 0
    assert link.outbox.status().waiting == 60
    acl.write_text("topic readwrite gatepost/#\n")
    broker._process.send_signal(signal.SIGHUP)
    link.outbox.put(passage_event(60))
    subscriber.wait_until(lambda: len(subscriber.ids()) == 61)
    wait_for(lambda: link.outbox.status().waiting == 0 and link.status().fault == "")


def test_wrong_password_is_said(make_broker, make_link, wait_for):
    broker = make_broker()
    words = broker.directory / "passwords"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(words), "kiosk", "right"], check=True)
    broker.config = f"allow_anonymous false\npassword_file {words}\n"
    broker.start()
    wrong = make_link(broker.port, username="kiosk", password="wrong")  # noqa: S106 - of this test
    wait_for(lambda: "refuses the connection: Not authorized" in wrong.status().fault)
    right = make_link(broker.port, username="kiosk", password="right")  # noqa: S106 - of this test
    wait_for(lambda: right.status().connected)


def test_a_state_that_cannot_be_told_does_not_cost_the_link(broker, make_link, passage_event):
    def broken():
        raise RuntimeError("a defect")

    subscriber = broker.subscriber()
    link = make_link(broker.port, state=broken)
    link.outbox.put(passage_event(1))
    subscriber.wait_until(lambda: len(subscriber.events()) == 1)
    assert "cannot be told" in subscriber.messages[0].json["faults"][0]


def test_tls_with_certificates_on_both_sides(tls_broker, make_outbox, passage_event, wait_for):
    broker, how = tls_broker("localhost")
    outbox = make_outbox()
    link = mqtt.Link(mqtt.Options(host="localhost", port=broker.port, **how), TOPICS, outbox, lambda: FAULTLESS)
    link.start()
    for number in range(200):
        outbox.put(passage_event(number))
    wait_for(lambda: outbox.status().delivered == 200)
    link.stop(1.0)


@pytest.mark.parametrize(
    ("name", "days", "why"),
    [("evil.example", 30, "certificate is not accepted"), ("localhost", -1, "it has expired")],
)
def test_tls_refuses_a_broker_that_is_another_or_expired(tls_broker, make_outbox, name, days, why, wait_for):
    broker, how = tls_broker(name, days=days)
    outbox = make_outbox()
    link = mqtt.Link(mqtt.Options(host="localhost", port=broker.port, **how), TOPICS, outbox, lambda: FAULTLESS)
    link.start()
    wait_for(lambda: why in link.status().fault)
    link.stop(0.0)


# -- TLS while the clock is not trusted --------------------------------------------------------------------

DAY_S = 86_400.0


def floor(days):
    """Nothing is known but that the true time is after `days` from now."""
    return Now(time.time() + days * DAY_S, math.inf, ClockState.FLOOR)


@pytest.fixture
def make_timed_link(make_outbox):
    """Links whose clock is an argument."""
    links = []

    def make(broker, now, **how):
        outbox = make_outbox()
        options = mqtt.Options(host="localhost", port=broker.port, **how)
        link = mqtt.Link(options, TOPICS, outbox, lambda: FAULTLESS, now=now)
        link.outbox = outbox
        links.append(link)
        link.start()
        return link

    yield make
    for link in links:
        link.stop(0.0)


AHEAD, BEHIND = {"days": 300, "starts_days": 20}, {"days": -1}
"""Certificates that the wall clock takes for not yet valid, and for expired."""


@pytest.mark.parametrize("dates", [AHEAD, BEHIND], ids=["not yet valid", "expired"])
def test_with_a_floor_for_a_clock_the_link_listens_and_events_wait_for_the_time(
    tls_broker, make_timed_link, passage_event, wait_for, dates
):
    broker, how = tls_broker("localhost", **dates)
    moments = [floor(-10)]
    link = make_timed_link(broker, lambda: moments[0], **how)
    wait_for(lambda: link.status().listening)
    link.outbox.put(passage_event(1))
    assert "events wait" in link.status().fault
    assert link.outbox.flush(5)
    now_utc = time.time()
    moments[0] = Now(now_utc, now_utc + 1, ClockState.SYNCED)  # now the dates count, and they are wrong
    why = "it is not yet valid" if dates is AHEAD else "it has expired"
    wait_for(lambda: why in link.status().fault)
    assert not link.status().connected
    assert link.outbox.status().waiting == 1


def test_with_receipts_events_go_before_the_time_is_known(tls_broker, make_timed_link, passage_event, wait_for):
    broker, how = tls_broker("localhost", **AHEAD)
    link = make_timed_link(broker, lambda: floor(-10), delivery="receipt", **how)
    link.outbox.put(passage_event(1))
    wait_for(lambda: link.outbox.status().stored == 1 and link.outbox.is_sent())
    assert link.status().connected
    assert link.outbox.status().waiting == 1, "nobody has signed for it"


def test_once_the_time_is_known_all_is_checked_on_a_new_connection(
    tls_broker, make_timed_link, passage_event, wait_for
):
    broker, how = tls_broker("localhost")
    moments = [floor(-10)]
    link = make_timed_link(broker, lambda: moments[0], **how)
    link._duty.dated = False  # as after a wall clock that was wrong
    wait_for(lambda: link.status().connected)
    link._duty.dated = False
    link.outbox.put(passage_event(1))
    moments[0] = Now(time.time(), time.time() + 1, ClockState.SYNCED)
    wait_for(lambda: link.outbox.status().delivered == 1)
    assert link._duty.dated
    assert link.status().connections >= 2


@pytest.mark.parametrize(
    ("name", "dates", "floor_days", "more", "why"),
    [
        ("localhost", BEHIND, 0, {}, "certificate"),  # it ended before the floor: that much is certain
        ("evil.example", AHEAD, -10, {}, "ertificate is not"),
        ("localhost", AHEAD, -10, {"username": "a", "password": "b"}, "not yet valid"),
    ],
    ids=["ended", "another name", "a password would be told"],
)
def test_a_floor_does_not_excuse_what_is_wrong_otherwise(
    tls_broker, make_timed_link, wait_for, name, dates, floor_days, more, why
):
    broker, how = tls_broker(name, **dates)
    link = make_timed_link(broker, lambda: floor(floor_days), **how, **more)
    connections = []
    link._duty.greeted = lambda: connections.append(1)
    wait_for(lambda: why in link.status().fault)
    wait_for(lambda: (broker.directory / "mosquitto.log").read_text().count("New connection") >= 4)
    assert not connections
    assert link.status().connections == 0


def test_another_authority_is_refused_with_or_without_a_clock(tls_broker, pair, make_timed_link, wait_for):
    broker, how = tls_broker("localhost", **AHEAD)
    pair(broker.directory, "stranger")
    stranger = broker.directory / "stranger.crt"
    link = make_timed_link(broker, lambda: floor(-10), **{**how, "ca_file": stranger})
    wait_for(lambda: "is not accepted" in link.status().fault)
    assert link.status().connections == 0


@pytest.mark.parametrize(
    ("own_days", "broker_days", "why"),
    [
        (300, 300, ""),
        (20.5, 300, "the kiosk's own certificate ends in 20 days: renew it"),
        (300, 5.5, "the broker's certificate ends in 5 days: renew it NOW, or this kiosk is cut off"),
    ],
)
def test_certificates_that_end_soon_are_said(tls_broker, make_timed_link, wait_for, own_days, broker_days, why):
    broker, how = tls_broker("localhost", own_days=own_days, days=broker_days)
    link = make_timed_link(broker, lambda: Now(time.time(), time.time(), ClockState.SYNCED), **how)
    wait_for(lambda: link.status().connected and len(link.status().certificates) == 3)
    assert link.status().fault == why
    assert min(link.status().certificates.values()) == int(min(own_days, broker_days, 299))


@given(st.floats(-400, 400), st.floats(0, 30), st.booleans())
def test_days_left_are_never_overstated(days, width_days, known):
    lo_utc = 1.8e9
    now = (
        Now(lo_utc, lo_utc + width_days * DAY_S, ClockState.SYNCED)
        if known
        else Now(lo_utc, math.inf, ClockState.FLOOR)
    )
    (left,) = tls.days_left({"x": lo_utc + days * DAY_S}, now).values()
    assert left <= days - (width_days if known else 0) + 1e-6
    assert ("has ended" in tls.warning({"x": left})) == (left < 0)


# -- a scripted broker, for what mosquitto does not do ----------------------------------------------------


class ScriptedBroker:
    """Speaks just enough MQTT: counts what is on the way, answers as told. Written from the MQTT 5 text."""

    def __init__(
        self, *, receive_maximum=0, acknowledge=True, reason=0, only_3_1_1=False, suback=(1, 1, 1)
    ) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.receive_maximum, self.acknowledge, self.reason = receive_maximum, acknowledge, reason
        self.only_3_1_1, self.suback = only_3_1_1, suback
        self.subscriptions = []
        """Body of each SUBSCRIBE."""
        self.deaf = 0
        """So many more connections it ends when they subscribe."""
        self.attack = b""
        """What it sends once somebody has subscribed."""
        self.versions, self.published, self.most_on_the_way, self.connections = [], [], 0, 0
        self.hang_up_after = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while not self._closing.is_set():
            try:
                wire, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            with wire:
                try:
                    self._talk(wire)
                except (OSError, EOFError):
                    continue

    def _talk(self, wire):
        waiting = []
        while not self._closing.is_set():
            readable, _, _ = select.select([wire], [], [], 0.05)
            if not readable:  # a pause: now answer all that came, so that as much as possible was on the way
                for packet_id in waiting:
                    wire.sendall(self._puback(packet_id))
                waiting = []
                continue
            first, body = self._packet(wire)
            match first >> 4:
                case 1:
                    self._greet(wire, body[6])
                case 3:
                    self._receive(wire, body, waiting)
                case 8:
                    self.subscriptions.append(body)
                    if self.deaf:
                        self.deaf -= 1
                        return
                    wire.sendall(bytes((0x90, 3 + len(self.suback))) + body[:2] + bytes((0, *self.suback)))
                    wire.sendall(self.attack)
                case 12:
                    wire.sendall(b"\xd0\x00")
                case 14:
                    return

    def _greet(self, wire, version):
        self.versions.append(version)
        if version == 4:
            wire.sendall(b"\x20\x02\x00\x00")
        elif self.only_3_1_1:
            wire.sendall(b"\x20\x02\x00\x01")
            raise EOFError
        else:
            properties = b"\x21" + self.receive_maximum.to_bytes(2, "big") if self.receive_maximum else b""
            wire.sendall(bytes((0x20, 3 + len(properties), 0, 0, len(properties))) + properties)

    def _receive(self, wire, body, waiting):
        length = int.from_bytes(body[:2], "big")
        topic, rest = body[2 : 2 + length].decode(), body[2 + length :]
        if topic.endswith("/state"):
            wire.sendall(b"\x40\x02" + rest[:2])
            return
        self.published.append(rest[rest.index(b'{"spec') :])
        if self.acknowledge:
            waiting.append(rest[:2])
            self.most_on_the_way = max(self.most_on_the_way, len(waiting))
        if self.hang_up_after is not None and len(self.published) >= self.hang_up_after:
            self.hang_up_after = None
            raise EOFError

    def _puback(self, packet_id):
        return b"\x40\x03" + packet_id + bytes((self.reason,)) if self.reason else b"\x40\x02" + packet_id

    def _packet(self, wire):
        first = self._read(wire, 1)[0]
        length, shift = 0, 0
        while True:
            byte = self._read(wire, 1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                return first, self._read(wire, length)

    def _read(self, wire, count):
        data = b""
        while len(data) < count:
            piece = wire.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def numbers(self):
        return [json.loads(payload)["data"]["took_ms"] for payload in self.published]

    def close(self):
        self._closing.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join(5)


@pytest.fixture
def scripted():
    brokers = []

    def make(**how):
        brokers.append(ScriptedBroker(**how))
        return brokers[-1]

    yield make
    for broker in brokers:
        broker.close()


@pytest.mark.parametrize(("receive_maximum", "window", "expected"), [(3, 20, 3), (0, 7, 7), (65535, 20, 20)])
def test_never_more_on_the_way_than_both_sides_allow(
    scripted, make_link, passage_event, receive_maximum, window, expected, wait_for
):
    broker = scripted(receive_maximum=receive_maximum)
    link = make_link(broker.port, window=window)
    for number in range(100):
        link.outbox.put(passage_event(number))
    wait_for(lambda: link.outbox.status().delivered == 100)
    assert broker.most_on_the_way == expected
    assert broker.numbers() == list(range(100))


def test_an_answer_that_never_comes_means_a_dead_link_and_everything_again(
    scripted, make_link, passage_event, monkeypatch, wait_for
):
    broker = scripted(acknowledge=False)
    link = make_link(broker.port, ack_s=1.0)
    for number in range(5):
        link.outbox.put(passage_event(number))
    wait_for(lambda: broker.connections >= 2)
    broker.acknowledge = True
    wait_for(lambda: link.outbox.status().delivered == 5)
    assert broker.numbers()[:5] == broker.numbers()[-5:] == [0, 1, 2, 3, 4]
    assert "acknowledgement" in link._fault


def test_a_hang_up_in_the_middle_sends_again_what_was_on_the_way(scripted, make_link, passage_event, wait_for):
    broker = scripted()
    broker.hang_up_after = 50
    link = make_link(broker.port)
    for number in range(200):
        link.outbox.put(passage_event(number))
    wait_for(lambda: link.outbox.status().delivered == 200)
    assert list(dict.fromkeys(broker.numbers())) == list(range(200)), "first arrivals are in order"
    assert len(broker.numbers()) <= 220, "no more repeats than were on the way"
    by_number = {}
    for payload in broker.published:
        by_number.setdefault(json.loads(payload)["id"], set()).add(payload)
    assert all(len(contents) == 1 for contents in by_number.values()), "the same id has the same content"


@pytest.mark.parametrize("reason", [0x80, 0x87, 0x97, 0x99])
def test_an_acknowledgement_that_says_no_deletes_nothing(
    scripted, make_link, passage_event, reason, monkeypatch, wait_for
):
    monkeypatch.setattr(patience, "PAUSES_S", (0.05,))
    monkeypatch.setattr(patience, "AGAIN_S", 0.5)
    broker = scripted(reason=reason)
    link = make_link(broker.port)
    for number in range(30):
        link.outbox.put(passage_event(number))
    wait_for(lambda: link.status().refused >= 25)
    assert link.outbox.status().delivered == 0
    broker.reason = 0
    link.outbox.put(passage_event(30))
    wait_for(lambda: link.outbox.status().delivered == 31)
    assert set(broker.numbers()) == set(range(31))


def test_a_broker_of_the_old_version_is_spoken_to_in_it(scripted, make_link, passage_event, wait_for):
    broker = scripted(only_3_1_1=True)
    link = make_link(broker.port)
    link.outbox.put(passage_event(1))
    wait_for(lambda: link.outbox.status().delivered == 1)
    assert link.status().protocol == "3.1.1"
    assert broker.versions[0] == 5


def test_no_fallback_when_the_version_is_fixed(scripted, make_link, wait_for):
    broker = scripted(only_3_1_1=True)
    make_link(broker.port, protocol="5")
    wait_for(lambda: broker.connections >= 5)
    assert set(broker.versions) == {5}


def test_nobody_there_is_said_and_stop_is_quick(make_broker, make_link, wait_for):
    link = make_link(make_broker().port)
    wait_for(lambda: "nobody listens" in link.status().fault)
    link.stop(5.0)
    assert not link._thread.is_alive()


@pytest.mark.parametrize("how", ["nobody there", "TLS to a port in the clear", "a broker that ends"])
def test_what_a_connection_held_is_let_go_of_with_it(make_broker, make_link, wait_for, how):
    """A context of TLS is half a megabyte that Python does not see: it must not wait for a look for circles."""
    broker = make_broker()
    if how != "nobody there":
        broker.start()
    gc.collect()
    gc.disable()
    try:
        link = make_link(broker.port, tls=how.startswith("TLS"))
        if how == "a broker that ends":
            wait_for(lambda: link.status().listening)
            broker.stop()
        wait_for(lambda: not link.status().fault.startswith("not connected yet") and not link.status().connected)
        link.stop(5.0)
        assert not [each for each in gc.get_objects() if isinstance(each, wire.Client)]
    finally:
        gc.enable()


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 120)), max_size=60))
def test_waits_are_short_at_first_bounded_always_and_start_anew_after_a_quiet_minute(story):
    backoff = patience.Backoff(300.0)
    tries = 0
    for on_purpose, held_s in story:
        wait_s = backoff.wait_s(on_purpose=on_purpose, held_s=held_s)
        tries = (0 if held_s >= patience.QUIET_S else tries) + 1
        if on_purpose:
            tries = max(tries, patience.REFUSED_TRIES)
        assert 0.05 <= wait_s <= 300.0
        assert wait_s <= 1.0 or tries > patience.QUICK_TRIES


def test_two_hundred_kiosks_whose_broker_was_away_do_not_come_back_as_one():
    fleet = [patience.Backoff(300.0) for _ in range(200)]
    for _ in range(25):
        waits_s = [backoff.wait_s(on_purpose=False, held_s=0.0) for backoff in fleet]
    busiest = max(sum(begin <= wait_s < begin + 10 for wait_s in waits_s) for begin in range(0, 300, 10))
    assert busiest <= 25, "evenly over five minutes it would be 7 in ten seconds"


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 1500)), max_size=60))
def test_never_far_ahead_of_a_centre_that_answers_and_never_held_up_by_one_that_does_not(story):
    pace, now_s, confirmed, sent, answered_s = patience.Pace(), 0.0, 0, 0, 0.0
    pace.connected(0.0)
    for pause_s, more in story:
        now_s += pause_s
        if pace.room(20, confirmed, now_s) > 0:
            pace.sent(20)
            sent += 20
        if now_s - answered_s <= patience.ANSWERS_S:
            assert pace._ahead <= patience.AHEAD + 20
        else:
            assert pace.room(20, confirmed, now_s) == 20
        if more and sent > confirmed:
            confirmed, answered_s = min(sent, confirmed + more), now_s
            pace.room(20, confirmed, now_s)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"password": "x"}, "password needs a username"),
        ({"key_file": "k"}, "key_file needs a cert_file"),
        ({"ca_file": "c"}, "need tls = true"),
    ],
)
def test_options_that_contradict_each_other_are_refused(wrong, why):
    with pytest.raises(ValueError, match=why):
        mqtt.Options(**wrong)


def test_a_broker_that_freezes_is_noticed_and_nothing_is_lost(broker, make_link, passage_event, wait_for):
    """Half open: the kernel still takes bytes, nobody answers."""
    subscriber = broker.subscriber()
    link = make_link(broker.port, ack_s=1.0, keepalive_s=3, connect_s=1.0)
    wait_for(lambda: link.status().connected)
    broker._process.send_signal(signal.SIGSTOP)
    try:
        for number in range(50):
            link.outbox.put(passage_event(number))
        wait_for(lambda: not link.status().connected)
        assert link.outbox.status().waiting == 50
    finally:
        broker._process.send_signal(signal.SIGCONT)
    subscriber.wait_until(lambda: len(subscriber.ids()) == 50)
    wait_for(lambda: link.outbox.status().waiting == 0)


def test_topics_that_the_broker_does_not_let_us_hear_are_said_and_asked_for_again(
    scripted, make_link, passage_event, monkeypatch, wait_for
):
    monkeypatch.setattr(session, "LISTEN_AGAIN_S", 0.5)
    broker = scripted(suback=(0x87, 1, 1))
    link = make_link(broker.port)
    wait_for(lambda: "hear" in link.status().fault)
    assert "does not let us hear gatepost/v1/library/gate-3/order (Not authorized)" in link.status().fault
    link.outbox.put(passage_event(1))
    wait_for(lambda: link.outbox.status().delivered == 1)
    broker.suback = (1, 1, 1)
    wait_for(lambda: link.status().fault == "")
    assert broker.connections == 1


def test_a_defect_in_hearing_does_not_cost_the_link(broker, make_link, passage_event, wait_for):
    heard = []

    def hear(topic, payload):
        heard.append(payload)
        raise RuntimeError("a defect")

    link = make_link(broker.port, hear=hear)
    wait_for(lambda: link.status().listening)
    broker.publish(TOPICS.order, b"once")
    wait_for(lambda: heard)
    link.outbox.put(passage_event(1))
    wait_for(lambda: link.outbox.status().delivered == 1)
    assert heard == [b"once"]
    assert link.status().connections == 1


def test_bundles_come_at_each_start_and_when_they_change_not_at_each_connection(
    make_broker, make_link, make_outbox, passage_event, wait_for
):
    broker = make_broker()
    broker.config += f"persistence true\npersistence_location {broker.directory}/\n"
    broker.start()
    broker.publish("gatepost/v1/$all/bundle/keys", b"keys 1", retain=True)
    broker.publish(f"{TOPICS.root}/bundle/list/lost", b"list 1", retain=True)
    broker.publish("gatepost/v1/library/gate-4/bundle/list/lost", b"another's", retain=True)
    heard = []
    outbox = make_outbox()
    link = make_link(broker.port, outbox, hear=lambda *message: heard.append(message))
    both = [("gatepost/v1/$all/bundle/keys", b"keys 1"), (f"{TOPICS.root}/bundle/list/lost", b"list 1")]
    wait_for(lambda: sorted(heard) == both)
    outbox.put(passage_event(1))
    wait_for(lambda: outbox.status().delivered == 1)  # so are our acknowledgements, which went before
    broker.stop()  # it saves its sessions
    wait_for(lambda: not link.status().connected)
    broker.start()
    wait_for(lambda: link.status().listening)
    broker.publish("gatepost/v1/$all/bundle/keys", b"keys 2", retain=True)
    wait_for(lambda: heard[2:])
    assert heard[2:] == [("gatepost/v1/$all/bundle/keys", b"keys 2")]
    link.stop(0.0)
    again = []
    make_link(broker.port, outbox, hear=lambda *message: again.append(message))
    wait_for(lambda: {payload for _, payload in again} == {b"keys 2", b"list 1"})


def test_retained_bundles_come_again_when_they_are_asked_for(broker, make_link, wait_for):
    broker.publish(f"{TOPICS.root}/bundle/keys", b"keys", retain=True)
    broker.publish(TOPICS.order, b"for ever", retain=True)
    heard = []
    link = make_link(broker.port, hear=lambda _, payload: heard.append(payload))
    wait_for(lambda: heard == [b"keys"])
    link.recall()
    wait_for(lambda: heard == [b"keys"] * 2)


def test_retained_bundles_are_asked_for_until_the_broker_has_heard_it(scripted, make_link, wait_for):
    broker = scripted()
    broker.deaf = 2
    link = make_link(broker.port)
    wait_for(lambda: link.status().listening)
    link.renew()
    wait_for(lambda: len(broker.subscriptions) == 4)
    handling = [body[-1] >> 4 for body in broker.subscriptions]
    assert handling == [0, 0, 0, 1], "always, until it was answered; then only to a new subscription"


@pytest.mark.parametrize(
    ("attack", "fault"),
    [(b"\x32\xff\xff\xff\x7f" + bytes(1000), "a packet of more than"), (b"\x34\x06\x00\x01x\x00\x01\x00", "QoS 2")],
    ids=["256 MB", "never released"],
)
def test_a_broker_cannot_have_us_hold_what_we_did_not_ask_for(scripted, make_link, wait_for, attack, fault, caplog):
    broker = scripted()
    broker.attack = attack
    make_link(broker.port)
    wait_for(lambda: broker.connections > 1)
    assert fault in caplog.text


def test_an_order_given_while_the_link_flaps_arrives_and_a_retained_one_never(
    make_broker, make_link, make_outbox, wait_for
):
    broker = make_broker()
    broker.start()
    heard = []
    outbox = make_outbox()
    link = make_link(broker.port, outbox, hear=lambda *message: heard.append(message))
    wait_for(lambda: link.status().listening)
    broker.publish(TOPICS.order, b"now")
    wait_for(lambda: heard == [(TOPICS.order, b"now")])
    link.stop(1.0)
    broker.publish(TOPICS.order, b"while away")
    broker.publish(TOPICS.order, b"for ever", retain=True)
    make_link(broker.port, outbox, hear=lambda *message: heard.append(message))
    wait_for(lambda: len(heard) >= 3)
    assert [payload for _, payload in heard[1:]] == [b"while away", b"for ever"], "as it was sent, not retained"
    heard.clear()
    stranger = make_link(broker.port, make_outbox(), hear=lambda *m: heard.append(m), client_id="another")
    wait_for(lambda: stranger.status().listening)
    broker.publish("gatepost/v1/$all/bundle/x", b"last")
    wait_for(lambda: (("gatepost/v1/$all/bundle/x", b"last")) in heard)
    assert b"for ever" not in [payload for _, payload in heard]


def test_an_idle_link_to_a_frozen_broker_is_noticed_by_keepalive(broker, make_link, wait_for):
    link = make_link(broker.port, keepalive_s=3)
    wait_for(lambda: link.status().connected and link.status().on_the_way == 0)
    broker._process.send_signal(signal.SIGSTOP)
    try:
        wait_for(lambda: not link.status().connected, 3 * 2 + 3)
    finally:
        broker._process.send_signal(signal.SIGCONT)
    wait_for(lambda: link.status().connected)

"""TLS: both sides show who they are; what holds while the clock is not trusted."""

from __future__ import annotations

import math
import os
import socket
import ssl
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import mqtt
from agent.events import Topics
from agent.events.state import State
from agent.model import ClockState, TimeBounds
from agent.model.problems import in_words
from agent.mqtt import tls, tls_files

TOPICS = Topics("library", "gate-3")
FAULTLESS = State(software_version="1")


def test_tls_with_certificates_on_both_sides(tls_broker, make_outbox, passage_event, wait_for):
    broker, how = tls_broker("localhost")
    outbox = make_outbox()
    link = mqtt.Link(mqtt.Options(host="localhost", port=broker.port, **how), TOPICS, outbox, lambda: FAULTLESS)
    link.start()
    for number in range(200):
        outbox.store(passage_event(number))
    wait_for(lambda: outbox.status().delivered == 200)
    link.stop(1.0)


def test_a_new_connection_resumes_the_tls_session_or_goes_on_without(
    tls_broker, make_outbox, passage_event, wait_for
):
    """Whatever the broker makes of the session that is offered, each next connection comes about."""
    broker, how = tls_broker("localhost")
    outbox = make_outbox()
    link = mqtt.Link(mqtt.Options(host="localhost", port=broker.port, **how), TOPICS, outbox, lambda: FAULTLESS)
    link.start()
    for number in range(4):
        outbox.store(passage_event(number))
        wait_for(lambda number=number: outbox.status().delivered == number + 1)
        link.renew()
    wait_for(lambda: link.status().connections >= 5)
    link.stop(1.0)


def test_a_session_is_resumed_where_the_server_has_them(pair, tmp_path):
    """Against a server of our own, as sessions of TLS 1.3 come after the handshake."""
    authority = pair(tmp_path, "authority")
    pair(tmp_path, "localhost", authority)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "localhost.crt", tmp_path / "localhost.key")
    options = mqtt.Options(host="localhost", tls=True, ca_file=tmp_path / "authority.crt")
    contexts = tls.Contexts()
    resumed = []
    for _ in range(3):
        ours, theirs = socket.socketpair()

        def serve(theirs=theirs):
            with server.wrap_socket(theirs, server_side=True) as wire:
                wire.sendall(b"hello")
                wire.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        wire = contexts.of(options, dated=True).wrap_socket(ours, server_hostname="localhost")
        assert wire.recv(5) == b"hello"
        resumed.append(wire.session_reused)
        wire.sendall(b"!")
        wire.close()
        thread.join()
    assert resumed == [False, True, True]
    before = contexts.of(options, dated=True)
    assert contexts.of(options, dated=False) is not before, "what was not checked is not resumed as checked"
    with (tmp_path / "authority.crt").open("ab") as file:
        file.write(b"\n")
    assert contexts.of(options, dated=True) is not before


def test_a_pipe_in_place_of_a_file_of_tls_is_not_waited_for(tmp_path):
    """The link's thread would hang, and with it all that is to be delivered."""
    os.mkfifo(tmp_path / "ca.crt")
    options = mqtt.Options(host="localhost", tls=True, ca_file=tmp_path / "ca.crt")
    said = []

    def look():
        with pytest.raises(OSError, match="no plain file"):
            tls.Contexts().of(options, dated=True)
        said.extend([tls.ends(options), *tls_files.faults(options, 0.0)])

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(60)
    assert said[0] == {}
    assert "no plain file" in said[1][1]


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


def test_an_authority_of_ones_own_is_accepted_by_every_python(
    tls_broker, make_outbox, passage_event, wait_for, monkeypatch
):
    """Python 3.13 asks for key identifiers and usages by default, which a home-made authority does not have."""
    default = ssl.create_default_context

    def as_in_3_13(*args, **kwargs):
        made = default(*args, **kwargs)
        made.verify_flags |= ssl.VERIFY_X509_STRICT
        return made

    monkeypatch.setattr(ssl, "create_default_context", as_in_3_13)
    broker, how = tls_broker("localhost")
    outbox = make_outbox()
    link = mqtt.Link(mqtt.Options(host="localhost", port=broker.port, **how), TOPICS, outbox, lambda: FAULTLESS)
    link.start()
    outbox.store(passage_event(1))
    wait_for(lambda: outbox.status().delivered == 1)
    link.stop(1.0)


DAY_S = 86_400.0


def floor(days):
    """Nothing is known but that the true time is after `days` from now."""
    return TimeBounds(time.time() + days * DAY_S, math.inf, ClockState.FLOOR)


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
    link.outbox.store(passage_event(1))
    assert "events wait" in link.status().fault
    assert link.outbox.flush(5)
    now_utc = time.time()
    moments[0] = TimeBounds(now_utc, now_utc + 1, ClockState.SYNCED)  # now the dates count, and they are wrong
    why = "it is not yet valid" if dates is AHEAD else "it has expired"
    wait_for(lambda: why in link.status().fault)
    assert not link.status().connected
    assert link.outbox.status().waiting == 1


def test_with_receipts_events_go_before_the_time_is_known(tls_broker, make_timed_link, passage_event, wait_for):
    broker, how = tls_broker("localhost", **AHEAD)
    link = make_timed_link(broker, lambda: floor(-10), delivery="receipt", **how)
    link.outbox.store(passage_event(1))
    wait_for(lambda: link.outbox.status().stored == 1 and link.outbox.is_sent())
    assert link.status().connected
    assert link.outbox.status().waiting == 1, "nobody has signed for it"


def test_once_the_time_is_known_all_is_checked_on_a_new_connection(
    tls_broker, make_timed_link, passage_event, wait_for
):
    broker, how = tls_broker("localhost")
    moments = [floor(-10)]
    link = make_timed_link(broker, lambda: moments[0], **how)
    link._context.dated = False  # as after a wall clock that was wrong
    wait_for(lambda: link.status().connected)
    link._context.dated = False
    link.outbox.store(passage_event(1))
    moments[0] = TimeBounds(time.time(), time.time() + 1, ClockState.SYNCED)
    wait_for(lambda: link.outbox.status().delivered == 1)
    assert link._context.dated
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
    link._context.connected = lambda: connections.append(1)
    wait_for(lambda: why in link.status().fault)
    wait_for(lambda: broker.log.count("New connection") >= 4)
    assert not connections
    assert link.status().connections == 0


def test_another_authority_is_refused_with_or_without_a_clock(tls_broker, pair, make_timed_link, wait_for):
    broker, how = tls_broker("localhost", **AHEAD)
    pair(broker.folder, "stranger")
    stranger = broker.folder / "stranger.crt"
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
    link = make_timed_link(broker, lambda: TimeBounds(time.time(), time.time(), ClockState.SYNCED), **how)
    wait_for(lambda: link.status().connected and len(link.status().certificates) == 3)
    assert link.status().fault == why
    assert min(link.status().certificates.values()) == int(min(own_days, broker_days, 299))


@given(st.floats(-400, 400), st.floats(0, 30), st.booleans())
def test_days_left_are_never_overstated(days, width_days, known):
    lo_utc = 1.8e9
    now = (
        TimeBounds(lo_utc, lo_utc + width_days * DAY_S, ClockState.SYNCED)
        if known
        else TimeBounds(lo_utc, math.inf, ClockState.FLOOR)
    )
    (left,) = tls.days_left({"x": lo_utc + days * DAY_S}, now).values()
    assert left <= days - (width_days if known else 0) + 1e-6
    assert ("has ended" in in_words(tls.findings({"x": left}))) == (left < 0)

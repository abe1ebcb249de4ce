"""What a link makes of a broker that does what mosquitto does not."""

from __future__ import annotations

import json

import pytest

from agent.mqtt import retry, session


@pytest.mark.parametrize(("receive_maximum", "window", "expected"), [(3, 20, 3), (0, 7, 7), (65535, 20, 20)])
def test_never_more_on_the_way_than_both_sides_allow(
    scripted, make_link, passage_event, receive_maximum, window, expected, wait_for
):
    broker = scripted(receive_maximum=receive_maximum)
    link = make_link(broker.port, max_inflight=window)
    for number in range(100):
        link.outbox.store(passage_event(number))
    wait_for(lambda: link.outbox.status().delivered == 100)
    assert broker.most_on_the_way == expected
    assert broker.numbers() == list(range(100))


def test_an_answer_that_never_comes_means_a_dead_link_and_everything_again(
    scripted, make_link, passage_event, monkeypatch, wait_for
):
    broker = scripted(acknowledge=False)
    link = make_link(broker.port, ack_timeout_s=1.0)
    for number in range(5):
        link.outbox.store(passage_event(number))
    wait_for(lambda: broker.connections >= 2)
    broker.acknowledge = True
    wait_for(lambda: link.outbox.status().delivered == 5)
    assert broker.numbers()[:5] == broker.numbers()[5:10] == [0, 1, 2, 3, 4]
    assert "acknowledgement" in link._fault


def test_a_hang_up_in_the_middle_sends_again_what_was_on_the_way(scripted, make_link, passage_event, wait_for):
    broker = scripted()
    broker.hang_up_after = 50
    link = make_link(broker.port)
    for number in range(200):
        link.outbox.store(passage_event(number))
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
    monkeypatch.setattr(retry, "PAUSES_S", (0.05,))
    monkeypatch.setattr(retry, "AGAIN_S", 0.5)
    broker = scripted(reason=reason)
    link = make_link(broker.port)
    for number in range(30):
        link.outbox.store(passage_event(number))
    wait_for(lambda: link.status().refused >= 25)
    assert link.outbox.status().delivered == 0
    broker.reason = 0
    link.outbox.store(passage_event(30))
    wait_for(lambda: link.outbox.status().delivered == 31)
    assert set(broker.numbers()) == set(range(31))


def test_a_broker_of_the_old_version_is_spoken_to_in_it(scripted, make_link, passage_event, wait_for):
    broker = scripted(only_3_1_1=True)
    link = make_link(broker.port)
    link.outbox.store(passage_event(1))
    wait_for(lambda: link.outbox.status().delivered == 1)
    assert link.status().protocol == "3.1.1"
    assert broker.versions[0] == 5


def test_no_fallback_when_the_version_is_fixed(scripted, make_link, wait_for):
    broker = scripted(only_3_1_1=True)
    make_link(broker.port, protocol="5")
    wait_for(lambda: broker.connections >= 5)
    assert set(broker.versions) == {5}


def test_topics_that_the_broker_does_not_let_us_hear_are_said_and_asked_for_again(
    scripted, make_link, passage_event, monkeypatch, wait_for
):
    monkeypatch.setattr(session, "LISTEN_AGAIN_S", 0.5)
    broker = scripted(suback=(0x87, 1, 1))
    link = make_link(broker.port)
    wait_for(lambda: "hear" in link.status().fault)
    assert "does not let us hear gatepost/v1/library/gate-3/command (Not authorized)" in link.status().fault
    link.outbox.store(passage_event(1))
    wait_for(lambda: link.outbox.status().delivered == 1)
    broker.suback = (1, 1, 1)
    wait_for(lambda: link.status().fault == "")
    assert broker.connections == 1


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


def test_who_stores_an_event_sends_it_while_the_connection_waits(scripted, make_link, passage_event, wait_for):
    broker = scripted()
    link = make_link(broker.port)
    link.outbox.store(passage_event(0))
    wait_for(lambda: link.outbox.status().delivered == 1)
    wait_for(lambda: (session := link._session) is not None and session.send_now())
    for number in range(1, 200):
        link.outbox.store(passage_event(number))
        link.outbox.flush(20)
    wait_for(lambda: link.outbox.status().delivered == 200)
    assert broker.numbers() == list(range(200))
    assert link.status().connections == 1


def test_what_ends_the_connection_while_somebody_else_sends_is_told_by_its_own_thread(
    scripted, make_link, passage_event, wait_for
):
    broker = scripted()
    link = make_link(broker.port)
    link.outbox.store(passage_event(0))
    wait_for(lambda: link.outbox.status().delivered == 1)
    wire = link._session._client._socket
    wire.shutdown(1)  # what is written from now on is an error
    link.outbox.store(passage_event(1))
    wait_for(lambda: link.outbox.status().delivered == 2 and link.status().connections == 2)
    assert broker.numbers() == [0, 1]

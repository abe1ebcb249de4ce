"""The broker says no to one thing: all else goes on, the one is kept and said."""

from __future__ import annotations

import json
import socket
from dataclasses import replace

import pytest

from agent.events.state import State
from agent.model.problems import Problem, ProblemCode
from agent.mqtt import failures, retry, terms


@pytest.fixture(autouse=True)
def in_haste(monkeypatch):
    monkeypatch.setattr(retry, "PAUSES_S", (0.05,))
    monkeypatch.setattr(retry, "AGAIN_S", 0.2)
    monkeypatch.setattr(retry, "WORKED_MOST_S", 0.1)


def big(number, passage_event):
    """An event of several kilobytes: its lane's name is long."""
    made = passage_event(number)
    return replace(made, body=replace(made.body, lane="x" * 5000))


def is_big(_topic, payload):
    return len(payload) > 5000


@pytest.mark.parametrize(
    "how",
    [
        {"properties": b"\x27" + (4000).to_bytes(4, "big")},
        {"hates": is_big},
    ],
    ids=["said in the greeting", "hangs up on it"],
)
def test_an_event_that_the_broker_does_not_take_holds_up_nobody(scripted, make_link, passage_event, wait_for, how):
    broker = scripted(**how)
    link = make_link(broker.port)
    for number in range(10):
        link.outbox.store(passage_event(number))
    link.outbox.store(big(10, passage_event))
    for number in range(11, 30):
        link.outbox.store(passage_event(number))
    wait_for(lambda: link.outbox.status().delivered == 29, 120)
    assert set(broker.numbers()) == set(range(30)) - {10}
    assert link.outbox.status().waiting == 1
    assert "refuses events of kind passage" in link.status().fault
    assert "bytes" in link.status().fault
    link.outbox.store(passage_event(30))
    wait_for(lambda: link.outbox.status().delivered == 30)
    connections = broker.connections
    link.outbox.store(passage_event(31))
    wait_for(lambda: link.outbox.status().delivered == 31)
    assert broker.connections == connections, "and it is not tried with each of them"


@pytest.mark.parametrize("protocol", ["auto", "3.1.1"])
def test_the_user_of_another_kiosk_is_no_closed_connection(
    make_broker, make_link, passage_event, wait_for, protocol
):
    """Under the documented access list mosquitto ends the connection, at first before it says why."""
    broker = make_broker()
    access = broker.folder / "acl"
    access.write_text("pattern write gatepost/v1/%u/event/#\npattern readwrite gatepost/v1/%u/state\n")
    broker.config += f"acl_file {access}\n"
    broker.start()
    link = make_link(broker.port, username="library/gate-4", protocol=protocol)
    link.outbox.store(passage_event(1))
    wait_for(lambda: "a right that it does not grant: gatepost check --broker" in link.status().fault)
    wait_for(lambda: ("Not authorized" if protocol == "auto" else "not permitted") in link.status().fault)


def test_a_limit_that_was_raised_lets_the_event_go(scripted, make_link, passage_event, wait_for):
    broker = scripted(properties=b"\x27" + (4000).to_bytes(4, "big"))
    link = make_link(broker.port)
    link.outbox.store(big(0, passage_event))
    wait_for(lambda: "Maximum Packet Size, 4000" in link.status().fault)
    broker.properties = b""
    link.renew()
    wait_for(lambda: link.outbox.status().delivered == 1)
    wait_for(lambda: not link.status().fault)


@pytest.mark.parametrize("more", [0, -1])
def test_the_limit_is_kept_to_the_byte(scripted, make_link, passage_event, wait_for, more):
    measured = scripted()
    link = make_link(measured.port)
    link.outbox.store(passage_event(1))
    wait_for(lambda: link.outbox.status().delivered == 1)
    link.stop()
    link.outbox.stop()
    broker = scripted(properties=b"\x27" + (measured.longest + more).to_bytes(4, "big"))
    link = make_link(broker.port)
    link.outbox.store(passage_event(1))
    if more:
        wait_for(lambda: "Maximum Packet Size" in link.status().fault)
        assert not broker.published
    else:
        wait_for(lambda: link.outbox.status().delivered == 1)


def test_several_such_events_behind_one_another_hold_up_nobody(scripted, make_link, passage_event, wait_for):
    broker = scripted(hates=is_big)
    link = make_link(broker.port)
    for number in range(3):
        link.outbox.store(big(number, passage_event))
    for number in range(3, 20):
        link.outbox.store(passage_event(number))
    wait_for(lambda: link.outbox.status().delivered == 17, 120)
    assert link.outbox.status().waiting == 3


@pytest.mark.parametrize("how", [{"state_reason": 0x87}, {"hates": lambda topic, _: topic.endswith("/state")}])
def test_a_refused_state_stops_no_event(scripted, make_link, passage_event, wait_for, how):
    broker = scripted(**how)
    link = make_link(broker.port)
    for number in range(20):
        link.outbox.store(passage_event(number))
    wait_for(lambda: link.outbox.status().delivered == 20, 120)
    wait_for(lambda: "does not take the kiosk's state" in link.status().fault)
    assert link.status().connected


def test_a_state_that_is_too_long_for_the_broker_is_not_sent(scripted, make_link, passage_event, wait_for):
    """It would end the connection, and three in a row would hold up the events that wait."""
    broker = scripted(properties=b"\x27" + (4000).to_bytes(4, "big"))
    problem = Problem(ProblemCode.DEVICE_DOWN, "entry.scanner", "x" * 5000)
    link = make_link(broker.port, state=lambda: State(software_version="1", problems=(problem,)))
    link.outbox.store(passage_event(1))
    wait_for(lambda: link.outbox.status().delivered == 1)
    wait_for(lambda: "more than its Maximum Packet Size, 4000" in link.status().fault)
    assert (broker.connections, broker.states) == (1, [])


@pytest.mark.parametrize(
    "how",
    [
        {"properties": b"\x25\x00"},
        {"hates_wills": 0x9A},
    ],
    ids=["greets", "turns away"],
)
def test_a_broker_without_retained_messages_gets_all_events(scripted, make_link, passage_event, wait_for, how):
    broker = scripted(**how)
    link = make_link(broker.port)
    for number in range(20):
        link.outbox.store(passage_event(number))
    wait_for(lambda: link.outbox.status().delivered == 20)
    wait_for(lambda: "keeps no retained messages" in link.status().fault)
    wait_for(lambda: broker.states)
    assert not any(first & 1 for first, _ in broker.states), "none is asked to be retained"


def test_a_broker_that_refuses_who_has_a_last_will_gets_all_events(scripted, make_link, passage_event, wait_for):
    broker = scripted(hates_wills=0x87)
    link = make_link(broker.port)
    link.outbox.store(passage_event(1))
    wait_for(lambda: link.outbox.status().delivered == 1, 120)
    assert "takes no last will" in link.status().fault


def test_a_broker_that_ends_the_connection_of_subscribers_gets_all_events(
    scripted, make_link, passage_event, wait_for
):
    broker = scripted(hates_subscribers=True)
    link = make_link(broker.port)
    link.outbox.store(passage_event(1))
    wait_for(lambda: link.outbox.status().delivered == 1, 120)
    assert "when we subscribe" in link.status().fault


def test_a_broker_of_qos_0_alone_takes_nothing_that_would_count(scripted, make_link, passage_event, wait_for):
    broker = scripted(properties=b"\x24\x00")
    link = make_link(broker.port)
    link.outbox.store(passage_event(1))
    wait_for(lambda: "QoS 0 only" in link.status().fault)
    wait_for(lambda: broker.states)
    assert not any(first & 6 for first, _ in broker.states)
    assert not broker.published
    assert link.outbox.status().delivered == 0
    assert link.outbox.status().waiting == 1


def test_receive_maximum_of_one(scripted, make_link, passage_event, wait_for):
    broker = scripted(receive_maximum=1)
    link = make_link(broker.port)
    for number in range(10):
        link.outbox.store(passage_event(number))
    wait_for(lambda: link.outbox.status().delivered == 10)
    assert broker.most_on_the_way == 1


@pytest.mark.parametrize("hang_ups", [1, 3, 4, 7])
def test_hang_ups_before_the_greeting_do_not_change_the_version(
    scripted, make_link, passage_event, wait_for, hang_ups
):
    broker = scripted(ungreeted=hang_ups)
    link = make_link(broker.port)
    link.outbox.store(passage_event(1))
    wait_for(lambda: link.outbox.status().delivered == 1, 120)
    assert link.status().protocol == "5"
    assert json.loads(broker.published[0])


def test_what_was_refused_is_asked_for_again():
    asked, now_s = terms.Terms(), 0.0
    asked.refuse(terms.BrokerTerm.STATE, "Not authorized", now_s)
    assert not asked.asks(terms.BrokerTerm.STATE, now_s + 1)
    assert "Not authorized" in asked.fault
    assert asked.asks(terms.BrokerTerm.STATE, now_s + terms.ASK_AGAIN_S)
    asked.grant(terms.BrokerTerm.STATE)
    assert not asked.fault


def test_the_next_try_is_told(make_link, wait_for):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    link = make_link(port)
    wait_for(lambda: link.status().next_try_s is not None)
    assert 0 <= link.status().next_try_s <= 300


def test_what_the_broker_says_as_it_ends_a_connection_is_told_with_what_to_look_at():
    assert "is there a second kiosk of this site and id?" in failures.ended("Session taken over")
    assert failures.ended("Server shutting down") == "the broker ended the connection: Server shutting down"

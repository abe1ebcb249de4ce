from __future__ import annotations

import gc
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent import mqtt
from agent.events import Topics
from agent.events.state import DeviceState, State, state_payload
from agent.model import Mark, Role
from agent.mqtt import client, retry
from agent.mqtt.session import Session
from agent.outbox.store import proof_of

ROOT = Path(__file__).parents[3]


TOPICS = Topics("library", "gate-3")


FAULTLESS = State(software_version="1")


def numbers(events):
    return [event["data"]["duration_ms"] for event in events]


def test_events_arrive_whole_in_command_and_leave_the_outbox(broker, make_link, passage_event, wait_for):
    subscriber = broker.subscriber()
    link = make_link(broker.port)
    for number in range(500):
        link.outbox.store(passage_event(number))
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


def test_of_several_addresses_one_that_answers_is_enough(broker, make_broker, make_link, passage_event, wait_for):
    gone = make_broker()
    link = make_link(gone.port, more_hosts=(f"127.0.0.1:{broker.port}", f"localhost:{gone.port}"))
    link.outbox.store(passage_event(1))
    wait_for(lambda: link.outbox.status().delivered == 1)


@pytest.mark.parametrize("address", ["", "broker:", "broker:0", "broker:65536", "a b", "mqtt://broker", "::1"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ValueError, match="more_hosts"):
        mqtt.Options(more_hosts=(address,))
    with pytest.raises(ValueError, match="address 2 is no NAME") as refused:
        mqtt.Options(more_hosts=("broker-2", f"mqtt://guard:s3cret@{address}"))
    assert "s3cret" not in str(refused.value)


def test_addresses_have_their_own_port_or_that_of_the_first():
    options = mqtt.Options(host="a", port=8883, more_hosts=("b", "c:65535", "[::1]:1", "[fe80::1]"))
    assert options.addresses() == [("a", 8883), ("b", 8883), ("c", 65535), ("::1", 1), ("fe80::1", 8883)]


def test_after_an_outage_events_come_before_the_state(scripted, make_link, passage_event, wait_for):
    broker = scripted()
    link = make_link(broker.port)
    wait_for(lambda: link.status().listening and broker.order == "S")
    link.outbox.store(passage_event(0))
    wait_for(lambda: link.outbox.status().delivered == 1)
    broker.ungreeted = 1
    broker.hang_up_after = 2
    for number in range(1, 100):
        link.outbox.store(passage_event(number))
    wait_for(lambda: link.outbox.status().delivered == 100 and broker.order.count("S") == 2)
    assert broker.connections >= 2
    assert broker.order.endswith("eeeeeeeeeeeeS"), "the first state of all came before the events, this one after"


def test_a_broker_that_gives_back_our_own_state_as_retained_says_nothing_of_an_earlier_run(
    make_outbox, passage_event, wait_for
):
    """RabbitMQ does: it looks for what is retained after the next message of ours has come."""
    outbox = make_outbox()
    link = mqtt.Link(mqtt.Options(), TOPICS, outbox, lambda: FAULTLESS)
    for number in range(10):
        outbox.store(passage_event(number))
    wait_for(lambda: outbox.status().stored == 10)
    before = outbox.status().epoch
    session, told = Session(link._context, v5=True), state_payload(TOPICS, FAULTLESS, outbox.mark())
    session.on_message(TOPICS.state, told, retained=True)
    outbox.store(passage_event(10))
    wait_for(lambda: outbox.status().stored == 11)
    assert outbox.status().epoch == before
    session.on_message(TOPICS.state, told.replace(b'"last":10', b'"last":99'), retained=True)
    outbox.store(passage_event(11))
    wait_for(lambda: outbox.status().stored == 12)
    assert outbox.status().epoch == before, "a stranger's: its proof is of another one"
    later = Mark(before, 99, proof_of(outbox._identity[1], before, 99))
    session.on_message(TOPICS.state, state_payload(TOPICS, FAULTLESS, later), retained=True)
    wait_for(lambda: outbox.status().epoch != before)
    link.start()  # to close what it holds
    link.stop(0.0)


def test_state_is_retained_follows_changes_and_says_goodbye(broker, make_link, passage_event):
    subscriber = broker.subscriber()
    now = [FAULTLESS]
    link = make_link(broker.port, state=lambda: now[0])
    subscriber.wait_until(lambda: subscriber.states() == ["online"])
    now[0] = State("1", devices=(DeviceState("in", Role.GATE, "serial_relay", up=False, error="gone"),))
    subscriber.wait_until(lambda: len(subscriber.states()) == 2)
    assert subscriber.messages[-1].json["devices"][0]["error"] == "gone"
    late = broker.subscriber(topics="gatepost/+/+/+/state")
    late.wait_until(lambda: len(late.messages) == 1)
    assert late.messages[0].retained
    for number in range(50):
        link.outbox.store(passage_event(number))
    link.stop(5.0)
    subscriber.wait_until(lambda: subscriber.states()[-1] == "offline")
    assert len(subscriber.events()) == 50, "all that waited was delivered before the goodbye"


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_broker_that_goes_and_comes_back_loses_nothing(make_broker, make_link, passage_event, wait_for, how):
    broker = make_broker()
    broker.config += f"persistence true\npersistence_location {broker.folder}/\nautosave_on_changes true\n"
    broker.config += "autosave_interval 1\n"
    broker.start()
    subscriber = broker.subscriber()
    link = make_link(broker.port)
    for number in range(100):
        link.outbox.store(passage_event(number))
    subscriber.wait_until(lambda: len(subscriber.ids()) == 100)
    wait_for(lambda: link.outbox.status().delivered == 100)
    getattr(broker, how)()
    wait_for(lambda: not link.status().connected)
    assert "nobody listens" in link.status().fault or "closed the connection" in link.status().fault
    for number in range(100, 300):
        link.outbox.store(passage_event(number))
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
                "from agent.events import Encoder, Topics\n"
                "from agent.events.state import State\n"
                "from agent.outbox import Options, Outbox\n"
                "topics = Topics('library', 'gate-3')\n"
                "outbox = Outbox(Options(path=sys.argv[2]), Encoder(topics))\n"
                "outbox.start()\n"
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
    monkeypatch.setattr(retry, "PAUSES_S", (0.05,))
    monkeypatch.setattr(retry, "AGAIN_S", 0.5)
    broker = make_broker()
    acl = broker.folder / "acl"
    acl.write_text("topic read gatepost/#\ntopic write gatepost/v1/library/gate-3/state\n")
    broker.config += f"acl_file {acl}\n"
    broker.start()
    subscriber = broker.subscriber()
    link = make_link(broker.port)
    for number in range(60):
        link.outbox.store(passage_event(number))
    wait_for(lambda: link.status().refused >= 2)  # this mosquitto hangs up after each refusal
    assert "refuses" in link.status().fault
    assert link.outbox.status().delivered == 0
    assert link.outbox.status().waiting == 60
    acl.write_text("topic readwrite gatepost/#\n")
    broker.send_signal(signal.SIGHUP)
    link.outbox.store(passage_event(60))
    subscriber.wait_until(lambda: len(subscriber.ids()) == 61)
    wait_for(lambda: link.outbox.status().waiting == 0 and link.status().fault == "")


def test_wrong_password_is_said(make_broker, make_link, wait_for):
    broker = make_broker()
    words = broker.folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(words), "kiosk", "right"], check=True)
    broker.config = f"allow_anonymous false\npassword_file {words}\n"
    broker.start()
    wrong = make_link(broker.port, username="kiosk", password="wrong")  # noqa: S106 - of this test
    wait_for(lambda: "refuses the connection: Not authorized" in wrong.status().fault)
    right = make_link(broker.port, username="kiosk", password="right")  # noqa: S106 - of this test
    wait_for(lambda: right.status().connected)


def test_a_state_that_cannot_be_told_does_not_cost_the_link(broker, make_link, passage_event):
    def broken():
        raise RuntimeError("an internal error")

    subscriber = broker.subscriber()
    link = make_link(broker.port, state=broken)
    link.outbox.store(passage_event(1))
    subscriber.wait_until(lambda: len(subscriber.events()) == 1)
    assert "cannot be told" in subscriber.messages[0].json["problems"][0]["text"]


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
        assert not [each for each in gc.get_objects() if isinstance(each, client.Client)]
    finally:
        gc.enable()


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
    link = make_link(broker.port, ack_timeout_s=1.0, keepalive_s=3, connect_timeout_s=1.0)
    wait_for(lambda: link.status().connected)
    broker.send_signal(signal.SIGSTOP)
    try:
        for number in range(50):
            link.outbox.store(passage_event(number))
        wait_for(lambda: not link.status().connected)
        assert link.outbox.status().waiting == 50
    finally:
        broker.send_signal(signal.SIGCONT)
    subscriber.wait_until(lambda: len(subscriber.ids()) == 50)
    wait_for(lambda: link.outbox.status().waiting == 0)


def test_an_idle_link_to_a_frozen_broker_is_noticed_by_keepalive(broker, make_link, wait_for):
    link = make_link(broker.port, keepalive_s=3)
    wait_for(lambda: link.status().connected and link.status().on_the_way == 0)
    broker.send_signal(signal.SIGSTOP)
    try:
        wait_for(lambda: not link.status().connected, 3 * 2 + 3)
    finally:
        broker.send_signal(signal.SIGCONT)
    wait_for(lambda: link.status().connected)


def is_told(link):
    return "second_kiosk" in [finding.code for finding in link.status().findings]


def connect_again(link, seen, wait_for):
    """Until the new connection has put its state in its place: `seen` has it, and the broker has said so."""
    connections, states = link.status().connections, len(seen.messages)
    link.renew()
    wait_for(lambda: link.status().connections > connections and link.status().listening)
    seen.wait_until(lambda: len(seen.messages) > states)
    wait_for(lambda: link.status().on_the_way == 0)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_two_machines_with_one_card_are_told_and_give_no_id_twice(
    broker, make_link, make_outbox, passage_event, tmp_path, wait_for, protocol
):
    """Both run, and each ends the other's connection: mosquitto says nothing of it."""
    subscriber = broker.subscriber()
    outbox = make_outbox()
    for number in range(5):
        outbox.store(passage_event(number))
    wait_for(lambda: outbox.status().stored == 5)
    outbox.stop()
    shutil.copy(tmp_path / "outbox.db", tmp_path / "copy.db")
    how = {"reconnect_max_s": 1.0, "protocol": protocol}
    here = make_link(broker.port, make_outbox(), **how)
    wait_for(lambda: here.outbox.status().delivered == 5)
    there = make_link(broker.port, make_outbox(path=str(tmp_path / "copy.db")), **how)
    for number in range(10, 15):
        there.outbox.store(passage_event(number))
    wait_for(lambda: is_told(here) and is_told(there))
    for number in range(20, 25):
        here.outbox.store(passage_event(number))
    wait_for(lambda: here.outbox.status().epoch != there.outbox.status().epoch)

    def told():
        return [event["data"].get("duration_ms") for event in subscriber.events()]

    subscriber.wait_until(lambda: {*range(5), *range(10, 15), *range(20, 25)} <= set(told()))
    contents = {}
    for event in subscriber.events():
        contents.setdefault(event["id"], set()).add(json.dumps(event["data"]))
    assert all(len(each) == 1 for each in contents.values())


def test_an_older_state_that_a_broker_brings_back_is_no_second_kiosk(
    broker, make_link, make_outbox, passage_event, wait_for
):
    """It was restored: from an hour ago, or from before this run."""
    seen = broker.subscriber(topics=TOPICS.state)
    link = make_link(broker.port, make_outbox())
    link.outbox.store(passage_event(0))
    wait_for(lambda: link.outbox.status().delivered == 1)
    seen.wait_until(lambda: bool(seen.messages))
    of_before = seen.messages[0].payload
    link.stop()
    link.outbox.stop()
    link = make_link(broker.port, make_outbox())
    wait_for(link.outbox.is_sent)
    hours_ago = state_payload(TOPICS, State("of hours ago"), link.outbox.mark())
    link.outbox.store(passage_event(1))
    wait_for(lambda: link.outbox.status().delivered == 1)
    for payload in (hours_ago, of_before, hours_ago):
        broker.publish(TOPICS.state, payload, retain=True)
        seen.wait_until(lambda payload=payload: seen.messages[-1].payload == payload)
        connect_again(link, seen, wait_for)
        assert not is_told(link)


def test_a_state_of_a_former_card_that_is_found_once_is_no_second_kiosk(
    broker, make_link, make_outbox, passage_event, wait_for
):
    """A second broker of the site, or one that was restored, has kept it. What is put there again has a sender."""
    seen = broker.subscriber(topics=TOPICS.state)
    link = make_link(broker.port, make_outbox())
    link.outbox.store(passage_event(1))
    wait_for(lambda: link.outbox.status().delivered == 1)
    former = state_payload(TOPICS, State("before"), Mark("0badcafe", 400))
    for put_there, expected in ((True, False), (False, False), (True, True)):
        if put_there:
            broker.publish(TOPICS.state, former, retain=True)
            seen.wait_until(lambda: bool(seen.messages) and seen.messages[-1].payload == former)
        connect_again(link, seen, wait_for)
        assert is_told(link) is expected


def test_a_former_state_that_each_of_three_brokers_has_kept_is_no_second_kiosk(
    broker, make_broker, make_link, passage_event, wait_for
):
    """They share no retained messages, and one after the other ends."""
    brokers = [broker, make_broker(), make_broker()]
    for each in brokers[1:]:
        each.start()
    for each in brokers:
        each.publish(TOPICS.state, state_payload(TOPICS, State("before"), Mark("0badcafe", 400)), retain=True)
    link = make_link(
        broker.port, more_hosts=tuple(f"127.0.0.1:{each.port}" for each in brokers[1:]), reconnect_max_s=1.0
    )
    for number in range(3):
        link.outbox.store(passage_event(number))
        wait_for(lambda number=number: link.outbox.status().delivered == number + 1)
        assert not is_told(link)
        next(each for each in brokers if each.port == link._context.options.port).stop()


def test_a_strangers_state_in_our_place_ends_no_connection(broker, make_link, passage_event, wait_for):
    """Who may write there could end each connection; only a copy of the store can say how far it has come."""
    link = make_link(broker.port)
    link.outbox.store(passage_event(1))
    wait_for(lambda: link.outbox.status().delivered == 1)
    forged = Mark(link.outbox.status().epoch, 99, "f" * 32, run="0badcafe")
    broker.publish(TOPICS.state, state_payload(TOPICS, State("a stranger's"), forged), retain=True)
    before = link.status().connections
    link.renew()
    wait_for(lambda: link.status().connections > before and link.status().listening)
    link.outbox.store(passage_event(2))
    wait_for(lambda: link.outbox.status().delivered == 2)
    assert link.status().connections == before + 1


def test_two_copies_that_go_on_in_step_are_told_and_part(
    make_outbox, make_link, passage_event, tmp_path, wait_for, broker
):
    """What each says of its store is equal but for the run; one of them begins a new epoch."""
    outbox = make_outbox()
    outbox.store(passage_event(0))
    wait_for(lambda: outbox.status().stored == 1)
    outbox.stop()
    shutil.copy(tmp_path / "outbox.db", tmp_path / "copy.db")
    outboxes = make_outbox(), make_outbox(path=str(tmp_path / "copy.db"))
    for number, each in enumerate(outboxes):
        each.store(passage_event(1 + number))
        wait_for(lambda each=each: each.status().stored == 1)
    marks = [each.mark() for each in outboxes]
    assert replace(marks[0], run=marks[1].run) == marks[1]
    links = [make_link(broker.port, each, reconnect_max_s=1.0) for each in outboxes]
    wait_for(lambda: all(map(is_told, links)))
    wait_for(lambda: outboxes[0].status().epoch != outboxes[1].status().epoch)
    assert marks[0].epoch in {each.status().epoch for each in outboxes}


def test_a_card_put_back_from_an_image_gives_no_id_twice(
    broker, make_link, make_outbox, passage_event, tmp_path, wait_for
):
    """What the broker has retained of us knows that the store had come farther."""
    subscriber = broker.subscriber()
    outbox = make_outbox()
    for number in range(5):
        outbox.store(passage_event(number))
    wait_for(lambda: outbox.status().stored == 5)
    outbox.stop()
    shutil.copy(tmp_path / "outbox.db", tmp_path / "image")
    outbox = make_outbox()
    for number in range(5, 10):
        outbox.store(passage_event(number))
    wait_for(lambda: outbox.status().stored == 5)
    link = make_link(broker.port, outbox)
    wait_for(lambda: outbox.status().delivered == 10)
    link.stop()
    outbox.stop()
    shutil.copy(tmp_path / "image", tmp_path / "outbox.db")
    outbox = make_outbox()
    for number in range(20, 25):
        outbox.store(passage_event(number))
    wait_for(lambda: outbox.status().stored == 5)
    make_link(broker.port, outbox)
    wait_for(lambda: outbox.status().delivered == 11)
    subscriber.wait_until(lambda: len(subscriber.events()) == 21)
    told = subscriber.events()
    contents = {}
    for event in told:
        contents.setdefault(event["id"], set()).add(json.dumps(event["data"]))
    assert all(len(each) == 1 for each in contents.values())
    numbers_told = {event["data"].get("duration_ms") for event in told}
    assert numbers_told >= {*range(10), *range(20, 25)}


def test_no_epoch_begins_while_events_are_on_the_way(scripted, make_link, passage_event, wait_for):
    """What the broker acknowledges meanwhile would come again by another id."""
    broker = scripted()
    link = make_link(broker.port)
    outbox = link.outbox
    outbox.store(passage_event(0))
    wait_for(lambda: outbox.status().delivered == 1)
    session, before = link._session, outbox.status().epoch
    broker.acknowledge = False
    for number in range(1, 4):
        outbox.store(passage_event(number))
    wait_for(lambda: len(broker.published) == 4)
    farther = Mark(before, 99, proof_of(outbox._identity[1], before, 99))
    session.on_message(TOPICS.state, state_payload(TOPICS, FAULTLESS, farther), retained=True)
    outbox.store(passage_event(4))
    wait_for(lambda: outbox.status().stored == 5)
    assert outbox.status().epoch == before
    session._acked += [record for record, _ in session._flight.values()]
    session._flight.clear()  # the broker has them
    broker.acknowledge = True
    wait_for(lambda: outbox.status().epoch != before)
    wait_for(lambda: outbox.status().waiting == 0)
    told = [json.loads(payload)["data"].get("duration_ms") for payload in broker.published]
    assert [number for number in told if number is not None] == [0, 1, 2, 3, 4]

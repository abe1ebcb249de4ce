"""What the central server says reaches the agent."""

from __future__ import annotations

from agent.events import Topics

TOPICS = Topics("library", "gate-3")


def test_a_defect_in_hearing_does_not_cost_the_link(broker, make_link, passage_event, wait_for):
    heard = []

    def hear(topic, payload):
        heard.append(payload)
        raise RuntimeError("an internal error")

    link = make_link(broker.port, hear=hear)
    wait_for(lambda: link.status().listening)
    broker.publish(TOPICS.command, b"once")
    wait_for(lambda: heard)
    link.outbox.store(passage_event(1))
    wait_for(lambda: link.outbox.status().delivered == 1)
    assert heard == [b"once"]
    assert link.status().connections == 1


def test_bundles_come_at_each_start_and_when_they_change_not_at_each_connection(
    make_broker, make_link, make_outbox, passage_event, wait_for
):
    broker = make_broker()
    broker.config += f"persistence true\npersistence_location {broker.folder}/\n"
    broker.start()
    broker.publish("gatepost/v1/$all/bundle/keys", b"keys 1", retain=True)
    broker.publish(f"{TOPICS.root}/bundle/list/lost", b"list 1", retain=True)
    broker.publish("gatepost/v1/library/gate-4/bundle/list/lost", b"another's", retain=True)
    heard = []
    outbox = make_outbox()
    link = make_link(broker.port, outbox, hear=lambda *message: heard.append(message))
    both = [("gatepost/v1/$all/bundle/keys", b"keys 1"), (f"{TOPICS.root}/bundle/list/lost", b"list 1")]
    wait_for(lambda: sorted(heard) == both)
    outbox.store(passage_event(1))
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
    broker.publish(TOPICS.command, b"for ever", retain=True)
    heard = []
    link = make_link(broker.port, hear=lambda _, payload: heard.append(payload))
    wait_for(lambda: heard == [b"keys"])
    link.refetch_retained()
    wait_for(lambda: heard == [b"keys"] * 2)


def test_a_command_given_while_the_link_flaps_arrives_and_a_retained_one_never(
    make_broker, make_link, make_outbox, wait_for
):
    broker = make_broker()
    broker.start()
    heard = []
    outbox = make_outbox()
    link = make_link(broker.port, outbox, hear=lambda *message: heard.append(message))
    wait_for(lambda: link.status().listening)
    broker.publish(TOPICS.command, b"now")
    wait_for(lambda: heard == [(TOPICS.command, b"now")])
    link.stop(1.0)
    broker.publish(TOPICS.command, b"while away")
    broker.publish(TOPICS.command, b"for ever", retain=True)
    make_link(broker.port, outbox, hear=lambda *message: heard.append(message))
    wait_for(lambda: len(heard) >= 3)
    assert [payload for _, payload in heard[1:]] == [b"while away", b"for ever"], "as it was sent, not retained"
    heard.clear()
    stranger = make_link(broker.port, make_outbox(), hear=lambda *m: heard.append(m), client_id="another")
    wait_for(lambda: stranger.status().listening)
    broker.publish("gatepost/v1/$all/bundle/x", b"last")
    wait_for(lambda: (("gatepost/v1/$all/bundle/x", b"last")) in heard)
    assert b"for ever" not in [payload for _, payload in heard]

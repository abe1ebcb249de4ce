from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

from records import is_chain, losses, numbers, take_all

from agent.events import FIRST, Encoder, Topics
from agent.model import Outcome, Passage
from agent.outbox import Options, Outbox

ROOT = Path(__file__).parents[3]


def test_events_come_out_in_order_in_a_chain(make_outbox, passage_event, wait_for):
    outbox = make_outbox()
    for number in range(2000):
        outbox.store(passage_event(number))
    records = take_all(outbox, wait_for, 2000)
    assert numbers(records) == list(range(2000))
    assert is_chain(records)
    assert json.loads(records[0].payload)["previoussha256"] == FIRST
    wait_for(lambda: outbox.status().waiting == 0)
    status = outbox.status()
    assert (status.decided, status.stored, status.delivered, status.lost) == (2000, 2000, 2000, 0)
    assert status.fault == ""


def test_a_burst_is_committed_batch_after_batch_without_a_pause(make_outbox, passage_event, monkeypatch):
    monkeypatch.setattr("agent.outbox.BATCH", 2)
    outbox = make_outbox()
    for number in range(400):
        outbox.store(passage_event(number))
    assert outbox.flush(60.0)  # with a pause of the alarm's limit between two batches it takes 200 s


def test_sequence_and_chain_go_on_after_a_restart_though_all_was_delivered(make_outbox, passage_event, wait_for):
    first = make_outbox()
    for number in range(3):
        first.store(passage_event(number))
    before = take_all(first, wait_for, 3)
    first.stop()
    assert first.status().waiting == 0
    second = make_outbox()
    second.store(passage_event(3))
    after = take_all(second, wait_for, 1)
    assert numbers(after) == [3]
    assert is_chain(before + after)
    assert second.status().epoch == first.status().epoch


def test_what_was_not_acknowledged_comes_again_with_the_same_bytes(make_outbox, passage_event, wait_for):
    first = make_outbox()
    for number in range(10):
        first.store(passage_event(number))
    taken = take_all(first, wait_for, 10, acknowledge=False)
    first.send_queue.acked([taken[0], taken[4]])
    first.send_queue.requeue()
    again = take_all(first, wait_for, 8, acknowledge=False)
    assert numbers(again) == [1, 2, 3, 5, 6, 7, 8, 9]
    first.stop()
    second = make_outbox()
    assert take_all(second, wait_for, 8) == again


def test_a_record_set_aside_comes_back_with_reload(make_outbox, passage_event, wait_for):
    outbox = make_outbox()
    for number in range(4):
        outbox.store(passage_event(number))
    taken = take_all(outbox, wait_for, 4, acknowledge=False)
    outbox.send_queue.park(taken[1])
    outbox.send_queue.acked([taken[0]])
    outbox.send_queue.requeue()
    assert numbers(take_all(outbox, wait_for, 2, acknowledge=False)) == [2, 3]
    outbox.send_queue.requeue()
    outbox.send_queue.reload()
    assert numbers(take_all(outbox, wait_for, 3)) == [1, 2, 3]


def test_an_alarm_overtakes_a_backlog_once(make_outbox, passage_event, wait_for):
    outbox = make_outbox()
    for number in range(3000):
        outbox.store(passage_event(number))
    assert outbox.flush(20)
    first = take_all(outbox, wait_for, 10, acknowledge=False)
    for number in (3000, 3001):
        outbox.store(passage_event(number, outcome=Outcome.REFUSE))
    assert outbox.flush(20)
    assert numbers(outbox.send_queue.claim_batch(3))[:2] == [3000, 3001]
    outbox.send_queue.requeue()  # the connection went before any was acknowledged
    rest = take_all(outbox, wait_for, 3002)
    assert sorted(numbers(rest)) == list(range(3002)), "each once"
    routine = [number for number in numbers(rest) if number < 3000]
    assert routine == sorted(routine), "all others keep their order"
    assert len(first) >= 10
    wait_for(lambda: outbox.status().waiting == 0)


def test_full_drops_the_least_important_and_says_so(make_outbox, passage_event, wait_for):
    outbox = make_outbox(limit_mb=0.1)
    for number in range(1000):
        outbox.store(passage_event(number, outcome=Outcome.REFUSE if number % 10 == 0 else Outcome.ADMIT))
    assert outbox.flush(10)
    wait_for(lambda: outbox.status().bytes_held <= 100_000)
    outbox.store(passage_event(5000))
    assert outbox.flush(10)
    lost = outbox.status().lost
    assert lost > 0
    records = take_all(outbox, wait_for, 1001 - lost + 1)
    kept = numbers(records)
    assert [number for number in range(0, 1000, 10) if number not in kept] == [], "alarms go last"
    assert sum(loss["count"] for loss in losses(records)) == lost
    assert {loss["reason"] for loss in losses(records)} == {"storage_full"}
    assert len(kept) + lost == 1001


def test_an_event_that_cannot_be_encoded_is_a_loss_and_holds_up_nobody(tmp_path, passage_event, wait_for):
    encode = Encoder(Topics("library", "gate-3"))

    def fragile(event, place):
        if isinstance(event.body, Passage) and event.at_s == 100.001:
            raise ValueError("an internal error")
        return encode(event, place)

    outbox = Outbox(Options(path=str(tmp_path / "outbox.db")), fragile)
    outbox.start()
    try:
        for number in range(4):
            outbox.store(passage_event(number))
        records = take_all(outbox, wait_for, 4)
    finally:
        outbox.stop()
    assert numbers(records) == [0, 2, 3]
    assert losses(records) == [{"reason": "unencodable", "count": 1, "epoch": None, "first": None, "last": None}]
    assert is_chain(records)


CHILD = """
import json, sys
from agent.events import Encoder, Topics
from agent.outbox import Options, Outbox
sys.path.insert(0, sys.argv[3])
from passages import passage_event
outbox = Outbox(Options(path=sys.argv[1], commit_ms=1.0), Encoder(Topics("library", "gate-3")))
outbox.start()
number = int(sys.argv[2])
while True:
    for _ in range(20):
        outbox.store(passage_event(number))
        number += 1
    assert outbox.flush(30)
    taken = outbox.send_queue.claim_batch(9)
    print(number, *(json.loads(record.payload)["data"]["duration_ms"] for record in taken), flush=True)
    outbox.send_queue.acked(taken)
"""


def test_kill_9_loses_nothing_that_was_stored_and_the_next_start_goes_on(tmp_path, make_outbox, wait_for):
    """Twelve lives, each killed at random; every one must make progress after the kill before it."""
    path, promised, began = tmp_path / "outbox.db", 0, 0
    acknowledged: set[int] = set()
    for _ in range(12):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), str(promised), str(ROOT / "tests")],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        with child:
            for _ in range(random.randint(1, 12)):
                line = child.stdout.readline()
                assert line, "it made no progress after the last kill"
                promised, *taken = map(int, line.split())
                acknowledged.update(taken)
            child.send_signal(signal.SIGKILL)
            for line in child.stdout:  # what it had said and let go of while nobody read
                promised, *taken = map(int, line.split())
                acknowledged.update(taken)
        assert promised > began
        began = promised
    outbox = make_outbox(path=str(path))
    wait_for(lambda: outbox.status().epoch != "")
    kept = take_all(outbox, wait_for, outbox.status().waiting)
    ids = [json.loads(record.payload)["id"] for record in kept]
    assert len(ids) == len(set(ids))
    lost = set(range(promised)) - set(numbers(kept)) - acknowledged
    assert lost == set()
    assert is_chain(kept[-20:])


def test_a_second_agent_on_the_same_file_is_told(make_outbox, passage_event, wait_for):
    first = make_outbox()
    first.store(passage_event(1))
    assert first.flush(10)
    second = make_outbox()
    wait_for(lambda: "held by another process" in second.status().fault)

"""Delivery `receipt`, without a broker: what the outbox lets go of, what it sends again, what it refuses."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from agent import outbox as outbox_module
from agent.model import Outcome
from agent.outbox import acknowledgements
from agent.outbox.receipt import ConfirmedRange, Receipt


@pytest.fixture
def make_expecting(make_outbox):
    """Outboxes whose link expects receipts."""

    def make(**options):
        outbox = make_outbox(**options)
        outbox.send_queue.expect_receipts()
        return outbox

    return make


def number(record):
    return json.loads(record.payload)["data"]["duration_ms"]


def head(record):
    return sha256(record.payload).hexdigest()


def place(record):
    event = json.loads(record.payload)
    return event["epoch"], int(event["sequence"])


def take(outbox, count, wait_for):
    """The next `count` records, as a link would take them."""
    taken = []

    def enough():
        taken.extend(outbox.send_queue.claim_batch(count - len(taken)))
        return len(taken) >= count

    wait_for(enough)
    return taken


def receipt_of(*records):
    """What a central server says that has these, and all before the first."""
    epoch, through = place(records[0])
    also = tuple(ConfirmedRange(place(r)[1], place(r)[1], head(r)) for r in records[1:])
    return Receipt(epoch, (ConfirmedRange(1, through, head(records[0])), *also))


def test_an_acknowledged_event_stays_until_it_is_confirmed(make_expecting, passage_event, wait_for):
    outbox = make_expecting()
    for each in range(100):
        outbox.store(passage_event(each))
    records = take(outbox, 100, wait_for)
    outbox.send_queue.acked(records)
    assert outbox.is_sent()
    assert (outbox.status().delivered, outbox.status().waiting) == (0, 100)
    outbox.answers.add(receipt_of(records[59]))
    wait_for(lambda: outbox.status().waiting == 40)
    assert outbox.status().delivered == 60
    wait_for(lambda: outbox.send_queue.overdue() == records[60].key)  # the writer's next step
    outbox.stop()
    again = make_expecting()
    assert [number(r) for r in take(again, 40, wait_for)] == list(range(60, 100)), "the same ones, after a restart"


def test_an_event_may_be_confirmed_before_the_broker_acknowledges_it(make_expecting, passage_event, wait_for):
    outbox = make_expecting()
    for each in range(10):
        outbox.store(passage_event(each))
    records = take(outbox, 10, wait_for)
    outbox.answers.add(receipt_of(records[9]))
    wait_for(lambda: outbox.status().waiting == 0)
    outbox.send_queue.acked(records)
    outbox.send_queue.requeue()
    assert outbox.send_queue.claim_batch(10) == []
    assert outbox.status().delivered == 10


def test_ranges_are_confirmed_apart_and_only_the_hole_is_sent_again(make_expecting, passage_event, wait_for):
    outbox = make_expecting()
    for each in range(200):
        outbox.store(passage_event(each))
    records = take(outbox, 200, wait_for)
    outbox.send_queue.acked(records)
    also = ConfirmedRange(61, 200, head(records[199]))
    outbox.answers.add(Receipt(place(records[0])[0], (ConfirmedRange(1, 50, head(records[49])), also)))
    wait_for(lambda: outbox.status().waiting == 10)
    outbox.send_queue.redeliver(64)
    assert [number(r) for r in take(outbox, 10, wait_for)] == list(range(50, 60))
    assert outbox.send_queue.claim_batch(5) == []


def test_a_closed_gap_is_confirmed_though_the_last_of_the_range_has_gone(
    make_expecting, passage_event, wait_for, monkeypatch
):
    """The event after it names its hash."""
    monkeypatch.setattr("agent.outbox.ACKS_TO_RIDE", 1)
    outbox = make_expecting()
    for each in range(10):
        outbox.store(passage_event(each))
    records = take(outbox, 10, wait_for)
    outbox.send_queue.acked(records)
    epoch, _ = place(records[0])
    outbox.answers.add(Receipt(epoch, (ConfirmedRange(3, 6, head(records[5])),)))
    wait_for(lambda: outbox.status().waiting == 6)
    for each in (10, 11):
        outbox.store(passage_event(each))  # with these commits the four have gone
        take(outbox, 1, wait_for)
    outbox.answers.add(Receipt(epoch, (ConfirmedRange(1, 6, "ab" * 32),)))
    wait_for(lambda: "another hash of event 6" in outbox.answers.complaint)
    outbox.answers.add(receipt_of(records[5]))
    wait_for(lambda: outbox.status().waiting == 6)
    assert outbox.send_queue.overdue() == records[6].key


@pytest.mark.parametrize("wrong", ["head", "epoch", "future", "one of two heads"])
def test_what_does_not_fit_changes_nothing_and_is_said(make_expecting, passage_event, wait_for, wrong):
    outbox = make_expecting()
    for each in range(10):
        outbox.store(passage_event(each))
    records = take(outbox, 10, wait_for)
    outbox.send_queue.acked(records)
    epoch, _ = place(records[0])
    other = "ab" * 32
    bad = {
        "head": Receipt(epoch, (ConfirmedRange(1, 10, other),)),
        "epoch": Receipt("00000000", (ConfirmedRange(1, 10, head(records[9])),)),
        "future": Receipt(epoch, (ConfirmedRange(1, 11, other),)),
        "one of two heads": Receipt(epoch, (ConfirmedRange(1, 3, head(records[2])), ConfirmedRange(5, 10, other))),
    }[wrong]
    outbox.answers.add(bad)
    wait_for(lambda: outbox.answers.refusal)
    assert bool(outbox.answers.complaint) == (wrong != "epoch"), "a broker may have kept one of another epoch"
    assert outbox.answers.refused == 1
    assert outbox.status().waiting == 10
    assert outbox.status().delivered == 0
    outbox.answers.add(receipt_of(records[9]))
    wait_for(lambda: outbox.status().waiting == 0)
    assert (outbox.answers.complaint, outbox.answers.refusal) == ("", "")


def test_a_late_or_doubled_receipt_changes_nothing(make_expecting, passage_event, wait_for):
    outbox = make_expecting()
    for each in range(100):
        outbox.store(passage_event(each))
    records = take(outbox, 100, wait_for)
    outbox.send_queue.acked(records)
    for upto in (49, 79, 79, 9, 49):
        outbox.answers.add(receipt_of(records[upto]))
    wait_for(lambda: outbox.status().waiting == 20)
    outbox.store(passage_event(100))
    take(outbox, 1, wait_for)
    assert (outbox.status().delivered, outbox.answers.complaint) == (80, "")


def test_going_back_repeats_the_oldest_and_then_goes_on_in_order(make_expecting, passage_event, wait_for):
    outbox = make_expecting()
    for each in range(2000):
        outbox.store(passage_event(each))
    assert outbox.flush(10)
    outbox.send_queue.acked(take(outbox, 300, wait_for))
    outbox.send_queue.redeliver(64)
    numbers = [number(r) for r in take(outbox, 1764, wait_for)]
    assert sorted(numbers) == sorted([*range(64), *range(300, 2000)])
    assert [n for n in numbers if n >= 300] == list(range(300, 2000)), "first arrivals are in order"


def test_a_backlog_of_confirmed_events_goes_in_small_commits(make_expecting, passage_event, wait_for, monkeypatch):
    monkeypatch.setattr(acknowledgements, "AT_ONCE", 100)
    outbox = make_expecting()
    for each in range(1000):
        outbox.store(passage_event(each))
    assert outbox.flush(10)
    records = take(outbox, 1000, wait_for)
    outbox.send_queue.acked(records)
    outbox.answers.add(receipt_of(records[949]))
    wait_for(lambda: outbox.status().waiting == 50)
    path = Path(outbox._options.path)
    outbox.stop()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT COUNT(*), MIN(key) FROM record").fetchone() == (50, 951)


def test_when_full_what_the_broker_has_goes_first_then_the_lowest_class(make_expecting, passage_event, wait_for):
    outbox = make_expecting(limit_mb=0.15)
    for each in range(100):
        outbox.store(passage_event(each, outcome=Outcome.REFUSE))
    records = take(outbox, 100, wait_for)
    outbox.send_queue.acked(records)
    for each in range(100, 1500):
        outbox.store(passage_event(each, outcome=Outcome.REFUSE if each % 10 == 0 else Outcome.ADMIT))
    assert outbox.flush(10)
    wait_for(lambda: outbox.status().lost >= 200)
    left = []

    def counted():
        more = outbox.send_queue.claim_batch(500)
        left.extend(more)
        outbox.send_queue.acked(more)
        losses = [json.loads(r.payload)["data"].get("loss") for r in left if r.kind == "agent"]
        return not more and outbox.is_sent() and sum(loss["count"] for loss in losses) == outbox.status().lost

    wait_for(counted)
    passages = [number(r) for r in left if r.kind == "passage"]
    assert not set(passages) & set(range(100)), "what the broker had, went first, alarms or not"
    assert set(range(100, 1500, 10)) <= set(passages), "then only what is no alarm"


def test_events_that_left_from_memory_stay_there_until_confirmed(
    tmp_path, make_expecting, passage_event, wait_for, monkeypatch
):
    monkeypatch.setattr(outbox_module, "RETRY_S", (0.05,))
    wall = tmp_path / "wall"
    wall.write_text("")
    outbox = make_expecting(path=str(wall / "outbox.db"), memory_events=300)
    for each in range(250):
        outbox.store(passage_event(each))
    wait_for(lambda: outbox.status().fault != "")
    records = take(outbox, 250, wait_for)
    outbox.send_queue.acked(records)
    wait_for(lambda: outbox.status().waiting == 250)  # counted twice for the moment in which they are handed over
    assert outbox.status().delivered == 0
    outbox.answers.add(receipt_of(records[199]))
    wait_for(lambda: outbox.status().waiting == 50)
    assert outbox.send_queue.overdue() == records[200].key
    outbox.send_queue.redeliver(64)
    assert take(outbox, 50, wait_for) == records[200:], "the same ones, byte for byte"
    outbox.send_queue.acked(records[200:])
    for each in range(250, 1000):
        outbox.store(passage_event(each))
    more = []
    wait_for(lambda: more.extend(outbox.send_queue.claim_batch(500)) or len(more) >= 256)
    outbox.send_queue.acked(more)
    assert outbox.send_queue.claim_batch(500) == [], "no more in memory than it may hold"
    outbox.answers.add(receipt_of(more[-1]))
    before = len(more)
    wait_for(lambda: more.extend(outbox.send_queue.claim_batch(500)) or len(more) > before)
    assert outbox.answers.complaint == ""


def test_what_was_saved_from_a_damaged_file_is_confirmed_under_its_own_epoch(
    make_expecting, passage_event, wait_for
):
    outbox = make_expecting()
    for each in range(500):
        outbox.store(passage_event(each))
    assert outbox.flush(10)
    outbox.stop()
    path = Path(outbox._options.path)
    for each in (1000, 1001):  # twice: what was saved is saved again
        data = bytearray(path.read_bytes())
        data[2048 * 12 : 2048 * 13] = bytes(2048)
        path.write_bytes(data)
        outbox.stop()
        outbox = make_expecting()
        outbox.store(passage_event(each))
        assert outbox.flush(10)
        if each == 1000:
            outbox.stop()
    count = outbox.status().waiting
    records = take(outbox, count, wait_for)
    outbox.send_queue.acked(records)
    epochs = list(dict.fromkeys(place(r)[0] for r in records))
    assert len(epochs) == 3
    for epoch in epochs:
        last = [r for r in records if place(r)[0] == epoch][-1]
        outbox.answers.add(receipt_of(last))
    wait_for(lambda: outbox.status().waiting == 0)
    assert outbox.answers.complaint == ""


def test_strangers_receipts_fill_no_log_and_are_no_fault(make_outbox, caplog):
    answers = make_outbox().answers
    for number in range(100):
        answers.refuse(f"reason {number}")
    assert len(caplog.records) == 1
    assert (answers.complaint, answers.refusal, answers.refused) == ("", "reason 0", 100)

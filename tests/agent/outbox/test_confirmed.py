"""Delivery `receipt`, without a broker: what the outbox lets go of, what it sends again, what it refuses."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from agent import outbox as outbox_module
from agent.messages import Encoder, Topics
from agent.model import Outcome
from agent.mqtt.patience import Overdue
from agent.outbox import Options, Outbox, confirmed
from agent.outbox.receipt import Confirmed, Receipt


@pytest.fixture
def make_expecting(make_outbox):
    """Outboxes whose link expects receipts."""

    def make(**options):
        outbox = make_outbox(**options)
        outbox.shelf.expect_receipts()
        return outbox

    return make


def number(record):
    return json.loads(record.payload)["data"]["took_ms"]


def head(record):
    return sha256(record.payload).hexdigest()


def place(record):
    event = json.loads(record.payload)
    return event["epoch"], int(event["sequence"])


def take(outbox, count, wait_for):
    """The next `count` records, as a link would take them."""
    taken = []

    def enough():
        taken.extend(outbox.shelf.take(count - len(taken)))
        return len(taken) >= count

    wait_for(enough)
    return taken


def receipt_of(*records):
    """What a centre says that has these, and all before the first."""
    epoch, through = place(records[0])
    also = tuple(Confirmed(place(r)[1], place(r)[1], head(r)) for r in records[1:])
    return Receipt(epoch, (Confirmed(1, through, head(records[0])), *also))


def test_an_acknowledged_event_stays_until_it_is_confirmed(make_expecting, passage_event, wait_for):
    outbox = make_expecting()
    for each in range(100):
        outbox.put(passage_event(each))
    records = take(outbox, 100, wait_for)
    outbox.shelf.sent(records)
    assert outbox.is_sent()
    assert (outbox.status().delivered, outbox.status().waiting) == (0, 100)
    outbox.answers.put(receipt_of(records[59]))
    wait_for(lambda: outbox.status().waiting == 40)
    assert outbox.status().delivered == 60
    assert outbox.shelf.overdue() == records[60].key
    outbox.close()
    again = make_expecting()
    assert [number(r) for r in take(again, 40, wait_for)] == list(range(60, 100)), "the same ones, after a restart"


def test_an_event_may_be_confirmed_before_the_broker_acknowledges_it(make_expecting, passage_event, wait_for):
    outbox = make_expecting()
    for each in range(10):
        outbox.put(passage_event(each))
    records = take(outbox, 10, wait_for)
    outbox.answers.put(receipt_of(records[9]))
    wait_for(lambda: outbox.status().waiting == 0)
    outbox.shelf.sent(records)
    outbox.shelf.rewind()
    assert outbox.shelf.take(10) == []
    assert outbox.status().delivered == 10


def test_ranges_are_confirmed_apart_and_only_the_hole_is_sent_again(make_expecting, passage_event, wait_for):
    outbox = make_expecting()
    for each in range(200):
        outbox.put(passage_event(each))
    records = take(outbox, 200, wait_for)
    outbox.shelf.sent(records)
    also = Confirmed(61, 200, head(records[199]))
    outbox.answers.put(Receipt(place(records[0])[0], (Confirmed(1, 50, head(records[49])), also)))
    wait_for(lambda: outbox.status().waiting == 10)
    outbox.shelf.go_back(64)
    assert [number(r) for r in take(outbox, 10, wait_for)] == list(range(50, 60))
    assert outbox.shelf.take(5) == []


def test_a_closed_gap_is_confirmed_though_the_last_of_the_range_has_gone(
    make_expecting, passage_event, wait_for, monkeypatch
):
    """The event after it names its hash."""
    monkeypatch.setattr("agent.outbox.ACKS_TO_RIDE", 1)
    outbox = make_expecting()
    for each in range(10):
        outbox.put(passage_event(each))
    records = take(outbox, 10, wait_for)
    outbox.shelf.sent(records)
    epoch, _ = place(records[0])
    outbox.answers.put(Receipt(epoch, (Confirmed(3, 6, head(records[5])),)))
    wait_for(lambda: outbox.status().waiting == 6)
    for each in (10, 11):
        outbox.put(passage_event(each))  # with these commits the four have gone
        take(outbox, 1, wait_for)
    outbox.answers.put(Receipt(epoch, (Confirmed(1, 6, "ab" * 32),)))
    wait_for(lambda: "another hash of event 6" in outbox.answers.complaint)
    outbox.answers.put(receipt_of(records[5]))
    wait_for(lambda: outbox.status().waiting == 6)
    assert outbox.shelf.overdue() == records[6].key


@pytest.mark.parametrize("wrong", ["head", "epoch", "future", "one of two heads"])
def test_what_does_not_fit_changes_nothing_and_is_said(make_expecting, passage_event, wait_for, wrong):
    outbox = make_expecting()
    for each in range(10):
        outbox.put(passage_event(each))
    records = take(outbox, 10, wait_for)
    outbox.shelf.sent(records)
    epoch, _ = place(records[0])
    other = "ab" * 32
    bad = {
        "head": Receipt(epoch, (Confirmed(1, 10, other),)),
        "epoch": Receipt("00000000", (Confirmed(1, 10, head(records[9])),)),
        "future": Receipt(epoch, (Confirmed(1, 11, other),)),
        "one of two heads": Receipt(epoch, (Confirmed(1, 3, head(records[2])), Confirmed(5, 10, other))),
    }[wrong]
    outbox.answers.put(bad)
    wait_for(lambda: outbox.answers.refusal)
    assert bool(outbox.answers.complaint) == (wrong != "epoch"), "a broker may have kept one of another epoch"
    assert outbox.answers.refused == 1
    assert outbox.status().waiting == 10
    assert outbox.status().delivered == 0
    outbox.answers.put(receipt_of(records[9]))
    wait_for(lambda: outbox.status().waiting == 0)
    assert (outbox.answers.complaint, outbox.answers.refusal) == ("", "")


def test_a_late_or_doubled_receipt_changes_nothing(make_expecting, passage_event, wait_for):
    outbox = make_expecting()
    for each in range(100):
        outbox.put(passage_event(each))
    records = take(outbox, 100, wait_for)
    outbox.shelf.sent(records)
    for upto in (49, 79, 79, 9, 49):
        outbox.answers.put(receipt_of(records[upto]))
    wait_for(lambda: outbox.status().waiting == 20)
    outbox.put(passage_event(100))
    take(outbox, 1, wait_for)
    assert (outbox.status().delivered, outbox.answers.complaint) == (80, "")


def test_going_back_repeats_the_oldest_and_then_goes_on_in_order(make_expecting, passage_event, wait_for):
    outbox = make_expecting()
    for each in range(2000):
        outbox.put(passage_event(each))
    assert outbox.flush(10)
    outbox.shelf.sent(take(outbox, 300, wait_for))
    outbox.shelf.go_back(64)
    numbers = [number(r) for r in take(outbox, 1764, wait_for)]
    assert sorted(numbers) == sorted([*range(64), *range(300, 2000)])
    assert [n for n in numbers if n >= 300] == list(range(300, 2000)), "first arrivals are in order"


def test_a_backlog_of_confirmed_events_goes_in_small_commits(make_expecting, passage_event, wait_for, monkeypatch):
    monkeypatch.setattr(confirmed, "AT_ONCE", 100)
    outbox = make_expecting()
    for each in range(1000):
        outbox.put(passage_event(each))
    assert outbox.flush(10)
    records = take(outbox, 1000, wait_for)
    outbox.shelf.sent(records)
    outbox.answers.put(receipt_of(records[949]))
    wait_for(lambda: outbox.status().waiting == 50)
    path = Path(outbox._options.path)
    outbox.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT COUNT(*), MIN(key) FROM record").fetchone() == (50, 951)


def test_when_full_what_the_broker_has_goes_first_then_the_lowest_class(make_expecting, passage_event, wait_for):
    outbox = make_expecting(limit_mb=0.15)
    for each in range(100):
        outbox.put(passage_event(each, outcome=Outcome.REFUSE))
    records = take(outbox, 100, wait_for)
    outbox.shelf.sent(records)
    for each in range(100, 1500):
        outbox.put(passage_event(each, outcome=Outcome.REFUSE if each % 10 == 0 else Outcome.ADMIT))
    assert outbox.flush(10)
    wait_for(lambda: outbox.status().lost >= 200)
    left = []

    def counted():
        more = outbox.shelf.take(500)
        left.extend(more)
        outbox.shelf.sent(more)
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
        outbox.put(passage_event(each))
    wait_for(lambda: outbox.status().fault != "")
    records = take(outbox, 250, wait_for)
    outbox.shelf.sent(records)
    wait_for(lambda: outbox.status().waiting == 250)  # counted twice for the moment in which they are handed over
    assert outbox.status().delivered == 0
    outbox.answers.put(receipt_of(records[199]))
    wait_for(lambda: outbox.status().waiting == 50)
    assert outbox.shelf.overdue() == records[200].key
    outbox.shelf.go_back(64)
    assert take(outbox, 50, wait_for) == records[200:], "the same ones, byte for byte"
    outbox.shelf.sent(records[200:])
    for each in range(250, 1000):
        outbox.put(passage_event(each))
    more = []
    wait_for(lambda: more.extend(outbox.shelf.take(500)) or len(more) >= 256)
    outbox.shelf.sent(more)
    assert outbox.shelf.take(500) == [], "no more in memory than it may hold"
    outbox.answers.put(receipt_of(more[-1]))
    before = len(more)
    wait_for(lambda: more.extend(outbox.shelf.take(500)) or len(more) > before)
    assert outbox.answers.complaint == ""


def test_what_was_saved_from_a_damaged_file_is_confirmed_under_its_own_epoch(
    make_expecting, passage_event, wait_for
):
    outbox = make_expecting()
    for each in range(500):
        outbox.put(passage_event(each))
    assert outbox.flush(10)
    outbox.close()
    path = Path(outbox._options.path)
    for each in (1000, 1001):  # twice: what was saved is saved again
        data = bytearray(path.read_bytes())
        data[2048 * 12 : 2048 * 13] = bytes(2048)
        path.write_bytes(data)
        outbox.close()
        outbox = make_expecting()
        outbox.put(passage_event(each))
        assert outbox.flush(10)
        if each == 1000:
            outbox.close()
    count = outbox.status().waiting
    records = take(outbox, count, wait_for)
    outbox.shelf.sent(records)
    epochs = list(dict.fromkeys(place(r)[0] for r in records))
    assert len(epochs) == 3
    for epoch in epochs:
        last = [r for r in records if place(r)[0] == epoch][-1]
        outbox.answers.put(receipt_of(last))
    wait_for(lambda: outbox.status().waiting == 0)
    assert outbox.answers.complaint == ""


class Delivery(RuleBasedStateMachine):
    """Any life with receipts: all that was put reaches the centre, in order of first arrival, whatever is lost,
    doubled, late or forged on the way; and in the end nothing is left."""

    directory: Path
    make_event = None

    def __init__(self):
        super().__init__()
        self.path = self.directory / f"{uuid4()}.db"
        self.put, self.out, self.now_s = (
            0,
            [],
            0.0,
        )  # what a rule finds depends on threads, so rules draw no data by it
        self.at_broker, self.centre, self.first = [], {}, []
        """Payloads on their way; sequence → payload that the centre has; sequences in order of first arrival."""
        self.old_receipts, self.confirmed_to = [], 0
        self.start()

    def start(self):
        self.outbox = Outbox(Options(path=str(self.path), commit_ms=0.0), Encoder(Topics("a", "b")))
        self.outbox.shelf.expect_receipts()
        self.outbox.open()
        self.overdue = Overdue(30.0)
        while not self.outbox.status().epoch:
            self.outbox._stop.wait(0.001)

    @rule(count=st.integers(1, 40))
    def decide(self, count):
        for _ in range(count):
            self.outbox.put(type(self).make_event(self.put))
            self.put += 1
        assert self.outbox.flush(10)

    @rule(count=st.integers(1, 60))
    def send(self, count):
        self.out += self.outbox.shelf.take(count)

    @rule(share=st.integers(1, 100), lost=st.booleans())
    def acknowledge(self, share, lost):
        """The broker has some; it may lose them all before anyone gets them."""
        chosen, self.out = self.out[:share], self.out[share:]
        self.outbox.shelf.sent(chosen)
        if not lost:
            self.at_broker += [record.payload for record in chosen]

    @rule(count=st.integers(1, 100))
    def arrive(self, count):
        for payload in self.at_broker[:count]:
            sequence = int(json.loads(payload)["sequence"])
            assert self.centre.setdefault(sequence, payload) == payload, "the same id has the same bytes"
            if sequence not in self.first:
                self.first.append(sequence)
        del self.at_broker[:count]

    @rule()
    def lose_connection(self):
        self.outbox.shelf.rewind()
        self.out = []
        self.overdue.reconnected(self.now_s)

    @rule()
    def broker_loses_all(self):
        self.at_broker.clear()

    @rule(seconds=st.sampled_from([0.5, 29.0, 31.0, 700.0]))
    def time_passes(self, seconds):
        self.now_s += seconds
        self.overdue.look(self.outbox.shelf, self.now_s)

    def receipt(self):
        """What the centre would sign now: its unbroken beginning, and all runs beyond."""
        have = sorted(self.centre)
        runs = []
        for sequence in have:
            if runs and runs[-1][1] == sequence - 1:
                runs[-1][1] = sequence
            else:
                runs.append([sequence, sequence])
        return Receipt(
            self.outbox.status().epoch,
            tuple(Confirmed(a, b, sha256(self.centre[b]).hexdigest()) for a, b in runs),
        )

    @rule()
    def confirm(self):
        if not self.centre:
            return
        self.old_receipts.append(self.receipt())
        self.outbox.answers.put(self.old_receipts[-1])
        self.outbox.flush(1)

    @rule(which=st.integers(0, 100))
    def late_or_doubled(self, which):
        if self.old_receipts:
            self.outbox.answers.put(self.old_receipts[which % len(self.old_receipts)])

    @rule(which=st.integers(0, 10_000), epoch=st.booleans())
    def forged(self, which, epoch):
        through = 1 + which % (self.put + 3)
        name = self.outbox.status().epoch if epoch else "feedbeef"
        self.outbox.answers.put(Receipt(name, (Confirmed(1, through, "0f" * 32),)))

    @rule()
    def restart(self):
        self.outbox.close()
        self.out = []
        self.start()

    @invariant()
    def nothing_unconfirmed_is_gone(self):
        status = self.outbox.status()
        assert status.lost == 0
        assert status.waiting >= self.put - len(self.centre), "only what the centre has may be gone"

    def teardown(self):
        for _ in range(2000):
            if len(self.centre) == self.put and self.outbox.status().waiting == 0:
                break
            self.send(1000)
            self.acknowledge(1000, lost=False)
            self.arrive(10_000)
            self.time_passes(31.0)
            if self.centre:
                self.confirm()
            self.outbox._stop.wait(0.002)
        assert len(self.centre) == self.put
        assert self.outbox.status().waiting == 0
        self.outbox.close()


def test_any_life_reaches_the_centre(tmp_path, passage_event):
    class Here(Delivery):
        directory = tmp_path
        make_event = staticmethod(passage_event)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_strangers_receipts_fill_no_log_and_are_no_fault(make_outbox, caplog):
    answers = make_outbox().answers
    for number in range(100):
        answers.refuse(f"reason {number}")
    assert len(caplog.records) == 1
    assert (answers.complaint, answers.refusal, answers.refused) == ("", "reason 0", 100)

"""Any order of everything that may happen: nothing is lost, nothing comes twice under two ids."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from records import numbers

from agent.events import Encoder, Topics
from agent.mqtt.retry import AcknowledgementWatch
from agent.outbox import Options, Outbox
from agent.outbox.receipt import ConfirmedRange, Receipt


class Life(RuleBasedStateMachine):
    """An outbox, and what may happen to any of them: events, broken connections, restarts."""

    directory: Path
    make_event = None
    expects_receipts = False

    def __init__(self):
        super().__init__()
        self.path = self.directory / f"{uuid4()}.db"
        self.put, self.out = 0, []
        self.start()

    def start(self):
        self.outbox = Outbox(Options(path=str(self.path), commit_ms=0.0), Encoder(Topics("a", "b")))
        if self.expects_receipts:
            self.outbox.send_queue.expect_receipts()
        self.outbox.start()

    @rule(count=st.integers(1, 40))
    def decide(self, count):
        for _ in range(count):
            self.outbox.store(type(self).make_event(self.put))
            self.put += 1
        assert self.outbox.flush(10)

    @rule()
    def restart(self):
        self.outbox.stop()
        self.out = []
        self.start()


class Kept(Life):
    """Anything the link and power may do to an outbox: everything put comes out, in order, until acknowledged."""

    def __init__(self):
        self.acknowledged = set()
        super().__init__()

    @rule(count=st.integers(1, 60))
    def take(self, count):
        there = self.put - len(self.acknowledged) - len(self.out)
        wanted = len(self.out) + min(count, there)
        while len(self.out) < wanted:
            self.out += self.outbox.send_queue.claim_batch(wanted - len(self.out))
            self.outbox._stop.wait(0.001)
        assert numbers(self.out) == sorted(set(numbers(self.out)))

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def acknowledge(self, data):
        chosen = data.draw(st.lists(st.sampled_from(self.out), unique_by=lambda record: record.key))
        self.outbox.send_queue.acked(chosen)
        self.acknowledged |= set(numbers(chosen))
        self.out = [record for record in self.out if record not in chosen]

    @rule()
    def lose_connection(self):
        self.outbox.send_queue.requeue()
        self.out = []

    @invariant()
    def counts_agree(self):
        status = self.outbox.status()
        assert status.lost == 0
        if status.epoch:
            assert status.waiting == self.put - len(self.acknowledged)

    def teardown(self):
        self.outbox.send_queue.requeue()
        expected = [number for number in range(self.put) if number not in self.acknowledged]
        kept = []
        for _ in range(500):
            kept += numbers(self.outbox.send_queue.claim_batch(500))
            if len(kept) >= len(expected):
                break
            self.outbox.flush(1)
            self.outbox._stop.wait(0.01)
        self.outbox.stop()
        assert kept == expected


class Delivered(Life):
    """Any life with receipts: all that was put reaches the central server, in order of first arrival, whatever is
    lost, doubled, late or forged on the way; and in the end nothing is left."""

    expects_receipts = True

    def __init__(self):
        self.now_s = 0.0  # what a rule finds depends on threads, so rules draw no data by it
        self.at_broker, self.server, self.first = [], {}, []
        """Payloads on their way; sequence → payload that the central server has; sequences in order of first
        arrival."""
        self.old_receipts, self.confirmed_to = [], 0
        super().__init__()

    def start(self):
        super().start()
        self.overdue = AcknowledgementWatch(30.0)
        while not self.outbox.status().epoch:
            self.outbox._stop.wait(0.001)

    @rule(count=st.integers(1, 60))
    def send(self, count):
        self.out += self.outbox.send_queue.claim_batch(count)

    @rule(share=st.integers(1, 100), lost=st.booleans())
    def acknowledge(self, share, lost):
        """The broker has some; it may lose them all before anyone gets them."""
        chosen, self.out = self.out[:share], self.out[share:]
        self.outbox.send_queue.acked(chosen)
        if not lost:
            self.at_broker += [record.payload for record in chosen]

    @rule(count=st.integers(1, 100))
    def arrive(self, count):
        for payload in self.at_broker[:count]:
            sequence = int(json.loads(payload)["sequence"])
            assert self.server.setdefault(sequence, payload) == payload, "the same id has the same bytes"
            if sequence not in self.first:
                self.first.append(sequence)
        del self.at_broker[:count]

    @rule()
    def lose_connection(self):
        self.outbox.send_queue.requeue()
        self.out = []
        self.overdue.reconnected(self.now_s)

    @rule()
    def broker_loses_all(self):
        self.at_broker.clear()

    @rule(seconds=st.sampled_from([0.5, 29.0, 31.0, 700.0]))
    def time_passes(self, seconds):
        self.now_s += seconds
        self.overdue.resend_due(self.outbox.send_queue, self.now_s)

    def receipt(self):
        """What the central server would sign now: its unbroken beginning, and all runs beyond."""
        have = sorted(self.server)
        runs = []
        for sequence in have:
            if runs and runs[-1][1] == sequence - 1:
                runs[-1][1] = sequence
            else:
                runs.append([sequence, sequence])
        return Receipt(
            self.outbox.status().epoch,
            tuple(ConfirmedRange(a, b, sha256(self.server[b]).hexdigest()) for a, b in runs),
        )

    @rule()
    def confirm(self):
        if not self.server:
            return
        self.old_receipts.append(self.receipt())
        self.outbox.answers.add(self.old_receipts[-1])
        self.outbox.flush(1)

    @rule(which=st.integers(0, 100))
    def late_or_doubled(self, which):
        if self.old_receipts:
            self.outbox.answers.add(self.old_receipts[which % len(self.old_receipts)])

    @rule(which=st.integers(0, 10_000), epoch=st.booleans())
    def forged(self, which, epoch):
        through = 1 + which % (self.put + 3)
        name = self.outbox.status().epoch if epoch else "feedbeef"
        self.outbox.answers.add(Receipt(name, (ConfirmedRange(1, through, "0f" * 32),)))

    @invariant()
    def nothing_unconfirmed_is_gone(self):
        status = self.outbox.status()
        assert status.lost == 0
        assert status.waiting >= self.put - len(self.server), "only what the central server has may be gone"

    def teardown(self):
        for _ in range(2000):
            if len(self.server) == self.put and self.outbox.status().waiting == 0:
                break
            self.send(1000)
            self.acknowledge(1000, lost=False)
            self.arrive(10_000)
            self.time_passes(31.0)
            if self.server:
                self.confirm()
            self.outbox._stop.wait(0.002)
        assert len(self.server) == self.put
        assert self.outbox.status().waiting == 0
        self.outbox.stop()


@pytest.mark.parametrize(("kind", "examples", "steps"), [(Kept, 25, 20), (Delivered, 30, 30)])
def test_any_life_keeps_everything_and_brings_it_to_the_server(tmp_path, passage_event, kind, examples, steps):
    class Here(kind):
        directory = tmp_path
        make_event = staticmethod(passage_event)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

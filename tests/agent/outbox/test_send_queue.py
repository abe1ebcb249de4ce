"""The send queue between a writer and a link that come in at any moment, one step of either at a time."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from agent.model import Record
from agent.outbox import send_queue as shelf_module
from agent.outbox.send_queue import MEMORY_ONLY, SendQueue


class Handing(RuleBasedStateMachine):
    """What is on disk goes to the link once, unless the connection breaks or the broker refuses it."""

    def __init__(self):
        super().__init__()
        self.send_queue = SendQueue(lambda: None)
        self.disk, self.made, self.in_memory = {}, 0, 0
        """Key → whether it is urgent."""
        self.held = False
        self.flight, self.acknowledged = [], set()

    def record(self, key):
        """A new object each time, as the disk gives them."""
        return Record(key, "passage", 2 if self.disk.get(key) else 0, b"%d" % key)

    @rule(count=st.integers(1, 8), urgent=st.booleans())
    def commit(self, count, urgent):
        gone = self.send_queue.done()
        for key in gone:
            del self.disk[key]
        new = range(self.made + 1, self.made + count + 1)
        self.made += count
        self.disk.update(dict.fromkeys(new, urgent))
        self.send_queue.committed([self.record(key) for key in new], gone, len(self.disk))

    @rule(count=st.integers(1, 3))
    def leave_from_memory(self, count):
        first = MEMORY_ONLY + self.in_memory
        self.in_memory += count
        self.send_queue.fill_from_memory([self.record(first + each) for each in range(count)])

    @rule(between=st.lists(st.sampled_from(["take", "acknowledge", "lose_connection", "reload"]), max_size=2))
    def lay(self, between=()):
        """The writer reads, and lays out what it has read: the link may do something `between`."""
        wanted, beyond = self.send_queue.room()
        keys = [key for key in sorted(self.disk) if key > beyond][:wanted]
        records = [self.record(key) for key in keys]
        for name in between:
            getattr(self, name)(6)
        if wanted:
            self.send_queue.fill(records, wanted)

    @rule(count=st.integers(1, 12))
    def take(self, count):
        taken = self.send_queue.claim_batch(count)
        keys = {record.key for record in taken}
        assert len(keys) == len(taken)
        assert not keys & {record.key for record in self.flight}, "twice on its way"
        assert not keys & self.acknowledged, "again, though it was delivered"
        assert not self.held or all(key >= MEMORY_ONLY for key in keys), "it is to get another id"
        self.flight += taken

    @rule(count=st.integers(1, 12))
    def acknowledge(self, count):
        chosen, self.flight = self.flight[:count], self.flight[count:]
        self.send_queue.acked(chosen)
        self.acknowledged |= {record.key for record in chosen}

    @precondition(lambda self: self.flight)
    @rule()
    def refuse(self):
        self.send_queue.park(self.flight.pop(0))

    @rule(held=st.booleans())
    def hold_or_release(self, held):
        self.held = held
        (self.send_queue.hold if held else self.send_queue.release)()

    @rule()
    def lose_connection(self, _=0):
        self.send_queue.requeue()
        self.flight = []

    @rule()
    def reload(self, _=0):
        self.send_queue.reload()

    @invariant()
    def each_counts_once(self):
        assert self.send_queue.delivered == len(self.acknowledged)
        assert self.send_queue.waiting() == self.made + self.in_memory - len(self.acknowledged)

    def teardown(self):
        self.hold_or_release(False)
        self.lose_connection()
        self.reload()
        for _ in range(self.made + self.in_memory + 2):
            self.lay()
            self.take(12)
            self.acknowledge(12)
        memory = range(MEMORY_ONLY, MEMORY_ONLY + self.in_memory)
        assert self.acknowledged == {*range(1, self.made + 1), *memory}, "each in the end"
        assert self.send_queue.is_empty()
        self.each_counts_once()


def test_each_is_handed_over_once_whatever_comes_between(monkeypatch):
    monkeypatch.setattr(shelf_module, "ROOM", 8)
    run_state_machine_as_test(
        Handing,
        settings=settings(
            max_examples=300, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_a_connection_that_breaks_while_all_is_laid_out_again_counts_nothing_twice():
    send_queue = SendQueue(lambda: None)
    disk = [Record(key, "passage", 0, b"") for key in (1, 2, 3)]
    send_queue.committed(disk, (), 3)
    send_queue.fill(disk, *send_queue.room()[:1])
    send_queue.claim_batch(3)
    send_queue.reload()
    send_queue.requeue()
    wanted, _ = send_queue.room()
    send_queue.fill([Record(key, "passage", 0, b"") for key in (1, 2, 3)], wanted)
    taken = send_queue.claim_batch(10)
    assert [record.key for record in taken] == [1, 2, 3]
    send_queue.acked(taken)
    assert send_queue.delivered == 3


def test_what_no_disk_has_goes_while_the_rest_is_held():
    """A disk may fail for hours before the rest can get its new ids."""
    queue = SendQueue(lambda: None)
    queue.fill([Record(1, "passage", 1, b"")], 10)
    queue.hold()
    assert not queue.claim_batch(10)
    assert queue.wants_records(100)
    in_memory = [Record(MEMORY_ONLY + number, "passage", 1, b"") for number in (1, 2)]
    queue.fill_from_memory(in_memory)
    assert queue.claim_batch(10) == in_memory


@pytest.mark.parametrize("how", ["confirmed", "dropped"])
def test_a_refused_event_that_is_gone_does_not_hide_what_the_server_does_not_confirm(how):
    send_queue = SendQueue(lambda: None)
    send_queue.expect_receipts()
    disk = [Record(key, "passage", 0, b"") for key in range(1, 6)]
    send_queue.committed(disk, (), 5)
    send_queue.fill(disk, *send_queue.room()[:1])
    first, *others = send_queue.claim_batch(5)
    send_queue.park(first)
    if how == "confirmed":
        send_queue.confirmed(1, 1, 1)
    else:
        send_queue.drop([1])
    send_queue.set_oldest(2)
    send_queue.acked(others)
    assert send_queue.overdue() == 2


def test_what_was_done_in_the_old_file_says_nothing_of_another_ones_keys():
    """Also when it is acknowledged at the last moment."""
    queue = SendQueue(lambda: None)
    queue.fill([Record(key, "passage", 1, b"old") for key in (1, 2, 3)], 10)
    queue.acked(queue.claim_batch(2))
    queue.clear()
    queue.fill([Record(key, "passage", 1, b"new") for key in (1, 2, 3)], 10)
    assert [record.payload for record in queue.claim_batch(10)] == [b"new"] * 3
    assert not queue.done()

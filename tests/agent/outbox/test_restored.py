"""A card that was put back from an image: the same epoch, sequences that were given before, other events."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from hashlib import sha256

import pytest

from agent.events import Topics
from agent.events.state import State, offline_payload, read_mark, state_payload
from agent.model import Mark


def envelopes(records):
    return [json.loads(record.payload) for record in records]


def taken(outbox, wait_for):
    records = []

    def more():
        records.extend(outbox.send_queue.claim_batch(100))
        return outbox.status().waiting == len(records) and records

    wait_for(more)
    return sorted(records, key=lambda record: record.key)  # a loss overtakes


@pytest.fixture
def restored(make_outbox, passage_event, tmp_path, wait_for):
    """An outbox on an image of itself: 5 events delivered and 2 waiting when it was made, 10 more given since."""
    outbox = make_outbox()
    for number in range(7):
        outbox.store(passage_event(number))
    wait_for(lambda: outbox.status().stored == 7)
    outbox.send_queue.acked(outbox.send_queue.claim_batch(5))
    outbox.stop()
    shutil.copy(tmp_path / "outbox.db", tmp_path / "image")
    outbox = make_outbox()
    for number in range(10, 20):
        outbox.store(passage_event(number))
    wait_for(lambda: outbox.status().stored == 10)
    mark = outbox.mark()
    outbox.stop()
    assert mark.last == 17
    shutil.copy(tmp_path / "image", tmp_path / "outbox.db")
    again = make_outbox()
    for number in range(20, 23):
        again.store(passage_event(number))
    wait_for(lambda: again.status().stored == 3)
    return again, mark


def test_a_store_that_has_gone_back_begins_a_new_epoch_and_takes_all_along(restored, wait_for, caplog):
    outbox, mark = restored
    older = []
    outbox.on_older = lambda: older.append(outbox.status().epoch)
    outbox.compare(mark)
    wait_for(lambda: outbox.status().epoch != mark.epoch)
    wait_for(lambda: len(older) == 1)
    told = envelopes(taken(outbox, wait_for))
    passages = [each for each in told if each["type"] == "gatepost.passage.v1"]
    assert [each["data"]["duration_ms"] for each in passages] == [5, 6, 20, 21, 22]
    assert {each["epoch"] for each in told} == {outbox.status().epoch}
    assert [int(each["sequence"]) for each in told] == list(range(1, len(told) + 1))
    assert all(each["id"] == f"gate-3:{each['epoch']}:{int(each['sequence'])}" for each in told)
    assert "put back from an image" in caplog.text


def test_the_chain_of_the_new_epoch_holds_and_goes_on_over_a_restart(
    restored, make_outbox, passage_event, wait_for
):
    outbox, mark = restored
    outbox.compare(mark)
    wait_for(lambda: outbox.status().epoch != mark.epoch)
    outbox.store(passage_event(23))
    wait_for(lambda: outbox.status().stored == 4)
    outbox.stop()
    again = make_outbox()
    records = taken(again, wait_for)
    heads = ["0" * 64, *(sha256(record.payload).hexdigest() for record in records)]
    told = envelopes(records)
    assert [each["previoussha256"] for each in told] == heads[:-1]
    (loss,) = [each["data"]["loss"] for each in told if each["type"] == "gatepost.agent.v1"]
    assert loss == {"reason": "storage_restored", "count": 0, "first": 8, "last": 17, "epoch": mark.epoch}


def test_nothing_is_given_out_between_the_word_and_the_new_epoch(restored, wait_for):
    outbox, mark = restored
    outbox.compare(mark)
    given = []

    def look():
        given.extend(outbox.send_queue.claim_batch(1))
        return outbox.status().epoch != mark.epoch and given

    wait_for(look)
    assert mark.epoch not in {each["epoch"] for each in envelopes(given)}


@pytest.mark.parametrize(
    "word", ["the same", "less", "another epoch", "nothing", "a stranger's", "of another last", "junk"]
)
def test_a_store_that_has_not_gone_back_stays(make_outbox, passage_event, wait_for, word):
    outbox = make_outbox()
    for number in range(5):
        outbox.store(passage_event(number))
    wait_for(lambda: outbox.status().stored == 5)
    outbox.stop()
    again = make_outbox()
    wait_for(lambda: again.status().epoch)
    epoch = again.status().epoch
    again.compare({
        "the same": Mark(epoch, 5), "less": Mark(epoch, 3), "another epoch": Mark("00000000", 99),
        "nothing": Mark("", 99), "a stranger's": Mark(epoch, 99), "junk": Mark(epoch, 99, "\ud800 王"),
        "of another last": Mark(epoch, 99, again.mark().proof),
    }[word])  # fmt: skip
    again.store(passage_event(5))
    wait_for(lambda: again.status().stored == 1)
    assert again.status().epoch == epoch
    assert len(taken(again, wait_for)) == 6


def test_a_store_of_a_release_that_proved_nothing_believes_a_state_once(
    make_outbox, passage_event, tmp_path, wait_for
):
    outbox = make_outbox()
    outbox.store(passage_event(0))
    wait_for(lambda: outbox.status().stored == 1)
    epoch = outbox.status().epoch
    outbox.stop()
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as db:
        db.execute("DROP TABLE proof")
    again = make_outbox()
    again.compare(Mark(epoch, 9))
    wait_for(lambda: again.status().epoch not in {"", epoch})
    epoch = again.status().epoch
    again.stop()
    third = make_outbox()
    third.compare(Mark(epoch, 99))
    wait_for(lambda: third.status().epoch)
    third.store(passage_event(1))
    wait_for(lambda: third.status().stored == 1)
    assert third.status().epoch == epoch


def test_a_word_that_comes_before_the_file_is_open_counts(make_outbox, passage_event, tmp_path, wait_for):
    outbox = make_outbox()
    outbox.store(passage_event(0))
    wait_for(lambda: outbox.status().stored == 1)
    epoch = outbox.status().epoch
    outbox.stop()
    again = make_outbox()
    again.compare(Mark(epoch, 9, is_signed=True))
    wait_for(lambda: again.status().epoch not in {"", epoch})


def test_a_word_that_says_nothing_new_lets_what_waits_go(make_outbox, passage_event, wait_for):
    """The link holds the events until it has been compared."""
    outbox = make_outbox()
    outbox.store(passage_event(0))
    wait_for(lambda: outbox.status().stored == 1)
    outbox.stop()
    again = make_outbox()
    wait_for(lambda: again.mark().epoch)
    again.send_queue.hold()
    again.compare(replace(again.mark(), run="ffffffff"))
    assert len(taken(again, wait_for)) == 1


def test_the_mark_in_a_state_is_read_again():
    topics, mark = Topics("library", "gate-3"), Mark("5c1f09ab", 17)
    assert read_mark(state_payload(topics, State("1"), mark)) == mark
    assert read_mark(offline_payload(topics, "1", mark)) == mark
    for other in (
        state_payload(topics, State("1")),
        b"",
        b"\xff",
        b"[",
        b'{"store": 1}',
        b'{"store": {"epoch": 1}}',
    ):
        assert read_mark(other) is None

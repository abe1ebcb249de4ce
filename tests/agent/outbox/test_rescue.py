"""Damaged files, and commits of which nobody knows whether they reached the card."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing

import pytest
from records import losses, numbers, take_all

from agent import outbox as outbox_module
from agent.outbox import store as store_module
from agent.outbox.store import Store


def damage(path, *, page):
    """Overwrite one page of the closed file."""
    size = 2048
    with path.open("r+b") as file:
        file.seek(page * size)
        file.write(random.randbytes(size))


@pytest.mark.parametrize("page", [0, 1, 3, 20, 40])
def test_a_damaged_file_is_put_aside_and_what_it_held_is_saved(
    tmp_path, make_outbox, passage_event, wait_for, page
):
    first = make_outbox()
    for number in range(1000):
        first.store(passage_event(number))
    first.stop()
    path = tmp_path / "outbox.db"
    damage(path, page=page)
    second = make_outbox()
    second.store(passage_event(1000))
    assert second.flush(10)
    assert second.status().epoch != first.status().epoch, "a sequence must never be given twice"
    records = take_all(second, wait_for, second.status().waiting)
    kept = numbers(records)
    assert kept == sorted(kept)
    assert kept[-1] == 1000
    (loss,) = losses(records)
    assert loss["reason"] == "storage_corrupt"
    assert (tmp_path / "outbox.db.damaged").exists()
    if page > 3:  # one leaf: its rows are gone, all others are saved
        assert len(kept) >= 960
        assert loss["count"] == 1001 - len(kept)


def test_saving_a_large_file_shows_that_the_writer_moves(make_outbox, passage_event, wait_for, monkeypatch):
    """Or the watchdog would end it halfway, at each start again."""
    monkeypatch.setattr(store_module, "COPY_BATCH", 1)
    outbox = make_outbox()
    for number in range(30):
        outbox.store(passage_event(number))
    wait_for(lambda: outbox.status().stored == 30)
    moved, write = [], Store.write

    def watched(store, *args, **more):
        moved.append(outbox.status().moved_s)
        write(store, *args, **more)

    monkeypatch.setattr(outbox_module, "RETRY_S", (0.05,))
    monkeypatch.setattr(Store, "write", watched)
    break_once(monkeypatch, reached=False, error=sqlite3.DatabaseError("database disk image is malformed"))
    outbox.store(passage_event(30))
    wait_for(lambda: outbox.status().stored == 31)
    assert len(set(moved)) >= 30


@pytest.mark.parametrize("seed", range(24))
def test_whatever_a_card_has_made_of_the_file_new_events_are_kept(
    tmp_path, make_outbox, passage_event, wait_for, seed
):
    first = make_outbox()
    for number in range(60):
        first.store(passage_event(number))
    assert first.flush(20)
    first.stop()
    file, chance = tmp_path / "outbox.db", random.Random(seed)
    content = bytearray(file.read_bytes())
    begin = chance.randrange(len(content))
    junk = chance.randbytes(min(chance.randrange(1, 2048), len(content) - begin))
    content[begin : begin + len(junk)] = junk
    file.write_bytes(content)
    again = make_outbox()
    again.store(passage_event(1000))
    assert again.flush(20)
    wait_for(lambda: not again.status().fault)


@pytest.mark.parametrize(
    "harm",
    [
        "ALTER TABLE record RENAME COLUMN key TO kez",
        "ALTER TABLE record RENAME COLUMN rank TO rakk",
        "ALTER TABLE store RENAME COLUMN epoch TO epocg",
        "UPDATE record SET packed = CAST(x'48ff' AS TEXT) WHERE key = 30",
        "UPDATE record SET packed = CAST(x'48ff' AS TEXT) WHERE key = 60",
        "UPDATE record SET kind = CAST(x'48ff' AS TEXT) WHERE key = 30",
        "UPDATE record SET packed = 7 WHERE key = 60",
        "UPDATE record SET packed = '' WHERE key = 1",
        "UPDATE store SET epoch = 7",
    ],
)
def test_a_bit_that_has_turned_over_in_the_schema_or_a_row_is_damage(
    tmp_path, make_outbox, passage_event, wait_for, harm
):
    first = make_outbox()
    for number in range(60):
        first.store(passage_event(number))
    assert first.flush(20)
    first.stop()
    with closing(sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)) as db:
        db.execute(harm)
    again = make_outbox()
    again.store(passage_event(1000))
    assert again.flush(20)
    wait_for(lambda: not again.status().fault)
    assert take_all(again, wait_for, 1)


def test_garbage_instead_of_a_file(tmp_path, make_outbox, passage_event, wait_for):
    (tmp_path / "outbox.db").write_bytes(random.randbytes(30_000))
    outbox = make_outbox()
    outbox.store(passage_event(1))
    assert outbox.flush(10)
    assert numbers(take_all(outbox, wait_for, 2)) == [1]


def test_a_rescue_cut_short_is_completed(tmp_path, make_outbox, passage_event, wait_for):
    first = make_outbox()
    first.store(passage_event(7))
    first.stop()
    (tmp_path / "outbox.db").rename(tmp_path / "outbox.db.new")
    second = make_outbox()
    assert numbers(take_all(second, wait_for, 1)) == [7]


def break_once(monkeypatch, *, reached: bool, error: Exception):
    """The next write fails so; whether it had `reached` the disk."""
    write = Store.write

    def broken(store, *args, **more):
        monkeypatch.setattr(Store, "write", write)
        if reached:
            write(store, *args, **more)
        raise error

    monkeypatch.setattr(Store, "write", broken)


def failed_sync():
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    return error


def test_what_is_acknowledged_while_the_file_is_saved_is_delivered_once(
    make_outbox, passage_event, wait_for, monkeypatch
):
    outbox = make_outbox()
    for number in range(10):
        outbox.store(passage_event(number))
    taken = take_all(outbox, wait_for, 10, acknowledge=False)
    rescue = outbox_module.salvage

    def slow(*args):
        found = rescue(*args)
        outbox.send_queue.acked(taken[:4])
        return found

    monkeypatch.setattr(outbox_module, "salvage", slow)
    monkeypatch.setattr(outbox_module, "RETRY_S", (0.05,))
    break_once(monkeypatch, reached=False, error=sqlite3.DatabaseError("database disk image is malformed"))
    outbox.store(passage_event(10))
    again = take_all(outbox, wait_for, 8)
    assert numbers(again) == [4, 5, 6, 7, 8, 9, 10]
    wait_for(lambda: outbox.status().waiting == 0)
    assert outbox.status().delivered == 12, "eleven and the loss, each once"


def test_a_commit_that_failed_and_reached_the_disk_leaves_the_count_right(
    make_outbox, passage_event, wait_for, monkeypatch
):
    monkeypatch.setattr(outbox_module, "RETRY_S", (0.05,))
    monkeypatch.setattr(outbox_module, "IDLE_S", 60.0)
    outbox = make_outbox()
    for number in range(20):
        outbox.store(passage_event(number))
    take_all(outbox, wait_for, 20)
    monkeypatch.setattr(outbox_module, "ACKS_TO_RIDE", 20)
    break_once(monkeypatch, reached=True, error=failed_sync())
    outbox.store(passage_event(20))
    wait_for(lambda: outbox.status().fault)
    monkeypatch.setattr(outbox_module, "ACKS_TO_RIDE", 32)
    wait_for(lambda: outbox.status().stored == 21 and not outbox.status().fault)
    assert outbox.status().waiting == 1


def test_an_older_copy_in_the_place_of_the_file_gives_no_sequence_twice(
    tmp_path, make_outbox, passage_event, wait_for, monkeypatch
):
    """A card that forgot what it had promised, a backup that somebody put back."""
    monkeypatch.setattr(outbox_module, "RETRY_S", (0.05,))
    outbox = make_outbox()
    for number in range(5):
        outbox.store(passage_event(number))
    before = take_all(outbox, wait_for, 5, acknowledge=False)
    outbox.stop()
    copy = (tmp_path / "outbox.db").read_bytes()
    outbox = make_outbox()
    outbox.store(passage_event(5))
    before += take_all(outbox, wait_for, 6)[5:]
    wait_for(lambda: outbox.status().waiting == 0)
    (tmp_path / "outbox.db").unlink()
    (tmp_path / "outbox.db-wal").unlink()
    (tmp_path / "outbox.db").write_bytes(copy)
    break_once(monkeypatch, reached=False, error=failed_sync())
    outbox.store(passage_event(6))
    after = []
    wait_for(lambda: after.extend(outbox.send_queue.claim_batch(50)) or 6 in numbers(after))
    contents = {}
    for record in before + after:
        name = json.loads(record.payload)["id"]
        assert contents.setdefault(name, record.payload) == record.payload, "an id has one content"

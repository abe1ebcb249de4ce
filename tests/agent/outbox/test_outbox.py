from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest
from faults import NotPossibleHere, Shim
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from agent import outbox as outbox_module
from agent.messages import FIRST, Encoder, Topics
from agent.model import EventKind, Outcome
from agent.outbox import Options, Outbox
from agent.outbox import store as store_module
from agent.outbox.store import Store

ROOT = Path(__file__).parents[3]


def numbers(records):
    """`took_ms` of passages, which the tests use to tell events apart; losses are left out."""
    bodies = [json.loads(record.payload)["data"] for record in records]
    return [body["took_ms"] for body in bodies if "took_ms" in body]


def losses(records):
    bodies = [json.loads(record.payload)["data"] for record in records]
    return [body["loss"] for body in bodies if "loss" in body]


def take_all(outbox, wait_for, count, *, acknowledge=True):
    """Take until there are `count` records."""
    taken = []

    def enough():
        records = outbox.shelf.take(50)
        taken.extend(records)
        if acknowledge:
            outbox.shelf.sent(records)
        return len(taken) >= count

    wait_for(enough)
    return taken


def is_chain(records):
    """Whether each record names the hash of the one before it, and sequences have no gap."""
    events = [json.loads(record.payload) for record in records]
    pairs = zip(records, events, strict=True)
    previous, sequence = events[0]["previous"], int(events[0]["sequence"])
    for record, event in pairs:
        if event["previous"] != previous or int(event["sequence"]) != sequence:
            return False
        previous, sequence = sha256(record.payload).hexdigest(), sequence + 1
    return True


def test_events_come_out_in_order_in_a_chain(make_outbox, passage_event, wait_for):
    outbox = make_outbox()
    for number in range(2000):
        outbox.put(passage_event(number))
    records = take_all(outbox, wait_for, 2000)
    assert numbers(records) == list(range(2000))
    assert is_chain(records)
    assert json.loads(records[0].payload)["previous"] == FIRST
    wait_for(lambda: outbox.status().waiting == 0)
    status = outbox.status()
    assert (status.decided, status.stored, status.delivered, status.lost) == (2000, 2000, 2000, 0)
    assert status.fault == ""


def test_sequence_and_chain_go_on_after_a_restart_though_all_was_delivered(make_outbox, passage_event, wait_for):
    first = make_outbox()
    for number in range(3):
        first.put(passage_event(number))
    before = take_all(first, wait_for, 3)
    first.close()
    assert first.status().waiting == 0
    second = make_outbox()
    second.put(passage_event(3))
    after = take_all(second, wait_for, 1)
    assert numbers(after) == [3]
    assert is_chain(before + after)
    assert second.status().epoch == first.status().epoch


def test_what_was_not_acknowledged_comes_again_with_the_same_bytes(make_outbox, passage_event, wait_for):
    first = make_outbox()
    for number in range(10):
        first.put(passage_event(number))
    taken = take_all(first, wait_for, 10, acknowledge=False)
    first.shelf.sent([taken[0], taken[4]])
    first.shelf.rewind()
    again = take_all(first, wait_for, 8, acknowledge=False)
    assert numbers(again) == [1, 2, 3, 5, 6, 7, 8, 9]
    first.close()
    second = make_outbox()
    assert take_all(second, wait_for, 8) == again


def test_a_record_set_aside_comes_back_with_reload(make_outbox, passage_event, wait_for):
    outbox = make_outbox()
    for number in range(4):
        outbox.put(passage_event(number))
    taken = take_all(outbox, wait_for, 4, acknowledge=False)
    outbox.shelf.set_aside(taken[1])
    outbox.shelf.sent([taken[0]])
    outbox.shelf.rewind()
    assert numbers(take_all(outbox, wait_for, 2, acknowledge=False)) == [2, 3]
    outbox.shelf.rewind()
    outbox.shelf.reload()
    assert numbers(take_all(outbox, wait_for, 3)) == [1, 2, 3]


def test_an_alarm_overtakes_a_backlog_once(make_outbox, passage_event, wait_for):
    outbox = make_outbox()
    for number in range(3000):
        outbox.put(passage_event(number))
    assert outbox.flush(20)
    first = take_all(outbox, wait_for, 10, acknowledge=False)
    for number in (3000, 3001):
        outbox.put(passage_event(number, outcome=Outcome.REFUSE))
    assert outbox.flush(20)
    assert numbers(outbox.shelf.take(3))[:2] == [3000, 3001]
    outbox.shelf.rewind()  # the connection went before any was acknowledged
    rest = take_all(outbox, wait_for, 3002)
    assert sorted(numbers(rest)) == list(range(3002)), "each once"
    routine = [number for number in numbers(rest) if number < 3000]
    assert routine == sorted(routine), "all others keep their order"
    assert len(first) >= 10
    wait_for(lambda: outbox.status().waiting == 0)


def test_full_drops_the_least_important_and_says_so(make_outbox, passage_event, wait_for):
    outbox = make_outbox(limit_mb=0.1)
    for number in range(1000):
        outbox.put(passage_event(number, outcome=Outcome.REFUSE if number % 10 == 0 else Outcome.ADMIT))
    assert outbox.flush(10)
    wait_for(lambda: outbox.status().bytes_held <= 100_000)
    outbox.put(passage_event(5000))
    assert outbox.flush(10)
    lost = outbox.status().lost
    assert lost > 0
    records = take_all(outbox, wait_for, 1001 - lost + 1)
    kept = numbers(records)
    assert [number for number in range(0, 1000, 10) if number not in kept] == [], "alarms go last"
    assert sum(loss["count"] for loss in losses(records)) == lost
    assert {loss["reason"] for loss in losses(records)} == {"full"}
    assert len(kept) + lost == 1001


def test_an_event_that_cannot_be_encoded_is_a_loss_and_holds_up_nobody(tmp_path, passage_event, wait_for):
    encode = Encoder(Topics("library", "gate-3"))

    def fragile(event, place):
        if event.kind is EventKind.PASSAGE and event.at_s == 100.001:
            raise ValueError("a defect")
        return encode(event, place)

    outbox = Outbox(Options(path=str(tmp_path / "outbox.db")), fragile)
    outbox.open()
    try:
        for number in range(4):
            outbox.put(passage_event(number))
        records = take_all(outbox, wait_for, 4)
    finally:
        outbox.close()
    assert numbers(records) == [0, 2, 3]
    assert losses(records) == [{"reason": "unencodable", "count": 1, "epoch": None, "first": None, "last": None}]
    assert is_chain(records)


CHILD = """
import json, sys
from agent.messages import Encoder, Topics
from agent.outbox import Options, Outbox
sys.path.insert(0, sys.argv[3])
from conftest import passage_event
outbox = Outbox(Options(path=sys.argv[1], commit_ms=1.0), Encoder(Topics("library", "gate-3")))
outbox.open()
number = int(sys.argv[2])
while True:
    for _ in range(20):
        outbox.put(passage_event(number))
        number += 1
    assert outbox.flush(30)
    taken = outbox.shelf.take(9)
    print(number, *(json.loads(record.payload)["data"]["took_ms"] for record in taken), flush=True)
    outbox.shelf.sent(taken)
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
        first.put(passage_event(number))
    first.close()
    path = tmp_path / "outbox.db"
    damage(path, page=page)
    second = make_outbox()
    second.put(passage_event(1000))
    assert second.flush(10)
    assert second.status().epoch != first.status().epoch, "a sequence must never be given twice"
    records = take_all(second, wait_for, second.status().waiting)
    kept = numbers(records)
    assert kept == sorted(kept)
    assert kept[-1] == 1000
    (loss,) = losses(records)
    assert loss["reason"] == "damaged"
    assert (tmp_path / "outbox.db.damaged").exists()
    if page > 3:  # one leaf: its rows are gone, all others are saved
        assert len(kept) >= 960
        assert loss["count"] == 1001 - len(kept)


def test_saving_a_large_file_shows_that_the_writer_moves(make_outbox, passage_event, wait_for, monkeypatch):
    """Or the watchdog would end it halfway, at each start again."""
    monkeypatch.setattr(store_module, "COPY_BATCH", 1)
    outbox = make_outbox()
    for number in range(30):
        outbox.put(passage_event(number))
    wait_for(lambda: outbox.status().stored == 30)
    moved, write = [], Store.write

    def watched(store, *args):
        moved.append(outbox.status().moved_s)
        write(store, *args)

    monkeypatch.setattr(outbox_module, "RETRY_S", (0.05,))
    monkeypatch.setattr(Store, "write", watched)
    break_once(monkeypatch, reached=False, error=sqlite3.DatabaseError("database disk image is malformed"))
    outbox.put(passage_event(30))
    wait_for(lambda: outbox.status().stored == 31)
    assert len(set(moved)) >= 30


@pytest.mark.parametrize("seed", range(24))
def test_whatever_a_card_has_made_of_the_file_new_events_are_kept(
    tmp_path, make_outbox, passage_event, wait_for, seed
):
    first = make_outbox()
    for number in range(60):
        first.put(passage_event(number))
    assert first.flush(20)
    first.close()
    file, chance = tmp_path / "outbox.db", random.Random(seed)
    content = bytearray(file.read_bytes())
    begin = chance.randrange(len(content))
    junk = chance.randbytes(min(chance.randrange(1, 2048), len(content) - begin))
    content[begin : begin + len(junk)] = junk
    file.write_bytes(content)
    again = make_outbox()
    again.put(passage_event(1000))
    assert again.flush(20)
    wait_for(lambda: not again.status().fault)


@pytest.mark.parametrize(
    "harm",
    [
        "ALTER TABLE record RENAME COLUMN key TO kez",
        "ALTER TABLE record RENAME COLUMN rank TO rakk",
        "ALTER TABLE life RENAME COLUMN epoch TO epocg",
        "UPDATE record SET packed = CAST(x'48ff' AS TEXT) WHERE key = 30",
        "UPDATE record SET packed = CAST(x'48ff' AS TEXT) WHERE key = 60",
        "UPDATE record SET kind = CAST(x'48ff' AS TEXT) WHERE key = 30",
        "UPDATE record SET packed = 7 WHERE key = 60",
        "UPDATE record SET packed = '' WHERE key = 1",
        "UPDATE life SET epoch = 7",
    ],
)
def test_a_bit_that_has_turned_over_in_the_schema_or_a_row_is_damage(
    tmp_path, make_outbox, passage_event, wait_for, harm
):
    first = make_outbox()
    for number in range(60):
        first.put(passage_event(number))
    assert first.flush(20)
    first.close()
    with closing(sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)) as db:
        db.execute(harm)
    again = make_outbox()
    again.put(passage_event(1000))
    assert again.flush(20)
    wait_for(lambda: not again.status().fault)
    assert take_all(again, wait_for, 1)


def test_garbage_instead_of_a_file(tmp_path, make_outbox, passage_event, wait_for):
    (tmp_path / "outbox.db").write_bytes(random.randbytes(30_000))
    outbox = make_outbox()
    outbox.put(passage_event(1))
    assert outbox.flush(10)
    assert numbers(take_all(outbox, wait_for, 2)) == [1]


def test_a_rescue_cut_short_is_completed(tmp_path, make_outbox, passage_event, wait_for):
    first = make_outbox()
    first.put(passage_event(7))
    first.close()
    (tmp_path / "outbox.db").rename(tmp_path / "outbox.db.new")
    second = make_outbox()
    assert numbers(take_all(second, wait_for, 1)) == [7]


def break_once(monkeypatch, *, reached: bool, error: Exception):
    """The next write fails so; whether it had `reached` the disk."""
    write = Store.write

    def broken(store, *args):
        monkeypatch.setattr(Store, "write", write)
        if reached:
            write(store, *args)
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
        outbox.put(passage_event(number))
    taken = take_all(outbox, wait_for, 10, acknowledge=False)
    rescue = outbox_module.rescue

    def slow(*args):
        found = rescue(*args)
        outbox.shelf.sent(taken[:4])
        return found

    monkeypatch.setattr(outbox_module, "rescue", slow)
    monkeypatch.setattr(outbox_module, "RETRY_S", (0.05,))
    break_once(monkeypatch, reached=False, error=sqlite3.DatabaseError("database disk image is malformed"))
    outbox.put(passage_event(10))
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
        outbox.put(passage_event(number))
    take_all(outbox, wait_for, 20)
    monkeypatch.setattr(outbox_module, "ACKS_TO_RIDE", 20)
    break_once(monkeypatch, reached=True, error=failed_sync())
    outbox.put(passage_event(20))
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
        outbox.put(passage_event(number))
    before = take_all(outbox, wait_for, 5, acknowledge=False)
    outbox.close()
    copy = (tmp_path / "outbox.db").read_bytes()
    outbox = make_outbox()
    outbox.put(passage_event(5))
    before += take_all(outbox, wait_for, 6)[5:]
    wait_for(lambda: outbox.status().waiting == 0)
    (tmp_path / "outbox.db").unlink()
    (tmp_path / "outbox.db-wal").unlink()
    (tmp_path / "outbox.db").write_bytes(copy)
    break_once(monkeypatch, reached=False, error=failed_sync())
    outbox.put(passage_event(6))
    after = []
    wait_for(lambda: after.extend(outbox.shelf.take(50)) or 6 in numbers(after))
    contents = {}
    for record in before + after:
        name = json.loads(record.payload)["id"]
        assert contents.setdefault(name, record.payload) == record.payload, "an id has one content"


def test_a_second_agent_on_the_same_file_is_told(make_outbox, passage_event, wait_for):
    first = make_outbox()
    first.put(passage_event(1))
    assert first.flush(10)
    second = make_outbox()
    wait_for(lambda: "held by another process" in second.status().fault)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    place = tmp_path / "card"
    place.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("mounting a small disk needs root")
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_full_disk_holds_events_in_memory_and_goes_on_when_there_is_room(
    small_disk, make_outbox, passage_event, wait_for, monkeypatch
):
    monkeypatch.setattr(outbox_module, "RETRY_S", (0.05,))
    stuffing = small_disk / "stuffing"
    stuffing.write_bytes(b"x" * 950_000)
    outbox = make_outbox(path=str(small_disk / "outbox.db"))
    for number in range(2000):
        outbox.put(passage_event(number))
    wait_for(lambda: "disk full" in outbox.status().fault)
    assert outbox.status().waiting == 2000
    assert not outbox.flush(0.2)
    stuffing.unlink()
    assert outbox.flush(20)
    records = take_all(outbox, wait_for, outbox.status().waiting)
    assert numbers(records) == list(range(2000))
    assert outbox.status().stored == 2000
    wait_for(lambda: outbox.status().fault == "")
    outbox.close()


def test_no_disk_at_all_sends_from_memory_under_another_epoch(
    tmp_path, make_outbox, passage_event, wait_for, monkeypatch
):
    monkeypatch.setattr(outbox_module, "RETRY_S", (0.05,))
    wall = tmp_path / "a file where the directory should be"
    wall.write_text("")
    outbox = make_outbox(path=str(wall / "outbox.db"))
    for number in range(600):
        outbox.put(passage_event(number))
    wait_for(lambda: outbox.status().fault != "")
    records = take_all(outbox, wait_for, 600)
    assert numbers(records) == list(range(600))
    assert is_chain(records)
    status = outbox.status()
    assert (status.stored, status.delivered, status.waiting, status.lost) == (0, 600, 0, 0)


def test_memory_is_bounded_and_what_is_dropped_is_counted(
    tmp_path, make_outbox, passage_event, wait_for, monkeypatch
):
    monkeypatch.setattr(outbox_module, "RETRY_S", (0.05,))
    wall = tmp_path / "wall"
    wall.write_text("")
    outbox = make_outbox(path=str(wall / "outbox.db"), memory_events=100)
    wait_for(lambda: outbox.status().fault != "")
    for number in range(2000):
        outbox.put(passage_event(number))
    lost = outbox.status().lost
    assert lost >= 1000
    assert outbox.status().waiting == 2000 - lost
    wall.unlink()
    assert outbox.flush(20)
    records = take_all(outbox, wait_for, 2000 - lost + 1)
    assert numbers(records)[-1] == 1999
    assert [loss["reason"] for loss in losses(records)] == ["memory"]
    assert losses(records)[0]["count"] == lost


PATIENT = """
import json, sys, time
from agent.messages import Encoder, Topics
from agent.outbox import Options, Outbox
sys.path.insert(0, sys.argv[2])
from conftest import passage_event
outbox = Outbox(Options(path=sys.argv[1], commit_ms=1.0), Encoder(Topics("library", "gate-3")))
outbox.open()
longest_s = 0.0
for number in range(100):
    event = passage_event(number)
    begun_s = time.monotonic()
    outbox.put(event)
    longest_s = max(longest_s, time.monotonic() - begun_s)
    time.sleep(0.002)
kept = outbox.flush(60)
taken = []
while len(taken) < 100:
    taken += outbox.shelf.take(100)
numbers = [json.loads(record.payload)["data"]["took_ms"] for record in taken]
print(json.dumps({"longest_s": longest_s, "kept": kept, "numbers": numbers}))
"""


@pytest.mark.parametrize("card", [{"slow": 1000}, {"fail": 3}, {"fail": 5}], ids=str)
def test_a_slow_or_failing_card_holds_up_nobody_and_loses_nothing(tmp_path, card):
    try:
        shim = Shim(tmp_path)
    except NotPossibleHere as missing:
        pytest.skip(str(missing))
    shim.slow(card.get("slow", 0))
    shim.fail(1 if "fail" in card else 0, after=card.get("fail", 1) - 1)
    done = subprocess.run(
        [sys.executable, "-c", PATIENT, str(tmp_path / "outbox.db"), str(ROOT / "tests")],
        cwd=ROOT,
        env={**os.environ, **shim.environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    told = json.loads(done.stdout)
    assert shim.syncs > card.get("fail", 0), "the card was as bad as it should be"
    assert told["kept"]
    assert told["numbers"] == list(range(100)), "each once, in order"
    assert told["longest_s"] < 0.5, "putting an event never waits for a sync"


FITFUL = """
import json, os, random, sys, threading
from pathlib import Path
root = Path(sys.argv[2])
sys.path[:0] = [str(root), str(root / "faults")]
from conftest import passage_event
from faults import Shim
from agent import outbox as module
from agent.messages import Encoder, Topics
module.RETRY_S, module.IDLE_S = (0.05, 0.05, 0.1), 0.3
chance, shim, pause = random.Random(int(sys.argv[3])), Shim.inside(), threading.Event()
outbox = module.Outbox(module.Options(path=sys.argv[1], commit_ms=0.0), Encoder(Topics("a", "b")))
outbox.open()
heard, over = [], False

def link():
    while not over:
        records = outbox.shelf.take(40)
        heard.extend(records)
        outbox.shelf.sent(records)
        pause.wait(0.002)

thread = threading.Thread(target=link)
thread.start()
put = 0
for _ in range(60):
    for _ in range(chance.randint(1, 40)):
        outbox.put(passage_event(put))
        put += 1
    if chance.random() < 0.3:
        shim.fail(chance.choice((1, 2, 3, 5, 8)), after=chance.randrange(3))
    pause.wait(chance.choice((0, 0.01, 0.1, 0.4)))
shim.fail(0)
kept = outbox.flush(30)
for _ in range(1000):
    if outbox.status().waiting:
        pause.wait(0.02)
over = True
thread.join()
ids = {record.payload: json.loads(record.payload) for record in heard}
waiting = outbox.status().waiting
outbox.close()
told = [event["data"]["took_ms"] for event in ids.values() if "took_ms" in event["data"]]
names = len({event["id"] for event in ids.values()})
print(json.dumps({"kept": kept, "put": put, "told": told, "waiting": waiting, "ids": names}))
"""


@pytest.mark.parametrize("seed", [1, 2, 6])
def test_syncs_that_fail_again_and_again_lose_nothing_tell_nothing_twice_and_keep_the_count(tmp_path, seed):
    try:
        shim = Shim(tmp_path)
    except NotPossibleHere as missing:
        pytest.skip(str(missing))
    done = subprocess.run(
        [sys.executable, "-c", FITFUL, str(tmp_path / "outbox.db"), str(ROOT / "tests"), str(seed)],
        cwd=ROOT,
        env={**os.environ, **shim.environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    told = json.loads(done.stdout)
    assert told["kept"]
    assert sorted(told["told"]) == list(range(told["put"])), "each, and none under two ids"
    assert told["ids"] == len(told["told"]), "an id has one content"
    assert told["waiting"] == 0


class Life(RuleBasedStateMachine):
    """Anything the link and power may do to an outbox: everything put comes out, in order, until acknowledged."""

    directory: Path
    make_event = None

    def __init__(self):
        super().__init__()
        self.path = self.directory / f"{uuid4()}.db"
        self.put, self.acknowledged, self.out = 0, set(), []
        self.start()

    def start(self):
        self.outbox = Outbox(Options(path=str(self.path), commit_ms=0.0), Encoder(Topics("a", "b")))
        self.outbox.open()

    @rule(count=st.integers(1, 40))
    def decide(self, count):
        for _ in range(count):
            self.outbox.put(type(self).make_event(self.put))
            self.put += 1
        assert self.outbox.flush(10)

    @rule(count=st.integers(1, 60))
    def take(self, count):
        there = self.put - len(self.acknowledged) - len(self.out)
        wanted = len(self.out) + min(count, there)
        while len(self.out) < wanted:
            self.out += self.outbox.shelf.take(wanted - len(self.out))
            self.outbox._stop.wait(0.001)
        assert numbers(self.out) == sorted(set(numbers(self.out)))

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def acknowledge(self, data):
        chosen = data.draw(st.lists(st.sampled_from(self.out), unique_by=lambda record: record.key))
        self.outbox.shelf.sent(chosen)
        self.acknowledged |= set(numbers(chosen))
        self.out = [record for record in self.out if record not in chosen]

    @rule()
    def lose_connection(self):
        self.outbox.shelf.rewind()
        self.out = []

    @rule()
    def restart(self):
        self.outbox.close()
        self.out = []
        self.start()

    @invariant()
    def counts_agree(self):
        status = self.outbox.status()
        assert status.lost == 0
        if status.epoch:
            assert status.waiting == self.put - len(self.acknowledged)

    def teardown(self):
        self.outbox.shelf.rewind()
        expected = [number for number in range(self.put) if number not in self.acknowledged]
        kept = []
        for _ in range(500):
            kept += numbers(self.outbox.shelf.take(500))
            if len(kept) >= len(expected):
                break
            self.outbox.flush(1)
            self.outbox._stop.wait(0.01)
        self.outbox.close()
        assert kept == expected


def test_any_life_keeps_everything(tmp_path, passage_event):
    class Here(Life):
        directory = tmp_path
        make_event = staticmethod(passage_event)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )

"""A disk that is full, missing, slow or fails its syncs holds up nobody and loses nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from faults import NotPossibleHere, Shim
from records import is_chain, losses, numbers, take_all

from agent import outbox as outbox_module

ROOT = Path(__file__).parents[3]


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
        outbox.store(passage_event(number))
    wait_for(lambda: "disk full" in outbox.status().fault)
    assert outbox.status().waiting == 2000
    assert not outbox.flush(0.2)
    stuffing.unlink()
    assert outbox.flush(20)
    records = take_all(outbox, wait_for, outbox.status().waiting)
    assert numbers(records) == list(range(2000))
    assert outbox.status().stored == 2000
    wait_for(lambda: outbox.status().fault == "")
    outbox.stop()


@pytest.mark.parametrize("is_held", [False, True], ids=["", "beside a store that waits for a new epoch"])
def test_no_disk_at_all_sends_from_memory_under_another_epoch(
    tmp_path, make_outbox, passage_event, wait_for, monkeypatch, is_held
):
    monkeypatch.setattr(outbox_module, "RETRY_S", (0.05,))
    wall = tmp_path / "a file where the directory should be"
    wall.write_text("")
    outbox = make_outbox(path=str(wall / "outbox.db"))
    if is_held:
        outbox.send_queue.hold()
    for number in range(600):
        outbox.store(passage_event(number))
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
        outbox.store(passage_event(number))
    lost = outbox.status().lost
    assert lost >= 1000
    assert outbox.status().waiting == 2000 - lost
    wall.unlink()
    assert outbox.flush(20)
    records = take_all(outbox, wait_for, 2000 - lost + 1)
    assert numbers(records)[-1] == 1999
    assert [loss["reason"] for loss in losses(records)] == ["memory_full"]
    assert losses(records)[0]["count"] == lost


PATIENT = """
import json, sys, time
from agent.events import Encoder, Topics
from agent.outbox import Options, Outbox
sys.path.insert(0, sys.argv[2])
from passages import passage_event
outbox = Outbox(Options(path=sys.argv[1], commit_ms=1.0), Encoder(Topics("library", "gate-3")))
outbox.start()
longest_s = 0.0
for number in range(100):
    event = passage_event(number)
    begun_s = time.monotonic()
    outbox.store(event)
    longest_s = max(longest_s, time.monotonic() - begun_s)
    time.sleep(0.002)
kept = outbox.flush(60)
taken = []
while len(taken) < 100:
    taken += outbox.send_queue.claim_batch(100)
numbers = [json.loads(record.payload)["data"]["duration_ms"] for record in taken]
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
        timeout=120,
    )
    told = json.loads(done.stdout)
    assert shim.syncs > card.get("fail", 0), "the card was as bad as it should be"
    assert told["kept"]
    assert told["numbers"] == list(range(100)), "each once, in order"
    assert told["longest_s"] < 0.5, "putting an event never waits for a sync"


FITFUL = """
import json, os, random, sys, threading, time
from pathlib import Path
root = Path(sys.argv[2])
sys.path[:0] = [str(root), str(root / "faults")]
from passages import passage_event
from faults import Shim
from agent import outbox as module
from agent.events import Encoder, Topics
module.RETRY_S, module.IDLE_S = (0.05, 0.05, 0.1), 0.3
chance, shim = random.Random(int(sys.argv[3])), Shim.inside()
outbox = module.Outbox(module.Options(path=sys.argv[1], commit_ms=0.0), Encoder(Topics("a", "b")))
outbox.start()
heard, over = [], False

def link():
    while not over:
        records = outbox.send_queue.claim_batch(40)
        heard.extend(records)
        outbox.send_queue.acked(records)
        time.sleep(0.002)

thread = threading.Thread(target=link)
thread.start()
put = 0
for _ in range(60):
    for _ in range(chance.randint(1, 40)):
        outbox.store(passage_event(put))
        put += 1
    if chance.random() < 0.3:
        shim.fail(chance.choice((1, 2, 3, 5, 8)), after=chance.randrange(3))
    time.sleep(chance.choice((0, 0.01, 0.1, 0.4)))
shim.fail(0)
kept = outbox.flush(30)
for _ in range(1000):
    if outbox.status().waiting:
        time.sleep(0.02)
over = True
thread.join()
ids = {record.payload: json.loads(record.payload) for record in heard}
waiting = outbox.status().waiting
outbox.stop()
told = [event["data"]["duration_ms"] for event in ids.values() if "duration_ms" in event["data"]]
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
        timeout=120,
    )
    told = json.loads(done.stdout)
    assert told["kept"]
    assert sorted(told["told"]) == list(range(told["put"])), "each, and none under two ids"
    assert told["ids"] == len(told["told"]), "an id has one content"
    assert told["waiting"] == 0

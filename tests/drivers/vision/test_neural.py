"""The neural reader apart: it may be absent, hang or die, and what it says is told only when it says it twice."""

import os
import select
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from drivers.contract import Departure, Sighting
from drivers.simulators import qr
from drivers.vision import neural as room
from drivers.vision.neural import Neural
from drivers.vision.pipeline import Pipeline
from drivers.vision.watcher import Watcher

PYTHON = os.environ.get("GATEPOST_NEURAL", "")
needs_reader = pytest.mark.skipif(not Path(PYTHON).is_file(), reason="GATEPOST_NEURAL names no Python that has it")
# shell and Python both read the first lines, so that the interpreter's path may have spaces
STAND_IN = """#!/bin/sh
"exec" "{python}" "-I" "$0" "$@"
import json, os, socket, struct, sys, time
memory, line = int(sys.argv[-2]), socket.socket(fileno=int(sys.argv[-1]))
turn = 0
while asked := line.recv(8):
    width, height = struct.unpack("<II", asked)
    pixels = os.pread(memory, width * height, 0)
    turn += 1
    {does}
    line.send(json.dumps({{"codes": [[text, [[1, 2], [3, 2], [3, 4], [1, 4]]]]}}).encode())
"""
DARK = np.full((120, 160), 40, np.uint8)


@pytest.fixture
def standing_in(tmp_path):
    """A function: a reader whose Python is a program that `does` so with each picture, and answers `text`."""
    made = []

    def stand_in(does):
        path = tmp_path / "python"
        path.write_text(STAND_IN.format(python=sys.executable, does=does))
        path.chmod(0o755)
        made.append(Neural(str(path)))
        return made[-1]

    yield stand_in
    for each in made:
        each.close()


def test_a_picture_comes_over_and_its_text_comes_back(standing_in):
    neural = standing_in("text = f'{width}x{height}:{pixels[0]}:{len(pixels)}'")
    neural.offer(DARK[:, ::2])
    (code,) = neural.answer(10)
    assert (code.payload, code.step, code.is_guess) == (b"80x120:40:9600", "neural", True)
    assert code.corners[0] == (1, 2)


def test_a_large_picture_is_shrunk_and_places_are_of_the_large_one(standing_in):
    neural = standing_in("text = f'{width}x{height}'")
    neural.offer(np.zeros((720, 2560), np.uint8))
    (code,) = neural.answer(10)
    assert code.payload == b"1280x360"
    assert code.corners[2] == (6, 8)


@pytest.mark.parametrize("text", ["", "\\x00", "Enzyklop\\u00e4die", "line\\n"])
def test_a_text_whose_bytes_are_not_known_is_refused(standing_in, text):
    neural = standing_in(f"text = '{text}'")
    neural.offer(DARK)
    assert neural.answer(10) == []
    assert not neural.is_busy


@pytest.mark.parametrize(
    ("does", "says", "limit_s"),
    [("time.sleep(60)", "takes too long", 0.4), ("os._exit(3)", "ended", 10.0)],  # Python may start slowly
)
def test_one_that_hangs_or_dies_is_killed_and_rests_longer_each_time(
    standing_in, monkeypatch, caplog, does, says, limit_s
):
    monkeypatch.setattr(room, "START_S", limit_s)
    monkeypatch.setattr(room, "REST_S", 0.05)
    neural = standing_in(does)
    for rest in ("0", "0"):
        end_s = time.monotonic() + 10
        while not neural.is_busy and time.monotonic() < end_s:  # it rests
            neural.offer(DARK)
        began_s = time.monotonic()
        while neural.is_busy:
            assert neural.answer(0.05) == []
        assert time.monotonic() - began_s < 30, "it would have slept for 60 s"
        assert f"{says}: it rests for {rest} s" in caplog.text
        caplog.clear()
    assert neural._rest_s > 0.15
    neural.offer(DARK)
    assert not neural.is_busy


def test_one_that_is_not_there_is_said_once(caplog):
    neural = Neural("/nowhere/python")
    for _ in range(3):
        neural.offer(DARK)
        assert neural.answer() == []
    assert [record.getMessage() for record in caplog.records] == [
        "/nowhere/python: no neural reader there, the others read alone (No such file or directory)"
    ]


def test_a_python_without_the_reader_is_said_once(caplog):
    neural = Neural(sys.executable)  # ours has another build of OpenCV
    for _ in range(2):
        neural.offer(DARK)
        assert neural.answer(20) == []
    assert len(caplog.records) == 1
    assert "no neural reader there" in caplog.text


def noisy(turn):
    return np.random.default_rng(turn).integers(90, 140, (240, 320)).astype(np.uint8)


def sightings(watcher, turns, done):
    """What is told of so many frames a third of a second apart in which only the reader apart sees anything."""
    told = []
    for turn in range(turns):
        told += [item.payload for item in watcher.see(noisy(turn), turn / 3) if isinstance(item, Sighting)]
        if done(told):
            break
    return told


def test_what_it_says_twice_is_told(standing_in):
    neural = standing_in("text = 'GP1:seen'")
    watcher = Watcher(Pipeline(0.001, ("half", "neural"), neural), away_s=30)
    assert sightings(watcher, 3000, bool) == [b"GP1:seen"]


def test_what_it_reads_is_told_once_until_it_leaves(standing_in):
    neural = standing_in("text = 'GP1:seen' if pixels[0] > 60 else ''")
    watcher = Watcher(Pipeline(0.001, ("half", "neural"), neural), away_s=0.5)
    told = []
    for turn in range(120):
        frame = noisy(turn) if turn < 60 else noisy(turn) // 3
        told += [type(item) for item in watcher.see(frame, turn / 15)]
        while neural.is_busy and not select.select([neural._socket], [], [], 5)[0]:
            pass  # so that it answers before the next frame
    assert told == [Sighting, Departure]


def test_what_it_says_once_is_never_told(standing_in):
    neural = standing_in("text = f'GP1:{turn}'")
    watcher = Watcher(Pipeline(0.001, ("half", "neural"), neural), away_s=30)
    assert sightings(watcher, 400, bool) == []


@pytest.mark.parametrize(("does", "reads"), [("text = 'same'", [b"same"]), ("text = f'{turn}'", [])])
def test_a_picture_that_stands_alone_is_asked_about_twice(standing_in, does, reads):
    pipeline = Pipeline(float("inf"), ("half", "neural"), standing_in(does))
    assert [code.payload for code in pipeline.read(noisy(1))] == reads


def test_an_answer_about_a_scene_that_is_over_is_dropped(standing_in):
    neural = standing_in("text = 'late'")
    neural.offer(DARK)
    neural.forget()
    assert neural.answer(10) == []


@needs_reader
def test_the_real_one_reads():
    neural = Neural(PYTHON)
    picture = np.pad(qr.drawn(b"GP1:by the neural reader", 6), 60, constant_values=90)
    neural.offer(picture)
    (code,) = neural.answer(30)
    neural.close()
    assert code.payload == b"GP1:by the neural reader"
    assert abs(code.side() - 6 * 25) < 12

"""Beyond the decoders: what hides a code is overcome or refused, and nothing is read that is not there."""

import json
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.simulators import qr, scenes
from drivers.vision import decoders, finders, hunt, opencv, soft, symbol
from drivers.vision.hunt.accumulator import Evidence
from drivers.vision.opencv import cv2
from drivers.vision.pipeline import Pipeline
from drivers.vision.watcher import Watcher

PHOTOGRAPHS = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "qr"
needs_photographs = pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the photographs are not on this machine")


def hunted(picture, evidence=None):
    return [code for code in hunt.hunt(picture, evidence or Evidence()) if code is not None]


def lean_of(payload, level="m"):
    """What the modules of a perfect code lean to, and its version."""
    modules = qr.modules(payload, level).astype(np.float32)
    return modules * 2 - 1, (len(modules) - 17) // 4


def test_a_plain_code_is_found_where_it_is():
    picture = np.full((600, 800), 90, np.uint8)
    code = qr.drawn(b"plain to see", 8)
    picture[100 : 100 + len(code), 200 : 200 + len(code)] = code

    (found,) = hunted(picture)

    assert found.payload == b"plain to see"
    assert not found.is_guess
    margin = 8 * qr.QUIET_MODULES
    wanted = [200 + margin, 100 + margin, 200 + len(code) - margin, 100 + len(code) - margin]
    assert np.abs(np.array(found.box()) - wanted).max() < 4


@pytest.mark.parametrize("covered", ["glare", "thumb", "edge"])
def test_a_hidden_part_is_filled_in(covered):
    code = qr.drawn(b"GP1:" + bytes(range(30)), 8, "h")
    side = len(code)
    picture = cv2.GaussianBlur(np.pad(code, 40, constant_values=255), (0, 0), 1)
    if covered == "glare":
        cv2.circle(picture, (40 + side // 2, 40 + side // 2 - 10), side // 7, 255, -1)
    elif covered == "thumb":
        cv2.ellipse(
            picture, (40 + int(side * 0.8), 40 + int(side * 0.8)), (side // 6, side // 6), 0, 0, 360, 120, -1
        )
    else:
        picture = picture[:, : 40 + int(side * 0.82)]

    codes = hunted(picture)

    assert [found.payload for found in codes] in ([b"GP1:" + bytes(range(30))], [])
    if covered != "edge":
        assert codes


@given(st.integers(0, 2**32), st.sampled_from([1, 2, 3, 5, 7]))
@settings(max_examples=150, deadline=None)
def test_noise_is_never_read(seed, version):
    side = symbol.side_of(version)
    noise = np.random.default_rng(seed).normal(0, 1, (side, side)).astype(np.float32)
    shape = symbol.anatomy(version)
    noise[shape.known] = np.where(shape.black[shape.known], 1, -1)  # it even looks like a code

    assert soft.decoded(noise, version) is None


@given(st.integers(0, 1000), st.floats(0, 0.5))
@example(104, 0.076171875)  # bytes of equal doubt, of which some are erased
@settings(max_examples=60, deadline=None)
def test_a_damaged_code_is_read_rightly_or_not_at_all(seed, share):
    random = np.random.default_rng(seed)
    payload = random.integers(0, 256, 30).astype(np.uint8).tobytes()
    lean, version = lean_of(payload, "q")
    hit = random.random(lean.shape) < share
    lean[hit] = random.normal(0, 1, hit.sum())

    found = soft.decoded(lean, version)

    if found is not None:
        assert (found.modules == qr.modules(payload, "q")).all()
        assert found.spare >= soft.UNSPENT
    else:
        assert share > 0.02


def test_frames_that_hide_different_parts_are_read_together():
    payload = b"GP1:what one frame hides another shows"
    lean, version = lean_of(payload)
    evidence = Evidence()
    plane = hunt.grid.Plane(version, np.eye(3), 0.9)
    outcome = None
    for turn in range(4):
        part = lean + np.random.default_rng(turn).normal(0, 0.3, lean.shape)
        part[:, turn * 8 % len(lean) : turn * 8 % len(lean) + 14] = 0
        assert soft.decoded(part, version) is None
        evidence.offer(hunt.Look(plane, part))
        outcome = evidence.conclude()
        if outcome is not None:
            break

    assert outcome is not None
    assert (outcome[0].modules == qr.modules(payload)).all()


def test_frames_of_different_codes_are_not_mixed_into_a_third():
    evidence = Evidence()
    for turn in range(12):
        lean, version = lean_of(bytes([turn]) * 20)
        lean[:, 5:19] = 0
        evidence.offer(hunt.Look(hunt.grid.Plane(version, np.eye(3), 0.9), lean))
        assert evidence.conclude() is None
        assert evidence.wants_more == (turn < 7)


def test_what_took_guesses_is_told_when_a_second_frame_agrees(monkeypatch):
    code = qr.drawn(b"told twice", 6)
    picture = np.pad(code, 30, constant_values=200)
    (plain,) = decoders.first(picture)
    guess = hunt.Code(plain.payload, plain.corners, step="hunt", is_guess=True)
    pipeline = Pipeline(0.01)
    monkeypatch.setattr(pipeline, "read_cheap", lambda _: [])
    monkeypatch.setattr(pipeline, "read", lambda *_: [guess])
    watcher = Watcher(pipeline, away_s=1.0)

    assert watcher.see(picture, 0.0) == []
    assert [item.payload for item in watcher.see(255 - picture, 0.1)] == [b"told twice"]
    assert watcher.see(picture, 0.2) == []


def test_a_code_in_white_on_black_with_a_hidden_part_is_read_and_followed():
    code = 255 - qr.drawn(b"dark mode, cracked", 8, "h")
    picture = cv2.GaussianBlur(np.pad(code, 60, constant_values=40), (0, 0), 1)
    cv2.line(picture, (90, 60), (60 + len(code), 40 + len(code)), 230, 9)
    assert decoders.first(picture, wide=True) == []

    (found,) = hunted(picture)
    assert found.payload == b"dark mode, cracked"
    moved = np.roll(picture, 5, axis=1)
    again = hunt.follow(moved, found)
    assert again is not None
    assert again.payload == found.payload


def test_a_guess_is_looked_at_again_where_it_was_and_not_hunted_for_again(monkeypatch):
    code = qr.drawn(b"GP1:" + bytes(range(30)), 8, "h")
    picture = cv2.GaussianBlur(np.pad(code, 40, constant_values=255), (0, 0), 1)
    (found,) = hunted(picture)
    monkeypatch.setattr(hunt, "hunt", lambda *_: iter([hunt.replace(found, is_guess=True)]))
    pipeline = Pipeline(10.0, ("hunt",))
    assert [guess.is_guess for guess in pipeline.read(picture)] == [True]
    monkeypatch.setattr(hunt, "hunt", lambda *_: pytest.fail("it was hunted for again"))

    (again,) = pipeline.read(np.roll(picture, 4, axis=1))

    assert again.payload == found.payload
    assert abs(again.corners[0][0] - found.corners[0][0] - 4) < 1


def test_where_all_is_flat_the_grid_is_not_bent():
    right, down = hunt.grid.bent(np.full(((21 + 2) * hunt.grid.PX,) * 2, 120, np.float32))
    assert abs(right).max() < 1e-3
    assert abs(down).max() < 1e-3


def test_a_hidden_finder_is_put_where_it_should_be():
    code = qr.drawn(b"one corner under a reflection", 8, "h")
    picture = cv2.GaussianBlur(np.pad(code, 40, constant_values=255), (0, 0), 1)
    cv2.circle(picture, (40 + len(code) - 60, 40 + 60), 45, 255, -1)
    merged = []
    for _ in finders.search(picture, merged):
        pass
    found = finders.likeliest(merged)
    assert len([each for each in found if each.votes >= 10]) == 2

    assert [each.payload for each in hunted(picture)] == [b"one corner under a reflection"]


@pytest.mark.parametrize("name", ["tight margin", "low light", "dark mode", "thumb"])
def test_hard_scenes_are_read_and_nothing_else_is(name):
    payload, frames = scenes.film(name, 0)
    watcher = Watcher(Pipeline(0.012), away_s=1.0)
    told = [item.payload for number, frame in enumerate(frames) for item in watcher.see(frame, number / scenes.FPS)
            if hasattr(item, "payload")]  # fmt: skip

    assert told == [payload]


@needs_photographs
def test_photographs_that_no_decoder_reads_are_read():
    truth = json.loads((PHOTOGRAPHS / "truth.json").read_text(encoding="utf-8"))
    for path in ("boofcv/pathological_image001.jpg", "boofcv/damaged_image008.jpg", "boofcv/glare_image036.jpg"):
        picture = opencv.from_bytes((PHOTOGRAPHS / path).read_bytes())
        assert decoders.first(picture, wide=True) == []
        assert [code.text() for code in hunted(picture)] == [code["text"] for code in truth[path]["codes"]]


@needs_photographs
def test_nothing_is_read_into_photographs_without_codes():
    for path in sorted((PHOTOGRAPHS / "zxing-fp").iterdir())[::4]:
        assert hunted(opencv.from_bytes(path.read_bytes())) == [], path.name


def test_a_guess_about_a_still_picture_has_to_hold_in_another_rendering(monkeypatch):
    picture = np.pad(qr.drawn(b"there", 6), 30, constant_values=200)
    (there,) = decoders.first(picture)
    guess = hunt.replace(there, step="hunt", is_guess=True)
    for payload, reads in ((b"there", [b"there"]), (b"not there", [])):
        pipeline = Pipeline(float("inf"), ("hunt",))
        found = hunt.replace(guess, payload=payload)
        monkeypatch.setattr(hunt, "hunt", lambda *_, found=found: iter([found]))
        assert [code.payload for code in pipeline.read(picture)] == reads


def test_stripes_that_look_like_finders_all_over_hold_no_frame_up():
    rows, columns = np.indices((720, 1280))
    slanted = np.isin((rows + columns) // 4 % 9, (0, 2, 3, 4, 6))  # in both directions 1:1:3:1:1, to the edges
    began_s = time.thread_time()
    tracemalloc.start()

    for _ in finders.search(np.where(slanted, 20, 230).astype(np.uint8), []):
        pass

    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 60_000_000
    assert time.thread_time() - began_s < 0.3

"""Which JPEGs need not be decoded: drawn scenes with a sensor's noise, and real photographs where they are here."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.simulators import qr
from drivers.vision.length_gate import BLIND_S, LengthGate
from drivers.vision.opencv import cv2, to_jpeg

PHOTOGRAPHS = Path(__file__).resolve().parents[4] / "shared" / "data" / "qr" / "boofcv"
FPS = 30


def length(picture, random, noise=2.0):
    return len(to_jpeg(np.clip(picture + random.normal(0, noise, picture.shape), 0, 255).astype(np.uint8)))


def knows(scene, random):
    """A gate that has learnt a scene from 20 frames; the last one at 0 s."""
    gate = LengthGate()
    for frame in range(20):
        gate.learn(length(scene, random), (frame - 19) / FPS)
    return gate


def test_a_scene_is_learnt_before_a_frame_is_dropped():
    gate = LengthGate()
    assert not gate.may_drop(50_000, 0.0)
    for frame in range(7):
        gate.learn(50_000 + frame, frame / FPS)
    assert not gate.may_drop(50_003, 7 / FPS)


def test_most_frames_of_an_idle_scene_are_dropped_and_one_in_sixteen_is_not():
    random = np.random.default_rng(1)
    gate, dropped = LengthGate(), 0
    for frame in range(300):
        if gate.may_drop(size := int(random.normal(50_000, 80)), frame / FPS):
            dropped += 1
        else:
            gate.learn(size, frame / FPS)
    assert 250 < dropped <= 281


@pytest.mark.parametrize("shift", [-0.006, 0.006])
def test_a_small_change_that_stays_is_decoded_by_its_second_frame(shift):
    random, late = np.random.default_rng(4), 0
    for _ in range(200):
        gate = LengthGate()
        for frame in range(30):
            gate.learn(int(random.normal(50_000, 100)), (frame - 29) / FPS)
        late += all(gate.may_drop(int(random.normal(50_000 * (1 + shift), 100)), n / FPS) for n in (1, 2))
    assert late <= 16, f"{late} of 200 took a third frame"


def test_a_picture_that_repeats_itself_is_never_dropped():
    """A camera that hangs sends the same bytes for ever, and it has to be looked at for that to be seen."""
    gate = LengthGate()
    for frame in range(20):
        gate.learn(50_000 + frame % 3, frame / FPS)
    gate.may_drop(50_001, 20 / FPS)
    assert not gate.may_drop(50_001, 20 / FPS)
    assert gate.may_drop(50_002, 20 / FPS)


def test_nothing_is_dropped_while_something_moves_outside_of_what_is_watched():
    """The lane's region stands still, the street behind it does not: a code could come in unnoticed."""
    gate, random = LengthGate(), np.random.default_rng(2)
    for frame in range(300):
        size = int(random.normal(50_000, 800))
        assert frame < 20 or not gate.may_drop(size, frame / FPS)
        gate.learn(size, frame / FPS)


def test_light_that_fades_is_followed():
    gate = LengthGate()
    sizes = [50_000 - 8 * frame for frame in range(300)]
    passed = []
    for frame, size in enumerate(sizes):
        passed.append(gate.may_drop(size, frame / FPS))
        gate.learn(size, frame / FPS)
    assert sum(passed[100:]) > 150


@given(st.lists(st.tuples(st.integers(1, 100_000), st.floats(0, 1), st.booleans()), max_size=60))
def test_no_change_waits_longer_than_the_limit(frames):
    gate, now_s, decoded_s = LengthGate(), 0.0, 0.0
    for size, pause_s, still in frames:
        now_s += pause_s
        if gate.may_drop(size, now_s):
            assert now_s - decoded_s <= BLIND_S
            continue
        decoded_s = now_s
        if still:
            gate.learn(size, now_s)
        else:
            gate.reset()


def test_after_a_change_every_frame_is_decoded():
    gate = LengthGate()
    for frame in range(20):
        gate.learn(50_000 + frame % 5, frame / FPS)
    gate.reset()
    assert not gate.may_drop(50_002, 20 / FPS)


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the photographs are not on this machine")
def test_a_code_that_comes_into_view_of_a_real_scene_is_decoded_on_its_first_frame():
    random = np.random.default_rng(5)
    files = sorted(PHOTOGRAPHS.rglob("*.jpg"))
    missed = shown = 0
    for file in files[:: len(files) // 20]:
        scene = cv2.resize(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), (1280, 720)).astype(np.float32)
        gate = knows(scene, random)
        for module_px in (3, 6):
            code = qr.drawn(b"GP1:" + random.bytes(40).hex().encode(), module_px)
            side = len(code)
            top, left = int(random.integers(0, 720 - side)), int(random.integers(0, 1280 - side))
            held_up = scene.copy()
            held_up[top : top + side, left : left + side] = code
            shown += 1
            missed += gate.may_drop(length(held_up, random), 1 / FPS)
    assert shown >= 40
    assert missed <= 1, f"{missed} of {shown} codes were not seen on their first frame"

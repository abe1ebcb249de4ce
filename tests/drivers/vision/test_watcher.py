"""What one camera's view tells, picture after picture."""

import numpy as np

from drivers.contract import Sighting
from drivers.simulators import qr
from drivers.vision.pipeline import Pipeline
from drivers.vision.watcher import Watcher


def scene(*codes):
    """A gray wall with codes on it: (payload, module_px, x, y)."""
    picture = np.full((720, 1280), 120, np.uint8)
    for payload, module_px, x, y in codes:
        drawn = qr.drawn(payload, module_px)
        picture[y : y + len(drawn), x : x + len(drawn)] = drawn
    return picture


def told(watcher, picture, at_s):
    return [item.payload for item in watcher.see(picture, at_s) if isinstance(item, Sighting)]


def test_two_phones_of_like_size_are_told_when_only_one_remains():
    watcher = Watcher(Pipeline(0.0), away_s=0.5)
    both = scene((b"mine", 8, 100, 100), (b"yours", 8, 800, 300))
    mine = scene((b"mine", 8, 100, 100))

    assert [told(watcher, both, turn / 30) for turn in range(30)] == [[]] * 30
    seen = [told(watcher, mine, 1 + turn / 30) for turn in range(30)]
    assert [payloads for payloads in seen if payloads] == [[b"mine"]]


def test_the_nearer_of_two_phones_is_told_at_once():
    watcher = Watcher(Pipeline(0.0), away_s=0.5)

    assert told(watcher, scene((b"mine", 10, 100, 100), (b"yours", 7, 800, 300)), 0.0) == [b"mine"]


def test_a_neighbour_that_the_first_step_cannot_read_is_not_overlooked():
    picture = scene((b"mine", 8, 100, 100), (b"yours", 8, 800, 300))
    picture[250:650, 750:1250] = 255 - picture[250:650, 750:1250]
    pipeline = Pipeline(0.0)
    assert [code.payload for code in pipeline.read_cheap(picture)] == [b"mine"], (
        "white on black needs the second step"
    )

    watcher = Watcher(pipeline, away_s=0.5)
    assert [told(watcher, picture, turn / 30) for turn in range(30)] == [[]] * 30

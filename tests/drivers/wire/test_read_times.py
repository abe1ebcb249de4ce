"""When what is read came: now, or as early as it may have come while the reader was held up."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import Sighting
from drivers.scanners import keyboard, line
from drivers.wire.read_times import HELD_UP_S, SILENT_S, ReadTimes
from drivers.wire.stream import FrameStream


def test_a_reader_that_is_not_held_up_reads_what_comes_now():
    times = ReadTimes()
    assert [times.of(k / 10, 0.1, k / 10 + 0.09) for k in range(50)] == [k / 10 + 0.09 for k in range(50)]


@pytest.mark.parametrize(
    ("began_s", "now_s"),
    [(10.0, 14.0), (14.0, 14.01)],
    ids=["while it waited", "between two reads"],
)
def test_what_waited_is_as_old_as_it_may_be_until_the_line_was_silent(began_s, now_s):
    times = ReadTimes()
    assert times.of(9.5, 0.5, 10.0) == 10.0
    assert times.of(began_s, 0.5, now_s) == 10.0
    assert times.of(now_s, 0.5, now_s + 0.001) == 10.0, "the rest of it"
    fresh_s = now_s + 0.002 + SILENT_S
    assert times.of(now_s + 0.002, 0.5, fresh_s) == fresh_s


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 2), st.floats(0, 1)), min_size=1))
def test_no_byte_is_younger_than_it_can_be(steps):
    """`steps`: pause before the read, how long it takes, how long it was to take."""
    times, now_s = ReadTimes(), 0.0
    for pause_s, takes_s, limit_s in steps:
        began_s = now_s + pause_s
        now_s = began_s + takes_s
        came_s = times.of(began_s, limit_s, now_s)
        assert came_s <= now_s
        if takes_s > limit_s + HELD_UP_S:
            assert came_s <= began_s


class HeldUp:
    """A line, or an input device, whose reader is stopped for three seconds before each read."""

    name, simulated = "held up", True

    def __init__(self, monkeypatch, data):
        self.now_s, self.pieces = 100.0, [b"", data]
        monkeypatch.setattr(time, "monotonic", lambda: self.now_s)

    def open(self):
        pass

    def read(self, limit_s):
        self.now_s += 3.0 if len(self.pieces) == 1 else limit_s
        return self.pieces.pop(0) if self.pieces else b""

    def retune(self, baud):
        pass


def pair(pending):
    """Frames are of two bytes."""
    return (2, bytes(pending[:2])) if len(pending) > 1 else (0, None)


def test_drivers_tell_when_it_came(monkeypatch):
    typed = b"".join(keyboard.EVENT.pack(1, 2, keyboard.KEY, key, 1) for key in (30, 28))
    for data, read in (
        (b"code\r\n", lambda wire: line.Driver(line.Options("port"), wire).read),
        (typed, lambda wire: keyboard.Driver(keyboard.Options("device"), wire).read),
        (b"ab", lambda wire: _frames(wire).next),
    ):
        held_up = HeldUp(monkeypatch, data)
        next_one = read(held_up)
        assert next_one(0.5) is None
        looked_s = held_up.now_s
        found = next_one(0.5)
        assert (found.at_s if isinstance(found, Sighting) else found[1]) == looked_s
        assert held_up.now_s == looked_s + 3.0


def _frames(wire):
    stream = FrameStream(wire, pair, (9600,), silent_s=60.0)
    stream.open()
    return stream

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from drivers.wire.framing import LONGEST_FRAME, Framer, before, signed16, sum8

HEADER = b"\x5a\x5a\x45"


@given(st.binary(max_size=40))
def test_what_is_dropped_before_a_header_cannot_have_held_it(data):
    cut = before(bytearray(data), HEADER)
    dropped, kept = data[:cut], data[cut:]
    assert HEADER not in dropped + HEADER[:-1] or HEADER in dropped[-2:] + HEADER
    assert not kept or kept.startswith(HEADER) or HEADER.startswith(kept[: len(HEADER)])


def two_bytes(pending):
    """A frame is two bytes that add up to 256; anything else is skipped by one."""
    if len(pending) < 2:
        return 0, None
    return (2, bytes(pending[:2])) if sum(pending[:2]) == 256 else (1, None)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=20))
def test_frames_do_not_depend_on_how_bytes_are_split(data, cuts):
    whole = list(Framer(two_bytes).feed(data))
    framer, frames = Framer(two_bytes), []
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    for start, end in pairwise(edges):
        frames += framer.feed(data[start:end])
    assert frames == whole


def test_junk_is_counted_until_a_frame_comes():
    framer = Framer(two_bytes)
    assert list(framer.feed(b"\x01\x01\x01\x01")) == []
    assert framer.junk == 3
    assert list(framer.feed(b"\x01\xff")) == [b"\x01\xff"]
    assert framer.junk == 0


def test_numbers():
    assert sum8(b"\xff\x02") == 1
    assert signed16(0xFF, 0x6A) == -150
    assert signed16(0x0C, 0x78) == 3192


def test_a_step_that_always_wants_more_keeps_no_more_than_the_longest_frame():
    framer = Framer(lambda _: (0, None))
    for _ in range(100):
        assert list(framer.feed(bytes(1000))) == []
        assert len(framer._pending) <= LONGEST_FRAME
    assert framer.junk > 90_000

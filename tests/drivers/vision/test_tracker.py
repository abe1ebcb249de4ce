"""Which codes are in view: each told once, and its leaving known."""

from hypothesis import given
from hypothesis import strategies as st

from drivers.vision.code import Code
from drivers.vision.tracker import Track


def code(payload, x=0.0, side=10.0):
    return Code(payload, ((x, 0.0), (x + side, 0.0), (x + side, side), (x, side)))


def test_a_code_in_view_is_told_once():
    track = Track(away_s=1.0)

    assert track.update([code(b"a")], 0.0) == (False, True)
    assert track.update([code(b"a", x=3)], 0.1) == (False, False)


def test_a_flicker_is_no_leaving():
    track = Track(away_s=1.0)
    track.update([code(b"a")], 0.0)

    assert track.update([], 0.9) == (False, False)
    assert track.update([code(b"a")], 1.0) == (False, False)
    assert track.update([], 2.0) == (True, False)
    assert track.update([code(b"a")], 2.1) == (False, True)


def test_another_code_in_the_same_place_takes_over_at_once():
    track = Track(away_s=1.0)
    track.update([code(b"a")], 0.0)

    assert track.update([code(b"b", x=2)], 0.03) == (False, True)
    assert track.subject.payload == b"b"
    assert track.update([code(b"b", x=2)], 1.5) == (False, False), "the one that counts has not left"


def test_two_phones_side_by_side_do_not_take_turns():
    track = Track(away_s=1.0)
    track.update([code(b"near", side=20), code(b"far", x=50)], 0.0)
    assert track.subject.payload == b"near"

    for turn in range(1, 20):
        seen = code(b"far", x=50) if turn % 2 else code(b"near", side=20)
        assert track.update([seen], turn * 0.03) == (False, False)


def test_a_much_nearer_code_takes_over_and_the_waiting_one_has_its_turn():
    track = Track(away_s=1.0)
    track.update([code(b"far")], 0.0)

    assert track.update([code(b"far"), code(b"near", x=50, side=20)], 0.1) == (False, True)
    assert track.update([code(b"far"), code(b"third", x=90, side=9)], 0.2) == (False, False)
    assert track.update([code(b"far"), code(b"third", x=90, side=9)], 1.3) == (True, False), "far is there still"
    assert track.update([code(b"third", x=90, side=9)], 1.6) == (False, True)
    assert track.subject.payload == b"third"


def test_of_two_codes_of_like_size_neither_is_told():
    track = Track(away_s=1.0)

    for step in range(40):
        assert track.update([code(b"a", side=12), code(b"b", x=50)], step * 0.1) == (False, False)
    assert track.subject is None


def test_the_one_that_comes_nearer_is_told():
    track = Track(away_s=1.0)
    track.update([code(b"a"), code(b"b", x=50)], 0.0)

    assert track.update([code(b"a", side=12), code(b"b", x=50)], 0.1) == (False, False), "1.44 times the area"
    assert track.update([code(b"a", side=12.5), code(b"b", x=50)], 0.2) == (False, True)
    assert track.subject.payload == b"a"


def test_the_one_that_remains_is_told_once_the_other_is_away():
    track = Track(away_s=1.0)
    track.update([code(b"a"), code(b"b", x=50)], 0.0)

    for step in range(1, 10):
        assert track.update([code(b"a")], step * 0.1) == (False, False), "b may only be unread"
    assert track.update([code(b"a")], 1.0) == (False, True)


def test_two_of_like_size_that_are_read_in_turn_are_two_all_the_same():
    track = Track(away_s=1.0)
    track.update([code(b"a"), code(b"b", x=50)], 0.0)

    for step in range(1, 40):
        seen = code(b"a") if step % 2 else code(b"b", x=50)
        assert track.update([seen], step * 0.1) == (False, False)


def test_the_same_code_twice_in_view_is_one():
    track = Track(away_s=1.0)

    assert track.update([code(b"a", side=11), code(b"a", x=50)], 0.0) == (False, True)
    assert track.subject.area() == 121


def test_a_code_outside_of_what_was_looked_at_is_taken_to_be_there():
    track = Track(away_s=1.0)
    track.update([code(b"poster", x=500, side=30), code(b"phone", side=40)], 0.0)
    for step in range(1, 30):
        track.update([code(b"phone", side=40)], step * 0.1, looked_at=(-20, -20, 60, 60))

    assert track.update([code(b"poster", x=500, side=30)], 3.2) == (False, True)
    assert track.update([], 3.3) == (False, False)


@given(st.lists(st.tuples(st.lists(st.integers(5, 30), max_size=4), st.floats(0.01, 0.6)), max_size=40))
def test_nothing_is_told_beside_another_of_like_size(looks):
    track, now_s = Track(away_s=0.5), 0.0
    for sizes, step_s in looks:
        now_s += step_s
        codes = [code(bytes([97 + i]), x=i * 100.0, side=side) for i, side in enumerate(sizes)]
        _, new = track.update(codes, now_s)
        if new:
            told = track.subject
            others = [each.area() for each in codes if each.payload != told.payload]
            assert told.area() >= 1.5 * max(others, default=0.0)


@given(st.lists(st.tuples(st.sets(st.sampled_from([b"a", b"b", b"c"])), st.floats(0.01, 0.6)), max_size=60))
def test_leavings_never_outnumber_arrivals(looks):
    track = Track(away_s=0.5)
    now_s, arrivals, leavings = 0.0, 0, 0
    for payloads, step_s in looks:
        now_s += step_s
        left, new = track.update([code(p, x=p[0] * 20.0) for p in payloads], now_s)
        leavings += left
        arrivals += new
        assert leavings <= arrivals
        assert not new or track.subject.payload in payloads
    assert track.update([], now_s + 10)[1] is False
    assert track.subject is None

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import Record
from agent.mqtt import retry
from agent.mqtt.retry import RejectedEvents
from agent.outbox.send_queue import SendQueue


def records(count):
    return [Record(key, "passage", 1, b"") for key in range(1, count + 1)]


def shelf_with(disk):
    send_queue = SendQueue(lambda: None)
    send_queue.committed(disk, (), len(disk))
    lay(send_queue, disk)
    return send_queue


def lay(send_queue, disk):
    wanted, beyond = send_queue.room()
    send_queue.fill([record for record in disk if record.key > beyond], wanted)


def refuse(send_queue, refusals, now_s):
    taken = send_queue.claim_batch(1000)
    for record in taken:
        refusals.note(record, "Not authorized", now_s)
        send_queue.park(record)
    return taken


def ask(send_queue, refusals, now_s):
    """A tick of the link."""
    again = refusals.try_again(now_s, none_left=send_queue.is_empty(refused=True))
    if again:
        send_queue.reload()
    return again


def test_a_refused_event_that_had_to_go_is_refused_no_more():
    disk, refusals, now_s = records(3), RejectedEvents(), 0.0
    send_queue = shelf_with(disk)
    assert len(refuse(send_queue, refusals, now_s)) == 3
    for _ in range(3):
        now_s += 100.0
        assert ask(send_queue, refusals, now_s), "the broker is asked again as long as there is one"
        lay(send_queue, disk)
        assert len(refuse(send_queue, refusals, now_s)) == 3
        assert "refuses events" in refusals.fault
    send_queue.drop([1, 2, 3])
    assert ask(send_queue, refusals, now_s + 100) is False
    assert refusals.fault == ""
    refusals.note(disk[0], "Not authorized", now_s + 200)
    assert refusals.fault, "and it starts over"


def test_however_many_are_refused_no_more_than_some_are_counted(monkeypatch):
    monkeypatch.setattr(retry, "MOST_COUNTED", 5)
    disk, refusals = records(20), RejectedEvents()
    send_queue = shelf_with(disk)
    refuse(send_queue, refusals, 0.0)
    assert len(refusals._times) == 5
    assert ask(send_queue, refusals, 100.0)
    lay(send_queue, disk)
    taken = send_queue.claim_batch(1000)
    assert len(taken) == 20
    send_queue.acked(taken[:10])
    refusals.accepted(taken[:10])
    for record in taken[10:]:
        refusals.note(record, "Not authorized", 100.0)
        send_queue.park(record)
    assert refusals.fault, "those that are not counted are refused, too"
    assert ask(send_queue, refusals, 200.0)
    lay(send_queue, disk[10:])
    taken = send_queue.claim_batch(1000)
    assert len(taken) == 10
    send_queue.acked(taken)
    refusals.accepted(taken)
    assert ask(send_queue, refusals, 300.0) is False
    assert refusals.fault == ""


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_waits_are_short_at_first_and_bounded_always(story):
    backoff = retry.ReconnectBackoff(300.0)
    tries = 0
    for on_purpose, worked in story:
        wait_s = backoff.wait_s(on_purpose=on_purpose, worked=worked)
        tries = 0 if worked else tries + 1
        if on_purpose and not worked:
            tries = max(tries, retry.QUICK_TRIES - 1)
        assert 0.05 <= wait_s <= 300.0
        assert not worked or wait_s <= retry.WORKED_MOST_S
        assert wait_s <= 1.0 or worked or tries > retry.QUICK_TRIES


@pytest.mark.parametrize("on_purpose", [False, True])
def test_a_link_that_works_and_drops_again_and_again_is_taken_up_soon(on_purpose):
    """However short it holds; and after it came back from a long absence, too."""
    backoff = retry.ReconnectBackoff(300.0)
    for _ in range(50):
        backoff.wait_s(on_purpose=False, worked=False)
    waits_s = [backoff.wait_s(on_purpose=on_purpose, worked=True) for _ in range(1000)]
    assert waits_s[0] <= 1.0
    assert max(waits_s) <= 5.0
    assert sum(waits_s) / len(waits_s) < 3.0


def test_an_event_at_which_connections_end_is_parked_and_tried_ever_more_seldom():
    (record, other), refusals, now_s = records(2), RejectedEvents(), 0.0
    for _ in range(retry.ENDS_TO_PARK):
        assert not refusals.is_parked(record, now_s)
        refusals.ended_at(record, now_s)
    assert refusals.is_parked(record, now_s)
    assert not refusals.is_parked(other, now_s)
    assert "the connection ends each time" in refusals.fault
    refusals.accepted([other])
    assert refusals.fault, "one is kept still"
    waits_s = []
    for _ in range(10):
        begun_s = now_s
        while refusals.is_parked(record, now_s):
            now_s += 1.0
        waits_s.append(now_s - begun_s)
        refusals.ended_at(record, now_s)
    assert waits_s[:3] == [60.0, 120.0, 240.0]
    assert max(waits_s) == retry.PARKED_MOST_S
    assert refusals.try_again(now_s + 100, none_left=True) is False
    assert not refusals.fault


def test_two_hundred_kiosks_whose_broker_was_away_do_not_come_back_as_one():
    fleet = [retry.ReconnectBackoff(300.0) for _ in range(200)]
    for _ in range(25):
        waits_s = [backoff.wait_s(on_purpose=False, worked=False) for backoff in fleet]
    busiest = max(sum(begin <= wait_s < begin + 10 for wait_s in waits_s) for begin in range(0, 300, 10))
    assert busiest <= 25, "evenly over five minutes it would be 7 in ten seconds"


@given(st.integers(1, 2_000_000), st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_a_fleet_makes_two_quick_tries_and_then_waits_within_its_window(size, story):
    """With the largest random number each time: the ceilings themselves."""
    window_s = size / retry.CONNECTS_PER_S
    backoff = retry.ReconnectBackoff(300.0, size, between=lambda _lowest, most: most)
    quick_s, quick = max(1.0, window_s / 40), retry.QUICK_TRIES if window_s <= 1 else 2
    failed, before_s = 0, 0.0
    for on_purpose, worked in story:
        wait_s = backoff.wait_s(on_purpose=on_purpose, worked=worked)
        failed = int(window_s > 1) if worked else max(failed + 1, quick - 1 if on_purpose else 0)
        if worked:
            assert quick_s - 1e-6 <= wait_s <= 1e-6 + max(quick_s, retry.WORKED_MOST_S)
        elif failed <= quick:
            assert wait_s == pytest.approx(quick_s)
        else:
            assert max(2.0, window_s) - 1e-6 <= wait_s <= max(300.0, window_s)
            assert wait_s >= before_s
        before_s = 0.0 if worked else wait_s


def back_by_second(size, outage_s, told):
    """How many kiosks are back in each second after an outage; `told`: the configured size of the fleet."""
    chance = random.Random(1)
    seconds = Counter()
    for _ in range(size):
        backoff = retry.ReconnectBackoff(300.0, told, chance.uniform)
        now_s = backoff.wait_s(on_purpose=False, worked=True)
        while now_s < outage_s:
            now_s += backoff.wait_s(on_purpose=False, worked=False)
        seconds[int(now_s - outage_s)] += 1
    return seconds


@pytest.mark.parametrize("outage_s", [10, 60, 600])
def test_of_a_fleet_that_knows_its_size_one_in_a_hundred_comes_back_in_the_busiest_second(outage_s):
    """A twentieth of 100,000 kiosks; the share is the same, as each waits by itself."""
    back = back_by_second(5_000, outage_s, told=100_000)
    assert max(back.values()) <= 5_000 * 0.015
    assert max(back) <= 300


def test_of_a_fleet_that_does_not_a_quarter_comes_back_in_one_second():
    assert max(back_by_second(5_000, 10, told=1).values()) > 5_000 * 0.2


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 1500)), max_size=60))
def test_never_far_ahead_of_a_server_that_answers_and_never_held_up_by_one_that_does_not(story):
    pace, now_s, confirmed, sent, answered_s = retry.RedeliveryPacing(), 0.0, 0, 0, 0.0
    pace.connected(0.0)
    for pause_s, more in story:
        now_s += pause_s
        if pace.room(20, confirmed, now_s) > 0:
            pace.sent(20)
            sent += 20
        if now_s - answered_s <= retry.ANSWERS_S:
            assert pace._ahead <= retry.AHEAD + 20
        else:
            assert pace.room(20, confirmed, now_s) == 20
        if more and sent > confirmed:
            confirmed, answered_s = min(sent, confirmed + more), now_s
            pace.room(20, confirmed, now_s)
